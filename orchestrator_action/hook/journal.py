"""The hook's own journal: what was judged, refused or skipped. `audit` reads it.

One line per pushed ref, appended in one write, so that two pushes at once do not mix. Fields are
separated by tabs: epoch seconds, word, remote, ref, object id, reason.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INSTALLED = "installed"
BEFORE = "before"
"""A remote-tracking tip that was there before the hook: nothing to account for."""


class JournalLine:
    """One line. `at` in epoch seconds."""

    __slots__ = ("at", "oid", "reason", "ref", "remote", "word")

    def __init__(self, at: float, word: str, remote: str, ref: str, oid: str, reason: str) -> None:
        self.at = at
        self.word = word
        self.remote = remote
        self.ref = ref
        self.oid = oid
        self.reason = reason


def append_lines(
    state: str, word: str, remote: str, refs: "Iterable[tuple[str, str]]", reason: str = ""
) -> None:
    """Add lines. Raises OSError when they cannot be written."""
    at = f"{time.time():.3f}"
    clean = [str(value).replace("\t", " ").replace("\n", " ") for value in (remote, reason)]
    rows = [f"{at}\t{word}\t{clean[0]}\t{ref}\t{oid}\t{clean[1]}\n" for ref, oid in refs]
    path = os.path.join(state, "journal")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        fd = os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(state, exist_ok=True)
        fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, "".join(rows).encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)


def read_lines(state: str) -> "Iterator[JournalLine]":
    """All whole lines, oldest first; a torn one is passed over."""
    try:
        with open(os.path.join(state, "journal"), encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields = line.rstrip("\n").split("\t")
                if len(fields) == 6 and line.endswith("\n"):
                    yield JournalLine(float(fields[0]), *fields[1:])
    except FileNotFoundError:
        return
