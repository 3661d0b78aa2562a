"""The one place that starts a program. Standard library only, because the guard imports it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE
Stream = int | IO[bytes] | None


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
