"""An orchestrator that dies, or is stopped, while the forge keeps it waiting: whose the issue is, what is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_action.forge.folder.forge import LocalForge
from orchestrator_action.protocol.lease import Lease
from orchestrator_action.text.limits import marker
from tests.kit.ill import Pids
from tests.kit.whole import GOOD, House
from tests.run.conftest import Conducted, Stuck


def forge(home: House) -> LocalForge:
    return LocalForge(home.forge, read_ref=lambda branch: home.repo.at_remote(f"refs/heads/{branch}"))


def comments(home: House) -> list[str]:
    return [c.body for c in forge(home).comments(1)]


def taking(home: House, conduct) -> Conducted:
    """A run that has written down that it takes issue 1, and now waits for the forge."""
    home.issue(1, "Add a module", GOOD)
    run = conduct(programs=["patch"])
    run.until("claiming")
    return run


def taken_by_another(home: House) -> None:
    """What another run leaves that took the issue first."""
    ours = marker("task", "issue-1")
    assert forge(home).take_label(1, "orchestrate")
    claim = Lease(run="another", request="", state="running")
    forge(home).comment(1, marker=ours, body=f"{ours}\n{claim}\nat work")
    forge(home).set_labels(1, add=["orchestrate:running"])


def killed(run: Conducted) -> None:
    run.process.kill()
    run.end()


def test_the_label_a_killed_run_took_is_its_own(home: House, conduct):
    """FAULTS 25: it was killed when the label was gone, and before it could write down that it had it."""
    with Stuck(home):
        killed(taking(home, conduct))
    assert forge(home).take_label(1, "orchestrate")

    ran = conduct("resume", programs=["patch"]).end()

    assert (0, "success") == (ran.code, ran.report["tasks"][0]["status"]), ran.err
    assert ("orchestrate:done",) == forge(home).issue(1).labels
    assert 1 == len(comments(home))
    home.assert_tidy()


def test_the_label_another_run_took_meanwhile_is_not(home: House, conduct):
    with Stuck(home):
        killed(taking(home, conduct))
    taken_by_another(home)

    ran = conduct("resume", programs=["patch"]).end()

    [task] = ran.report["tasks"]
    assert ("skipped", True) == (task["status"], "another run took issue #1" in task["error"]), ran.err
    assert ("orchestrate:running",) == forge(home).issue(1).labels
    assert ["at work"] == [body.splitlines()[-1] for body in comments(home)]


@pytest.mark.slow
def test_a_run_cancelled_while_it_takes_an_issue_gives_it_an_end(home: House, conduct):
    """FAULTS 12: whether the label moved is unknown; the next run finds out, and tells once."""
    with Stuck(home):
        run = taking(home, conduct)
        run.signal()
        ran = run.end()
    assert (130, ["cancelled"]) == (ran.code, [t["status"] for t in ran.report["tasks"]]), ran.err
    assert [] == comments(home)
    forge(home).take_label(1, "orchestrate")

    again = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch")

    assert 3 == again.code and "told what was pending" in again.err, again.err
    assert ("orchestrate:failed",) == forge(home).issue(1).labels
    assert ["cancelled" in body for body in comments(home)] == [True]
    home.assert_tidy()


@pytest.mark.slow
def test_nothing_is_told_of_an_issue_another_run_took_from_a_cancelled_one(home: House, conduct):
    with Stuck(home):
        run = taking(home, conduct)
        run.signal()
        ran = run.end()
    assert 130 == ran.code, ran.err
    taken_by_another(home)

    home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch")

    assert ("orchestrate:running",) == forge(home).issue(1).labels
    assert ["at work"] == [body.splitlines()[-1] for body in comments(home)]


def test_uncommitted_work_is_saved_when_only_the_telling_was_left(
    home: House, conduct, pids: Pids, tmp_path: Path
):
    """The task was judged, and its orchestrator killed before it could tell that to a forge that hung."""
    home.issue(1, "Add a module", GOOD)
    go = tmp_path / "go"
    work = f"echo precious > notes; : > {pids.folder}/$$; while [ ! -e {go} ]; do sleep 0.02; done"
    run = conduct(programs=[["sh", "-c", work]])
    pids.expect(1)
    with Stuck(home):
        go.touch()
        run.until("judged")
        killed(run)

    ran = conduct("resume", programs=["patch"]).end()

    [task] = ran.report["tasks"]
    assert ("incomplete", True) == (task["status"], "uncommitted changes: notes" in task["kept_because"]), (
        ran.err
    )
    assert "precious" == home.repo.git("show", "refs/orchestrator/salvage/issue-1:notes")
    home.assert_tidy(kept=[task["worktree"]])


@pytest.mark.slow
def test_a_remote_that_takes_long_gets_fewer_pushes_of_the_audit_trail(home: House, conduct):
    """After each it has three times as long to itself as it took, until the task ends."""
    log, hook = home.forge.parent / "pushes", home.repo.remote / "hooks" / "pre-receive"
    hook.write_text(
        "#!/bin/sh\nread -r old new ref\ncase $ref in refs/orchestrator/*)\n"
        f"date +%s%N >>{log}; sleep 0.2; date +%s%N >>{log};;\nesac\n"
    )
    hook.chmod(0o755)
    home.issue(1, "Add more", GOOD)
    claim = "git commit -q --allow-empty -m more; orchestrator-phase done initial-setup; sleep 0.2"
    claims = f'while [ "$(cat {log} 2>/dev/null | wc -l)" -lt 10 ]; do {claim}; done'

    ran = conduct(shell={"issue-1": f'{claims}; "$@"'}).end()

    assert ran.code in {0, 1}, ran.err
    times = [int(at) / 1e9 for at in log.read_text().split()][:9]  # four pushes, and the begin of the fifth
    took = [ended - began for began, ended in zip(times[::2], times[1::2], strict=False)]
    pauses = [began - ended for ended, began in zip(times[1::2], times[2::2], strict=True)]
    assert 4 == len(pauses) and all(p >= 3 * t for p, t in zip(pauses, took, strict=False)), (took, pauses)
