"""Code outside the tests that looks for the test runner, or makes comparisons and exit codes say what it likes.

Static: only lines that the branch adds count, each named with its path and number. Pure but for reading git.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.ecosystems import defeats
from orchestrator_action.verify.ecosystems.looks import LOOKS, Found, looks_in
from orchestrator_action.verify.ecosystems.python_shapes import IMPORT_ENDS, shapes_in
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS
from orchestrator_action.verify.ecosystems.test_tools import tools_from_elsewhere
from orchestrator_action.verify.exceptions import NamedTest
from orchestrator_action.verify.hard_coded import hard_coded
from orchestrator_action.verify.test_paths import TestPaths

_MAX_SOURCE_BYTES = 2 * 1024**2
"""Larger files are data, or made by a program."""

_LOOKS = tuple(
    (e.source.endings, re.compile(e.source.runner_marks))
    for e in ECOSYSTEMS
    if e.source and e.source.runner_marks
)
"""By file ending: how code finds out that a test runner is there."""
_ENDS = tuple((endings, re.compile(pattern), what) for endings, pattern, what in defeats.ENDS)
_EQUAL = tuple((endings, re.compile(pattern, re.MULTILINE)) for endings, pattern in defeats.EQUAL)
_TOGETHER = tuple(
    (endings, re.compile(one), re.compile(other), what) for endings, one, other, what in defeats.TOGETHER
)
_NEAR = 6
"""Lines between two that are named together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialCase:
    """One line that treats a test otherwise than everybody else."""

    path: str
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line} {self.what}: `{self.text}`"


def special_case_facts(
    git: Git,
    *,
    base: str,
    head: str,
    tests: TestPaths,
    mended: Sequence[str] = (),
    exceptions: Sequence[NamedTest] = (),
) -> tuple[Fact, ...]:
    """The fact `no-special-case`, from the lines that the branch adds outside its tests.

    `mended` are texts of unchanged tests that the branch made pass. `exceptions` are what was found by running it
    and refutes nothing: a person reads them.
    """
    found = [
        *special_cases(git, base=base, head=head, tests=tests),
        *_replaced(git, base, head, tests),
        *_made_from_tests(git, base=base, head=head, tests=tests, mended=mended),
    ]
    habits = _habits(git, base, tests, found)
    exceptions = [*exceptions, *(_as_before(f) for f in found if (_ending(f.path, ""), f.what) in habits)]
    found = [f for f in found if (_ending(f.path, ""), f.what) not in habits]
    message = "no line that the branch adds outside the tests looks for the test runner or defeats comparison"
    if found:
        message = "; ".join(str(f) for f in found[:3])
        message += f"; and {len(found) - 3} more" if len(found) > 3 else ""
    detail: dict[str, Any] = {"exceptions": [e.data() for e in exceptions]} if exceptions else {}
    if exceptions and not found:
        places = listed([e.id for e in exceptions], at_most=3)
        message += f"; a person has to read {count(len(exceptions), 'place')}: {places}"
    lines = [{"path": shown(f.path), "line": f.line, "what": f.what, "text": f.text} for f in found[:50]]
    return (
        Fact(
            phase="testing", rule="no-special-case", commit=head, holds=not found, message=message,
            detail={"lines": lines, **detail},
        ),
    )  # fmt: skip


_MOST_READ = 400


def product_texts(
    git: Git, commit: str, tests: TestPaths, endings: Collection[str]
) -> Iterable[tuple[str, str]]:
    """Path and text of code that is no test's, four hundred files at most."""
    paths = [p for p in git.paths(commit) if _ending(p, "") in endings and not tests.belongs(p)]
    for path, body in git.files(commit, [p for p in paths if not _never_shipped(p)][:_MOST_READ]).items():
        yield path, (body or b"")[:_MAX_SOURCE_BYTES].decode("utf-8", "replace")


