"""Guards, spawner and orchestrator are killed, alone and together; nothing survives, no stranger is hit."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.process import table as procs
from orchestrator_action.process.recovery import end_leftovers, read_record
from orchestrator_action.process.spawner import SPAWNER
from orchestrator_action.protocol.attempt import Ending, Limits
from tests.kit.ill import eventually, kill_at_once
from tests.supervisor.conftest import Stage


def kill_guard(pid: int, signum: int = signal.SIGKILL) -> None:
    process = procs.read(pid)
    assert process is not None
    os.kill(process.ppid, signum)


def test_a_killed_guard_loses_the_attempt_and_leaves_nobody(stage: Stage, background) -> None:
    """FAULTS 6: daemons, stubborn ones, all of them; the end is `lost`, which is no success."""
    started: list[int] = []
    running = background(
        stage.run, stage.ill("daemon.py", 6, "stay"), on_start=lambda pid, _: started.append(pid)
    )
    stage.pids.expect(6)

    kill_guard(started[0])

    outcome = running.result(timeout=60)
    assert (Ending.LOST, None, None, 0) == (
        outcome.ending,
        outcome.exit_code,
        outcome.signal,
        outcome.survivors,
    )
    assert "guard" in outcome.error
    stage.pids.assert_gone(at_least=6)


def test_a_killed_guard_does_not_touch_its_neighbours(stage: Stage, background) -> None:
    """FAULTS 6: the others do not notice."""
    started: list[int] = []
    other = background(stage.sh, ': > "$FOLDER/$$"; sleep 1; exit 5')
    stage.pids.expect(1)
    running = background(stage.run, stage.ill("stubborn.sh", 3), on_start=lambda pid, _: started.append(pid))
    stage.pids.expect(4)

    kill_guard(started[0])

    assert Ending.LOST is running.result(timeout=60).ending
    assert (Ending.EXITED, 5) == (other.result().ending, other.result().exit_code)


def test_a_killed_spawner_costs_no_attempt(stage: Stage, background) -> None:
    """What runs goes on under its guard, what comes next gets a new spawner."""
    running = background(stage.sh, ': > "$FOLDER/$$"; sleep 0.5; exit 5')
    stage.pids.expect(1)
    os.kill(SPAWNER.pid, signal.SIGKILL)

    following = stage.sh("exit 6")

    assert (5, 6) == (running.result().exit_code, following.exit_code)


@pytest.mark.slow
def test_a_guard_that_was_stopped_is_given_up(stage: Stage, background) -> None:
    """It neither enforces limits nor answers; after a while it is killed, and its attempt is lost."""
    started: list[int] = []
    running = background(
        stage.run,
        stage.ill("stubborn.sh", 2),
        limits={"wall_s": 1.0, "stop_grace_s": 0.2},
        on_start=lambda pid, _: started.append(pid),
    )
    stage.pids.expect(2)

    kill_guard(started[0], signal.SIGSTOP)

    outcome = running.result(timeout=90)
    assert Ending.LOST is outcome.ending
    assert "did not answer" in outcome.error


def test_a_killed_orchestrator_leaves_nobody_and_a_record_of_each(orchestra) -> None:
    """FAULTS 7: the guards run the ladder by themselves and write down how it ended."""
    running = orchestra("stubborn.sh", 3, tasks=4, grace_s=0.4, expect=12)
    guards = running.guards()

    running.process.kill()

    eventually(lambda: not running.pids.alive(), what="the end of the tasks")
    eventually(lambda: all(procs.read(pid) is None for pid in guards), what="the end of the guards")
    outcomes = [read_record(path) for path in running.records]
    assert [(Ending.LOST, 9, "the orchestrator ended")] * 4 == [
        (o.ending, o.signal, o.error) for o in outcomes if o
    ]


def test_when_the_whole_family_is_killed_the_next_run_finds_what_is_left(orchestra, tmp_path: Path) -> None:
    """FAULTS 7: orchestrator, spawner and guards at once; also what left its session and its environment."""
    running = orchestra("daemon.py", 3, "stay", tasks=2, expect=6)
    eventually(
        lambda: all(len(json.loads(r.read_bytes())["escaped"]) == 3 for r in running.records),
        what="a record of the daemons",
    )
    family = [running.process.pid, *running.guards()]
    kill_at_once(family)
    running.process.wait()
    eventually(
        lambda: all(p is None or p.ended for p in map(procs.read, family)), what="the end of the family"
    )
    assert 6 <= len(running.pids.alive())
    assert [None, None] == [read_record(path) for path in running.records]

    swept = end_leftovers(running.records)

    assert 8 == len(swept.ended)
    assert () == swept.survivors
    eventually(lambda: not running.pids.alive(), what="their end")
    assert [Ending.LOST] * 2 == [o.ending for o in map(read_record, running.records) if o]
    assert () == end_leftovers(running.records).ended


def test_guards_and_spawner_killed_together_leave_nobody_either(orchestra) -> None:
    """The orchestrator adopts what both had guarded, and sweeps last."""
    running = orchestra("daemon.py", 3, "stay", tasks=2, expect=6)
    kill_at_once(running.guards())

    out, err = running.process.communicate(timeout=60)

    assert "" == err
    *outcomes, swept = [json.loads(line) for line in out.splitlines()]
    assert ["lost", "lost"] == [o["ending"] for o in outcomes]
    assert 0 == swept["survivors"]
    assert swept["swept"] <= 6, "the programs themselves were ended before their attempts were reported"
    running.pids.assert_gone(at_least=6)


@pytest.fixture
def stranger():
    """A process that has nothing to do with us."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    assert process.poll() is None, "a stranger was signalled"
    process.kill()
    process.wait()


