"""Read a growing file line by line, whatever is in it, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator_action.process.files import open_plain

TAIL_CHUNK_BYTES = 256 * 1024
LINE_BYTES = 1024**2
"""A longer line is passed on cut to this; the rest of it is skipped, the file keeps all."""


class Tail:
    """Complete lines of `path` from byte `offset` on, without their newline."""

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self.path = path
        self.begun_at = self._offset = offset
        self._part = bytearray()
        self.behind = False
        """Whether the file had more than the last call took."""
        self.read_bytes = 0
        """How much the last call took."""
        self.settled = False
        """Set it when nobody writes any more: a file that is shorter now was cut by us."""

    def lines(self) -> Iterator[bytes]:
        """What one chunk of the file, as it is now, completes.

        A file that shrank was cut by its own program (`> /dev/stderr`) and is read from its beginning;
        a cut that was made good again before we looked is not noticed.
        """
        try:
            with open(self.path, "rb", buffering=0, opener=open_plain) as log:
                size = log.seek(0, 2)
                if size < self._offset and not self.settled:
                    self._offset = 0
                    self._part.clear()
                log.seek(self._offset)
                chunk = log.read(TAIL_CHUNK_BYTES) or b""
                self._offset += len(chunk)
                self.behind = self._offset < size
        except OSError:  # deleted by its own program: nothing to read, and nothing lost that we could save
            self.behind = False
            return
        self.read_bytes = len(chunk)
        *whole, rest = chunk.split(b"\n")
        if whole:
            yield self._complete(whole[0])
            yield from whole[1:]  # shorter than a chunk, and so than a line may be
        self._keep(rest)

    def last(self) -> bytes | None:
        """The unfinished line at the end, once nobody writes any more; None when there is none."""
        line = bytes(self._part) if self._part else None
        self._part.clear()
        return line

    def _complete(self, piece: bytes) -> bytes:
        if not self._part:
            return piece[:LINE_BYTES]
        self._keep(piece)
        line = bytes(self._part)
        self._part.clear()
        return line

    def _keep(self, piece: bytes) -> None:
        self._part += piece[: LINE_BYTES - len(self._part)]


def whole_lines(log: Path) -> Iterator[bytes]:
    """Every line of a log that nobody writes any more."""
    tail = Tail(log)
    tail.behind = True
    while tail.behind:
        yield from tail.lines()
    if (last := tail.last()) is not None:
        yield last
