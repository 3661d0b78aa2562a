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
from tests.kit.repos import make_repo
from tests.kit.whole import GOOD, LIBRARY, house

ROUNDS = 200
GOAL_MS = 15.0
RUNS, TASKS, SLOTS = 4, 8, 2
GOAL_SHARE = 5.0
SUITES_S = (0.0, 2.0)
"""How long the tests of a task's repository take: next to nothing, and what a small library's take."""


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

    for suite_s in SUITES_S:
        _print_share(suite_s)


def _print_share(suite_s: float) -> None:
    """What walls add to a run of tasks of the agent `patch`, of which each starts five processes within them."""
    took: dict[str, list[float]] = {"off": [], "auto": []}
    for _ in range(RUNS):
        for isolation, times in took.items():
            with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
                times.append(_run_s(Path(folder), isolation, suite_s))
    off, auto = (statistics.median(times) for times in took.values())
    share = 100 * (auto - off) / off
    print(
        f"  a run of {TASKS} tasks, {SLOTS} at once, tests of {suite_s:g} s: {off:.2f} s without walls,"
        f" {auto:.2f} s with them, {share:+.1f} % (goal {GOAL_SHARE:.0f} %)"
    )


def _run_s(root: Path, isolation: str, suite_s: float) -> float:
    config = LIBRARY[".github/orchestrator.yml"] + f"isolation: {isolation}\n"
    tests = LIBRARY["tests/test_numbers.py"] + f"        __import__('time').sleep({suite_s})\n"
    files = {**LIBRARY, "tests/test_numbers.py": tests, ".github/orchestrator.yml": config}
    home = house(root, make_repo(root / "r", files))
    for number in range(1, TASKS + 1):
        home.issue(number, f"Task {number}", GOOD.replace("more", f"more{number}"))
    began = time.monotonic()
    ran = home.run("--max-parallel", str(SLOTS))
    took = time.monotonic() - began
    assert ran.code == 0, ran.err
    return took


def _one(root: Path, policy: Policy) -> Outcome:
    command = Command(argv=("true",), cwd=str(root), env={"PATH": os.environ["PATH"]})
    outcome = supervise(command, log=root / "log", limits=Limits(), cancel=Cancel(), policy=policy)
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 0), outcome
    return outcome


def _quarter(times: list[float]) -> float:
    return statistics.quantiles(times, n=4)[0]


if __name__ == "__main__":
    main()
