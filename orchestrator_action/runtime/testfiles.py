"""Tests that went away: files deleted, renamed out of sight, emptied, thinned out, newly skipped.

A suite that passes proves little when the test that failed was removed. What the branch takes from the
tests must be named in the claim's note, file by file; then it is a decision, not a trick.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator_action.core.model import Fact
from orchestrator_action.core.paths import listed, matches, shown
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.gitparse import Change

TEST_FILES = (
    "test_*.py", "*_test.py", "*_tests.py", "tests.py",
    "*.test.[cm]js", "*.test.js", "*.test.jsx", "*.test.[cm]ts", "*.test.ts", "*.test.tsx",
    "*.spec.[cm]js", "*.spec.js", "*.spec.jsx", "*.spec.[cm]ts", "*.spec.ts", "*.spec.tsx",
    "**/__tests__/**/*.[jt]s", "**/__tests__/**/*.[jt]sx", "test/**/*.[cm]js", "test/**/*.[jt]s",
    "tests/**/*.[jt]s", "*_test.go", "tests/**/*.rs", "**/tests/*.rs", "*_test.rs", "*_tests.rs",
    "*Test.java", "*Tests.java", "*IT.java", "*Test.kt", "*Tests.kt", "*Spec.groovy", "*Spec.kt",
    "*Test.scala", "*Spec.scala", "*_spec.rb", "*_test.rb", "test_*.rb", "*Test.php", "*.bats", "*_test.exs",
    "*Tests.cs",
    "*Test.cs", "*Tests.fs", "*Tests.swift", "*Test.swift", "t/**/*.t", "*_test.c", "*_test.cc", "*_test.cpp",
    "test_*.c", "test_*.cc", "test_*.cpp", "*_unittest.cc", "*_test.dart", "test_*.sh", "*_test.sh",
    "*_SUITE.erl",
    "!**/node_modules/**", "!**/testdata/**", "!**/fixtures/**", "!**/__snapshots__/**",
)  # fmt: skip
"""Names that test runners find tests by. A data file in a tests folder is no test."""

_JS_SKIPS = (
    r"(?<![\w.])(?:(?:it|test|describe|context|suite)\.(?:skip|todo|only|failing|fixme)\b"
    r"|(?:xit|xtest|xdescribe|fit|fdescribe)\s*\()|\bskip\s*:\s*true"
)
_FAMILIES: dict[str, tuple[str, str]] = {
    "py": (
        r"^[ \t]*(?:async[ \t]+)?def[ \t]+(test\w*)",
        r"mark\.(?:skip|xfail)|pytest\.(?:skip|xfail)\(|unittest\.skip|\.skipTest\(|expectedFailure|importorskip",
    ),
    "js": (
        r"(?<![\w.])(?:it|test|specify)(?:\.each[^(]*\([^)]*\))?\s*\(\s*['\"`]([^'\"`]+)",
        _JS_SKIPS,
    ),
    "go": (r"^func\s+((?:Test|Fuzz|Example)\w*)\s*\(", r"\.Skip(?:f|Now)?\("),
    "rs": (r"#\[(?:\w+::)*test(?:\([^)]*\))?\][^{;]*?fn\s+(\w+)", r"#\[ignore\b"),
    "jvm": (r"@(?:\w*Test)\b[^{;]*?(\w+|`[^`]+`)\s*\(", r"@(?:Disabled|Ignore)\b|\bassumeTrue\(|@EnabledIf"),
    "rb": (
        r"^\s*(?:def\s+(test_\w+)|(?:it|specify|test|example)\s+['\"]([^'\"]+))",
        r"^\s*(?:xit|xdescribe|xcontext|pending|skip)\b|skip:\s*(?:true|['\"])",
    ),
    "php": (r"function\s+(test\w*)\s*\(", r"markTest(?:Skipped|Incomplete)"),
    "ex": (r"^\s*(?:test|property)\s+\"([^\"]+)", r"@(?:module)?tag\s+:?skip|@tag\s+skip:"),
    "cs": (r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b[^{;]*?(\w+)\s*\(", r"\[Ignore\b|\bSkip\s*="),
    "swift": (r"func\s+(test\w*)\s*\(|@Test\b[^{;]*?func\s+(\w+)", r"XCTSkip|\.disabled\("),
    "c": (r"\b(?:TEST|TEST_F|TEST_P|TEST_CASE)\s*\(([^)]*)\)", r"DISABLED_|GTEST_SKIP"),
    "sh": (r"^\s*(?:@test\s+['\"]([^'\"]+)|(test_\w+)\s*\(\))", r"^\s*skip\b"),
}
_ENDINGS = {
    "py": "py", "go": "go", "rs": "rs", "rb": "rb", "php": "php", "exs": "ex", "swift": "swift",
    **dict.fromkeys(("js", "cjs", "mjs", "jsx", "ts", "tsx", "cts", "mts"), "js"),
    **dict.fromkeys(("java", "kt", "scala", "groovy"), "jvm"),
    **dict.fromkeys(("cs", "fs"), "cs"), **dict.fromkeys(("c", "cc", "cpp"), "c"),
    **dict.fromkeys(("bats", "sh"), "sh"),
}  # fmt: skip


def is_test_file(path: str) -> bool:
    """Whether test runners would look for tests in this file."""
    return bool(matches(path, TEST_FILES))


def test_names(path: str, text: str) -> list[str]:
    """The names of the tests a file defines, as far as its language is known."""
    family = _FAMILIES.get(_ENDINGS.get(path.rpartition(".")[2], ""))
    if family is None:
        return []
    found = re.findall(family[0], text, re.MULTILINE)
    return ["".join(f) if isinstance(f, tuple) else f for f in found]


def skip_marks(path: str, text: str) -> int:
    """How many marks that skip or single out tests a file has."""
    family = _FAMILIES.get(_ENDINGS.get(path.rpartition(".")[2], ""))
    return len(re.findall(family[1], text, re.MULTILINE)) if family else 0


test_names.__test__ = False  # type: ignore[attr-defined]


def kept_facts(git: Git, *, base: str, head: str, note: str = "") -> tuple[Fact, ...]:
    """The fact `tests-kept`: nothing was taken from the tests but what `note` names."""
    changes = [c for c in git.changes(base, head) if is_test_file(c.old_path or c.path)]
    added = [c for c in git.changes(base, head) if c.status in "AC" and is_test_file(c.path)]
    losses = [loss for change in _with_texts(git, changes) for loss in _losses(*change)]
    losses = _without_moved(git, losses, added)
    silent = [(path, what) for path, what, _ in losses if not _named(path, note)]
    told = sorted({path for path, _, _ in losses} - {path for path, _ in silent})
    message = "; ".join(f"{shown(path)}: {what}" for path, what in silent[:5])
    if len(silent) > 5:
        message += f"; and {len(silent) - 5} more"
    if not silent:
        message = f"tests were taken away and named: {listed(told)}" if told else "no test was taken away"
    else:
        message = f"tests were taken away without a word: {message}"
    detail: dict[str, Any] = {
        "lost": [{"path": shown(p), "what": w} for p, w, _ in losses[:50]],
        "named": [shown(p) for p in told[:50]],
    }
    return (
        Fact(
            phase="testing", rule="tests-kept", commit=head, holds=not silent, message=message, detail=detail
        ),
    )


Loss = tuple[str, str, tuple[str, ...]]
"""The path, what happened, and the names of the tests that are gone."""


def _with_texts(git: Git, changes: Sequence[Change]) -> Iterable[tuple[Change, str, str]]:
    changed = [c for c in changes if c.status not in "AC"]
    before = git.blobs([c.old_blob for c in changed])
    after = git.blobs([c.new_blob for c in changed])
    for change, old, new in zip(changed, before, after, strict=True):
        yield change, (old or b"").decode("utf-8", "replace"), (new or b"").decode("utf-8", "replace")


def _losses(change: Change, old: str, new: str) -> Iterable[Loss]:
    path = change.old_path or change.path
    names = test_names(path, old)
    if not names and not old.strip():
        return
    if change.status == "D":
        yield path, "deleted", tuple(names)
        return
    if not is_test_file(change.path):
        yield path, f"renamed to {shown(change.path)}, where no test runner looks", tuple(names)
        return
    if not new.strip():
        yield path, "emptied", tuple(names)
        return
    left = test_names(change.path, new)
    if len(left) < len(names):
        gone = _missing(names, left)
        yield (
            path,
            f"{len(names) - len(left)} of {len(names)} tests removed ({listed(gone, at_most=3)})",
            gone,
        )
    marks = skip_marks(change.path, new) - skip_marks(path, old)
    if marks > 0:
        yield path, f"{marks} new skip mark{'s' if marks > 1 else ''}", ()


def _missing(names: Sequence[str], left: Sequence[str]) -> tuple[str, ...]:
    rest = list(left)
    gone = []
    for name in names:
        if name in rest:
            rest.remove(name)
        else:
            gone.append(name)
    return tuple(gone)


def _without_moved(git: Git, losses: Sequence[Loss], added: Sequence[Change]) -> list[Loss]:
    """Leave out files whose every test is found again in a new test file."""
    if not any(names for _, _, names in losses) or not added:
        return list(losses)
    bodies = zip(added, git.blobs([c.new_blob for c in added]), strict=True)
    new = {n for c, body in bodies for n in test_names(c.path, (body or b"").decode("utf-8", "replace"))}
    return [loss for loss in losses if not loss[2] or not set(loss[2]) <= new]


def _named(path: str, note: str) -> bool:
    """Whether a note names this file, by its path or by its own name as a word."""
    name = path.rpartition("/")[2]
    return path in note or bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", note))
