"""Tests that went away, as far as reading the files tells: deleted, renamed out of sight, emptied, newly skipped.

A hint where the comparison with the base says that something is lost, and what decides where no comparison can
be made: then what the branch takes from the tests has to be named in the claim's note, file by file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence

from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.verify.ecosystems.base import folders_of, go_inside
from orchestrator_action.verify.ecosystems.testfiles import (
    NAMES_OTHERS,
    changed_ways,
    hollow_tests,
    is_test_path,
    singled_out,
    skip_marks,
    test_names,
    ways_text,
)

Loss = tuple[str, str, tuple[str, ...]]
"""The path, what happened, and the names of the tests that are gone."""


def losses(git: Git, *, base: str, head: str, commands: Sequence[str] = ()) -> list[Loss]:
    """What the text of the files shows was taken from the tests, or from how `commands` run them."""
    texts = _with_texts(git, git.changes(base, head))
    tests = [t for t in texts if is_test_path(t[0].old_path or t[0].path)]
    places = {_top(p) for p in git.paths(base) if is_test_path(p)}
    found = [loss for change in tests if change[0].status not in "AC" for loss in _losses(*change, places)]
    added = [(c.path, new) for c, _, new in texts if c.status in "AC" and is_test_path(c.path)]
    moved = [(path, new) for path, new in added if _top(path) in places]
    return [*_without_moved(found, moved), *_singled_out(added), *_ways(git, base, texts, commands)]


_MAX_READ_BYTES = 8 * 1024**2


def _with_texts(git: Git, changes: Sequence[Change]) -> list[tuple[Change, str, str]]:
    """Every changed file with its contents before and after; without, where nobody could read so much."""
    names = [c.old_blob for c in changes] + [c.new_blob for c in changes]
    small = [n for n, size in zip(names, git.sizes(names), strict=True) if (size or 0) <= _MAX_READ_BYTES]
    bodies = dict(zip(small, git.blobs(small), strict=True))

    def text(blob: str) -> str:
        return (bodies.get(blob) or b"").decode("utf-8", "replace")

    return [(change, text(change.old_blob), text(change.new_blob)) for change in changes]


def _singled_out(added: Sequence[tuple[str, str]]) -> Iterable[Loss]:
    """A new file in which one test is singled out may leave out those of all others."""
    return [
        (path, "singles out tests, so that others are left out", ())
        for path, t in added
        if singled_out(path, t)
    ]


def _ways(
    git: Git, base: str, texts: Sequence[tuple[Change, str, str]], commands: Sequence[str]
) -> Iterable[Loss]:
    there = {posixpath.join(folder, name) for folder in ("", *folders_of(commands)) for name in NAMES_OTHERS}
    bodies = git.files(base, [p for p in git.paths(base) if p in there]).items()
    others = [
        go_inside(posixpath.dirname(p), ways_text(p, (body or b"").decode("utf-8", "replace"), commands))
        for p, body in bodies
    ]
    rows = [
        row
        for c, old, new in texts
        for row in ([(c.old_path, old, ""), (c.path, "", new)] if c.old_path else [(c.path, old, new)])
        if not is_test_path(row[0])
    ]
    return [(path, what, ()) for path, what in changed_ways(rows, commands, others)]


def _top(path: str) -> str:
    """The first folder of a path; an empty string at the top."""
    return path.partition("/")[0] if "/" in path else ""


def _losses(change: Change, old: str, new: str, places: Collection[str]) -> Iterable[Loss]:
    path = change.old_path or change.path
    names = test_names(path, old)
    if not names and not old.strip():
        return
    if change.status == "D":
        yield path, "deleted", tuple(names)
        return
    if not is_test_path(change.path):
        yield path, f"renamed to {shown(change.path)}, where no test runner looks", tuple(names)
        return
    if not new.strip():
        yield path, "emptied", tuple(names)
        return
    if change.status == "R" and _top(change.path) not in places:
        yield path, f"moved to {shown(change.path)}, where there were no tests before", ()
    left = test_names(change.path, new)
    hollow = _missing(hollow_tests(change.path, new), hollow_tests(path, old))
    hollow = tuple(name for name in hollow if name in names)
    if hollow:
        yield path, f"{len(hollow)} of {len(names)} tests emptied ({listed(hollow, at_most=3)})", ()
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


def _without_moved(losses: Sequence[Loss], added: Sequence[tuple[str, str]]) -> list[Loss]:
    """Leave out files whose every test is found again in a new test file."""
    if not any(names for _, _, names in losses) or not added:
        return list(losses)
    new = {n for path, text in added for n in test_names(path, text)}
    return [loss for loss in losses if not loss[2] or not set(loss[2]) <= new]


def is_named(path: str, note: str) -> bool:
    """Whether a note names this file, by its path or by its own name as a word."""
    name = path.rpartition("/")[2]
    return path in note or bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", note))
