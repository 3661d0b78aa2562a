"""What a pack says of the size of its objects, read before git unpacks any of them.

Each object states its size, and a delta the size of what it makes; `git index-pack` refuses one that lies. So the
sum is known after one pass over the packed bytes, however much they would unpack to.
Source: git-scm.com/docs/gitformat-pack.
"""

from __future__ import annotations

import zlib

from orchestrator_action.errors import BundleError

_HEADER_BYTES = 12
_OFS_DELTA, _REF_DELTA = 6, 7
_BLOCK = 16 * 1024
_START = 32
"""More than the two numbers that a delta begins with."""


def unpacked_bytes(pack: bytes, count: int, at_most: int, *, name_bytes: int = 20) -> int:
    """The bytes of its `count` objects, unpacked; the first sum above `at_most` when there are more.

    `name_bytes` is the length of an object's name: 20 for SHA-1, 32 for SHA-256. Raises BundleError for no pack.
    """
    at, total = _HEADER_BYTES, 0
    try:
        for _ in range(count):
            kind, size, at = _entry(pack, at)
            if kind == _REF_DELTA:
                at += name_bytes
            elif kind == _OFS_DELTA:
                _, at = _number(pack, at)
            if total + size > at_most:
                return total + size
            start, at = _inflate(pack, at, size)
            if kind in {_OFS_DELTA, _REF_DELTA}:
                _, after = _number(start, 0)
                size = max(size, _number(start, after)[0])
            total += size
            if total > at_most:
                return total
    except (IndexError, zlib.error) as exc:
        raise BundleError("bad-object", f"its pack cannot be read: {exc}") from None
    return total


def _entry(pack: bytes, at: int) -> tuple[int, int, int]:
    """Kind and stated size of the object at an offset, and where it goes on."""
    byte = pack[at]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 128:
        at += 1
        byte = pack[at]
        size |= (byte & 127) << shift
        shift += 7
    return kind, size, at + 1


def _number(body: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = body[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if not byte & 128:
            return value, at


def _inflate(pack: bytes, at: int, size: int) -> tuple[bytes, int]:
    """The first bytes of a packed object that states `size`, and the offset behind it."""
    stream, start, seen = zlib.decompressobj(), b"", 0
    while not stream.eof:
        block = stream.unconsumed_tail
        if not block:
            block = pack[at : at + _BLOCK]
            at += len(block)
        out = stream.decompress(block, size - seen + 1)
        seen += len(out)
        if seen > size or not (block or out):
            raise zlib.error("an object is not of the size that it states")
        start = (start + out)[:_START]
    return start, at - len(stream.unused_data)