def record_of(path: Path, pid: int, **other: object) -> Path:
    ticks = procs.start_ticks(pid)
    record = {
        "state": "running", "boot": procs.boot_id(), "pid": pid, "start_ticks": ticks, "shim": pid,
        "shim_ticks": ticks, "marker": "", "owner": 0, "owner_ticks": 0, "escaped": [[pid, ticks]],
    }  # fmt: skip
    path.write_text(json.dumps({**record, **other}))
    return path


def test_a_pid_that_came_back_belongs_to_a_stranger(stranger, tmp_path: Path) -> None:
    """FAULTS 8: same PID, another start time: never signalled."""
    ticks = procs.start_ticks(stranger.pid) - 1
    record = record_of(
        tmp_path / "r", stranger.pid, start_ticks=ticks, shim_ticks=ticks, escaped=[[stranger.pid, ticks]]
    )

    assert () == end_leftovers([record]).ended
    assert Ending.LOST is read_record(record).ending
    assert not procs.send_signal(stranger.pid, ticks, signal.SIGKILL)


def test_nothing_of_another_boot_is_signalled(stranger, tmp_path: Path) -> None:
    """FAULTS 8: PID and start time may both come back after a reboot."""
    record = record_of(tmp_path / "r", stranger.pid, boot="another boot", marker="PATH=" + os.environ["PATH"])

    assert () == end_leftovers([record]).ended


def test_what_a_living_orchestrator_runs_is_left_alone(orchestra) -> None:
    """Two orchestrators share nothing, not even by mistake."""
    running = orchestra("polite.sh", tasks=1)
    eventually(lambda: running.records, what="the record")

    swept = end_leftovers(running.records)

    assert ((), tuple(running.records)) == (swept.ended, swept.kept)
    assert running.pids.alive()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"pid": 1}', "\0" * 100, '{"state": "running"}']
)
def test_a_torn_record_is_no_reason_to_signal_anybody(tmp_path: Path, text: str) -> None:
    """It says nothing that can be trusted."""
    path = tmp_path / "r"
    path.write_text(text)

    assert ((), ()) == (end_leftovers([path, tmp_path / "none"]).ended, end_leftovers([path]).survivors)
    assert None is read_record(path)


def test_the_record_repeats_the_outcome(stage: Stage) -> None:
    """Whoever comes later reads the same facts."""
    record = stage.root / "record.json"

    outcome = stage.sh("echo hello; exit 9", record=record)

    assert read_record(record) == outcome


def test_a_record_that_cannot_be_written_does_not_cost_the_attempt(stage: Stage) -> None:
    """The attempt is the work; the record is for the worst case."""
    outcome = stage.sh("exit 4", record=stage.root / "no" / "record.json")

    assert (Ending.EXITED, 4) == (outcome.ending, outcome.exit_code)


LATE = """
import json, os, socket, sys
from orchestrator_action.process import table as procs
from orchestrator_action.process.guard import Guard
from orchestrator_action.process.wakeup import wakeup
ours, theirs = socket.socketpair()
ours.sendall(sys.argv[1].encode() + b"\\n")
ours.close()
Guard(theirs, wakeup(), adopts=procs.become_subreaper()).run()
"""


def test_a_guard_that_comes_too_late_starts_nothing(tmp_path: Path) -> None:
    """The orchestrator was killed between its order and the start: a later run may be at work there already."""
    order = {
        "argv": ["/bin/sh", "-c", ": > ran"], "env": {}, "cwd": str(tmp_path), "log": str(tmp_path / "log"),
        "append": False, "limits": dataclasses.asdict(Limits()), "expects_start": False,
        "record": str(tmp_path / "record.json"), "marker": "", "owner": 1, "owner_ticks": 1,
    }  # fmt: skip

    subprocess.run([sys.executable, "-c", LATE, json.dumps(order)], check=True, timeout=30)

    assert not (tmp_path / "ran").exists()
    ended = read_record(tmp_path / "record.json")
    assert ended is not None and ended.ending is Ending.SPAWN_FAILED
