"""What an agent must not change although it runs as the same user: the runner's files and our own program.

A runner reads the files of a step when the step has ended: variables and search path for all later steps,
which hold tokens too. And the next step runs this very program again. Both are looked at before an agent
starts and after the last one has ended; between the steps the script in action.yml looks, as this program
could be what was changed.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator_action.process.files import replace_file

CHANNELS = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
"""Source: docs.github.com, "Workflow commands for GitHub Actions", environment files."""


class Program(Protocol):
    """The installed program, as it was."""

    def changed(self) -> tuple[str, ...]:
        """Files that are not what they were."""


@dataclass(slots=True)
class RunnerGuard:
    """The runner's files as they were, and what is watched of the installed program."""

    files: Mapping[Path, bytes]
    program: Program | None = None
    _untouched: bool | None = field(default=None, init=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> RunnerGuard:
        """As things are now."""
        paths = [Path(environ[n]) for n in CHANNELS if environ.get(n)]
        return cls({p: _content(p) for p in paths})

    def watch_program(self, program: Program) -> None:
        """From now on a change of these files is noticed."""
        self.program = program

    def restore(self) -> bool:
        """Put the runner's files back as they were, once; False when the program itself was changed."""
        if self._untouched is None:
            for path, content in self.files.items():
                _put(path, content)
            self._untouched = self.program is None or not self.program.changed()
        return self._untouched


def _content(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _put(path: Path, content: bytes) -> None:
    """Write a file that may have been replaced by a link, a pipe or a directory meanwhile."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            if path.read_bytes() == content:
                return
        elif stat.S_ISDIR(found.st_mode):
            path.rename(path.with_name(f"{path.name}.moved"))
    with contextlib.suppress(OSError):
        replace_file(path, content, mode=0o644, sync=False)
