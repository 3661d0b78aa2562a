"""Comments that order something without asking for work: `/orchestrate cancel` and `/orchestrate explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.action.test_queue import abandoned, issue, started
from tests.kit.github_server.state import Issue
from tests.kit.repos import git
from tests.kit.runner import RUN_ID, Runner, Stepped, checked_out, wait_for
from tests.kit.whole import LIES, alive

pytestmark = pytest.mark.timeout(200)


def order(runner: Runner, one: Issue, text: str, *, user: str = "octo") -> Stepped:
    """Somebody comments on an issue, and the step of that event runs."""
    made = runner.github.state.add_comment(one, text, user=user)
    payload = runner.commented(one.number, text, user=user)
    payload["comment"]["id"] = made.id
    if one.pull:
        payload["issue"]["pull_request"] = {"url": "x"}
    return runner.step(event="issue_comment", payload=payload)


def answer(runner: Runner, one: Issue) -> str:
    [said] = [c.body for c in runner.github.state.comments_on(one.number) if ":order:" in c.body[:60]]
    return said


def another(runner: Runner, root: Path) -> Runner:
    """A second workflow run, on a checkout of its own."""
    number = RUN_ID + 1
    runner.github.state.runs[number] = {"id": number, "status": "in_progress", "conclusion": None}
    (root / "temp-2").mkdir()
    work = checked_out(runner.github, runner.repo, root / "work-2")
    return Runner(runner.github, work, root / "temp-2", {"GITHUB_RUN_ID": str(number)})


def test_cancel_ends_the_agent_of_a_run_on_another_machine(runner: Runner, tmp_path: Path):
    signals = tmp_path / "signals"
    signals.mkdir()
    test = f"[ ! -e more.py ] || {{ touch {signals / 'testing'}; sleep 600; }}; echo 'OK: 1 passed'"
    (runner.repo.path / ".github" / "orchestrator.yml").write_text(
        f"agent: patch\ntest: {json.dumps(test)}\nphases: {{testing: waivable}}\nsandbox: {{write: [{signals}]}}\n"
    )
    git(runner.repo.path, "commit", "-qam", "slow tests")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
    one = issue(runner)
    process, _ = runner.start(event="issues", payload=runner.labeled(one.number))
    wait_for(lambda: (signals / "testing").exists(), "the tests")

    done = order(another(runner, tmp_path), one, "/orchestrate cancel")
    log, _ = process.communicate(timeout=100)

    assert f"Run `{RUN_ID}.1` is told to end its agent" in answer(runner, one), done.log
    assert (0, 1, ["orchestrate:failed"]) == (done.code, process.returncode, one.labels), log
    assert "issue-1: cancelled" in log and "cancelled by a comment" in log
    wait_for(lambda: not alive(runner.repo.path, runner.temp), "the end of all processes")


def test_cancel_takes_back_what_waits(runner: Runner):
    one = issue(runner)

    done = order(runner, one, "/orchestrate cancel")

    assert ([], []) == (one.labels, started(runner)), done.log
    assert "The label `orchestrate` is taken off" in answer(runner, one)


def test_cancel_of_nothing_says_so(runner: Runner):
    one = runner.github.state.add_issue("Add more", "x", user="octo")

    order(runner, one, "/orchestrate cancel please")

    assert "there is nothing to cancel" in answer(runner, one)


def test_cancel_keeps_a_dead_runs_issue_from_being_taken_up(runner: Runner):
    one = abandoned(runner, "99.1")
    runner.github.state.runs[99] = {"id": 99, "status": "completed", "conclusion": "cancelled"}

    order(runner, one, "/orchestrate cancel")
    done = runner.step()

    assert ("neutral", ["orchestrate:failed"], []) == (
        done.outputs["conclusion"],
        one.labels,
        started(runner),
    )
    assert "is dead" in answer(runner, one)


@pytest.mark.parametrize("verb", ["cancel", "explain"])
def test_strangers_order_nothing(runner: Runner, verb: str):
    one = issue(runner)

    done = order(runner, one, f"/orchestrate {verb}", user="stranger")

    assert (0, "neutral", ["orchestrate"]) == (done.code, done.outputs["conclusion"], one.labels)
    assert "stranger has no write access" in done.log
    assert 1 == len(runner.github.state.comments_on(one.number))


def test_explain_says_why_an_issue_that_waits_is_not_begun(runner: Runner):
    one = runner.github.state.add_issue("Add more", "x", user="stranger", labels=("orchestrate",))

    done = order(runner, one, "/orchestrate explain")

    said = answer(runner, one)
    assert "would not begin with it" in said and "stranger has no write access" in said, done.log
    assert ["orchestrate"] == one.labels and "no audit trail" in said


def test_explain_says_what_is_open_of_the_last_attempt(runner: Runner):
    one = issue(runner, LIES)
    runner.step()

    done = order(runner, one, "/orchestrate explain")

    said = answer(runner, one)
    assert "**failed**" in said and "Testing, refuted" in said and "Its cause" in said, done.log
    assert "Nothing is under way" in said


def test_explain_names_the_run_that_is_at_work(runner: Runner):
    one = abandoned(runner, "98.1")
    runner.github.state.runs[98] = {"id": 98, "status": "in_progress", "conclusion": None}

    order(runner, one, "/orchestrate explain")

    assert "Run `98.1` is at work on it now" in answer(runner, one)


def pull_of(runner: Runner) -> Issue:
    return next(i for i in runner.github.state.issues.values() if i.pull)


def test_orders_are_heard_on_the_pull_request_too(runner: Runner):
    issue(runner)
    runner.step()

    done = order(runner, pull_of(runner), "/orchestrate explain")

    said = answer(runner, pull_of(runner))
    assert "**success**" in said and "11 of 11 phases are settled" in said, done.log
