"""Whoever is killed, at whatever moment: nothing of the attempt survives."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import threading
import time

import psutil
import pytest

from orchestrator_action.process import table as procs
from orchestrator_action.process.recovery import end_leftovers
from orchestrator_action.process.spawner import SPAWNER
from orchestrator_action.process.supervisor import Cancel
from orchestrator_action.protocol.attempt import Ending, Outcome
from tests.kit.ill import eventually
from tests.supervisor.conftest import Stage


def kill(pid: int) -> None:
    """Somebody else may have killed it first."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


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
    """FAULTS 6: 160 attempts, 16 at a time, while a fifth of their guards and some nurseries are killed."""
    dice = random.Random(6)

    def vandal(pid: int, _: int) -> None:
        if dice.random() < 0.2:
            guard = procs.read(pid)
            if guard is not None:
                kill(guard.ppid)
        elif dice.random() < 0.1 and SPAWNER.pid:
            kill(SPAWNER.pid)

    scripts = ["exit 3", "sleep 1000 & exit 3", "sleep 0.1; exit 3", "setsid sleep 1000 & sleep 0.05; exit 3"]
    endings = []
    for batch in range(0, 160, 16):
        running = [
            background(
                stage.sh, f': > "$FOLDER/$$"; {scripts[n % 4]}', on_start=vandal, record=stage.root / f"r{n}"
            )
            for n in range(batch, batch + 16)
        ]
        endings += [f.result(timeout=100) for f in running]

    assert {Ending.EXITED, Ending.LOST} >= {o.ending for o in endings}
    assert Ending.LOST in {o.ending for o in endings}
    assert {3} == {o.exit_code for o in endings if o.ending is Ending.EXITED}
    assert 0 == sum(o.survivors for o in endings)
    eventually(lambda: not stage.pids.alive(), what="the end of what nobody of ours was left to adopt")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_soak_of_random_faults_leaves_memory_and_descriptors_flat(stage: Stage, background) -> None:
    """160 attempts of every ill-behaved program, cancelled and hurried at random, guards killed."""
    dice = random.Random(160)
    programs = [
        stage.ill("stubborn.sh", 4), stage.ill("polite.sh"), stage.ill("traps_term.sh"),
        stage.ill("stops_itself.sh"), stage.ill("daemon.py", 2), stage.ill("daemon.py", 2, "stubborn"),
        stage.ill("respawner.py"), stage.ill("headless.py", "daemon"), stage.command("no-such-program"),
        stage.command("yes", "x" * 200), stage.command("sh", "-c", "yes xxxxxxxx | head -c 300000"),
    ]  # fmt: skip
    limits = {"wall_s": 0.8, "stop_grace_s": 0.3, "stall_s": 0.5, "log_bytes": 1 << 20}

    def vandal(pid: int, _: int) -> None:
        guard = procs.read(pid)
        if dice.random() < 0.05 and guard is not None:
            kill(guard.ppid)

    def one(number: int) -> Outcome:
        cancel = Cancel()
        timers = [threading.Timer(dice.random() / 2, throw) for throw in (cancel.set, cancel.hurry)]
        for timer in timers[: dice.choice([0, 0, 0, 1, 2])]:
            timer.start()
        command = dice.choice(programs)
        outcome = stage.run(
            command,
            limits=limits,
            cancel=cancel,
            feed=lambda line: None,
            on_start=vandal,
            log=stage.root / f"log-{number}",
        )
        for timer in timers:
            timer.cancel()
        return outcome

    me = psutil.Process()
    rss, fds = [], []
    for _ in range(10):
        running = [background(one, n) for n in range(16)]
        outcomes = [f.result(timeout=100) for f in running]
        assert 0 == sum(o.survivors for o in outcomes)
        gc.collect()
        rss.append(me.memory_info().rss)
        fds.append(me.num_fds())

    assert max(fds[4:]) <= max(fds[:4])
    assert max(rss[4:]) - max(rss[:4]) < 8 << 20
    eventually(lambda: not stage.pids.alive(), what="the end of what nobody of ours was left to adopt")
