"""The tests of one commit laid over the sources of another, as a commit of its own.

A commit, because then everything that makes a clean checkout ready (modes, links, filters, submodules) works as
for any other, and because git is never asked anything in a tree in which a stranger's program has run. Two
overlays of the same files are the same tree, so that nothing is measured twice.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.git.parse import Change
from orchestrator_action.git.process import identity_env
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.doctests import ENDINGS, with_doctests_of
from orchestrator_action.verify.ecosystems.testfiles import is_test_path
from orchestrator_action.verify.mixed_files import merged
from orchestrator_action.verify.rust_tests import test_blocks, with_tests_of
from orchestrator_action.verify.test_paths import TestPaths, is_mixed

_FILES = ("100644", "100755")
_NOTHING = "0" * 6
_WHEN = {"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z"}
_WHO = identity_env("orchestrator-action", "orchestrator-action@localhost.invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """Sources of one commit with the tests of another. `commit` is `over` itself where nothing differs."""

    commit: str
    over: str
    taken: tuple[str, ...] = ()
    """Paths that are as in the commit whose tests were taken, whole or in part; or are gone as there."""


def lay_tests(git: Git, *, take: str, over: str, tests: TestPaths, commands: Sequence[str]) -> Overlay:
    """A commit with everything of `over` but its tests, and the tests of `take`.

    Writes objects into the repository of `git`, and no ref.
    """
    changes = _unpaired(git.changes(over, take))
    whole = [c for c in changes if tests.belongs(c.path)]
    rest = [c for c in changes if c not in whole and (tests.runs_docstrings or not c.path.endswith(".py"))]
    return _laid(git, over, changes, whole, _mixed(git, rest, commands))


def lay_configuration(
    git: Git, *, take: str, over: str, tests: TestPaths, commands: Sequence[str]
) -> Overlay:
    """A commit with everything of `over`, and what says at `take` how tests are chosen and run."""
    changes = _unpaired(git.changes(over, take))
    whole = [c for c in changes if tests.is_config(c.path) and not is_test_path(c.path)]
    shared = [c for c in changes if is_mixed(c.path) and c not in whole]
    return _laid(git, over, changes, whole, _mixed(git, shared, commands))


def lay_texts(git: Git, *, over: str, texts: Mapping[str, bytes], modes: Mapping[str, str]) -> str:
    """A commit with everything of `over` but these files, which have other contents."""
    blobs = {
        path: git.run("hash-object", "-w", "--stdin", stdin=body, write=True).text
        for path, body in texts.items()
    }
    return _commit_with(git, over, [_entry(modes[path], blob, path) for path, blob in blobs.items()])


def _laid(
    git: Git, over: str, changes: Sequence[Change], whole: Sequence[Change], mixed: Mapping[str, bytes]
) -> Overlay:
    if not whole and not mixed:
        return Overlay(commit=over, over=over)
    blobs = {
        path: git.run("hash-object", "-w", "--stdin", stdin=body, write=True).text
        for path, body in mixed.items()
    }
    modes = {c.path: c.old_mode if c.old_mode in _FILES else c.new_mode for c in changes}
    lines = [_entry(c.new_mode, c.new_blob, c.path) for c in whole]
    lines += [_entry(modes[path], blob, path) for path, blob in blobs.items()]
    commit = _commit_with(git, over, lines)
    return Overlay(commit=commit, over=over, taken=tuple(sorted({c.path for c in whole} | blobs.keys())))


def _unpaired(changes: Sequence[Change]) -> list[Change]:
    """Renames and copies as what they do to each of both paths."""
    found = []
    for c in changes:
        if c.status == "R" and c.old_path:
            found.append(
                Change(path=c.old_path, status="D", old_mode=c.old_mode, new_mode=_NOTHING, old_blob=c.old_blob,
                       new_blob="0" * len(c.old_blob))
            )  # fmt: skip
        if c.old_path:
            found.append(
                Change(path=c.path, status="A", old_mode=_NOTHING, new_mode=c.new_mode,
                       old_blob="0" * len(c.new_blob), new_blob=c.new_blob)
            )  # fmt: skip
        else:
            found.append(c)
    return found


def _mixed(git: Git, changes: Sequence[Change], commands: Sequence[str]) -> Mapping[str, bytes]:
    """Files that are no tests and have a part of them, with that part exchanged."""
    some = [
        c for c in changes
        if (is_mixed(c.path) or c.path.endswith(ENDINGS)) and c.old_mode in (*_FILES, _NOTHING)
        and c.new_mode in (*_FILES, _NOTHING)
    ]  # fmt: skip
    old, new = (git.blobs([getattr(c, side) for c in some]) for side in ("old_blob", "new_blob"))
    found = {}
    for change, over, take in zip(some, old, new, strict=True):
        mine, theirs = ((b or b"").decode("utf-8", "surrogateescape") for b in (over, take))
        if is_mixed(change.path):
            text = merged(change.path, mine, theirs, commands)
        else:
            text = with_doctests_of(change.path, mine, theirs)
            text = _rust(text, theirs) or text if change.path.endswith(".rs") else text
        if text is not None and text != mine:
            found[change.path] = text.encode("utf-8", "surrogateescape")
    return found


def _rust(mine: str, theirs: str) -> str | None:
    """None when the tests inside are the same, or there is nothing to put them into."""
    if not mine or test_blocks(mine) == test_blocks(theirs):
        return None
    return with_tests_of(mine, theirs)


def _entry(mode: str, blob: str, path: str) -> bytes:
    return f"{mode} {blob}\t".encode("ascii") + os.fsencode(path) + b"\0"


def _commit_with(git: Git, over: str, lines: Sequence[bytes]) -> str:
    """What goes is taken out first: a folder may stand where a file was."""
    gone = [line for line in lines if line.startswith(_NOTHING.encode())]
    there = [line for line in lines if not line.startswith(_NOTHING.encode())]
    with tempfile.TemporaryDirectory(prefix="orchestrator-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.run("read-tree", over, env=env, write=True)
        for part in (gone, there):
            if part:
                git.run(
                    "update-index",
                    "-z",
                    "--replace",
                    "--index-info",
                    stdin=b"".join(part),
                    env=env,
                    write=True,
                )
        tree = git.run("write-tree", env=env, write=True).text
    if tree == git.tree(over):
        return over
    message = b"the tests of another commit on these sources\n"
    return git.run("commit-tree", tree, "-p", over, stdin=message, env={**_WHO, **_WHEN}, write=True).text
