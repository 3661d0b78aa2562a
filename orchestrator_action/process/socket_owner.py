"""Whose a connection on this machine is, read from /proc: which session's process holds its other end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_LISTED = Path("/proc/net/tcp")
"""Source: proc_net_tcp(5): local address, remote address, …, inode, one IPv4 connection a line."""


def session_holds(session: int, peer: tuple[str, int], here: tuple[str, int]) -> bool | None:
    """Whether a process of `session` holds the end `peer` of a connection to `here`.

    A session that was begun outside this PID namespace is 0 here, as getsid(2) has it. None where the system
    does not tell whose a connection is.
    """
    try:
        lines = _LISTED.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    ends = [_as_listed(peer), _as_listed(here)]
    inode = next((f[9] for f in map(str.split, lines) if f[1:3] == ends), "")
    if not inode or inode == "0":
        return False
    return any(_holds(pid, f"socket:[{inode}]") for pid in _members(session))


def _as_listed(address: tuple[str, int]) -> str:
    octets = bytes(int(part) for part in address[0].split("."))
    return f"{int.from_bytes(octets, sys.byteorder):08X}:{address[1]:04X}"


def _members(session: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                if os.getsid(int(folder.name)) == session:
                    yield int(folder.name)


def _holds(pid: int, link: str) -> bool:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()) == link:
                    return True
    return False
