"""Servers of this machine that are reached by a file: a read-only view shows the file, and it can be connected to.

Standard library only, as a push waits for it.
"""

from __future__ import annotations

import os
import stat

_TABLE = "/proc/net/unix"
_PATH_FIELD = 7


def socket_files() -> list[str]:
    """The socket files that somebody listens or waits at, by whole path, each once and in order.

    One that was bound by a relative path, or in another namespace, is not known.
    """
    try:
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:
            lines = table.readlines()[1:]
    except OSError:
        return []
    found = {line.rstrip("\n").split(None, _PATH_FIELD)[-1] for line in lines if line.count(" /")}
    return sorted(path for path in found if path.startswith("/") and _is_socket(path))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode)
    except (OSError, ValueError):
        return False
