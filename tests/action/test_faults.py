"""Bad days at GitHub: each ends as it should, and nothing is posted twice."""

from __future__ import annotations

import pytest

from tests.kit.github_server import AFTER
from tests.kit.runner import Runner
from tests.kit.whole import GOOD

WRITES = {
    "the comment": ("POST", "/issues/1/comments"),
    "the pull": ("POST", "/pulls$"),
}


def one_of_each(runner: Runner) -> None:
    """One comment on the issue, one pull with one comment and no review, one check, the right label."""
    state = runner.github.state
    [pull] = [i for i in state.issues.values() if i.pull]
    assert 1 == len(state.comments_on(1)), [c.body[:80] for c in state.comments_on(1)]
    assert (1, 0) == (len(state.comments_on(pull.number)), len(pull.pull.reviews))
    [check] = state.checks.values()
    assert ("completed", "success") == (check.status, check.conclusion)
    assert ["orchestrate:done"] == state.issues[1].labels


@pytest.mark.parametrize("kind", ["secondary", "429"])
@pytest.mark.parametrize("what", ["the comment", "the pull"])
def test_a_rate_limit_is_waited_out(runner: Runner, kind: str, what: str):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    runner.github.graphql = False
    runner.github.fail(kind, *WRITES[what], wait_s=1)

    done = runner.step()

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    one_of_each(runner)


def test_a_ban_of_an_hour_is_not_waited_out(runner: Runner):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    runner.github.fail("secondary", "GET", "/issues$", wait_s=3600, times=50)

    done = runner.step()

    assert (4, "failure") == (done.code, done.outputs["conclusion"]), done.log
    assert "rate limit" in done.log and ["orchestrate"] == runner.github.state.issues[1].labels


def test_an_answer_that_never_comes_is_asked_for_again(runner: Runner):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    runner.github.graphql = False
    runner.github.fail("hang", *WRITES["the comment"])

    done = runner.step()

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    one_of_each(runner)


def test_an_expired_token_is_named_before_anything_starts(runner: Runner):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    runner.github.fail("401", times=50)

    done = runner.step()

    assert (4, "failure") == (done.code, done.outputs["conclusion"]), done.log
    assert "the token is wrong or has expired" in done.log
    assert ["orchestrate"] == runner.github.state.issues[1].labels


def test_a_token_that_expires_on_the_way_fails_the_task_and_keeps_its_commits(runner: Runner):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    faults = [runner.github.fail("401", "POST", path, times=50) for path in ("/graphql$", "/check-runs$")]

    done = runner.step()

    assert (1, "failed") == (done.code, done.status(1)), done.log
    assert "the check" in done.report["tasks"][0]["error"]
    [pull] = [i for i in runner.github.state.issues.values() if i.pull]
    assert runner.github.state.sha_of(pull.pull.head) == done.report["tasks"][0]["head_sha"]
    for fault in faults:
        fault.times = 0
    runner.step("settle")
    assert 1 == len(runner.github.state.checks) and 1 == len(runner.github.state.comments_on(1))


def test_a_pull_that_is_there_already_is_found(runner: Runner):
    """422: somebody, or we ourselves in an attempt that GitHub forgot to answer, opened it."""
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    body = {
        "message": "Validation Failed",
        "errors": [
            {"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for x."}
        ],
    }
    runner.github.fail("422", "POST", "/pulls$", when=AFTER, body=body)

    done = runner.step()

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    one_of_each(runner)


def test_an_issue_deleted_while_an_agent_works_is_that_tasks_end_only(runner: Runner):
    state = runner.github.state
    state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    state.add_issue("Other", GOOD.replace("more", "other"), user="octo", labels=("orchestrate",))
    runner.github.graphql = False
    runner.github.fail("410", "", "/issues/1(/|$)", after=3, times=100)

    done = runner.step()

    assert "success" == done.status(2), done.log
    assert done.status(1) in {"failed", "incomplete"} and 1 == done.code
    assert "Traceback" not in done.log
