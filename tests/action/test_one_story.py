"""One story: each write of publishing is refused alone, and every place still says the same of the task's end.

The places: exit code, outputs, report, summary, label, comments, check. What GitHub did not let us write says nothing;
whatever could be written, says how it ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator_action.protocol.model import Status
from orchestrator_action.publish.report.comments import STATUS_WORDS
from tests.action.test_preflight import add_issue, configured
from tests.action.test_steps import Jobs
from tests.kit.github_server import GitHubServer
from tests.kit.runner import RUN_ID, Runner, Stepped, ended, wait_for

Refuse = Callable[[Runner], object]


def rest(kind: str, method: str, path: str, *, after: int = 0) -> Refuse:
    """A request of REST that is refused for good, `after` so many; GraphQL is not there."""

    def refuse(runner: Runner) -> None:
        runner.github.graphql = False
        runner.github.fail(kind, method, path, times=100, after=after)

    return refuse


def mutation(name: str, *more: Refuse) -> Refuse:
    """One part of what is written together, and the request of REST for it."""

    def refuse(runner: Runner) -> None:
        runner.github.state.forbidden.add(name)
        for one in more:
            one(runner)

    return refuse


def also(kind: str, method: str, path: str) -> Refuse:
    return lambda runner: runner.github.fail(kind, method, path, times=100)


def all_of(*more: Refuse) -> Refuse:
    return lambda runner: [one(runner) for one in more]


WORKING = "### orchestrator: ⏳ working"
COMMENT, PULLS_COMMENT = r"/issues/comments/\d+$", r"/issues/2/comments$"
LABELS, LABEL = r"/issues/1/labels$", r"/issues/1/labels/orchestrate%3Arunning$"
CHECKS, STATUSES = r"/check-runs(/\d+)?$", r"/statuses/"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A write that is refused, and what is said of it."""

    how: Refuse
    named: str = ""
    """In the error; empty where the run finds another way and succeeds."""
    end: str = "failed"
    """Where something is named."""


REFUSED: dict[str, Refused] = {
    "comment on the issue, 403": Refused(how=rest("403", "PATCH", COMMENT), named="the comment on the issue"),
    "comment on the issue, 422": Refused(how=rest("422", "PATCH", COMMENT), named="the comment on the issue"),
    "comment on the pull request, 403": Refused(
        how=rest("403", "POST", PULLS_COMMENT), named="the comment on the pull request"
    ),
    "comment on the pull request, 410": Refused(
        how=rest("410", "POST", PULLS_COMMENT), named="the comment on the pull request"
    ),
    "comment on the pull request, together": Refused(
        how=mutation("addComment", also("403", "POST", PULLS_COMMENT)), named="the comment on the pull request"
    ),
    "check, 403": Refused(how=rest("403", "POST", CHECKS)),
    "check, 404": Refused(how=rest("404", "", CHECKS)),
    "check, 422": Refused(how=rest("422", "", CHECKS), named="the check"),
    "check and status, 403": Refused(
        how=all_of(rest("403", "POST", CHECKS), also("403", "POST", STATUSES)), named="the check"
    ),
    "check, together": Refused(how=mutation("createCheckRun", also("422", "", CHECKS)), named="the check"),
    "pull request, 403": Refused(
        how=rest("403", "POST", "/pulls$"), named="GitHub refuses the pull", end="incomplete"
    ),
    "pull request, 422": Refused(
        how=rest("422", "POST", "/pulls$"), named="GitHub refuses the pull", end="incomplete"
    ),
    "that it is ready, 403": Refused(
        how=all_of(configured("ready: verified\n"), mutation("markPullRequestReadyForReview")),
        named="that the pull request is ready",
    ),
    "label, 403": Refused(how=rest("403", "POST", LABELS, after=2), named="the labels"),
    "label, 422": Refused(how=rest("422", "POST", LABELS, after=2), named="the labels"),
    "label that goes, 403": Refused(how=rest("403", "DELETE", LABEL)),
    "label that goes, together": Refused(
        how=mutation("removeLabelsFromLabelable", also("403", "DELETE", LABEL))
    ),
}  # fmt: skip


