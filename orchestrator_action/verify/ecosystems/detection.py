"""The test command of a repository that names none, found from its files, and how it was found.

Looks at the base commit only, never at what an agent made of it. A tool that starts other runners (tox, nox,
make) is asked when no language's own runner was found, because its output says less about counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files
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
    """The first ecosystem of the repository that knows a command, its own runner before one that starts others."""
    found = next(_commands(own_ecosystems(files), files), None)
    return found or Detected((), "no test command was found: set `test` in .github/orchestrator.yml")


def own_ecosystems(files: Files) -> tuple[Ecosystem, ...]:
    """The ecosystems that the repository is written for: by a file at its top, or by most of its source.

    A language whose files lie only in some folder (bindings, samples, a script beside the tests) is one of them
    where nothing else knows a test command.
    """
    main = _main_language(files)
    own = tuple(
        e
        for e in ECOSYSTEMS
        if not e.roots or e.name == main or any(matches(p, e.roots) for p in files.paths)
    )
    return own if any(_commands(own, files)) else ECOSYSTEMS


def _commands(ecosystems: Sequence[Ecosystem], files: Files) -> Iterator[Detected]:
    for find in (*(e.detect for e in ecosystems), *(e.wraps for e in ecosystems)):
        if find is not None and (found := find(files)) is not None:
            yield found


def _main_language(files: Files) -> str:
    """The ecosystem with more source files than any other; empty when there is none."""
    sizes = Counter(path.rpartition(".")[2] for path in files.paths)
    written = {
        e.name: sum(sizes[end] for end in e.source.endings) for e in ECOSYSTEMS if e.source is not None
    }
    [most, second] = sorted(written, key=written.__getitem__, reverse=True)[:2]
    return most if written[most] > written[second] else ""
