"""What git prints with -z, as values. Paths may be any bytes: they come as `os.fsdecode` gives them."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.process.files import open_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One path of a diff. `status` is git's letter; `added` and `deleted` lines are None for binary."""

    status: str
    path: str
    old_path: str = ""
    old_mode: str = ""
    new_mode: str = ""
    old_blob: str = ""
    new_blob: str = ""
    added: int | None = 0
    deleted: int | None = 0


def parse_changes(out: bytes) -> tuple[Change, ...]:
    """The changes in `git diff-tree -r -z --raw --numstat` output: raw records first, then the counts."""
    parts = out.split(b"\0")
    raw: list[Change] = []
    i = 0
    while i < len(parts) and parts[i].startswith(b":"):
        old_mode, new_mode, old_blob, new_blob, status = parts[i].decode("ascii")[1:].split(" ")
        moved = status[0] in "RC"
        names = [os.fsdecode(p) for p in parts[i + 1 : i + (3 if moved else 2)]]
        raw.append(
            Change(
                status=status[0], path=names[-1], old_path=names[0] if moved else "", old_mode=old_mode,
                new_mode=new_mode, old_blob=old_blob, new_blob=new_blob,
            )
        )  # fmt: skip
        i += 1 + len(names)
    counts: dict[str, tuple[int | None, int | None]] = {}
    while i < len(parts):
        fields = parts[i].split(b"\t")
        if len(fields) < 3:
            i += 1
            continue
        added, deleted = (None if n == b"-" else int(n) for n in fields[:2])
        path = b"\t".join(fields[2:])
        if path:
            i += 1
        else:
            path = parts[i + 2]
            i += 3
        counts[os.fsdecode(path)] = (added, deleted)
    return tuple(
        replace(c, added=counts[c.path][0], deleted=counts[c.path][1]) if c.path in counts else c for c in raw
    )


def parse_batch(out: bytes, asked: Sequence[bytes], *, bodies: bool) -> list[tuple[bytes, int, bytes]]:
    """The records of `cat-file --batch` for exactly these names: kind, size, contents."""
    records: list[tuple[bytes, int, bytes]] = []
    at = 0
    for name in asked:
        replies = (name + b" missing\n", name + b" ambiguous\n")
        absent = next((reply for reply in replies if out.startswith(reply, at)), None)
        if absent is not None:
            records.append((b"missing", 0, b""))
            at += len(absent)
            continue
        end = out.index(b"\n", at)
        _, kind, size = out[at:end].rsplit(b" ", 2)
        at = end + 1
        records.append((kind, int(size), out[at : at + int(size)] if bodies else b""))
        at += int(size) + 1 if bodies else 0
    return records


def read_line(file: Path) -> str:
    """The contents of a small file without its last newline; empty when it cannot be read, or is no plain file.

    An agent may put a pipe in its place, which nobody would ever write to.
    """
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        size = os.fstat(fd).st_size if stat.S_ISREG(os.fstat(fd).st_mode) else 0
        return os.fsdecode(os.read(fd, size)).rstrip("\n")
    except OSError:
        return ""
    finally:
        os.close(fd)


_SMALL_INDEX = 1 << 20
_PLAIN_EXTENSIONS = frozenset({b"TREE", b"REUC", b"EOIE", b"IEOT", b"UNTR", b"FSMN"})
_VALID, _EXTENDED, _SKIP = 0x8000, 0x4000, 0x4000


def hides_nothing(index: Path, sha_bytes: int) -> bool:
    """Whether no entry of this index is to be taken for unchanged; False, too, when git must be asked.

    Source: git's Documentation/gitformat-index.txt; versions 2 and 3, neither split nor sparse.
    """
    try:
        with open(index, "rb", opener=open_plain) as file:
            raw = file.read(_SMALL_INDEX + 1)
        if len(raw) > _SMALL_INDEX:
            return False
        sign, version, count = struct.unpack_from(">4sII", raw)
        if sign != b"DIRC" or version not in {2, 3}:
            return False
        return _plain(raw, sha_bytes, count)
    except (OSError, struct.error, ValueError):
        return False


def _plain(raw: bytes, sha_bytes: int, count: int) -> bool:
    at, head = 12, 40 + sha_bytes
    for _ in range(count):
        (flags,) = struct.unpack_from(">H", raw, at + head)
        begins = at + head + 2
        if flags & _EXTENDED:
            (more,) = struct.unpack_from(">H", raw, begins)
            if more & _SKIP:
                return False
            begins += 2
        if flags & _VALID:
            return False
        at += (raw.index(b"\0", begins) - at + 8) // 8 * 8
    while at < len(raw) - sha_bytes:
        name, size = struct.unpack_from(">4sI", raw, at)
        if name not in _PLAIN_EXTENSIONS:
            return False
        at += 8 + size
    return True


def digest_files(files: Iterable[Path]) -> str:
    """One SHA-256 over the contents of small files, in order; a missing one counts as such."""
    total = hashlib.sha256()
    for file in files:
        try:
            body = file.read_bytes()
        except OSError:
            body = b"\0missing"
        total.update(b"%d\0" % len(body) + body)
    return total.hexdigest()