def one_story(runner: Runner, done: Stepped) -> str:
    """The end that every place tells of, by its status. Raises AssertionError where two disagree."""
    state = runner.github.state
    [task] = done.report["tasks"]
    end = str(task["status"])
    good = end == "success"
    assert (0 if good else 1, f"issue-1: {end} after" in done.log) == (done.code, True), done.log
    outputs = [done.outputs[k] for k in ("conclusion", "succeeded", "failed")]
    assert (["success", "1", "0"] if good else ["failure", "0", "1"]) == outputs
    word, wrong = STATUS_WORDS[Status(end)], "❌ failed" if good else "✅ done"
    assert (True, False) == (word in done.summary, wrong in done.summary), done.summary
    said = [
        line
        for number in (1, *([task["pull"]["number"]] if task["pull"] else []))
        for comment in state.comments_on(number)
        for line in comment.body.splitlines()
        if line.startswith("### ")
    ]
    assert said and set(said) <= {f"### orchestrator: {word}", WORKING}, said
    label = "orchestrate:done" if good else "orchestrate:failed"
    ends = {"orchestrate:done", "orchestrate:failed"} & set(state.issues[1].labels)
    assert ends <= {label}, ends
    checks = {c.conclusion for c in state.checks.values() if c.head_sha == task["head_sha"]}
    checks |= {s.state for s in state.statuses}
    bad = {"failed": "failure", "incomplete": "action_required"}
    assert checks <= {"success" if good else bad[end]}, checks
    return end


@pytest.mark.parametrize("name", REFUSED)
def test_where_one_write_is_refused_every_other_place_says_the_same(
    runner: Runner, github: GitHubServer, name: str
):
    add_issue(runner)
    REFUSED[name].how(runner)

    done = runner.step()

    tells_one_story(runner, done, REFUSED[name].named, REFUSED[name].end)


def test_a_conversation_that_is_locked_while_an_agent_is_at_it_is_told_of_in_every_other_place(
    runner: Runner, github: GitHubServer
):
    issue = add_issue(runner)
    process, files = runner.start()
    wait_for(lambda: github.state.comments_on(1), "the claim")
    issue.locked = True

    log, _ = process.communicate(timeout=100)

    done = ended(process.returncode, log, files)
    tells_one_story(runner, done, "the comment on the issue")
    error = done.report["tasks"][0]["error"]
    assert "issue is locked" in error and "unlock the conversation" in error
    assert "issue is locked" in "".join(c.body for c in github.state.comments_on(2))


def test_what_is_told_afterwards_stands_in_the_report_too(runner: Runner, github: GitHubServer):
    """The step that settles finds the conversation open again. How the step before ended is not undone."""
    add_issue(runner)
    github.graphql = False
    fault = github.fail("403", "PATCH", COMMENT, times=100)
    first = runner.step()
    path = Path(first.outputs["report-path"])
    tells_one_story(runner, first, "the comment on the issue")
    fault.times = 0

    done = runner.step("settle")

    [task] = json.loads(path.read_text())["tasks"]
    assert ("success", "") == (task["status"], task["error"]), done.log
    assert ["orchestrate:done"] == github.state.issues[1].labels
    assert {"success"} == {c.conclusion for c in github.state.checks.values()}
    assert "told afterwards" in done.summary and "issue-1: told what was pending: success" in done.summary


def test_a_pull_request_that_cannot_be_closed_is_told_of_at_the_one_that_takes_its_place(
    runner: Runner, github: GitHubServer
):
    add_issue(runner)
    runner.step()
    github.label(1, "orchestrate", actor="octo")
    github.fail("403", "PATCH", "/pulls/2$", times=100)

    tells_one_story(runner, runner.step(), "that orchestrator/issue-1-add-more is superseded")


@pytest.mark.parametrize("graphql", [True, False])
def test_in_four_steps_the_last_one_tells_one_story_too(
    runner: Runner, github: GitHubServer, tmp_path: Path, graphql: bool
):
    add_issue(runner)
    github.graphql = graphql
    jobs = Jobs(github, runner.repo, tmp_path / "jobs", RUN_ID)
    jobs.plan()
    jobs.work_and_verify()
    github.state.issues[1].locked = True

    published = jobs.publish()

    task = published.task("issue-1")
    assert (1, "failed") == (published.code, task["status"]) and "issue is locked" in task["error"], (
        published.err
    )
    assert ["orchestrate:failed"] == github.state.issues[1].labels
    [check] = github.state.checks.values()
    [said] = github.state.comments_on(task["pull"]["number"])
    assert "failure" == check.conclusion and "### orchestrator: ❌ failed" in said.body


def tells_one_story(runner: Runner, done: Stepped, named: str, end: str = "failed") -> None:
    """Everywhere; `named` says what could not be written, and stands where nothing is."""
    assert (end if named else "success") == one_story(runner, done), done.log
    [task] = done.report["tasks"]
    assert named in task["error"] and named in done.log
    checks = [c for c in runner.github.state.checks.values() if c.head_sha == task["head_sha"]]
    assert all(named in check.output["title"] for check in checks), checks
