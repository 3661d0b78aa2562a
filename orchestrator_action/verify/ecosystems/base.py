"""What the house knows of a language and its test tools, as values. One file a language fills them.

An `Ecosystem` is data and small pure functions; `registry` names all of them and asks them in turn. To add a
language write one file like `dart.py`, name it in `registry.ECOSYSTEMS` and in the table of the docs.

Two rules hold for every one. A report of ours is added only where it does not change what a command runs: by
an environment variable, or by an option of a command that is one runner and nothing else. And what a runner
prints is a claim of the code under test: where a report of ours was written, it wins over closing lines.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrator_action.verify.ecosystems.counts import Counts

CaseOutcome = Literal["passed", "failed", "skipped", "error"]
"""`error`: the case, or the file it is in, could not be run to a result (import, collection, set-up)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """How one test ended. `id` names it within its suite, the same in every run, as its runner does."""

    id: str
    outcome: CaseOutcome
    file: str = ""
    """Relative to the folder the command ran in; empty where the runner does not tell."""
    duration_s: float = 0.0
    message: str = ""
    """What was wrong, shortened; empty for a case that passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrumented:
    """A command that runs the same tests and also writes reports into `report_dir`."""

    command: str
    env: Mapping[str, str]
    report_dir: Path


class Files(NamedTuple):
    """A tree at a commit: every path, and the contents of the files that detection asked for."""

    paths: frozenset[str]
    texts: Mapping[str, str]

    def first(self, *names: str) -> str:
        """The first of `names` that is there; empty when none is."""
        return next((name for name in names if name in self.paths), "")

    def text(self, name: str) -> str:
        """The contents of a file; empty when it is not there or was not asked for."""
        return self.texts.get(name, "")

    def below(self, folder: str) -> Files:
        """The same tree as seen from one of its folders."""
        start = f"{folder}/" if folder else ""
        cut = len(start)
        return Files(
            frozenset(p[cut:] for p in self.paths if p.startswith(start)),
            {p[cut:]: t for p, t in self.texts.items() if p.startswith(start)},
        )


@dataclass(frozen=True, slots=True)
class Detected:
    """Test commands, and how they were found; `how` says why there are none otherwise."""

    commands: tuple[str, ...]
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStep:
    """What makes a fresh tree of one language ready for its tests.

    `inputs` are the files that decide what is installed: the key of the cache. `keeps` are the folders that
    `commands` fill and that a second tree may get as a copy. `env` and `path` are for the tests, with `{tree}`
    standing for the tree.
    """

    how: str
    commands: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """Programs the commands need; `doctor` looks for them."""
    again: tuple[str, ...] = ()
    """Commands for a tree that got a copy: what installing leaves beside the sources is made of that tree's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    """Folders of the tree that go before PATH."""
    provides: tuple[str, ...] = ()
    """Programs that the tests find in what is installed: the machine need not have them."""
    unless: str = ""
    """A shell command: when it ends with 0, the machine has everything and the step is left out."""
    registry: str = ""
    """The name, in `verify.registries`, of where its packages come from; empty where none are of other people."""


