"""Whoever is killed, at whatever moment: nothing of the attempt survives."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from orchestrator_action.core.model import Ending
from orchestrator_action.runtime import procs
from orchestrator_action.runtime.leftovers import end_leftovers
from orchestrator_action.runtime.nursery import NURSERY
from tests.kit.ill import eventually
from tests.supervisor.conftest import Stage


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_the_orchestrator_dies_while_it_starts_tasks(orchestra, seed: int) -> None:
    """FAULTS 7: somewhere between the first guard asked for and the last program started."""
    running = orchestra(
        "stubborn.sh", 3, tasks=6, grace_s=0.3, expect=random.Random(seed).choice([0, 0, 1, 5])
    )
    time.sleep(random.Random(seed).uniform(0, 0.25))
    guards = running.guards()

    running.process.kill()
    running.process.wait()

    eventually(lambda: not any(procs.read(pid) for pid in guards), what="the end of the guards")
    eventually(lambda: not running.pids.alive(), what="the end of the tasks")
    time.sleep(0.05)
    assert [] == running.pids.alive()
    assert () == end_leftovers(running.records).ended


@pytest.mark.slow
def test_guards_and_nurseries_die_at_random(stage: Stage, background) -> None:
    """FAULTS 6: 60 attempts, 8 at a time, while a fifth of their guards and some nurseries are killed."""
    dice = random.Random(6)

    def vandal(pid: int, _: int) -> None:
        if dice.random() < 0.2:
            guard = procs.read(pid)
            if guard is not None:
                os.kill(guard.ppid, signal.SIGKILL)
        elif dice.random() < 0.1 and NURSERY.pid:
            os.kill(NURSERY.pid, signal.SIGKILL)

    scripts = ["exit 3", "sleep 1000 & exit 3", "sleep 0.1; exit 3", "setsid sleep 1000 & sleep 0.05; exit 3"]
    endings = []
    for batch in range(0, 60, 8):
        running = [
            background(
                stage.sh, f': > "$FOLDER/$$"; {scripts[n % 4]}', on_start=vandal, record=stage.root / f"r{n}"
            )
            for n in range(batch, min(batch + 8, 60))
        ]
        endings += [f.result(timeout=100) for f in running]

    assert {Ending.EXITED, Ending.LOST} >= {o.ending for o in endings}
    assert Ending.LOST in {o.ending for o in endings}
    assert {3} == {o.exit_code for o in endings if o.ending is Ending.EXITED}
    assert 0 == sum(o.survivors for o in endings)
    eventually(lambda: not stage.pids.alive(), what="init to reap what nobody of ours was left to adopt")
