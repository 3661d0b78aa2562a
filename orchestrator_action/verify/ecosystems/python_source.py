"""How tests look in Python's source: parsed, not guessed. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from orchestrator_action.verify.ecosystems.base import Source

_SKIPS = (
    r"mark\.(?:skip|xfail)|pytest\.(?:skip|xfail|exit)\(|unittest\.skip|\.skipTest\(|expectedFailure|importorskip"
    r"|@skip|@xfail|\bSkipTest\b|__test__\s*=\s*False|\bcollect_ignore|\bos\._exit\(|def load_tests\b"
)
_RUNNER_MARKS = (
    r"PYTEST_(?:CURRENT_TEST|XDIST_WORKER|VERSION)\b|['\"]_?(?:pytest|unittest"
    r"|nose2?)(?:\.\w+)*['\"]\s+(?:not\s+)?in\s+(?:\w+\.)?modules\b|\bmodules\s*(?:\.get\("
    r"|\[)\s*['\"]_?(?:pytest|unittest|nose2?)\b|['\"](?:pytest|py\.test"
    r"|unittest)\w*['\"]\s+in\s+(?:\w+\.)?(?:argv|orig_argv)\b|\bargv\b[^\n]*['\"](?:pytest"
    r"|py\.test|unittest)|_called_from_test\b|(?:inspect\.stack|_getframe|extract_stack"
    r"|currentframe)\([^\n]*(?:test|pytest)"
)


_Test = ast.FunctionDef | ast.AsyncFunctionDef


def _parsed(text: str) -> dict[str, _Test] | None:
    """The tests that pytest or unittest would find, by qualified name; None when the text does not parse.

    Of two with the same name in the same place the later one is what runs.
    """
    try:
        return dict(_collected(ast.parse(text).body, ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _collected(body: Iterable[ast.stmt], inside: str) -> Iterator[tuple[str, _Test]]:
    for node in body:
        if isinstance(node, _Test) and node.name.startswith("test"):
            yield inside + node.name, node
        elif isinstance(node, ast.ClassDef) and (node.bases or node.name.startswith("Test")):
            yield from _collected(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.If):
            never = isinstance(node.test, ast.Constant) and not node.test.value
            yield from _collected([*([] if never else node.body), *node.orelse], inside)
        elif isinstance(node, ast.Try):
            yield from _collected([*node.body, *node.orelse, *node.finalbody], inside)
        elif isinstance(node, ast.With):
            yield from _collected(node.body, inside)


_TELLS = re.compile(
    r"assert|expect|raises|warns|check|verify|should|fail|must|ensure|approve|snapshot|match", re.I
)
"""What calls are named that can make a test fail on purpose."""


def _is_hollow(test: _Test) -> bool:
    """Nothing in it can fail by what it finds: no assertion, or only ones about constants."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return False
        if isinstance(node, ast.Raise):
            return False
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if _TELLS.search(called) and not (called.startswith("assert") and _of_constants(node)):
                return False
    return True


def _of_constants(call: ast.Call) -> bool:
    """`assertTrue(True)`, `assertEqual(1, 1)`: true whatever the program does."""
    return bool(call.args) and all(isinstance(a, ast.Constant) for a in call.args)


def _tests(text: str) -> list[str] | None:
    parsed = _parsed(text)
    return None if parsed is None else [node.name for node in parsed.values()]


def _hollow(text: str) -> list[str]:
    return [node.name for node in (_parsed(text) or {}).values() if _is_hollow(node)]


PYTHON_SOURCE = Source(
    endings=("py",),
    tests=r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)",
    skips=_SKIPS,
    parse_tests=_tests,
    parse_hollow=_hollow,
    runner_marks=_RUNNER_MARKS,
)
