"""Progress on the issue: seldom, from what was measured, and never after the last word."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from orchestrator_action.protocol.events import Event, seal
from orchestrator_action.publish.progress import times
from tests.action.test_run import REQUESTS_A_TASK
from tests.kit.repos import git
from tests.kit.runner import Runner, wait_for
from tests.kit.whole import new_file


def event(seq: int, at: float, kind: str, task: str = "issue-1", **data: object) -> Event:
    return seal(seq=seq, at=at, run="r", task=task, kind=kind, data=data, prev="")


def test_a_phase_lasts_from_the_end_of_the_one_before_to_its_last_measurement():
    """What is measured again at the end of the task belongs to no phase."""
    journal = [
        event(1, 100.0, "run-started", ""), event(2, 101.0, "task-started"),
        event(3, 104.0, "claim", phase="initial-setup"), event(4, 105.0, "fact", phase="initial-setup"),
        event(5, 109.0, "claim", phase="testing"), event(6, 111.0, "fact", phase="testing"),
        event(7, 112.0, "fact", phase="testing"), event(8, 120.0, "fact", phase="initial-setup"),
    ]  # fmt: skip

    assert {"issue-1": [("initial-setup", 1.0, 5.0), ("testing", 5.0, 12.0)]} == times(journal)


def test_a_run_without_measurements_has_no_chart():
    assert {} == times([event(1, 1.0, "run-started", ""), event(2, 2.0, "task-started")])


@pytest.mark.usefixtures("graphql")
def test_progress_is_told_while_the_agent_works_at_most_once_in_fifteen_seconds(
    runner: Runner, tmp_path: Path
):
    """Twice, the second time with the pull, whose check has begun: ten requests in all, with an answer
    that GitHub keeps to itself for once."""
    mark = tmp_path / "signals" / "begun"
    mark.parent.mkdir()
    test = f"{sys.executable} -m unittest discover"
    held = f"touch {mark}; while ! test -e {mark}-end; do sleep 0.1; done"
    config = f'agent: patch\ntest: "if test -e m.py; then {held}; fi; {test}"\n'
    config += f"sandbox: {{write: [{mark.parent}]}}\n"
    (runner.repo.path / ".github" / "orchestrator.yml").write_text(config)
    git(runner.repo.path, "commit", "-qam", "slow")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
    github = runner.github
    for name in ("running", "done", "failed"):
        github.state.label(f"orchestrate:{name}", color="fbca04")  # as we made it once
    issue = github.state.add_issue("Add", new_file("m.py"), user="octo", labels=("orchestrate",))
    hang = github.fail("hang", "GET", r"/pulls/\d+$")
    process, _ = runner.start(event="issues", payload=runner.labeled(issue.number))
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.communicate()[:1]))
    reader.start()
    wait_for(mark.exists, "the test")

    def updates() -> int:
        return github.count("PATCH", "/issues/comments/")

    wait_for(lambda: updates() == 1, "the first update", within_s=40)
    [comment] = github.state.comments_on(issue.number)
    assert "working" in comment.body and "✅ proven" in comment.body and "state=running" in comment.body
    assert 1 == updates()
    Path(f"{mark}-end").touch()
    wait_for(lambda: updates() == 2, "the second update", within_s=40)
    [check] = github.state.checks.values()
    assert "| [#2](" in comment.body and "working" in comment.body, "the pull is named as soon as it is open"
    assert ("in_progress", None) == (check.status, check.conclusion)
    reader.join(60)

    assert "state=done" in comment.body, log
    assert "working" not in comment.body.splitlines()[2], "the last word stays the last"
    assert ("completed", 1, 1) == (check.status, len(github.state.checks), hang.struck)
    assert github.split()[1] - hang.struck <= REQUESTS_A_TASK, github.by_operation()
