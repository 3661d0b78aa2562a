"""The one place that starts a program. Standard library only, because the guard imports it."""

from __future__ import annotations

import errno
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE
Stream = int | IO[bytes] | None
_starting = threading.Lock()
_LONGEST_START_S = 0.2
_refused = False


def refuse_starts() -> None:
    """Start nothing from now on: who ends everything before it leaves must not be followed by one more start."""
    global _refused
    _refused = True
    if _starting.acquire(timeout=_LONGEST_START_S):  # what was just being started is there
        _starting.release()


def spawn(
    argv: Sequence[str] | Sequence[bytes],
    *,
    env: Mapping[str, str] | Mapping[bytes, bytes],
    cwd: str | bytes | None = None,
    stdin: Stream = DEVNULL,
    stdout: Stream = DEVNULL,
    stderr: Stream = DEVNULL,
    keep_fds: Sequence[int] = (),
    new_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start exactly this program with exactly this environment; it gets no descriptor but these.

    Raises OSError, ValueError or SubprocessError when it cannot be started.
    """
    with _starting:
        if _refused:
            raise OSError(errno.ESHUTDOWN, "this process is ending")
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(keep_fds),
            start_new_session=new_session,
        )
