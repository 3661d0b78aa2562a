"""A run that died outright is gone on with by the next one, on a machine that knows nothing of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.action.test_queue import edit, started
from tests.kit.github_server.state import Issue
from tests.kit.repos import git
from tests.kit.runner import RUN_ID, Runner, Stepped, checked_out, wait_for
from tests.kit.whole import GOOD, alive

pytestmark = pytest.mark.timeout(300)
TRAIL = "refs/orchestrator/tasks/issue-1"


class Dead:
    """One issue whose run was killed while its tests ran: its commit and its trail are at the remote."""

    def __init__(self, runner: Runner, tmp_path: Path, *, by_command: bool = False) -> None:
        self.runner, self.root = runner, tmp_path
        signals = tmp_path / "signals"
        signals.mkdir()
        self.go_on, mark = signals / "go-on", signals / "testing"
        hang = f"touch {mark}; sleep 600"
        quick = f"[ ! -e more.py ] || [ -e {self.go_on} ]"
        test = f"if {quick}; then {sys.executable} -m unittest discover; else {hang}; fi"
        (runner.repo.path / ".github" / "orchestrator.yml").write_text(
            f"agent: patch\ntest: {json.dumps(test)}\nsandbox: {{write: [{signals}]}}\n"
        )
        git(runner.repo.path, "commit", "-qam", "slow tests")
        git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
        self.issue: Issue = runner.github.state.add_issue("Add more", GOOD, user="octo")
        process, _ = runner.start(**(self.command() if by_command else self.labeled()))
        wait_for(lambda: mark.exists() and started(runner) and self.said("implementation"), "the push")
        process.kill()
        process.communicate(timeout=30)
        wait_for(lambda: not alive(runner.repo.path, runner.temp), "the end of all processes", within_s=30)
        runner.github.state.runs[RUN_ID] |= {"status": "completed", "conclusion": "failure"}
        self.head = git(runner.repo.remote, "rev-parse", started(runner)[0]).strip()

    def labeled(self) -> dict[str, Any]:
        self.runner.github.label(1, "orchestrate", actor="octo")
        return {"event": "issues", "payload": self.runner.labeled(1)}

    def command(self) -> dict[str, Any]:
        comment = self.runner.github.state.add_comment(self.issue, "/orchestrate", user="octo")
        payload = self.runner.commented(1, "/orchestrate", user="octo")
        payload["comment"]["id"] = comment.id
        return {"event": "issue_comment", "payload": payload}

    def trail(self) -> list[str]:
        """The lines of the trail, oldest first."""
        remote = self.runner.repo.remote
        names = git(remote, "ls-tree", "--name-only", TRAIL, check=False).split()
        return [line for n in names for line in git(remote, "show", f"{TRAIL}:{n}").splitlines()]

    def said(self, phase: str) -> bool:
        return any(f'"phase":"{phase}","rule"' in line for line in self.trail())

    def next_run(self, number: int = RUN_ID + 1) -> Stepped:
        """Another workflow run, on a fresh checkout."""
        self.go_on.touch()
        return self.another(number).step(event="schedule")

    def another(self, number: int) -> Runner:
        github, repo = self.runner.github, self.runner.repo
        temp = self.root / f"temp-{number}"
        temp.mkdir()
        github.state.runs[number] = {"id": number, "status": "in_progress", "conclusion": None}
        work = checked_out(github, repo, self.root / f"work-{number}")
        return Runner(github, work, temp, {"GITHUB_RUN_ID": str(number)})


@pytest.fixture
def dead(runner: Runner, tmp_path: Path) -> Dead:
    return Dead(runner, tmp_path)


def pulls(runner: Runner) -> list[Issue]:
    return [i for i in runner.github.state.issues.values() if i.pull]


def test_the_next_run_goes_on_where_the_dead_one_was(dead: Dead):
    """From the pushed commit, with what was proven, on the same branch, comment and pull."""
    runner = dead.runner
    before = [json.loads(line)["hash"] for line in dead.trail()]

    done = dead.next_run()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], dead.issue.labels), done.log
    [branch] = started(runner)
    assert dead.head == git(runner.repo.remote, "rev-parse", branch).strip()
    [pull] = pulls(runner)
    [comment] = runner.github.state.comments_on(1)
    assert f"it goes on at {dead.head[:12]}" in comment.body and "state=done" in comment.body
    [task] = done.report["tasks"]
    assert {"proven"} == {p["state"] for p in task["phases"]} and pull.number == task["pull"]["number"]
    events = [json.loads(line) for line in dead.trail()]
    assert set(before) <= {e["hash"] for e in events}
    assert 2 == len({e["run"] for e in events}) and "task-ended" == events[-1]["kind"]


def changed(lines: list[str]) -> list[str]:
    at = next(n for n, line in enumerate(lines) if '"rule":"clean-base"' in line)
    return [*lines[:at], lines[at].replace('"holds":true', '"holds":false'), *lines[at + 1 :]]


def test_a_trail_that_was_tampered_with_counts_for_nothing(dead: Dead):
    """The next run starts anew and says why; the trail it found is kept for people to look at."""
    runner, remote = dead.runner, dead.runner.repo.remote
    [name] = git(remote, "ls-tree", "--name-only", TRAIL).split()
    file = dead.root / "forged"
    file.write_text("".join(f"{line}\n" for line in changed(dead.trail())))
    blob = git(remote, "hash-object", "-w", str(file)).strip()
    git(remote, "read-tree", "--empty")
    git(remote, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    forged = git(remote, "commit-tree", git(remote, "write-tree").strip(), "-p", TRAIL, "-m", "x").strip()
    git(remote, "update-ref", TRAIL, forged)

    done = dead.next_run()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], dead.issue.labels), done.log
    [comment] = runner.github.state.comments_on(1)
    said = "it starts anew: its audit trail is not whole"
    assert said in comment.body and said in done.log
    assert 2 == len(started(runner)) and 1 == len(pulls(runner))
    assert 1 == len({json.loads(line)["run"] for line in dead.trail()})
    assert forged in git(remote, "for-each-ref", "refs/orchestrator/damaged/")


def rewritten(dead: Dead) -> None:
    remote = dead.runner.repo.remote
    other = git(remote, "commit-tree", f"{dead.head}^{{tree}}", "-p", "main", "-m", "another").strip()
    git(remote, "update-ref", started(dead.runner)[0], other)


def gone(dead: Dead) -> None:
    git(dead.runner.repo.remote, "update-ref", "-d", started(dead.runner)[0])


def untraced(dead: Dead) -> None:
    git(dead.runner.repo.remote, "update-ref", "-d", TRAIL)


def asked_again_for_something_else(dead: Dead) -> None:
    edit(dead.runner, dead.issue, title="Add even more")
    now = dead.runner.github.state.clock()
    dead.runner.github.state.clock = lambda: now + 5
    dead.runner.github.label(1, "orchestrate", actor="octo")


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (rewritten, "its branch was rewritten since"), (gone, "its branch is gone"),
        (untraced, "that run left no audit trail"),
        (asked_again_for_something_else, "it worked on another text"),
    ],
)  # fmt: skip
def test_what_does_not_fit_any_more_is_begun_anew_and_said(
    dead: Dead, happens: Callable[[Dead], None], why: str
):
    happens(dead)

    done = dead.next_run()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], dead.issue.labels), done.log
    assert why in done.log and why in dead.runner.github.state.comments_on(1)[0].body
    assert 1 == len(pulls(dead.runner))


def test_what_a_person_added_meanwhile_is_measured_again(dead: Dead):
    """Facts are of their commit: the review and the rest are of the head that is proposed."""
    runner = dead.runner
    clone = dead.root / "person"
    git(dead.root, "clone", "-q", str(runner.repo.remote), str(clone))
    branch = started(runner)[0].removeprefix("refs/heads/")
    git(clone, "checkout", "-q", branch)
    (clone / "numbers_.py").write_text("def double(n):\n    return n * 3\n")
    git(clone, "commit", "-qam", "mine")
    git(clone, "push", "-q")

    done = dead.next_run()

    [task] = done.report["tasks"]
    assert ("failed", "refuted") == (
        task["status"],
        next(p["state"] for p in task["phases"] if p["phase"] == "testing"),
    ), done.log
    assert branch == task["branch"]


def test_of_two_runs_that_would_take_over_one_does(dead: Dead):
    """The label stays in such a case, so it cannot decide; the trail at the remote does."""
    runner = dead.runner
    dead.go_on.touch()
    both = [dead.another(RUN_ID + n) for n in (1, 2)]
    begun = [r.start(event="schedule")[0] for r in both]

    logs = [p.communicate(timeout=200)[0] for p in begun]

    assert [0, 0] == [p.returncode for p in begun], "\n".join(logs)
    assert ["orchestrate:done"] == dead.issue.labels
    [branch] = started(runner)
    assert dead.head == git(runner.repo.remote, "rev-parse", branch).strip()
    assert 1 == len(pulls(runner)) and 1 == len(runner.github.state.comments_on(1))
    attempts = [json.loads(line) for line in dead.trail() if '"kind":"attempt-started"' in line]
    assert 2 == len({e["run"] for e in attempts}), "\n".join(logs)


def test_a_command_that_died_is_gone_on_with_by_whoever_comes(runner: Runner, tmp_path: Path):
    """Nobody set a label: the claim names the comment, and the forge is asked for it."""
    dead = Dead(runner, tmp_path, by_command=True)

    done = dead.next_run()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], dead.issue.labels), done.log
    assert "it goes on at" in done.log and 1 == len(pulls(runner))
