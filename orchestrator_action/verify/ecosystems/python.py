"""What a test file says: the tests it defines, those that test nothing, and marks that skip or single out.

Python is parsed; of other languages it is known what a line or a short block tells. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

_PY_SKIPS = (
    r"mark\.(?:skip|xfail)|pytest\.(?:skip|xfail|exit)\(|unittest\.skip|\.skipTest\(|expectedFailure|importorskip"
    r"|@skip|@xfail|\bSkipTest\b|__test__\s*=\s*False|\bcollect_ignore|\bos\._exit\(|def load_tests\b"
)
_JS_SKIPS = (
    r"(?<![\w.])(?:(?:it|test|describe|context|suite)\.(?:skip|todo|only|failing|fixme)\b"
    r"|(?:xit|xtest|xdescribe|fit|fdescribe)\s*\()|\bskip\s*:\s*true"
)
_FAMILIES: dict[str, tuple[str, str]] = {
    "py": (
        r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)",
        _PY_SKIPS,
    ),
    "js": (
        r"(?<![\w.])(?:it|test|specify)(?:\.each[^(]*\([^)]*\))?\s*\(\s*['\"`]([^'\"`]+)",
        _JS_SKIPS,
    ),
    "go": (r"^func\s+((?:Test|Fuzz|Example)\w*)\s*\(", r"\.Skip(?:f|Now)?\(|^//go:build\b|^func TestMain\b"),
    "rs": (r"#\[(?:\w+::)*test(?:\([^)]*\))?\][^{;]*?fn\s+(\w+)", r"#\[ignore\b"),
    "jvm": (
        r"@(?:\w*Test)\b[^{;]*?(\w+|`[^`]+`)\s*\(",
        r"@(?:Disabled|Ignore)\w*|\bassume\w+\(|@EnabledIf|enabled\s*=\s*false",
    ),
    "rb": (
        r"^\s*(?:def\s+(test_\w+)|(?:it|specify|test|example)\s+['\"]([^'\"]+))",
        r"^\s*(?:xit|xdescribe|xcontext|pending|skip)\b|skip:\s*(?:true|['\"])",
    ),
    "php": (r"function\s+(test\w*)\s*\(", r"markTest(?:Skipped|Incomplete)"),
    "ex": (r"^\s*(?:test|property)\s+\"([^\"]+)", r"@(?:module)?tag\s+:?skip|@tag\s+skip:"),
    "cs": (r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b[^{;]*?(\w+)\s*\(", r"\[Ignore\b|\bSkip\s*="),
    "swift": (r"func\s+(test\w*)\s*\(|@Test\b[^{;]*?func\s+(\w+)", r"XCTSkip|\.disabled\("),
    "c": (r"\b(?:TEST|TEST_F|TEST_P|TEST_CASE)\s*\(([^)]*)\)", r"DISABLED_|GTEST_SKIP|^#if 0"),
    "sh": (r"^\s*(?:@test\s+['\"]([^'\"]+)|(test_\w+)\s*\(\))", r"^\s*skip\b"),
}
_ENDINGS = {
    "py": "py", "go": "go", "rs": "rs", "rb": "rb", "php": "php", "exs": "ex", "swift": "swift",
    **dict.fromkeys(("js", "cjs", "mjs", "jsx", "ts", "tsx", "cts", "mts"), "js"),
    **dict.fromkeys(("java", "kt", "scala", "groovy"), "jvm"),
    **dict.fromkeys(("cs", "fs"), "cs"), **dict.fromkeys(("c", "cc", "cpp"), "c"),
    **dict.fromkeys(("bats", "sh"), "sh"),
}  # fmt: skip
_SINGLED = r"(?<![\w.])(?:(?:it|test|describe|context|suite)\.only\b|(?:fit|fdescribe)\s*\()"
_ONE_BODY = r"\s*\([^)]*\)[^{};]*\{\s*\}"
_HOLLOW: dict[str, str] = {
    "js": r"(?<![\w.])(?:it|test|specify)\s*\(\s*['\"`]([^'\"`]+)['\"`]\s*(?:\)|,\s*(?:async\s*)?"
    r"(?:\([^)]*\)|\w+|function\s*\w*\s*\([^)]*\))\s*(?:=>)?\s*(?:\{\s*(?:return\s*;?\s*)?\}|true|null|undefined)\s*[,)])",
    "go": r"^func\s+(Test\w*)" + _ONE_BODY,
    "rs": r"#\[(?:\w+::)*test(?:\([^)]*\))?\][^{;]*?fn\s+(\w+)" + _ONE_BODY,
    "jvm": r"@(?:\w*Test)\b[^{;]*?(\w+|`[^`]+`)" + _ONE_BODY,
    "rb": r"(?:it|specify|test)\s+['\"]([^'\"]+)['\"]\s*do\s*end\b",
    "php": r"function\s+(test\w*)" + _ONE_BODY,
    "ex": r"test\s+\"([^\"]+)\"[^\n]*do\s*end\b",
    "cs": r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b[^{;]*?(\w+)" + _ONE_BODY,
    "swift": r"func\s+(test\w*)" + _ONE_BODY,
    "c": r"\b(?:TEST|TEST_F|TEST_P|TEST_CASE)\s*\(([^)]*)\)\s*\{\s*\}",
    "sh": r"@test\s+['\"]([^'\"]+)['\"]\s*\{\s*(?:true|:|return(?: 0)?)?\s*\}",
}
"""Tests whose body is empty, once comments are gone."""
_COMMENTS = {
    **dict.fromkeys(("js", "go", "rs", "jvm", "php", "cs", "swift", "c"), r"//[^\n]*|/\*.*?\*/"),
    **dict.fromkeys(("rb", "ex", "sh"), r"(?m)^\s*#[^\n]*"),
}


def _family(path: str) -> str:
    return _ENDINGS.get(path.rpartition(".")[2], "")


def test_names(path: str, text: str) -> list[str]:
    """The names of the tests a file defines, as far as its language is known."""
    if _family(path) == "py" and (parsed := _python(text)) is not None:
        return [node.name for node in parsed.values()]
    return _found(_FAMILIES.get(_family(path), ("(?!)", ""))[0], text)


def skip_marks(path: str, text: str) -> int:
    """How many marks that skip or single out tests a file has."""
    family = _FAMILIES.get(_family(path))
    return len(re.findall(family[1], text, re.MULTILINE)) if family else 0


def singled_out(path: str, text: str) -> int:
    """How many marks leave every other test out."""
    return len(re.findall(_SINGLED, text)) if _family(path) == "js" else 0


def hollow_tests(path: str, text: str) -> list[str]:
    """The names of tests that are there and can tell nothing: an empty body, or no assertion at all."""
    family = _family(path)
    if family == "py":
        return [node.name for node in (_python(text) or {}).values() if _is_hollow(node)]
    if family not in _HOLLOW:
        return []
    return _found(_HOLLOW[family], re.sub(_COMMENTS[family], "", text, flags=re.DOTALL))


test_names.__test__ = False  # type: ignore[attr-defined]


def _found(pattern: str, text: str) -> list[str]:
    found = re.findall(pattern, text, re.MULTILINE)
    return ["".join(f) if isinstance(f, tuple) else f for f in found]


_Test = ast.FunctionDef | ast.AsyncFunctionDef


def _python(text: str) -> dict[str, _Test] | None:
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
