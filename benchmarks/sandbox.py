"""What walls cost a process: `true` under supervision at each level, turn by turn, so that load meets all alike.

Goal: at most 15 ms more than without walls. Wall time from asking to outcome; CPU of the whole tree.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from orchestrator_action.process.supervisor import Cancel, spawner, supervise
from orchestrator_action.protocol.attempt import Command, Ending, Limits, Outcome
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level, Policy, Role
from orchestrator_action.sandbox.probe import find

ROUNDS = 200
GOAL_MS = 15.0


def levels(root: Path) -> dict[str, Policy]:
    """A policy for each level that this machine has."""
    found = find("auto", os.environ)
    made = {"open": Isolation(), "confined": Isolation(level=Level.CONFINED)}
    if found.level is Level.SANDBOXED:
        made["sandboxed"] = found
    return {
        name: walls.policy(Role.TESTS, write=[root], scratch=root / f"scratch-{name}")
        for name, walls in made.items()
    }


def main() -> None:
    """Print a line a level."""
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder, spawner():
        root = Path(folder)
        policies = levels(root)
        wall: dict[str, list[float]] = {name: [] for name in policies}
        cpu: dict[str, list[float]] = {name: [] for name in policies}
        for _ in range(ROUNDS):
            for name, policy in policies.items():
                began = time.monotonic()
                outcome = _one(root, policy)
                wall[name].append((time.monotonic() - began) * 1000)
                cpu[name].append(outcome.cpu_s * 1000)
    least = _quarter(wall["open"])
    print(f"sandbox: `true` under supervision, {ROUNDS} rounds, ms (lower quartile, median), CPU ms (median)")
    for name, times in wall.items():
        more = _quarter(times) - least
        print(
            f"  {name:10} {_quarter(times):6.1f} {statistics.median(times):6.1f}"
            f"   cpu {statistics.median(cpu[name]):5.1f}   {more:+5.1f} over open (goal {GOAL_MS:.0f})"
        )


def _one(root: Path, policy: Policy) -> Outcome:
    command = Command(argv=("true",), cwd=str(root), env={"PATH": os.environ["PATH"]})
    outcome = supervise(command, log=root / "log", limits=Limits(), cancel=Cancel(), policy=policy)
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 0), outcome
    return outcome


def _quarter(times: list[float]) -> float:
    return statistics.quantiles(times, n=4)[0]


if __name__ == "__main__":
    main()
