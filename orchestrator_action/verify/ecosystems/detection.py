"""The projects of a repository, and the test command of one that names none: found from its files.

Looks at the base commit only, never at what an agent made of it. A tool that starts other runners (tox, nox,
make) is asked when no language's own runner was found, because its output says less about counts.

A repository is one project at its top. Where nothing there knows a test command, and manifests lie in folders, each
of these folders is one, with its own command and its own set-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, go_inside
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS
from orchestrator_action.verify.ecosystems.testfiles import is_test_path

_READ_TESTS = 50
MOST_PROJECTS = 30
"""With more folders than this, a person has to say what is to be tested."""
_MOST_LOOKED_AT = 200
_ASIDE = frozenset(
    {
        "example", "examples", "sample", "samples", "demo", "demos", "doc", "docs", "fixture", "fixtures", "testdata",
        "test-data", "test_data", "template", "templates", "vendor", "vendored", "third_party", "third-party",
        "thirdparty", "external", "extern", "deps", "node_modules", "benchmark", "benchmarks", "tools",
    }
)  # fmt: skip
"""Folders whose manifests are not the repository's own work."""


@dataclass(frozen=True, slots=True)
class Project:
    """What is tested by itself: the whole tree, or one of its folders."""

    folder: str
    """Empty for the whole tree."""
    files: Files
    """As seen from the folder."""
    ecosystems: tuple[Ecosystem, ...]
    """The languages it is written for."""
    found: Detected | None
    """Its test command; None where none is known."""


def read_files(git: Git, commit: str) -> Files:
    """The tree at a commit, with the contents of all files that detection wants to read."""
    paths = git.paths(commit)
    patterns = tuple(p for e in ECOSYSTEMS for p in e.reads)
    folders = set(_manifests(paths))
    wanted = [
        p
        for p in paths
        if matches(p, patterns) or any(matches(i, patterns) for i in _inner_names(p, folders))
    ]
    if not {"pytest.ini", "tox.ini", "setup.cfg"} & set(wanted):
        wanted += [p for p in paths if p.endswith(".py") and is_test_path(p)][:_READ_TESTS]
    bodies = git.files(commit, list(dict.fromkeys(wanted)))
    return Files(frozenset(paths), {p: (b or b"").decode("utf-8", "replace") for p, b in bodies.items()})


def _inner_names(path: str, folders: Collection[str]) -> Iterator[str]:
    """What a path is called from those of `folders` that it is in."""
    parts = path.split("/")
    return ("/".join(parts[n:]) for n in range(1, len(parts)) if "/".join(parts[:n]) in folders)


def detect_at(git: Git, commit: str) -> Detected:
    """The test command of a repository as it is at `commit`."""
    return detect_in(read_files(git, commit))


def detect(paths: Sequence[str], texts: Mapping[str, str]) -> Detected:
    """The same for a tree with these paths; `texts` has the contents of the files detection reads."""
    return detect_in(Files(frozenset(paths), texts))


def detect_in(files: Files) -> Detected:
    """The commands of every project, each in its own folder."""
    found = find_projects(files)
    if len(found) > MOST_PROJECTS:
        return Detected(
            (),
            f"tests lie in {len(found)} folders: set `test` in .github/orchestrator.yml to those that count",
        )
    known = [(p.folder, p.found) for p in found if p.found is not None]
    if not known:
        return Detected((), "no test command was found: set `test` in .github/orchestrator.yml")
    commands = tuple(go_inside(folder, command) for folder, said in known for command in said.commands)
    return Detected(
        commands, "; ".join(f"{folder}: {said.how}" if folder else said.how for folder, said in known)
    )


def find_projects(files: Files) -> tuple[Project, ...]:
    """The projects of a tree: its top where that knows a test command, else the folders that do.

    A language whose files lie only in some folder, without a manifest there (bindings, samples, a script beside the
    tests), is the repository's own where nothing else knows a command.
    """
    manifests, main = _manifests(files.paths), _main_language(files)
    top, language = _rooted(files), next((e for e in ECOSYSTEMS if e.name == main), None)
    deeper = [f for f, names in manifests.items() if f and language and _has_manifest(names, language)]
    if language and not deeper:
        top = tuple(e for e in ECOSYSTEMS if e in (*top, language))
    if (found := next(_commands(top, files), None)) is not None:
        whole = Project("", files, top, found)
        return (
            whole,
            *(Project(f, files.below(f), (language,), None) for f in _needed(deeper, manifests) if language),
        )
    if inner := _inner(files, [f for f in manifests if f]):
        return inner
    return (Project("", files, ECOSYSTEMS, next(_commands(ECOSYSTEMS, files), None)),)


def _rooted(files: Files) -> tuple[Ecosystem, ...]:
    """The ecosystems that may have a file at the top; `detect` of most looks for it there by itself."""
    return tuple(e for e in ECOSYSTEMS if not e.roots or any(matches(p, e.roots) for p in files.paths))


def _inner(files: Files, folders: Sequence[str]) -> tuple[Project, ...]:
    """The topmost folders with a manifest and a test command."""
    found: list[Project] = []
    for folder in folders[:_MOST_LOOKED_AT]:
        if any(folder.startswith(f"{p.folder}/") for p in found):
            continue
        below = files.below(folder)
        own = _rooted(below)
        if (said := next(_commands(own, below), None)) is not None:
            found.append(Project(folder, below, own, said))
    return tuple(sorted(found, key=lambda p: p.folder))


def _needed(folders: Sequence[str], manifests: Mapping[str, Collection[str]]) -> list[str]:
    """Folders whose packages a script at the top needs for its tests: none where a manifest is at the top."""
    if manifests.get(""):
        return []
    return [f for f in folders if not any(f.startswith(f"{other}/") for other in folders)][:MOST_PROJECTS]


_NAMES = frozenset(m for e in ECOSYSTEMS for m in e.manifests if "*" not in m)
_ENDINGS = tuple(m.removeprefix("*") for e in ECOSYSTEMS for m in e.manifests if "*" in m)


def _manifests(paths: Iterable[str]) -> dict[str, set[str]]:
    """By folder, the topmost first, the manifests in it; folders that hold others' work are passed over."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        aside = any(part in _ASIDE or part.startswith(".") for part in folder.split("/") if part)
        if (name in _NAMES or name.endswith(_ENDINGS)) and not aside:
            found.setdefault(folder, set()).add(name)
    return dict(sorted(found.items(), key=lambda item: (bool(item[0]), item[0].count("/"), item[0])))


def _has_manifest(names: Iterable[str], ecosystem: Ecosystem) -> bool:
    return any(matches(name, ecosystem.manifests) for name in names)


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
