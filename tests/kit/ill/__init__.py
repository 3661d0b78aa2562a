"""Programs that behave badly, and the proof that they are gone.

Each one leaves a file named by its PID in the folder it is given, so that it is known even if it changes
its session, its parent and its environment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.process import table as procs

HERE = Path(__file__).parent


def eventually(holds: Callable[[], object], *, within_s: float = 20.0, what: str = "it") -> None:
    """Wait until something holds; fails when it never does."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s:g} s"
        time.sleep(0.01)


def open_files() -> list[str]:
    """The descriptors that this process holds, without those of garbage, which go whenever it is collected."""
    gc.collect()
    return sorted(os.listdir("/proc/self/fd"))


def kill_at_once(pids: Sequence[int]) -> None:
    """Kill processes as if in one moment: each is stopped first, so none acts on the end of another.

    One that has ended meanwhile is passed over.
    """
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _runs(pid: int) -> bool:
    found = procs.read(pid)
    return found is not None and not found.ended


def _is_ours_to_reap(pid: int) -> bool:
    """A zombie below this process. Any other was left to whoever reaps orphans on this machine, sooner or later."""
    found = procs.read(pid)
    ours = {os.getpid(), *(p.pid for p in procs.descendants(os.getpid(), exact=True))}
    return found is not None and found.ended and found.ppid in ours


@dataclass
class Pids:
    """Who registered in a folder."""

    folder: Path

    def all(self) -> list[int]:
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal())

    def alive(self) -> list[int]:
        """Those that run, and zombies that one of ours should have reaped."""
        return [pid for pid in self.all() if _runs(pid) or _is_ours_to_reap(pid)]

    def expect(self, count: int, *, within_s: float = 20.0) -> list[int]:
        """Wait until `count` of them have registered."""
        what = f"the start of {count} processes"
        eventually(lambda: len(self.all()) >= count, within_s=within_s, what=what)
        return self.all()

    def running(self) -> list[int]:
        """Those that still run; a zombie waits for whoever adopted it."""
        return [pid for pid in self.all() if _runs(pid)]

    def assert_dead(self, *, at_least: int = 1) -> None:
        """Everybody came and nobody runs any more. Whoever adopted them may not have reaped them yet."""
        assert len(self.all()) >= at_least
        assert [] == self.running()

    def assert_gone(self, *, at_least: int = 1) -> None:
        """Everybody came, and nobody is left, not even a zombie."""
        assert len(self.all()) >= at_least
        assert [] == self.alive()
