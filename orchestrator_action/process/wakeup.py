"""A descriptor that tells of the end of a child: what the guard and the spawner wait on. Standard library only."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def wakeup() -> int:
    """A descriptor that becomes readable whenever a child of this process ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    if before >= 0:
        os.close(before)
    return reader


def drain(fd: int) -> None:
    """Empty a descriptor made by `wakeup`."""
    with suppress(BlockingIOError):
        while len(os.read(fd, 4096)) == 4096:
            continue
