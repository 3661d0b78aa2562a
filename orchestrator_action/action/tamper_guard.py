"""What an agent must not change although it runs as the same user: the runner's files and our own program.

A runner reads the files of a step when the step has ended: variables and search path for all later steps,
which hold tokens too. And the next step runs this very program again. Both are looked at before an agent
starts and after the last one has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_action.process.files import replace_file

CHANNELS = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
"""Source: docs.github.com, "Workflow commands for GitHub Actions", environment files."""


@dataclass(slots=True)
class RunnerGuard:
    """The runner's files as they were, and a digest of the installed program."""

    files: Mapping[Path, bytes]
    home: Path | None
    digest: str
    _untouched: bool | None = field(default=None, init=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> RunnerGuard:
        """As things are now. The program is watched where the Action installed it, below `RUNNER_TEMP`."""
        paths = [Path(environ[n]) for n in CHANNELS if environ.get(n)]
        temp = environ.get("RUNNER_TEMP")
        home = Path(sys.prefix)
        ours = home if temp and home.is_relative_to(temp) else None
        return cls({p: _content(p) for p in paths}, ours, digest_of(ours) if ours else "")

    def restore(self) -> bool:
        """Put the runner's files back as they were, once; False when the program itself was changed."""
        if self._untouched is None:
            for path, content in self.files.items():
                _put(path, content)
            self._untouched = self.home is None or digest_of(self.home) == self.digest
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


def digest_of(home: Path) -> str:
    """A digest of all files below `home`, byte code included: it is what runs."""
    total = hashlib.sha256()
    for path in _files(home):
        total.update(os.fsencode(path) + b"\0")
        with contextlib.suppress(OSError):
            total.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"-")
    return total.hexdigest()


def _files(home: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(home):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))
