"""A cancellation reaches everybody, at any moment, from a thread or a signal handler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator_action.process.supervisor import Cancel
from orchestrator_action.protocol.attempt import Ending
from tests.kit.ill import eventually, open_files
from tests.supervisor.conftest import Stage


def test_cancel_ends_every_tree_at_once(stage: Stage, background) -> None:
    """FAULTS 5: 32 tasks of 12 stubborn processes each; nobody is left, nobody succeeded."""
    running = [
        background(stage.run, stage.ill("stubborn.sh", 12), limits={"stop_grace_s": 1.0}) for _ in range(32)
    ]
    stage.pids.expect(32 * 12)

    stage.cancel.set("enough")
    outcomes = [f.result() for f in running]

    assert {(Ending.CANCELLED, 9, "enough", 0)} == {
        (o.ending, o.signal, o.error, o.survivors) for o in outcomes
    }
    stage.pids.assert_gone(at_least=32 * 12)


def test_a_cancel_before_the_start_starts_nothing(stage: Stage) -> None:
    """FAULTS 13: before the first task."""
    stage.cancel.set("too late")

    outcome = stage.run(stage.ill("polite.sh"))

    assert (Ending.CANCELLED, "too late", 0) == (outcome.ending, outcome.error, outcome.pid)
    assert [] == stage.pids.all()


def test_a_cancel_after_the_end_changes_nothing(stage: Stage) -> None:
    """FAULTS 13: after the last task."""
    outcome = stage.sh("exit 3")
    stage.cancel.set()

    assert (Ending.EXITED, 3) == (outcome.ending, outcome.exit_code)


def test_a_second_signal_kills_at_once(stage: Stage, background) -> None:
    """FAULTS 13: the grace is five minutes, and nobody waits for it."""
    running = background(stage.run, stage.ill("stubborn.sh", 4), limits={"stop_grace_s": 300})
    stage.pids.expect(4)

    stage.cancel.on_signal(signal.SIGINT, None)
    stage.cancel.on_signal(signal.SIGINT, None)

    outcome = running.result(timeout=60)
    assert (Ending.CANCELLED, 9) == (outcome.ending, outcome.signal)
    stage.pids.assert_gone(at_least=4)


def test_a_hurry_during_the_grace_ends_it(stage: Stage, background) -> None:
    """The first signal was heard and its ladder is under way."""
    running = background(stage.run, stage.ill("stubborn.sh", 1), limits={"stop_grace_s": 300})
    stage.pids.expect(1)
    stage.cancel.set("first")
    assert not running.done()
    stage.cancel.hurry()

    outcome = running.result(timeout=60)
    assert (Ending.CANCELLED, 9, "first") == (outcome.ending, outcome.signal, outcome.error)


def test_one_task_can_be_cancelled_alone(stage: Stage, background) -> None:
    """A child of the run's switch ends its own task only."""
    one, other = Cancel(stage.cancel), Cancel(stage.cancel)
    first = background(stage.run, stage.ill("polite.sh"), cancel=one)
    second = background(stage.run, stage.ill("polite.sh"), cancel=other)
    stage.pids.expect(2)

    one.set("just me")
    assert "just me" == first.result().error
    assert not second.done()

    stage.cancel.set("all of us")
    assert "all of us" == second.result().error


def test_a_signal_handler_may_throw_the_switch_its_thread_waits_on() -> None:
    """No lock is involved: the main thread waits, the handler sets, the wait returns."""
    cancel = Cancel()
    before = signal.signal(signal.SIGUSR1, cancel.on_signal)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert cancel.wait(30)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert cancel.is_set()
    assert "cancelled by SIGUSR1" == cancel.reason
    assert not cancel.is_hurried()


def test_waiting_ends_after_its_time() -> None:
    """And says that nothing happened."""
    began = time.monotonic()

    assert not Cancel().wait(0.1)
    assert time.monotonic() - began >= 0.1


def test_a_switch_thrown_very_often_does_not_block() -> None:
    """A stuck key on a keyboard."""
    cancel = Cancel()
    for _ in range(100_000):
        cancel.set("again")
    cancel.hurry()

    assert cancel.wait()
    assert "again" == cancel.reason


def test_switches_do_not_leak_descriptors() -> None:
    """One per run and one per task, for as long as they are in use."""
    before = open_files()
    for _ in range(2000):
        switch = Cancel(Cancel())
        assert 2 == len(set(switch.fds()))
        switch.set()

    del switch
    assert before == open_files()


