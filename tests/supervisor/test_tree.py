"""Nothing of an attempt outlives it, whatever it does to its sessions, parents and signals."""

from __future__ import annotations

import os

import pytest

from orchestrator_action.process import table as procs
from orchestrator_action.protocol.attempt import Ending
from tests.kit.ill import eventually, open_files
from tests.supervisor.conftest import Stage, lone_guard


def test_a_child_that_holds_stdout_does_not_hold_the_task(stage: Stage) -> None:
    """FAULTS 1: the leader's exit ends the task; what holds the pipe is ended and counted."""
    outcome = stage.sh('sh -c \': > "$0/$$"; exec sleep 1000\' "$FOLDER" & sleep 0.1; echo done')

    assert (Ending.EXITED, 0, 1, 0) == (
        outcome.ending,
        outcome.exit_code,
        outcome.leftovers,
        outcome.survivors,
    )
    assert b"done\n" == stage.log.read_bytes()
    stage.pids.assert_gone(at_least=1)


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_daemons_with_empty_environments_are_gone_when_the_task_is_done(stage: Stage, manner: str) -> None:
    """FAULTS 2: double-forked, setsid, no environment, no relation to the leader."""
    outcome = stage.run(stage.ill("daemon.py", 5, manner))

    assert (Ending.EXITED, 0, 5) == (outcome.ending, outcome.exit_code, outcome.leftovers)
    stage.pids.assert_gone(at_least=5)


def test_a_time_limit_ends_what_ignores_int_and_term(stage: Stage) -> None:
    """FAULTS 3: KILL after the grace, and never a success."""
    outcome = stage.run(stage.ill("stubborn.sh", 6), limits={"wall_s": 0.5, "stop_grace_s": 0.4})

    assert (Ending.TIMEOUT, 9, None, 0) == (
        outcome.ending,
        outcome.signal,
        outcome.exit_code,
        outcome.survivors,
    )
    assert "0.5 s" in outcome.error
    assert outcome.leftovers == 5
    stage.pids.assert_gone(at_least=6)


def test_an_exit_code_of_0_after_a_time_limit_is_a_timeout(stage: Stage) -> None:
    """FAULTS 3: it answers TERM with success."""
    outcome = stage.run(stage.ill("traps_term.sh"), limits={"wall_s": 0.4})

    assert (Ending.TIMEOUT, 0) == (outcome.ending, outcome.exit_code)
    stage.pids.assert_gone()


def test_a_huge_grace_is_not_waited_out(stage: Stage) -> None:
    """FAULTS 4: who dies when asked is done at once."""
    outcome = stage.run(stage.ill("polite.sh"), limits={"wall_s": 0.3, "stop_grace_s": 300})

    assert (Ending.TIMEOUT, 2) == (outcome.ending, outcome.signal)
    assert outcome.wall_s < 60
    stage.pids.assert_gone()


def test_children_that_stop_themselves_are_ended(stage: Stage) -> None:
    """FAULTS 4: a stopped process cannot answer; it is continued, asked and, if need be, killed."""
    outcome = stage.run(stage.ill("stops_itself.sh"), limits={"wall_s": 0.5, "stop_grace_s": 0.6})

    assert Ending.TIMEOUT is outcome.ending
    stage.pids.assert_gone(at_least=2)


def test_processes_that_start_each_other_again_are_ended(stage: Stage) -> None:
    """Each watches the other from its own session and ignores TERM; both are frozen before one is killed."""
    outcome = stage.run(stage.ill("respawner.py"))

    assert (Ending.EXITED, 0, 0) == (outcome.ending, outcome.exit_code, outcome.survivors)
    assert outcome.leftovers >= 2
    stage.pids.assert_gone(at_least=2)


def test_a_fork_bomb_is_put_out(stage: Stage) -> None:
    """Processes that fork faster than they are found are frozen generation by generation."""
    bomb = ': > "$FOLDER/$$"; while :; do setsid sh -c "sleep 1000 & sleep 1000" & done'
    outcome = stage.sh(bomb, limits={"wall_s": 0.4, "stop_grace_s": 0.2})

    assert (Ending.TIMEOUT, 0) == (outcome.ending, outcome.survivors)
    stage.pids.assert_gone()


