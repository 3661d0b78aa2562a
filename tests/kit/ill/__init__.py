"""Programs that behave badly, and the proof that they are gone.

Each one leaves a file named by its PID in the folder it is given, so that it is known even if it changes
its session, its parent and its environment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


def eventually(holds: Callable[[], object], *, within_s: float = 20.0, what: str = "it") -> None:
    """Wait until something holds; fails when it never does."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s:g} s"
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    return raw[raw.rindex(b")") + 2 :].split()[0].decode()


@dataclass
class Pids:
    """Who registered in a folder."""

    folder: Path

    def all(self) -> list[int]:
        return sorted(int(p.name) for p in self.folder.iterdir() if p.name.isdecimal())

    def alive(self) -> list[int]:
        """Those the kernel still knows, zombies included."""
        return [pid for pid in self.all() if _state(pid)]

    def expect(self, count: int) -> list[int]:
        """Wait until `count` of them have registered."""
        eventually(lambda: len(self.all()) >= count, what=f"{count} processes (have {len(self.all())})")
        return self.all()

    def running(self) -> list[int]:
        """Those that still run; a zombie waits for whoever adopted it."""
        return [pid for pid in self.all() if _state(pid) not in {"", "Z", "X"}]

    def assert_dead(self, *, at_least: int = 1) -> None:
        """Everybody came and nobody runs any more. Whoever adopted them may not have reaped them yet."""
        assert len(self.all()) >= at_least
        assert [] == self.running()

    def assert_gone(self, *, at_least: int = 1) -> None:
        """Everybody came, and nobody is left, not even a zombie."""
        assert len(self.all()) >= at_least
        assert [] == self.alive()
