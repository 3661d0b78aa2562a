"""Code outside the tests that looks for the test runner, or makes comparisons and exit codes say what it likes.

Static: only lines that the branch adds count, each named with its path and number. Pure but for reading git.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import shown
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS
from orchestrator_action.verify.hard_coded import hard_coded
from orchestrator_action.verify.test_paths import TestPaths

MAX_SOURCE_BYTES = 2 * 1024**2
"""Larger files are data, or made by a program."""

_SCRIPTS = ("js", "cjs", "mjs", "jsx", "ts", "cts", "mts", "tsx")
_LOOKS = tuple(
    (e.source.endings, e.source.runner_marks) for e in ECOSYSTEMS if e.source and e.source.runner_marks
)
"""By file ending: how code finds out that a test runner is there."""

_ENDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("py",), r"\bos\._exit\s*\(", "ends the process past the test runner"),
    (("py",), r"\batexit\.register\([^\n]*(?:exit|kill)", "changes the exit code at the end"),
    (_SCRIPTS, r"\bprocess\.on\(\s*['\"`](?:exit|beforeExit)['\"`][^\n]*exit", "changes the exit code at the end"),
    (_SCRIPTS, r"^\s*process\.exitCode\s*=\s*0\b", "changes the exit code at the end"),
    (_SCRIPTS, r"^(?:process\.(?:exit|reallyExit)\s*\(\s*0?\s*\))", "ends the process when it is loaded"),
    (("rb",), r"\bat_exit\b[^\n]*exit!?", "changes the exit code at the end"),
    (("php",), r"register_shutdown_function\([^\n]*exit", "changes the exit code at the end"),
)  # fmt: skip

_EQUAL: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        _SCRIPTS,
        (r"\b(?:equals|isEqual|asymmetricMatch|deepEqual)\s*(?:\([^)]*\)|=\s*(?:function\s*)?\([^)]*\)\s*(?:=>)?)"
        r"[^{\n]*\{\s*return\s+true\b"),
    ),
    (_SCRIPTS, r"\b(?:equals|isEqual|asymmetricMatch)\s*[:=]\s*\([^)]*\)\s*=>\s*true\b"),
    (("java", "kt", "scala", "groovy"), r"\bequals\s*\([^)]*\)[^{\n=]*(?:\{\s*return\s+true\b|=\s*true\b)"),
    (("rb",), r"\bdef\s+(?:==|eql\?|===)[^\n]*\n?\s*true\b"),
    (("cs", "fs"), r"\bEquals\s*\([^)]*\)\s*(?:=>\s*true\b|\{\s*return\s+true\b)"),
    (("rs",), r"\bfn\s+eq\s*\(&self[^)]*\)\s*->\s*bool\s*\{\s*(?:return\s+)?true\b"),
    (("swift",), r"static\s+func\s+==[^{]*\{\s*(?:return\s+)?true\b"),
)  # fmt: skip
"""Comparisons that are true whatever is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialCase:
    """One line that treats a test otherwise than everybody else."""

    path: str
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line} {self.what}: `{self.text}`"


def special_case_facts(git: Git, *, base: str, head: str, tests: TestPaths) -> tuple[Fact, ...]:
    """The fact `no-special-case`, from the lines that the branch adds outside its tests."""
    found = [
        *special_cases(git, base=base, head=head, tests=tests),
        *_made_from_tests(git, base=base, head=head, tests=tests),
    ]
    message = "no line that the branch adds outside the tests looks for the test runner or defeats comparison"
    if found:
        message = "; ".join(str(f) for f in found[:3])
        message += f"; and {len(found) - 3} more" if len(found) > 3 else ""
    lines = [{"path": shown(f.path), "line": f.line, "what": f.what, "text": f.text} for f in found[:50]]
    return (
        Fact(
            phase="testing", rule="no-special-case", commit=head, holds=not found, message=message,
            detail={"lines": lines},
        ),
    )  # fmt: skip


def special_cases(git: Git, *, base: str, head: str, tests: TestPaths) -> list[SpecialCase]:
    """Every such line, in the order of the diff."""
    found: list[SpecialCase] = []
    for path, before, after in _changed_texts(git, base, head, lambda p: not tests.belongs(p)):
        if not _never_shipped(path):
            known = {line.strip()[:160] for line in before.splitlines()}
            found += [f for f in in_text(path, after) if f.text not in known]
    return found


def _changed_texts(
    git: Git, base: str, head: str, wanted: Callable[[str], bool]
) -> Iterable[tuple[str, str, str]]:
    """Path, text before and text after of each changed file that is wanted and not too large."""
    changes = [
        c
        for c in git.changes(base, head)
        if c.status != "D" and c.new_mode in {"100644", "100755"} and wanted(c.path)
    ]
    sizes = git.sizes([c.new_blob for c in changes])
    changes = [c for c, size in zip(changes, sizes, strict=True) if (size or 0) <= MAX_SOURCE_BYTES]
    old = git.blobs([c.old_blob for c in changes])
    new = git.blobs([c.new_blob for c in changes])
    for change, before, after in zip(changes, old, new, strict=True):
        yield (
            change.path,
            (before or b"").decode("utf-8", "replace"),
            (after or b"").decode("utf-8", "replace"),
        )


def _made_from_tests(git: Git, *, base: str, head: str, tests: TestPaths) -> Iterable[SpecialCase]:
    """Added lines that answer the very inputs of the tests that the branch adds."""
    added = _added(_changed_texts(git, base, head, tests.is_test))
    cases = ["\n".join(text for _, text in lines) for lines in added.values()]
    if not cases:
        return
    code = _changed_texts(git, base, head, lambda p: not tests.belongs(p) and p.endswith(_CODE))
    for one in hard_coded(cases, _added(code)):
        yield SpecialCase(path=one.path, line=one.line, what="answers a test's own input", text=one.text)


