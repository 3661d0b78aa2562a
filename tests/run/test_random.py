"""Killed at random points and at chosen steps, resumed; many tasks with agents that fail at random.

Seeds and steps are in the names. `python -m benchmarks crashes` goes through many more seeds, and every step.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.soak import soak
from orchestrator_action.process import table as procs
from tests.kit.crashes import crash, crash_at_git, crash_at_step
from tests.kit.ill import eventually, open_files
from tests.kit.tables import few
from tests.kit.whole import alive


@pytest.mark.parametrize("seed", few(range(1001, 1013), 1))
def test_killed_at_a_random_point_a_run_comes_to_the_same_end(tmp_path: Path, seed: int):
    """FAULTS 25: nothing lost, nothing twice, nobody alive."""
    seen = crash(tmp_path, seed)

    assert seen.faultless, seen


@pytest.mark.parametrize("step", few([s for n in range(3, 90, 16) for s in (n, -n - 8)], 1))
def test_killed_right_before_or_after_a_step_it_comes_to_the_same_end(tmp_path: Path, step: int):
    """FAULTS 25: a line of the journal, a call of the forge, of the remote, of the trees."""
    seen = crash_at_step(tmp_path, step)

    assert seen and seen.faultless, seen


@pytest.mark.parametrize("works_on", few([True, False], 1))
@pytest.mark.parametrize("number", few(range(10, 130, 30), 1))
def test_killed_while_a_git_is_at_work_it_comes_to_the_same_end(tmp_path: Path, number: int, works_on: bool):
    """FAULTS 25, 29: the git goes on without us, or never does what it was asked."""
    seen = crash_at_git(tmp_path, number, works_on=works_on)

    assert seen and seen.faultless, seen


def _settled() -> int:
    """How many files this process has open once the last thread of a run has gone."""
    watches = "last-resort"
    eventually(
        lambda: watches not in {t.name for t in threading.enumerate()}, what="the end of a run's last thread"
    )
    return len(open_files())


@pytest.mark.slow
def test_a_soak_leaves_nobody_and_stays_flat(tmp_path: Path):
    """FAULTS 9: 60 tasks at 8 with random faults; every task one end, no zombie, no file left open."""
    soak(tmp_path / "first", 1, 1, seed=1)  # what a process opens once and keeps, as its spawner
    before = {p.pid for p in procs.descendants(os.getpid(), exact=True)}
    files = _settled()

    report, watched, home = soak(tmp_path, 60, 8, seed=11)

    assert 60 == report.requested == len({t.task_id for t in report.tasks})
    assert {"lost", "overloaded", "authentication"} <= {f for t in report.tasks for f in t.failures}
    assert Counter(t.status for t in report.tasks).keys() <= {"failed", "incomplete"}
    assert [] == alive(tmp_path)
    assert [] == [p for p in procs.descendants(os.getpid(), exact=True) if p.pid not in before]
    memory, later, *_ = watched.quarters()
    assert later - memory < 16
    assert files == _settled()
    assert len(home.trees()) == sum(bool(t.kept_because) for t in report.tasks)
