"""A GitHub runner's file channels and its log, written so that no value can break out of its place.

Outputs go into a file between random delimiters that are checked against the value. Agent
output goes to the log line by line, made harmless and, for good measure, between `::stop-commands::`
and a random token that only we know. Source: docs.github.com, "Workflow commands".
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets as randomness
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from orchestrator_action.errors import ConfigError
from orchestrator_action.text import limits as text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def _random() -> str:
    return randomness.token_hex(16)


def _append(path: Path, block: str) -> None:
    """Add a block on lines of its own; the whole block in one write, so that others' do not mix with it."""
    with path.open("ab") as file:
        torn = file.tell() > 0 and not _ends_line(path)
        file.write((("\n" if torn else "") + block).encode("utf-8", "replace"))


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def delimited(name: str, value: str, *, random: Callable[[], str] = _random) -> str:
    """`name<<delimiter`, the value, the delimiter: with a delimiter that does not occur in the value."""
    while True:
        delimiter = f"ghadelimiter_{random()}"
        if delimiter not in value and delimiter not in name:
            end = "" if value.endswith("\n") else "\n"
            return f"{name}<<{delimiter}\n{value}{end}{delimiter}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerFiles:
    """The channels of one step; one that is not there (on a laptop) takes everything and keeps nothing."""

    output: Path | None = None
    summary: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str], secrets: Iterable[str] = ()) -> RunnerFiles:
        """The channels a runner names in `environ`."""

        def path(name: str) -> Path | None:
            return Path(environ[name]) if environ.get(name) else None

        return cls(
            output=path("GITHUB_OUTPUT"),
            summary=path("GITHUB_STEP_SUMMARY"),
            secrets=tuple(secrets),
        )

    def set_output(self, name: str, value: str) -> None:
        """Set an output of the step. A value we hold as a secret comes out masked."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name for an output", hint="use letters, digits, - and _")
        if self.output:
            _append(self.output, delimited(name, text.mask_values(value, self.secrets)))

    def add_summary(self, markdown: str) -> None:
        """Add to the job summary, within what is left of its 1 MiB."""
        if not self.summary:
            return
        used = self.summary.stat().st_size if self.summary.exists() else 0
        room = text.STEP_SUMMARY_LIMIT - used - 2
        if room > 0:
            shown = text.cut(text.mask(markdown, self.secrets), room, "bytes")
            _append(self.summary, shown if shown.endswith("\n") else shown + "\n")


def annotation_command(level: str, message: str, *, title: str = "", path: str = "", line: int = 0) -> str:
    """A `notice`, `warning` or `error` of ours, as one line."""
    if level not in {"notice", "warning", "error"}:
        raise ValueError(f"{level!r} is no level of an annotation")
    values = {"title": title, "file": path, "line": str(line) if line else ""}
    properties = ",".join(f"{k}={text.escape_property(v)}" for k, v in values.items() if v)
    return f"::{level}{' ' if properties else ''}{properties}::{text.escape_data(message)}"


@contextlib.contextmanager
def group(out: IO[str], title: str) -> Iterator[None]:
    """Fold what is printed meanwhile under `title`."""
    print(f"::group::{text.escape_data(text.harmless_log_line(title))}", file=out, flush=True)
    try:
        yield
    finally:
        print("::endgroup::", file=out, flush=True)


@contextlib.contextmanager
def stopped_commands(out: IO[str], *, random: Callable[[], str] = _random) -> Iterator[None]:
    """The runner obeys no command that is printed meanwhile; only we know the word that ends it."""
    token = f"resume-{random()}"
    print(f"::stop-commands::{token}", file=out, flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", file=out, flush=True)


LONGEST_LINE = 8000
"""Characters of a line that are shown; a progress bar or a bundle may be one line of megabytes."""


def print_foreign(
    out: IO[str], title: str, lines: Iterable[str], *, secrets: Iterable[str] = (), limit: int = 2000
) -> None:
    """An agent's output as one folded group of the log: no line of it is a command, none holds a secret.

    At most `limit` lines, the last ones; how many were left out is said. Lines are masked together,
    as a key may span several, and before they are shortened, as a cut may fall into one.
    """
    total, kept = _last((line[: 2 * LONGEST_LINE] for line in lines), limit)
    shown = text.mask(text.clean("\n".join(line.rstrip("\r\n") for line in kept))[0], secrets)
    with group(out, title), stopped_commands(out):
        if total > len(kept):
            print(f"… {total - len(kept):,} lines left out …", file=out)
        for line in shown.split("\n"):
            print(text.harmless_log_line(line)[:LONGEST_LINE], file=out)


def _last(lines: Iterable[str], limit: int) -> tuple[int, list[str]]:
    """How many lines there were, and the last `limit` of them."""
    kept: deque[str] = deque(maxlen=limit)
    total = 0
    for line in lines:
        kept.append(line)
        total += 1
    return total, list(kept)
