"""The secrets this process was started with: kept in its memory, and nowhere that others can read.

The kernel shows the environment a program was started with for as long as it runs, to root also when it
is undumpable (`/proc/PID/environ`, `ps e`). It reads it from the program's own memory, so writing over the
values there takes them away for everybody. That is why the entry does not execute itself again with the
token on a pipe: the pipe could be read by the same user while the new program starts, and its start takes
as long as the first one's. What is left is the time from the start of Python to the call of `take_secrets`.

Standard library only and first at every door that may hold a token.
"""

from __future__ import annotations

import os
import re
import sys

from orchestrator_action.text.token_shapes import holds_token

SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|_KEY|APIKEY|_PAT$|_AUTH$", re.IGNORECASE)

_taken: dict[str, str] = {}


def take_secrets() -> bool:
    """Move what looks like a secret out of this process's environment; `environment()` still has it.

    True when there was any. To be called before threads are started. A child that is given no environment
    inherits none of it.
    """
    found = {n for n, v in os.environb.items() if v and _is_secret(os.fsdecode(n), os.fsdecode(v))}
    if found:
        _overwrite(found)
    for name in map(os.fsdecode, found):
        _taken[name] = os.environ.pop(name)
    return bool(found)


def environment() -> dict[str, str]:
    """The environment this process was started with, secrets and all, for the doors."""
    return {**os.environ, **_taken}


def _is_secret(name: str, value: str) -> bool:
    return bool(SECRET_NAME.search(name)) or holds_token(value)


def _overwrite(names: set[bytes]) -> None:
    """Put zeros over the values of these variables where the kernel shows them."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # 4 ms, and only where there is something to take

    try:
        with open("/proc/self/environ", "rb") as shown, open("/proc/self/stat", "rb") as stat:
            block, fields = shown.read(), stat.read().rpartition(b")")[2].split()
    except OSError:  # closed to ourselves since this process became undumpable
        return
    at = int(fields[_ENV_START])
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name in names and at:
            ctypes.memset(at + len(name) + 1, 0, len(value))
        at += len(entry) + 1 if at else 0


_ENV_START = 50 - 3
"""Of /proc/PID/stat behind the name, which ends field 2. Source: proc_pid_stat(5), env_start (50)."""
