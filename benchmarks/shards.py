"""1,000 tasks over 64 work jobs of 4 places each, simulated: how long they take beside what no schedule can beat.

The plan cannot know how long a task takes, and no job takes from another one's list. Times are drawn from a seeded
log-normal distribution between one and 45 minutes. Within a job, a task starts as soon as a place is free, as in `run`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks import Figure, show
from orchestrator_action.plan.shards import shards_of
from orchestrator_action.protocol.model import Task

TASKS, SHARDS, PLACES = 1_000, 64, 4
MEDIAN_S, SIGMA, SHORTEST_S, LONGEST_S = 480.0, 0.6, 60.0, 2_700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Seconds, of one draw or the worst of several."""

    took_s: float
    bound_s: float
    """What list scheduling never exceeds: an even share, and all but a part of the longest task. Source: R. L. Graham,
    "Bounds on Multiprocessing Timing Anomalies", 1969."""
    one_list_s: float
    """What one list for all places would have taken."""

    @property
    def ratio_to_bound(self) -> float:
        return self.took_s / self.bound_s


def simulate(seeds: Iterable[int] = range(20)) -> Simulated:
    """The draw that was farthest from its bound."""
    return max((_simulated(seed) for seed in seeds), key=lambda s: s.ratio_to_bound)


def _simulated(seed: int) -> Simulated:
    draw = random.Random(seed)
    times = {
        f"t{n}": min(LONGEST_S, max(SHORTEST_S, draw.lognormvariate(0, SIGMA) * MEDIAN_S))
        for n in range(TASKS)
    }
    shards = shards_of([Task(id=name, title="", text="", branch="") for name in times], SHARDS)
    places = SHARDS * PLACES
    return Simulated(
        took_s=max(_list_scheduled([times[t] for t in shard], PLACES) for shard in shards),
        bound_s=sum(times.values()) / places + (1 - 1 / places) * max(times.values()),
        one_list_s=_list_scheduled(list(times.values()), places),
    )


def _list_scheduled(times: Iterable[float], places: int) -> float:
    """When the last task ends, each started when a place is free."""
    free = [0.0] * places
    for time_s in times:
        heapq.heapreplace(free, free[0] + time_s)
    return max(free)


def main() -> None:
    """The worst of 20 draws, and the middle one."""
    drawn = sorted((_simulated(seed) for seed in range(20)), key=lambda s: s.ratio_to_bound)
    figures = [
        Figure(what=f"{name}: {what}", value=value, unit=unit, goal=goal)
        for name, one in (("middle", drawn[10]), ("worst", drawn[-1]))
        for what, value, unit, goal in (
            ("took", one.took_s / 60, "min", None),
            ("beside the bound of list scheduling", one.ratio_to_bound, "x", 1.05),
            ("beside one list for all places", one.took_s / one.one_list_s, "x", None),
        )
    ]
    show(f"{TASKS} tasks, {SHARDS} shards of {PLACES} places, simulated", figures)