def test_a_switch_that_nobody_waits_on_opens_nothing() -> None:
    """A backlog of more tasks than a process may open files; each can be set, and be waited on then."""
    before, run = open_files(), Cancel()

    waiting = [Cancel(run) for _ in range(5000)]
    waiting[7].set("not this one")

    assert before == open_files()
    assert [True, False] == [waiting[n].is_set() for n in (7, 8)]
    assert waiting[7].wait(0) and not waiting[8].wait(0)
    run.set("all of them")
    assert waiting[8].wait(0)


def test_a_switch_set_while_others_begin_to_wait_ends_every_wait() -> None:
    """Whoever comes first makes the descriptor; nobody waits on one that is not written."""
    for _ in range(200):
        switch, ready = Cancel(), threading.Barrier(5)

        def wait(switch: Cancel = switch, ready: threading.Barrier = ready) -> bool:
            ready.wait()
            return switch.wait(10)

        with ThreadPoolExecutor(4) as pool:
            waits = [pool.submit(wait) for _ in range(4)]
            ready.wait()
            switch.set()
            assert all(w.result() for w in waits)
        assert 1 == len({fd for _ in range(3) for fd in switch.fds()})


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_orchestrator_ends_all_and_exits_130(orchestra, signum: signal.Signals) -> None:
    """FAULTS 12, 14: handler in the main thread, tasks in others; stubborn children."""
    running = orchestra("stubborn.sh", 3, tasks=4, expect=12)

    running.process.send_signal(signum)
    out, err = running.process.communicate(timeout=60)

    assert (130, "") == (running.process.returncode, err)
    *outcomes, swept = [json.loads(line) for line in out.splitlines()]
    assert ["cancelled"] * 4 == [o["ending"] for o in outcomes]
    assert {"swept": 0, "survivors": 0} == swept
    running.pids.assert_gone(at_least=12)


def test_a_reader_that_stops_reading_does_not_keep_a_task_alive(stage: Stage, background) -> None:
    """FAULTS 14: our own side hangs in `feed`; the guard holds the limit without it."""
    let_go = threading.Event()

    running = background(
        stage.sh,
        ': > "$FOLDER/$$"; echo line; exec sleep 1000',
        limits={"wall_s": 0.5},
        feed=lambda line: let_go.wait(60) and None,
    )
    stage.pids.expect(1)
    eventually(lambda: not stage.pids.alive(), what="the end of the task")
    assert not running.done()
    let_go.set()

    assert Ending.TIMEOUT is running.result().ending


def test_a_feed_that_fails_ends_its_task_before_it_is_reported(stage: Stage) -> None:
    """A bug of ours is raised, and leaves no process behind."""

    def broken(line: bytes) -> None:
        raise ZeroDivisionError(line)

    with pytest.raises(ZeroDivisionError, match="line"):
        stage.sh(': > "$FOLDER/$$"; echo line; exec sleep 1000', feed=broken)

    stage.pids.assert_gone()


BUSY = """
import sys, threading, time
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.leaving import leaving
from orchestrator_action.sandbox.start import run_to_end

begun = threading.Semaphore(0)

def again_and_again():
    while True:
        begun.release()
        try:
            run_to_end(["sleep", "600"], env={"PATH": "/usr/bin:/bin", "OF_THIS_TEST": sys.argv[1]})
        except OSError:
            time.sleep(0.001)

cancel = Cancel()
with leaving(cancel):
    for _ in range(16):
        threading.Thread(target=again_and_again, daemon=True).start()
    for _ in range(16):
        begun.acquire()
    cancel.hurry()
    while True:
        time.sleep(0.001)
"""


def test_what_is_started_again_by_a_thread_is_not_left_by_a_process_that_must_go(tmp_path: Path) -> None:
    """A call to git that was ended is often followed by the next one: after the last look nobody starts any more."""
    mark = f"OF_THIS_TEST={tmp_path}"

    done = subprocess.run([sys.executable, "-c", BUSY, str(tmp_path)], timeout=60, check=False)

    left = [p for p in Path("/proc").glob("[0-9]*") if mark in _environment(p)]
    for process in left:
        with suppress(OSError):
            os.kill(int(process.name), signal.SIGKILL)
    assert (130, []) == (done.returncode, left)


def _environment(process: Path) -> str:
    try:
        return (process / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""
