"""How an orchestrator leaves: nothing of it is left behind, and nothing keeps it beyond its time.

What a hanging forge, disk or git still has in hand when a cancelled run must end is ended too: git by
TERM first, so that it takes its lock files with it, then everything by KILL.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator_action.process import table as procs
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.recovery import sweep
from orchestrator_action.sandbox.spawn import refuse_starts

HARD_S = 5.0
"""From the first signal until this process is gone, whatever still hangs."""
HARD_HURRY_S = 1.5
"""The same from the second signal on."""
POLITE_S = 0.3
"""Between TERM and KILL for our own helpers."""


@contextmanager
def leaving(cancel: Cancel) -> Iterator[None]:
    """Adopt what loses its parent, end it when the block ends, and never stay longer than a cancel allows."""
    over = threading.Event()
    threading.Thread(target=_last_resort, args=(cancel, over), name="last-resort", daemon=True).start()
    with procs.adopting():
        try:
            yield
        finally:
            over.set()
            if cancel.is_set():
                end_children()
            sweep()


def _last_resort(cancel: Cancel, over: threading.Event) -> None:
    while not cancel.wait(1.0):
        if over.is_set():
            return
    while not over.is_set():
        left = min(cancel.since + HARD_S, cancel.hurried_since + HARD_HURRY_S) - time.monotonic()
        if left <= 0:
            refuse_starts()
            end_children()
            os._exit(130)
        over.wait(min(left, 0.1))


def end_children() -> None:
    """End every process below this one, and take the zombies of our own children away."""
    me = os.getpid()
    for signum in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + POLITE_S
        for process in _living(me):
            with suppress(PermissionError):
                procs.send_signal(process.pid, process.start_ticks, signum)
        while _living(me) and time.monotonic() < deadline:
            time.sleep(0.01)


def _living(root: int) -> list[procs.Process]:
    return [p for p in procs.descendants(root) if not p.ended]