def _habits(git: Git, base: str, tests: TestPaths, found: Sequence[SpecialCase]) -> set[tuple[str, str]]:
    """Ending and words of what code of the base does, too: a plugin of a test runner, a set of matchers."""
    asked = {(_ending(f.path, ""), f.what) for f in found if f.what in {LOOKS, defeats.TOOL}}
    if not asked:
        return set()
    texts = product_texts(git, base, tests, {ending for ending, _ in asked})
    return asked & {(_ending(path, ""), f.what) for path, text in texts for f in in_text(path, text)}


def _as_before(case: SpecialCase) -> NamedTest:
    place, what = f"{shown(case.path)}:{case.line}", f"{case.what}, as code of the base does"
    return NamedTest(id=place, what=what, reason=f"`{case.text[:120]}`", kind="place")


def special_cases(git: Git, *, base: str, head: str, tests: TestPaths) -> list[SpecialCase]:
    """Every such line, in the order of the diff.

    A function of a shell such as `run` or `fail` takes no test library's place where no test is a shell's.
    """
    found: list[SpecialCase] = []
    shell_tests = any(p.endswith(_SHELL) and tests.belongs(p) for p in {*git.paths(base), *git.paths(head)})
    for path, before, after in changed_texts(git, base, head, lambda p: not tests.belongs(p)):
        known = {line.strip()[:160] for line in before.splitlines()}
        named = [*_manifest(path, after), *([] if _never_shipped(path) else in_text(path, after))]
        if path.endswith(_SHELL) and not shell_tests:
            named = [f for f in named if not _FUNCTION.search(f.text)]
        found += [f for f in named if f.text not in known]
    return found


_SHELL = (".sh", ".bash", ".zsh", ".ksh", ".bats")
_FUNCTION = re.compile(
    r"^\s*(?:function\s+)?([\w.:-]+)\s*\(\)\s*(?:\{|$)|^\s*function\s+([\w.:-]+)\s*\{", re.MULTILINE
)


def _replaced(git: Git, base: str, head: str, tests: TestPaths) -> Iterable[SpecialCase]:
    """Functions of a shell that the tests define, too: what is sourced last is what the tests call."""
    ours = added_lines(changed_texts(git, base, head, lambda p: p.endswith(_SHELL) and not tests.belongs(p)))
    if not ours:
        return
    theirs = [p for p in git.paths(base) if p.endswith(_SHELL) and tests.belongs(p)]
    text = "\n".join((b or b"").decode("utf-8", "replace") for b in git.files(base, theirs).values())
    names = {one or other for one, other in _FUNCTION.findall(text)} - {"setup", "teardown", "main", "usage"}
    for path, lines in ours.items():
        for number, line in lines:
            found = _FUNCTION.search(line)
            if found and (found[1] or found[2]) in names:
                what = "replaces a function of the tests"
                yield SpecialCase(path=path, line=number, what=what, text=line.strip()[:160])


def _manifest(path: str, text: str) -> Iterable[SpecialCase]:
    lines = text.split("\n")
    for number in tools_from_elsewhere(path, text):
        what, line = "takes a test tool from elsewhere", lines[number - 1].strip()[:160]
        yield SpecialCase(path=path, line=number, what=what, text=line)


def changed_texts(
    git: Git, base: str, head: str, wanted: Callable[[str], bool]
) -> Iterable[tuple[str, str, str]]:
    """Path, text before and text after of each changed file that is wanted and not too large."""
    changes = [
        c
        for c in git.changes(base, head)
        if c.status != "D" and c.new_mode in {"100644", "100755"} and wanted(c.path)
    ]
    sizes = git.sizes([c.new_blob for c in changes])
    changes = [c for c, size in zip(changes, sizes, strict=True) if (size or 0) <= _MAX_SOURCE_BYTES]
    old = git.blobs([c.old_blob for c in changes])
    new = git.blobs([c.new_blob for c in changes])
    for change, before, after in zip(changes, old, new, strict=True):
        yield (
            change.path,
            (before or b"").decode("utf-8", "replace"),
            (after or b"").decode("utf-8", "replace"),
        )


