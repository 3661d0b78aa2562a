"""A signal or an order ends a run within its time, whatever hangs, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator_action.state.fold import recall
from orchestrator_action.state.journal import read_events
from tests.kit.ill import Pids
from tests.kit.tables import few
from tests.kit.whole import House
from tests.run.conftest import Stuck, ill, tasks

HARD_S = 6.5
"""The contract for a cancelled run; the goal is 4.0."""


def statuses(home: House) -> dict[str, str]:
    return {t: s.status for t, s in recall(read_events(home.run_dir / "journal.jsonl")).tasks.items()}


def test_polite_tasks_are_gone_at_once(home: House, conduct, pids: Pids):
    """FAULTS 12: exit 130, everything cancelled, nothing left."""
    tasks(home, 8)
    run = conduct(slots=8, programs=[ill("polite.sh", pids.folder)])
    pids.expect(8)

    at = run.signal()
    ran = run.end()

    took = time.monotonic() - at
    assert 130 == ran.code, ran.err
    assert took < HARD_S
    assert {"cancelled"} == {t["status"] for t in ran.report["tasks"]}
    assert 8 == ran.report["requested"] == ran.report["counts"]["cancelled"]
    pids.assert_gone(at_least=8)
    home.assert_tidy_after_cancel()
    for number in range(1, 9):
        assert "orchestrate:running" not in (home.forge / "issues" / f"{number}.md").read_text()


@pytest.mark.slow
def test_stubborn_tasks_do_not_keep_a_run(home: House, conduct, pids: Pids):
    """FAULTS 12: they ignore INT and TERM, half of them in sessions of their own."""
    tasks(home, 4)
    run = conduct(slots=4, programs=[ill("stubborn.sh", pids.folder, 4)])
    pids.expect(16)

    at = run.signal()
    ran = run.end()

    assert time.monotonic() - at < HARD_S
    assert 130 == ran.code, ran.err
    assert {"cancelled"} == {t["status"] for t in ran.report["tasks"]}
    pids.assert_gone(at_least=16)
    home.assert_tidy_after_cancel()


def test_the_second_signal_kills_at_once(home: House, conduct, pids: Pids):
    """FAULTS 13: no grace for the stubborn."""
    tasks(home, 2)
    run = conduct(slots=2, programs=[ill("stubborn.sh", pids.folder, 2)])
    pids.expect(4)

    at = run.signal()
    time.sleep(0.1)
    run.signal()
    ran = run.end()

    assert 130 == ran.code
    assert time.monotonic() - at < 2.0, "the ladder alone would take two seconds"
    pids.assert_gone(at_least=4)


@pytest.mark.slow
def test_large_worktrees_are_deleted_by_whoever_comes_next(home: House, conduct, pids: Pids):
    """FAULTS 12: a cancelled run tells first; what it cannot delete in time is off git's list and goes later."""
    home.repo.write({f"many/{n % 50}/{n}.txt": "x\n" for n in range(12_000)})
    home.repo.git("add", "-A")
    home.repo.git("commit", "-qm", "many")
    home.repo.push()
    tasks(home, 4)
    run = conduct(slots=4, programs=[ill("polite.sh", pids.folder)])
    pids.expect(4, within_s=70)  # four trees of 12,000 files are made first

    at = run.signal()
    ran = run.end()

    assert (130, True) == (ran.code, time.monotonic() - at < HARD_S), ran.err
    assert [""] * 4 == [t["kept_because"] for t in ran.report["tasks"]]
    assert "" == home.repo.git("branch", "--list", "orchestrator/*")
    home.assert_tidy_after_cancel()


@pytest.mark.parametrize("number", few([signal.SIGTERM, signal.SIGHUP], 1))
def test_other_signals_cancel_too(home: House, conduct, pids: Pids, number):
    """FAULTS 14: also when the terminal goes away."""
    tasks(home, 1)
    run = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)

    at = run.signal(number)
    ran = run.end()

    assert (130, True) == (ran.code, time.monotonic() - at < HARD_S)
    home.assert_tidy_after_cancel()


@pytest.mark.slow
def test_waiting_tasks_are_cancelled_and_counted(home: House, conduct, pids: Pids):
    tasks(home, 6)
    run = conduct(slots=2, programs=[ill("polite.sh", pids.folder)])
    pids.expect(2)

    run.signal()
    ran = run.end()

    assert 6 == ran.report["counts"]["cancelled"]
    assert 2 == len(pids.all())
    waiting = (home.forge / "issues" / "6.md").read_text()
    assert '"orchestrate"' in waiting or "[orchestrate]" in waiting, "what never began is as it was"


def test_uncommitted_work_is_saved(home: House, conduct, pids: Pids):
    tasks(home, 1)
    mess = f"echo precious > notes.txt; : > {pids.folder}/$$; exec sleep 1000"
    run = conduct(programs=[["sh", "-c", mess]])
    pids.expect(1)

    run.signal()
    ran = run.end()

    assert "precious" == home.repo.git("show", "refs/orchestrator/salvage/issue-1:notes.txt")
    [task] = ran.report["tasks"]
    assert "uncommitted" in task["kept_because"]
    assert (Path(task["worktree"]) / "notes.txt").exists()