Way = tuple[str, str]
"""One thing that decides how tests are chosen or run: a name a person knows it by, and what it says."""
Ways = Callable[[str, Sequence[str]], list[Way]]
"""The ways in a file's text; the test commands say which of its parts matter."""
CountsReader = Callable[[list[str]], Iterable[Counts]]
"""The counts in plain lines of output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How tests look in a language's source, as regular expressions over its text.

    `tests` and `hollow` have the test's name in a group; `skips` and `singled` are marks to be counted.
    """

    endings: tuple[str, ...]
    tests: str
    skips: str
    hollow: str = ""
    singled: str = ""
    comments: str = ""
    parse_tests: Callable[[str], list[str] | None] | None = None
    """The names of the tests by a real parser; None for a text that does not parse."""
    parse_hollow: Callable[[str], list[str]] | None = None
    runner_marks: str = ""
    """What code that is no test says only to find out whether a test runner is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """One test runner: which commands are it, and how its cases are had.

    `command` is a regular expression over a simple command (no `;`, `&&`, pipes). `instrument` gives the
    command and the additions to the environment; None leaves both as they are. `cases` reads the runner's own
    reports from the folder, or else what it printed; None means that neither names cases.
    """

    name: str
    command: str = "(?!)"
    instrument: (
        Callable[[str, Path, Mapping[str, str], Path], tuple[str, Mapping[str, str]] | None] | None
    ) = None
    """Command, tree, environment, report folder."""
    everywhere: bool = False
    """The environment alone asks for the report: it may be set for any command."""
    reported: Callable[[Path], list[CaseResult] | None] | None = None
    """Cases of a report this runner was asked for; None when it wrote none."""
    printed: Callable[[list[str]], list[CaseResult]] | None = None
    """Cases named in plain lines of output."""
    only: Callable[[str, Sequence[str], Path | None], str | None] | None = None
    """The command that runs nothing but these files or ids; the tree, where it is at hand, has its scripts."""
    sources: tuple[str, ...] = ()
    """The names under which its counts are known."""
    by_file: bool = False
    """It names files or targets, not cases: there are fewer ids than its counts say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecosystem:
    """A language and its test tools."""

    name: str
    reads: tuple[str, ...] = ()
    """Files whose contents detection needs, as patterns of `protocol.paths`."""
    detect: Callable[[Files], Detected | None] | None = None
    manifests: tuple[str, ...] = ()
    """Names of files that make a folder a project of its own, as patterns."""
    roots: tuple[str, ...] = ()
    """Files at the top that make the language the repository's own, as patterns; else `detect` looks in folders too."""
    wraps: Callable[[Files], Detected | None] | None = None
    """The same for tools that start other runners: asked when no language's own runner was found."""
    setup: Callable[[Files], SetupStep | None] | None = None
    counts: tuple[CountsReader, ...] = ()
    plain_counts: tuple[CountsReader, ...] = ()
    """Closing lines so plain that others print such too: read only when nothing else was found."""
    runners: tuple[Runner, ...] = ()
    test_files: tuple[str, ...] = ()
    """Names that its runners find tests by, as patterns of `protocol.paths`."""
    source: Source | None = None
    config_files: tuple[str, ...] = ()
    """Files that say nothing but how tests or their runner start."""
    config_ways: Mapping[str, Ways] = field(default_factory=dict)
    """By file name: the parts of a file with other purposes that say how tests run."""


_COMPOUND = re.compile(r"[;&|`\n<>]|\$\(")


def is_simple(command: str) -> bool:
    """Whether a command starts one program and nothing else: an option put at its end reaches that one."""
    return not _COMPOUND.search(command)


def table(value: Any, *keys: str) -> Mapping[str, Any]:
    """What stands below `keys` of a manifest that was read; empty when there is no table."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


_INSIDE = re.compile(r"cd (?:-- )?([\w.@+][\w.@+/-]*|'[^'/-][^']*') && (.+)", re.DOTALL)


def inside(command: str) -> tuple[str, str]:
    """The folder that a command goes into first, and what it does there; an empty folder for the tree itself."""
    match = _INSIDE.fullmatch(command)
    folder = match[1].strip("'").rstrip("/") if match else ""
    if (
        match is None
        or {"..", "."} & set(folder.split("/"))
        or re.search(r"(?:^|[\s;&|(])(?:cd|pushd)\s", match[2])
    ):
        return "", command
    return folder, match[2]


def go_inside(folder: str, command: str) -> str:
    """The command as it is started from the tree: in one of its folders."""
    return f"cd {shlex.quote(folder)} && {command}" if folder else command


def folders_of(commands: Iterable[str]) -> tuple[str, ...]:
    """The folders that commands go into, each once."""
    return tuple(dict.fromkeys(folder for folder, _ in map(inside, commands) if folder))


def command_words(command: str) -> list[str]:
    """The words of a simple command; empty for one that no shell would read."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def append(command: str, *options: str) -> str:
    """The command with options at its end, before a `--` of its own."""
    added = shlex.join(options)
    head, dashes, rest = command.partition(" -- ")
    return f"{head} {added}{dashes}{rest}"
