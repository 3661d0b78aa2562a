"""The files of a git directory, as text: borrowed objects, packed refs, settings.

For repositories that are made by hand, because that needs no lock and no process: those of tasks (see `borrow`)
and those that a push's gates find around them. Standard library only: a push waits for this.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def alternates(folders: "Iterable[str | os.PathLike[str]]") -> bytes:
    """The text of objects/info/alternates. Source: git's alternates file, where a quoted path is C-quoted."""
    return b"".join(_alternate(os.fsencode(folder)) for folder in folders)


def _alternate(raw: bytes) -> bytes:
    if raw.startswith((b'"', b"#")) or b"\n" in raw:
        raw = b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    return raw + b"\n"


def object_folders(objects: str) -> "Iterator[str]":
    """A folder of objects, those that it borrows from, and those that they borrow from in turn."""
    waiting, seen = [os.path.normpath(objects)], set[str]()
    while waiting:
        folder = waiting.pop()
        if folder not in seen:
            seen.add(folder)
            yield folder
            waiting += [os.path.normpath(os.path.join(folder, path)) for path in _lenders(folder)]


def _lenders(objects: str) -> "Iterator[str]":
    try:
        with open(f"{objects}/info/alternates", "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return
    for line in lines:
        if line and not line.startswith(b"#"):
            yield os.fsdecode(_unquoted(line) if line.startswith(b'"') else line)


def _unquoted(line: bytes) -> bytes:
    """A C-quoted path as it is. Source: git's quote.c."""
    body, found = line[1:].rpartition(b'"')[0], bytearray()
    while body:
        plain, mark, body = body.partition(b"\\")
        found += plain
        if mark and body[:3].isdigit():
            found.append(int(body[:3], 8) & 0xFF)
            body = body[3:]
        elif mark:
            found += _ESCAPES.get(body[:1], body[:1])
            body = body[1:]
    return bytes(found)


_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def packed_refs(refs: "Iterable[tuple[bytes, bytes]]") -> bytes:
    """The text of packed-refs, from pairs of a ref and its object id."""
    lines = b"".join(oid + b" " + ref + b"\n" for ref, oid in sorted(refs))
    return b"# pack-refs with: sorted \n" + lines


def refs_of(packed: str) -> "dict[str, str]":
    """Refs and their object ids, from the text of packed-refs; what a tag names in the end is left out."""
    lines = (line.partition(" ") for line in packed.split("\n") if line[:1] not in {"#", "^", ""})
    return {ref: oid for oid, _, ref in lines}


def config_text(pairs: "Iterable[tuple[str, str | None]]") -> bytes:
    """A configuration file, from keys as `git config --list -z` prints them; None for one without `=`."""
    lines = []
    for key, value in pairs:
        section, _, name = key.rpartition(".")
        first, dot, rest = section.partition(".")
        lines.append(f'[{first} "{_escaped(rest)}"]' if dot else f"[{first}]")
        lines.append(f"\t{name}" if value is None else f'\t{name} = "{_escaped(value)}"')
    return os.fsencode("\n".join(lines) + "\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