def _added(texts: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[int, str]]]:
    """The lines that are new in each file, with their numbers."""
    found = {}
    for path, before, after in texts:
        known = set(before.splitlines())
        found[path] = [(n, line) for n, line in enumerate(after.splitlines(), 1) if line not in known]
    return found


_CODE = (
    ".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".rs", ".go", ".java", ".kt", ".scala", ".rb", ".php", ".cs",
    ".c", ".cc", ".cpp", ".h", ".hpp", ".swift", ".ex", ".exs", ".dart", ".pl", ".lua", ".sh", ".jl", ".r",
)  # fmt: skip
"""Endings of files that are code: data and documents may well hold what tests ask for."""


def _never_shipped(path: str) -> bool:
    """Files in which looking for the runner is their purpose, or that are no code."""
    name = path.rpartition("/")[2]
    return bool(
        re.fullmatch(r"(?:[\w.-]+\.config\.\w+|\.\w+rc(?:\.\w+)?|conftest\.py|noxfile\.py|setup\.py)", name)
    )


def in_text(path: str, text: str) -> list[SpecialCase]:
    """Every such line of one file, as far as its language is known."""
    ending = path.rpartition(".")[2].lower()
    code = _without_rust_tests(text) if ending == "rs" else text
    found = [*_by_line(path, ending, code), *_by_shape(path, ending, code)]
    if ending == "py":
        found += _python(path, code)
    return sorted(found, key=lambda f: f.line)


def _by_line(path: str, ending: str, text: str) -> Iterable[SpecialCase]:
    looks = [re.compile(p) for endings, p in _LOOKS if ending in endings]
    ends = [(re.compile(p), what) for endings, p, what in _ENDS if ending in endings]
    if ending == "rs":
        looks.append(
            re.compile(
                r"\bcfg!\s*\(\s*(?:not\s*\(\s*)?test\b|#\[cfg\((?:not\(test\)|test)\)\]\s*(?!.*\bmod\b)"
            )
        )
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if (
            not bare
            or bare.startswith(("//", "#!", "* ", "/*"))
            or (ending in {"py", "rb"} and bare[0] == "#")
        ):
            continue
        if any(p.search(line) for p in looks):
            yield SpecialCase(path=path, line=number, what="looks for the test runner", text=bare[:160])
        for pattern, what in ends:
            if pattern.search(line):
                yield SpecialCase(path=path, line=number, what=what, text=bare[:160])


def _by_shape(path: str, ending: str, text: str) -> Iterable[SpecialCase]:
    for endings, pattern in _EQUAL:
        if ending not in endings:
            continue
        for match in re.finditer(pattern, text):
            number = text.count("\n", 0, match.start()) + 1
            line = text.split("\n")[number - 1].strip()[:160]
            yield SpecialCase(path=path, line=number, what="is equal to anything", text=line)


def _without_rust_tests(text: str) -> str:
    """Blank out `#[cfg(test)]` modules, line for line: there it is a test's own word."""
    from orchestrator_action.verify.rust_tests import test_blocks

    for block in test_blocks(text):
        text = text.replace(block, "\n" * block.count("\n"), 1)
    return text


_Def = ast.FunctionDef | ast.AsyncFunctionDef


def _python(path: str, text: str) -> Iterable[SpecialCase]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = text.split("\n")

    def at(node: ast.AST, what: str) -> SpecialCase:
        number = getattr(node, "lineno", 1)
        return SpecialCase(path=path, line=number, what=what, text=lines[number - 1].strip()[:160])

    for node in ast.walk(module):
        if (
            isinstance(node, _Def)
            and node.name in {"__eq__", "__ne__", "__contains__"}
            and _is_constant(node)
        ) or (isinstance(node, ast.Assign) and _assigns_constant_eq(node)):
            yield at(node, "is equal to anything")
    yield from (at(node, "ends the process when it is imported") for node in _exits(module.body))


def _is_constant(function: _Def) -> bool:
    """Every way out returns the same constant, and nothing is looked at."""
    body: Sequence[ast.stmt] = [
        s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
    ]
    if not body or not isinstance(body[-1], ast.Return):
        return False
    returns = [n.value for n in ast.walk(function) if isinstance(n, ast.Return)]
    values = [r.value for r in returns if isinstance(r, ast.Constant)]
    wanted = function.name != "__ne__"
    return len(values) == len(returns) and all(v is wanted for v in values)


def _assigns_constant_eq(node: ast.Assign) -> bool:
    """`__eq__ = lambda self, other: True`."""
    names = [t.attr if isinstance(t, ast.Attribute) else getattr(t, "id", "") for t in node.targets]
    value = node.value
    constant = isinstance(value, ast.Lambda) and isinstance(value.body, ast.Constant)
    return "__eq__" in names and constant and value.body.value is True  # type: ignore[attr-defined]


def _exits(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements at the top of a module that end the process; below `if __name__ == "__main__"` they may."""
    for node in body:
        if isinstance(node, ast.If):
            if "__main__" not in ast.unparse(node.test):
                yield from _exits([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _exits([*node.body, *node.orelse, *node.finalbody])
        elif (isinstance(node, ast.Expr) and _ends(node.value)) or (
            isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc)
        ):
            yield node


def _ends(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    return ast.unparse(value.func) in {"sys.exit", "exit", "quit", "os.abort", "os.kill", "os.killpg"}