def _made_from_tests(
    git: Git, *, base: str, head: str, tests: TestPaths, mended: Sequence[str]
) -> Iterable[SpecialCase]:
    """Added lines that answer the very inputs of the tests that the branch adds, or that it mends."""
    added = added_lines(changed_texts(git, base, head, tests.is_test))
    cases = ["\n".join(text for _, text in lines) for lines in added.values()] + list(mended)
    if not cases:
        return
    code = changed_texts(git, base, head, lambda p: not tests.belongs(p) and p.endswith(_CODE))
    for one in hard_coded(cases, added_lines(code)):
        yield SpecialCase(path=one.path, line=one.line, what="answers a test's own input", text=one.text)


def added_lines(texts: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[int, str]]]:
    """The lines that are new in each file, with their numbers."""
    found = {}
    for path, before, after in texts:
        known = set(before.splitlines())
        found[path] = [(n, line) for n, line in enumerate(after.splitlines(), 1) if line not in known]
    return found


_ENDINGS = (
    "py js mjs cjs ts mts cts tsx jsx rs go java kt scala rb"
    " php cs c cc cpp cxx h hpp swift ex exs dart pl pm lua sh bash jl r"
)
CODE_ENDINGS = frozenset(_ENDINGS.split())
"""Endings of files that are code: data and documents may well hold what tests ask for."""
_CODE = tuple(f".{ending}" for ending in sorted(CODE_ENDINGS))


def _never_shipped(path: str) -> bool:
    """Files in which looking for the runner is their purpose, or that are no code."""
    name = path.rpartition("/")[2]
    return bool(
        re.fullmatch(r"(?:[\w.-]+\.config\.\w+|\.\w+rc(?:\.\w+)?|conftest\.py|noxfile\.py|setup\.py)", name)
    )


_INTERPRETERS = {
    "python": "py",
    "node": "js",
    "ruby": "rb",
    "perl": "pl",
    "php": "php",
    "bash": "sh",
    "sh": "sh",
    "zsh": "sh",
}


def _ending(path: str, text: str) -> str:
    """The ending of a file's name; of a program without one, that of its interpreter's language."""
    name = path.rpartition("/")[2]
    if "." in name:
        return name.rpartition(".")[2].lower()
    match = re.match(r"#!.*?\b(python|node|ruby|perl|php|bash|zsh|sh)[\d.]*\b", text)
    return _INTERPRETERS[match[1]] if match else ""


def in_text(path: str, text: str) -> list[SpecialCase]:
    """Every such line of one file, as far as its language is known."""
    ending = _ending(path, text)
    code = _without_rust_tests(text) if ending == "rs" else text
    found = [*_by_line(path, ending, code), *_by_shape(path, ending, code)]
    if ending == "py":
        lines = text.split("\n")
        is_program = path.rpartition("/")[2] == "__main__.py"  # nobody imports it
        found += [
            SpecialCase(path=path, line=n, what=what, text=lines[n - 1].strip()[:160])
            for n, what in shapes_in(code)
            if not (is_program and what == IMPORT_ENDS)
        ]
    return sorted(found, key=lambda f: f.line)


def _by_line(path: str, ending: str, text: str) -> Iterable[SpecialCase]:
    """Marks of single lines, and of lines near each other; comments are no code."""
    lines = text.split("\n")
    code = ["" if is_comment(line, ending) else line for line in lines]
    if ending in defeats.SCRIPTS and text.startswith("#!") and not _GIVES_ITSELF.search(text):
        code = [_ENDS_A_PROGRAM.sub("", line) for line in code]
    found = [*_marks(ending, code), *_together(ending, code), *_without_main(ending, code)]
    if ending in CODE_ENDINGS:
        found += looks_in(code)
    seen: set[tuple[int, str]] = set()
    for number, what in found:
        if (number, what) not in seen:
            seen.add((number, what))
            yield SpecialCase(path=path, line=number, what=what, text=lines[number - 1].strip()[:160])


def is_comment(line: str, ending: str) -> bool:
    """Whether a line of a file with this ending says nothing to a machine."""
    bare = line.strip()
    if bare.startswith("//go:linkname"):
        return False
    if bare.startswith(("//", "#!", "* ", "/*")):
        return True
    return ending in {"py", "rb", "pl", "pm", "sh", "bash"} and bare[:1] == "#"