def test_committed_work_is_pushed_and_its_check_says_cancelled(home: House, conduct, pids: Pids):
    tasks(home, 1)
    work = f"echo x > new.txt; git add new.txt; git commit -qm new; : > {pids.folder}/$$; exec sleep 1000"
    run = conduct(programs=[["sh", "-c", work]])
    pids.expect(1)

    run.signal()
    [task] = run.end().report["tasks"]

    assert task["head_sha"] == home.repo.at_remote(f"refs/heads/{task['branch']}")
    check = json.loads((home.forge / "checks" / task["head_sha"] / "orchestrator.json").read_text())
    assert ("completed", "cancelled") == (check["status"], check["conclusion"])
    home.assert_tidy_after_cancel()


def test_before_the_first_task_nothing_has_begun(home: House):
    """FAULTS 13: while it is still being planned; the remote hangs."""
    tasks(home, 1)
    server = socket.create_server(("127.0.0.1", 0))
    home.repo.git("remote", "set-url", "origin", f"http://127.0.0.1:{server.getsockname()[1]}/r.git")
    argv = home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch")
    process = subprocess.Popen(
        argv, cwd=home.repo.path, env=home.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        server.settimeout(30)
        connection, _ = server.accept()
        at = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
        server.close()
    connection.close()

    assert 130 == process.returncode, err
    assert time.monotonic() - at < HARD_S
    assert "Traceback" not in err
    assert not (home.repo.path / ".git" / "orchestrator" / "runs").exists()


@pytest.mark.parametrize("after_ms", few([0, 20, 40, 60, 80, 120, 160, 250, 400, 600], 2))
def test_at_any_moment_of_a_trees_making_nothing_is_half_done(home: House, conduct, after_ms: int):
    """FAULTS 13: no half tree, no stale lock. What an agent had not committed yet is saved and kept."""
    tasks(home, 4)
    run = conduct(slots=4, programs=["patch"])
    run.until("run-started")
    time.sleep(after_ms / 1000)

    at = run.signal()
    ran = run.end()

    assert time.monotonic() - at < HARD_S
    assert (130, 4) == (ran.code, sum(ran.report["counts"].values())), ran.err
    assert "Traceback" not in ran.err
    kept = {t["worktree"]: t for t in ran.report["tasks"] if t["kept_because"]}
    for task in kept.values():
        assert "uncommitted changes" in task["kept_because"]
        assert home.repo.git("rev-parse", f"refs/orchestrator/salvage/{task['task_id']}")
    home.assert_tidy(kept=list(kept))


@pytest.mark.slow
def test_after_the_last_task_all_is_as_it_ended(home: House, conduct):
    """FAULTS 13: the results stand."""
    tasks(home, 1)
    run = conduct(programs=["patch"])
    run.until("task-ended")

    run.signal()
    ran = run.end()

    assert ran.code in {0, 130}
    assert "success" == ran.report["tasks"][0]["status"]
    home.assert_tidy_after_cancel()


@pytest.mark.slow
def test_a_forge_that_hangs_does_not_keep_a_cancelled_run(home: House, conduct, pids: Pids):
    """FAULTS 12, 14: what was not confirmed is pending in the journal, and told once by the next run."""
    tasks(home, 3)
    run = conduct(slots=3, programs=[ill("stubborn.sh", pids.folder, 2)])
    pids.expect(6)

    with Stuck(home):
        at = run.signal()
        ran = run.end()
        took = time.monotonic() - at

    assert took < HARD_S
    assert 130 == ran.code, ran.err
    assert {"cancelled"} == {t["status"] for t in ran.report["tasks"]}
    pending = {e["task"] for e in home.events() if e["kind"] == "pending"}
    assert {"issue-1", "issue-2", "issue-3"} == pending
    assert "pending" in home.cli("status", "--json").out
    pids.assert_gone(at_least=6)

    again = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch")
    assert 3 == again.code and "told what was pending" in again.err, again.err
    for number in (1, 2, 3):
        assert 1 == len(list((home.forge / "comments" / str(number)).glob("*.md")))
        assert "orchestrate:running" not in (home.forge / "issues" / f"{number}.md").read_text()
    third = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch")
    assert "pending" not in third.err


def test_a_reader_that_stops_reading_does_not_keep_a_cancelled_run(home: House, pids: Pids, conduct):
    """FAULTS 14: stderr is a full pipe, stdout closed."""
    import sys

    from tests.kit.whole import PACKAGE

    tasks(home, 2)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    agent = json.dumps({"programs": [ill("polite.sh", pids.folder)]})
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.kit.conduct", "run", f"local:{home.forge}", agent],
        cwd=home.repo.path,
        env={**home.environment(), "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writer,
        preexec_fn=lambda: os.close(1),
    )
    os.close(writer)
    try:
        pids.expect(2)
        at = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(reader)

    assert (130, True) == (code, time.monotonic() - at < HARD_S)
    assert {"issue-1": "cancelled", "issue-2": "cancelled"} == statuses(home)
    home.assert_tidy_after_cancel()
