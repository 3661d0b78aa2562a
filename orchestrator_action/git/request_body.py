"""The body of a request as it flows in: with a length, in chunks, packed or not. Never held as a whole."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase

CHUNK_BYTES = 256 << 10
MAX_BODY_BYTES = 8 << 30
"""Of one request. GitHub takes pushes of 2 GiB, and LFS objects of 5 GiB (docs.github.com)."""
DRAINED_BYTES = 16 << 20
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")


class BodyError(Exception):
    """A body that is torn, too long, or said in two ways how long it is."""


class RequestBody:
    """What the client sends. `read` gives the next part, an empty one at the end."""

    def __init__(self, stream: BufferedIOBase, headers: Message) -> None:
        self._stream, self._sent = stream, 0
        length, coding = headers.get("Content-Length"), headers.get("Transfer-Encoding", "").lower()
        if coding not in {"", "chunked"} or (coding and length):
            raise BodyError("the length of the request is unclear")
        if length is not None and not (length.isascii() and length.isdecimal()):
            raise BodyError("the length of the request is no number")
        self.length = None if coding else int(length or 0)
        self._chunked, self._left, self._ended = bool(coding), self.length or 0, False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b"" at the end. Raises BodyError for a body that ends too early or never."""
        if self._chunked and not self._left:
            self._begin_chunk()
        wanted = min(size, self._left)
        if not wanted:
            return b""
        part = self._stream.read1(wanted)
        self._left -= len(part)
        self._sent += len(part)
        if not part:
            raise BodyError("the request ended in the middle")
        if self._sent > MAX_BODY_BYTES:
            raise BodyError(f"the request is longer than {MAX_BODY_BYTES >> 30} GiB")
        if self._chunked and not self._left and self._stream.read(2) != b"\r\n":
            raise BodyError("a chunk of the request does not end where it says")
        return part

    def _begin_chunk(self) -> None:
        if self._ended:
            return
        digits = self._stream.readline(256).partition(b";")[0].strip()
        if not _HEX.fullmatch(digits):
            raise BodyError("a chunk of the request has no length")
        self._left = int(digits, 16)
        if not self._left:
            self._ended = True
            while self._stream.readline(8192) not in {b"\r\n", b"\n", b""}:
                pass

    def parts(self) -> Iterator[bytes]:
        """All that is left, part by part."""
        while part := self.read(CHUNK_BYTES):
            yield part

    def drain(self) -> None:
        """Read on to the end, within bounds, so that the next request begins where it should."""
        for _ in range(DRAINED_BYTES // CHUNK_BYTES):
            if not self.read(CHUNK_BYTES):
                return
        raise BodyError("too much was sent that nobody wanted")


class Unpacked:
    """A gzip body unpacked as it flows; never more at once than asked for."""

    def __init__(self, body: RequestBody) -> None:
        self._body, self._packed = body, zlib.decompressobj(wbits=31)
        self._total = 0

    def read(self, size: int) -> bytes:
        """Up to `size` unpacked bytes; b"" at the end."""
        while not self._packed.eof:
            waiting = self._packed.unconsumed_tail or self._body.read(CHUNK_BYTES)
            if not waiting:
                raise BodyError("the packed request ended in the middle")
            try:
                part = self._packed.decompress(waiting, size)
            except zlib.error as exc:
                raise BodyError(f"the packed request cannot be unpacked: {exc}") from None
            self._total += len(part)
            if self._total > MAX_BODY_BYTES:
                raise BodyError(f"the request is longer than {MAX_BODY_BYTES >> 30} GiB")
            if part:
                return part
        return b""

    def parts(self) -> Iterator[bytes]:
        """All that is left, part by part."""
        while part := self.read(CHUNK_BYTES):
            yield part
