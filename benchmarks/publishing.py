"""How long it takes to write 10,000 tasks to GitHub within its limits, by a clock that is moved and not waited for.

Each task is four content writes: its comment, its pull request, its check, its review. The process is killed at
random moments; the one that takes up its work knows by the file what the last hour has used up.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import Figure, show
from orchestrator_action.process.pace import Pace

TASKS, WRITES, KILLS = 10_000, 4, 25


@dataclass(slots=True)
class Published:
    """When each write was made, in seconds of the moved clock."""

    now: float = 1.8e9
    made: list[float] = field(default_factory=list)
    killed: int = 0

    @property
    def took_s(self) -> float:
        return self.made[-1] - self.made[0]

    @property
    def allowed_s(self) -> float:
        """What no order of writes can beat: an hour passes between a write and the five hundredth after it."""
        return (len(self.made) - 1) // 500 * 3600.0

    def most_within(self, length_s: float) -> int:
        """The most writes in any stretch of this length."""
        first = most = 0
        for last, at in enumerate(self.made):
            while at - self.made[first] >= length_s - 0.01:
                first += 1
            most = max(most, last - first + 1)
        return most


class _KilledError(Exception):
    pass


def publish(tasks: int = TASKS, kills: int = KILLS, seed: int = 1) -> Published:
    """Write all tasks; the clock moves when somebody waits, and a little with each write."""
    done, draw = Published(), random.Random(seed)
    wanted = tasks * WRITES
    ends = sorted(draw.sample(range(1, wanted), kills))

    def sleep(seconds: float) -> None:
        if ends and len(done.made) >= ends[0]:
            ends.pop(0)
            done.killed += 1
            done.now += draw.uniform(0, 30)
            raise _KilledError
        done.now += seconds

    with tempfile.TemporaryDirectory(prefix="oa-pace-") as folder:
        while len(done.made) < wanted:
            pace = Pace(Path(folder, "writes"), clock=lambda: done.now, sleep=sleep)
            try:
                while len(done.made) < wanted:
                    pace.take()
                    done.made.append(done.now)
                    done.now += 0.2
            except _KilledError:
                continue
    return done


def main() -> None:
    """10,000 tasks with 25 kills."""
    done = publish()
    show(
        f"{TASKS} tasks of {WRITES} writes, published by a moved clock, killed {done.killed} times",
        [
            Figure(what="took", value=done.took_s / 3600, unit="h"),
            Figure(
                what="beside what the limits allow", value=done.took_s / done.allowed_s, unit="x", goal=1.02
            ),
            Figure(what="most writes in a minute", value=done.most_within(60), unit="", goal=80),
            Figure(what="most writes in an hour", value=done.most_within(3600), unit="", goal=500),
        ],
    )
