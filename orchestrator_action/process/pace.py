"""Writing no faster than a server allows, over as many processes and restarts as it takes.

When each write was made stands in a file, so that a process that takes up the work of one that was killed knows what
that one had used up. A write is noted before it is made: one that did not come about has been paid for all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator_action.process.files import lock_file

GITHUB = ((79, 60.0), (499, 3600.0))
"""At most so many in so many seconds: one less than GitHub allows.

Source: docs.github.com, "Rate limits for the REST API", secondary limits: 80 content-generating
requests a minute and 500 an hour.
"""
MOST_LINES = 1024
_LOCKED_S = 60.0
_ROUNDED_S = 0.001


class Pace:
    """Lets writes pass so that no stretch of time of any limit's length has more than that limit."""

    def __init__(
        self,
        file: Path,
        limits: Sequence[tuple[int, float]] = GITHUB,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._file, self._limits, self._clock, self._sleep = file, tuple(limits), clock, sleep
        self._most = max(most for most, _ in limits)
        file.parent.mkdir(parents=True, exist_ok=True)

    def take(self, writes: int = 1) -> None:
        """Wait until `writes` more may be made, and note them."""
        for _ in range(writes):
            while (wait_s := self._taken()) > 0:
                self._sleep(wait_s)

    def _taken(self) -> float:
        """Seconds until one more may be made; 0.0 when it was noted."""
        with self._file.open("a+b") as file:
            lock_file(file.fileno(), wait_s=_LOCKED_S)
            now = self._clock()
            file.seek(0)
            lines = file.read().split()
            made = [t for t in map(_seconds, lines[-self._most :]) if t <= now + _ROUNDED_S]
            if wait_s := wait_of(made, now, self._limits):
                return wait_s
            if len(lines) >= MOST_LINES:
                file.truncate(0)
                file.write(b"".join(b"%.3f\n" % t for t in made))
            file.write(b"%.3f\n" % now)
            return 0.0


def wait_of(made: Sequence[float], now: float, limits: Sequence[tuple[int, float]]) -> float:
    """Seconds until one more write may be made; 0.0 for at once. `made` are the times of earlier ones, in order."""
    waits = [made[-most] + length_s - now for most, length_s in limits if len(made) >= most]
    return max(0.0, 0.0, *waits)


def _seconds(line: bytes) -> float:
    try:
        return float(line)
    except ValueError:
        return 0.0  # a line that a crash cut short