@pytest.mark.parametrize("how", ["leader", "daemon"])
def test_a_process_whose_main_thread_ended_is_ended_too(stage: Stage, how: str) -> None:
    """It looks like a zombie, and is none: its other threads run on."""
    outcome = stage.run(stage.ill("headless.py", how), limits={"wall_s": 0.7, "stop_grace_s": 0.3})

    assert 0 == outcome.survivors
    assert (Ending.TIMEOUT if how == "leader" else Ending.EXITED) is outcome.ending
    stage.pids.assert_gone()


NEITHER = "procs.HAS_PROC = False; procs._has_children_files = lambda: False; del __import__('os').pidfd_open"


def test_without_proc_and_subreaper_children_and_groups_are_ended(stage: Stage) -> None:
    """macOS has neither: what stays in the session of the program, or was seen below it, is still found."""
    script = f"""
        sh -c ': > {stage.pids.folder}/$$; trap "" TERM; sleep 1000' &
        (sh -c ': > {stage.pids.folder}/$$; exec sleep 1000' &)
        sleep 0.5; exit 3
    """

    end = lone_guard(stage, ["sh", "-c", script], {}, before=NEITHER, adopts="False")

    assert ("end", "exited", 3, 0) == (end["event"], end["ending"], end["exit_code"], end["survivors"])
    assert end["leftovers"] >= 2
    eventually(lambda: not stage.pids.alive(), what="their end")
    stage.pids.assert_gone(at_least=2)


@pytest.mark.parametrize("code", [0, 1, 2, 77, 126, 127, 128, 137, 255])
def test_exit_codes_are_reported_exactly(stage: Stage, code: int) -> None:
    """FAULTS 9: also those a shell would use for something else."""
    outcome = stage.sh(f"exit {code}")

    assert (Ending.EXITED, code, None) == (outcome.ending, outcome.exit_code, outcome.signal)


@pytest.mark.parametrize("signum", [1, 2, 6, 9, 13, 15, 31, 34, 64])
def test_signals_are_reported_exactly(stage: Stage, signum: int) -> None:
    """FAULTS 9: death by signal is not an exit code."""
    outcome = stage.sh(f"ulimit -c 0; kill -{signum} $$; sleep 1000")

    assert (Ending.EXITED, None, signum) == (outcome.ending, outcome.exit_code, outcome.signal)


def test_identity_of_the_program_is_told_while_it_runs(stage: Stage) -> None:
    """`on_start` names a living process by PID and kernel start time; the outcome repeats it."""
    seen: list[tuple[int, int, int]] = []

    outcome = stage.run(
        stage.ill("polite.sh"),
        limits={"wall_s": 0.5},
        on_start=lambda pid, ticks: seen.append((pid, ticks, procs.start_ticks(pid))),
    )

    assert [(outcome.pid, outcome.start_ticks, outcome.start_ticks)] == seen
    assert outcome.start_ticks > 0


@pytest.mark.slow
def test_five_hundred_tasks_leave_no_zombie_and_no_descriptor(stage: Stage, background) -> None:
    """FAULTS 9: open files and children are the same before and after; 16 at a time, some of them daemons."""
    stage.run(stage.command("true"))
    before = open_files()
    scripts = ["true", "exit 3", "kill -9 $$", "sleep 1000 & true"]

    def one(number: int) -> Ending:
        return stage.run(stage.command("sh", "-c", scripts[number % 4]), log=stage.root / "log").ending

    for batch in range(0, 500, 16):
        ended = [background(one, n) for n in range(batch, min(batch + 16, 500))]
        assert {Ending.EXITED} == {f.result() for f in ended}

    assert before == open_files()
    assert [] == [p for p in procs.descendants(os.getpid(), exact=True) if p.ended]