_GIVES_ITSELF = re.compile(r"\bmodule\.exports\b|(?<![\w.])exports\.\w|^\s*export\b", re.MULTILINE)
_ENDS_A_PROGRAM = re.compile(r"\bprocess\.exit\([^()]*\)|\.then\(\s*process\.exit\s*\)")
"""In a file that is started and gives nothing to others: that is its own exit code."""
_FORKS, _ENDS_A_CHILD, _FAR = re.compile(r"\bfork\(\s*\)"), re.compile(r"(?<!\w)_exit\s*\(|\b_Exit\s*\("), 20


def after_fork(lines: Sequence[str]) -> set[int]:
    """Numbers of lines that end a process, soon after one was forked: a child has to end so."""
    forks = [n for n, line in enumerate(lines, 1) if _FORKS.search(line)]
    ends = [n for n, line in enumerate(lines, 1) if forks and _ENDS_A_CHILD.search(line)]
    return {n for n in ends if any(0 <= n - fork <= _FAR for fork in forks)}


_FAIL = re.compile(r"^\s*(?:function\s+)?fail\s*\(\)")
_SAYS_SO = re.compile(r"\b(?:exit|return)\s+[\"$1-9]")


def _fails(lines: Sequence[str]) -> set[int]:
    """Numbers of lines of a shell that begin a function `fail` which does."""
    found = set()
    for number, line in enumerate(lines, 1):
        if _FAIL.search(line):
            end = next((n for n in range(number - 1, len(lines)) if "}" in lines[n]), number - 1)
            said = [text for text in lines[number - 1 : end + 1] if re.search(r"\b(?:exit|return)\b", text)]
            found |= {number} if said and all(map(_SAYS_SO.search, said)) else set()
    return found


def _marks(ending: str, lines: Sequence[str]) -> Iterable[Found]:
    honest = after_fork(lines) | (_fails(lines) if f".{ending}" in _SHELL else set())
    looks = [p for endings, p in _LOOKS if ending in endings]
    if ending == "rs":
        looks.append(_RUST_LOOKS)
    ends = [(p, what) for endings, p, what in _ENDS if ending in endings]
    for number, line in enumerate(lines, 1):
        if any(p.search(line) for p in looks):
            yield Found(number, LOOKS)
        if number not in honest:
            yield from (Found(number, what) for p, what in ends if p.search(line))


_RUST_LOOKS = re.compile(
    r"\bcfg!\s*\(\s*(?:not\s*\(\s*)?test\b|#\[cfg\((?:not\(test\)|test)\)\]\s*(?!.*\bmod\b)"
)


def _together(ending: str, lines: Sequence[str]) -> Iterable[Found]:
    for endings, one, other, what in _TOGETHER:
        if ending not in endings:
            continue
        firsts = [n for n, line in enumerate(lines, 1) if one.search(line)]
        seconds = [n for n, line in enumerate(lines, 1) if firsts and other.search(line)]
        for n, m in ((n, m) for n in firsts for m in seconds if abs(n - m) <= _NEAR):
            yield from (Found(n, what), Found(m, what))


def _without_main(ending: str, lines: Sequence[str]) -> Iterable[Found]:
    """The end of the whole process with success, where nothing starts one."""
    for endings, end, start in defeats.WITHOUT_MAIN:
        if ending in endings and not any(re.search(start, line) for line in lines):
            ends = (n for n, line in enumerate(lines, 1) if re.search(end, line))
            yield from (Found(n, "ends the process past the test runner") for n in ends)


def _by_shape(path: str, ending: str, text: str) -> Iterable[SpecialCase]:
    for endings, pattern in _EQUAL:
        if ending not in endings:
            continue
        for match in pattern.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            line = text.split("\n")[number - 1].strip()[:160]
            yield SpecialCase(path=path, line=number, what="is equal to anything", text=line)


def _without_rust_tests(text: str) -> str:
    """Blank out `#[cfg(test)]` modules, line for line: there it is a test's own word."""
    from orchestrator_action.verify.rust_tests import test_blocks

    for block in test_blocks(text):
        text = text.replace(block, "\n" * block.count("\n"), 1)
    return text
