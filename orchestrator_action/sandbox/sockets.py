"""Servers of this machine that are reached by a file: a read-only view shows the file, and it can be connected to.

Standard library only, as a push waits for it.
"""

from __future__ import annotations

import os
import stat
import time

_TABLE = "/proc/net/unix"
_PATH_FIELD = 7
SETTLED_S = 10.0
"""How long a file has been there before it counts. What comes and goes, as in the tests of another program, may be gone
again when the walls are built, and nothing can be laid over a file that is not there."""


def socket_files() -> list[str]:
    """The socket files that somebody listens or waits at, by whole path, each once and in order.

    One that was bound by a relative path, in another namespace or within the last seconds is not known.
    """
    try:
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
            lines = table.readlines()[1:]
    except OSError:
        return []
    found = {line.rstrip("\n").split(None, _PATH_FIELD)[-1] for line in lines if line.count(" /")}
    before = time.time() - SETTLED_S
    return sorted(path for path in found if path.startswith("/") and _is_socket(path, before))


def _is_socket(path: str, before: float) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
        return stat.S_ISSOCK(there.st_mode) and there.st_mtime <= before
    except (OSError, ValueError):
        return False
