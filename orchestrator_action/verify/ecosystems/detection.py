"""The test command of a repository that names none, found from its files, and how it was found.

Looks at the base commit only, never at what an agent made of it. A tool that starts other runners (tox, nox,
make) is asked when no language's own runner was found, because its output says less about counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.ecosystems.base import Detected, Files
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS
from orchestrator_action.verify.ecosystems.testfiles import is_test_path

_READ_TESTS = 50


def read_files(git: Git, commit: str) -> Files:
    """The tree at a commit, with the contents of all files that detection wants to read."""
    paths = git.paths(commit)
    patterns = tuple(p for e in ECOSYSTEMS for p in e.reads)
    wanted = [p for p in paths if matches(p, patterns)]
    if not {"pytest.ini", "tox.ini", "setup.cfg"} & set(wanted):
        wanted += [p for p in paths if p.endswith(".py") and is_test_path(p)][:_READ_TESTS]
    bodies = git.files(commit, list(dict.fromkeys(wanted)))
    return Files(frozenset(paths), {p: (b or b"").decode("utf-8", "replace") for p, b in bodies.items()})


def detect_at(git: Git, commit: str) -> Detected:
    """The test command of a repository as it is at `commit`."""
    return detect_in(read_files(git, commit))


def detect(paths: Sequence[str], texts: Mapping[str, str]) -> Detected:
    """The same for a tree with these paths; `texts` has the contents of the files detection reads."""
    return detect_in(Files(frozenset(paths), texts))


def detect_in(files: Files) -> Detected:
    """The first ecosystem that knows a command, its own runner before one that starts others."""
    for ecosystem in ECOSYSTEMS:
        if ecosystem.detect is not None and (found := ecosystem.detect(files)) is not None:
            return found
    for ecosystem in ECOSYSTEMS:
        if ecosystem.wraps is not None and (found := ecosystem.wraps(files)) is not None:
            return found
    return Detected((), "no test command was found: set `test` in .github/orchestrator.yml")
