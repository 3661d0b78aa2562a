"""A run is watched and ended from another terminal."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.kit.ill import Pids, eventually
from tests.kit.whole import House
from tests.run.conftest import ill, tasks


def test_another_terminal_cancels_a_run(home: House, conduct, pids: Pids):
    tasks(home, 2)
    run = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(2)

    told = home.cli("cancel", "last")
    ran = run.end()

    assert (0, 130) == (told.code, ran.code), told.err
    assert "was cancelled" in told.err
    assert {"cancelled from another terminal"} == {t["error"] for t in ran.report["tasks"]}
    home.assert_tidy_after_cancel()


def test_another_terminal_cancels_one_task_and_the_others_go_on(home: House, conduct, pids: Pids, tmp_path):
    tasks(home, 2)
    go = tmp_path / "go"
    waits = f": > {pids.folder}/$$; while [ ! -e {go} ]; do sleep 0.02; done"
    run = conduct(programs=[["sh", "-c", waits]])
    pids.expect(2)

    told = home.cli("cancel", "last", "issue-1")
    go.touch()
    ran = run.end()

    assert (0, "issue-1: cancelled") == (told.code, told.err.strip())
    assert ("cancelled", "incomplete") == tuple(t["status"] for t in ran.report["tasks"])
    assert 1 == ran.code, "a cancelled task is not a cancelled run"


def test_given_twice_the_order_kills_at_once(home: House, conduct, pids: Pids):
    """The run stands still until both were given, so that it cannot have ended by the first alone."""
    tasks(home, 1)
    run = conduct(programs=[ill("stubborn.sh", pids.folder, 2)])
    pids.expect(2)
    run.signal(signal.SIGSTOP)
    command = home.command("cancel", "last")
    both = [
        subprocess.Popen(command, cwd=home.repo.path, env=home.environment(), stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    eventually(lambda: 2 == len(list((home.run_dir / "orders").iterdir())), what="both orders")

    run.signal(signal.SIGCONT)
    ran = run.end()
    for order in both:
        order.communicate()

    assert 130 == ran.code
    assert ["cancel", "cancel-now"] == [e["data"]["order"] for e in home.events() if e["kind"] == "cancelled"]


def test_what_is_not_running_cannot_be_cancelled(home: House):
    tasks(home, 1)
    home.run()

    ran = home.cli("cancel", "last")
    unknown = home.cli("cancel", "last", "issue-9")

    assert (2, True) == (ran.code, "has ended" in ran.err)
    assert (2, True) == (unknown.code, "no task 'issue-9'" in unknown.err)


def test_status_and_logs_follow_a_run_from_another_terminal(home: House, conduct, pids: Pids, tmp_path):
    tasks(home, 1)
    go = tmp_path / "go"
    waits = f"echo first; : > {pids.folder}/$$; while [ ! -e {go} ]; do sleep 0.02; done; echo last"
    run = conduct(programs=[["sh", "-c", waits]])
    pids.expect(1)
    popen = {
        "cwd": home.repo.path,
        "env": home.environment(),
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    logs = subprocess.Popen(home.command("logs", "issue-1", "-f"), text=True, **popen)
    watch = subprocess.Popen(home.command("status", "--watch", "--json"), text=True, **popen)
    assert "first\n" == logs.stdout.readline()
    seen = json.loads(watch.stdout.readline())
    assert [("running", "running")] == [(r["state"], r["tasks"][0]["status"]) for r in seen["runs"]]
    assert seen["runs"][0]["pid"] == run.process.pid

    go.touch()
    run.end()

    assert "last\n" == logs.communicate(timeout=30)[0]
    out, _ = watch.communicate(timeout=30)
    last = json.loads(out.splitlines()[-1])
    assert [("ended", "incomplete")] == [(r["state"], r["tasks"][0]["status"]) for r in last["runs"]]
    assert (0, 0) == (logs.returncode, watch.returncode)


@pytest.mark.slow
def test_the_logs_of_a_task_that_waits_are_waited_for(home: House, conduct, pids: Pids):
    tasks(home, 2)
    run = conduct(slots=1, programs=[["sh", "-c", f"echo here; : > {pids.folder}/$$; exec sleep 1000"]])
    pids.expect(1)

    early = home.cli("logs", "issue-2")
    with subprocess.Popen(
        home.command("logs", "issue-2", "-f"), cwd=home.repo.path, env=home.environment(),
        stdout=subprocess.PIPE, text=True,
    ) as logs:  # fmt: skip
        home.cli("cancel", "last", "issue-1")
        assert "here\n" == logs.stdout.readline()
        run.signal()
        logs.communicate(timeout=30)
    run.end()

    assert (2, True) == (early.code, "task issue-2 of run" in early.err and "has not begun" in early.err)
    assert "hint: wait for it: orchestrator-action logs issue-2 -f" in early.err
    assert 0 == logs.returncode


@pytest.mark.slow
def test_cancel_waits_for_the_end_it_reports(home: House, conduct, pids: Pids):
    tasks(home, 1)
    run = conduct(programs=[ill("stubborn.sh", pids.folder, 2)])
    pids.expect(2)

    home.cli("cancel", "last")

    eventually(lambda: run.process.poll() is not None, within_s=2.0, what="the end of the run")
