"""Which files of a checkout are written while a suite runs in it, by the time the kernel keeps of each change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class Watch:
    """The files of one checkout, as they stood when the watch began."""

    def __init__(self, tree: Path, paths: Iterable[str]) -> None:
        self._tree = tree
        self._before = {path: self._mark(path) for path in paths}

    def touched(self) -> tuple[str, ...]:
        """Files that were written, replaced or taken away since; also those that read as before again."""
        return tuple(
            path for path, mark in self._before.items() if mark is not None and self._mark(path) != mark
        )

    def _mark(self, path: str) -> tuple[int, ...] | None:
        try:
            found = (self._tree / path).lstat()
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
