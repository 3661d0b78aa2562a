"""The user's own configuration and hooks while agents are at work: watched, named when changed, put back.

An agent has copies of both to write to (see `gitview`); the user's own are out of its way, not out of its
reach. What was changed there would run with the user's rights at the next git, so it is undone and kept
aside. Nobody can say which process wrote a file: every task that was under way at that moment answers for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.git import fingerprint
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import replace_file

log = logging.getLogger(__name__)

KEPT = "undone"
"""Folder of our state for what was put back."""
_LARGEST = 1 << 20


class Shared:
    """Configuration and hooks of a repository, as they were when a run began."""

    def __init__(self, git: Git) -> None:
        self._common, self._env = git.common_dir, git.env
        self._lock = threading.Lock()
        self._given = fingerprint.take(self._common, self._env)
        self._files_given = self._files()
        self._changes: list[tuple[float, str]] = []

    def accept(self, name: str) -> None:
        """Take one thing, as a fingerprint names it, as it is now for given: we changed it ourselves."""
        self._given[name] = fingerprint.take(self._common, self._env)[name]

    def changed(self, since: float) -> tuple[str, ...]:
        """What was changed at or after `since` (seconds since the epoch), a sentence each; it is put back."""
        with self._lock:
            self._look()
            return tuple(what for at, what in self._changes if at >= since)

    def _look(self) -> None:
        now = fingerprint.take(self._common, self._env)
        found = fingerprint.compare(self._given, now)
        if not found:
            return
        at = self._changed_at()
        self._put_back()
        self._given = fingerprint.take(self._common, self._env)
        for sentence in found:
            self._changes.append((at, f"{sentence} in the shared git directory, and was put back"))
            log.warning("%s in %s; what it was is in %s", sentence, self._common, self._aside)

    def _places(self) -> list[Path]:
        hooks = self._common / "hooks"
        return [self._common / "config", *(sorted(hooks.iterdir()) if hooks.is_dir() else ())]

    def _files(self) -> dict[Path, _File]:
        return {path: _read(path) for path in self._places()}

    def _changed_at(self) -> float:
        """When the latest change was made, by a time that no program can set."""
        times = []
        for path in (*self._places(), self._common / "hooks"):
            with contextlib.suppress(OSError):
                times.append(path.lstat().st_ctime)
        return max(times, default=time.time())

    @property
    def _aside(self) -> Path:
        return self._common / "orchestrator" / KEPT

    def _put_back(self) -> None:
        now = self._files()
        for path in {*now, *self._files_given}:
            given = self._files_given.get(path)
            if given == now.get(path) or (given is not None and given.body is None):
                continue
            try:
                if path in now:
                    self._set_aside(path, leave=given is not None)
                if given is not None:
                    _write(path, given)
            except OSError as exc:
                log.warning("%s could not be put back: %s", path, exc.strerror)

    def _set_aside(self, path: Path, *, leave: bool) -> None:
        """Keep a copy of what is at `path`; without `leave` nothing stays there."""
        self._aside.mkdir(parents=True, exist_ok=True)
        kept = self._aside / f"{path.name}.{os.urandom(4).hex()}"
        if not leave or path.is_dir():
            path.rename(kept)
        else:
            shutil.copy2(path, kept, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class _File:
    """A file or link as it was; without a body when it is neither, or too large to be kept."""

    mode: int = 0
    body: bytes | None = None
    target: str = ""


def _read(path: Path) -> _File:
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return _File(body=b"", target=str(path.readlink()))
        if stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST:
            return _File(mode=stat.S_IMODE(found.st_mode), body=path.read_bytes())
        return _File(mode=found.st_mode)
    except OSError:
        return _File()


def _write(path: Path, given: _File) -> None:
    if given.target:
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        part.symlink_to(given.target)
        part.replace(path)
    else:
        replace_file(path, given.body or b"", mode=given.mode, sync=False)
