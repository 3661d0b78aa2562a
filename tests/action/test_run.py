"""A step of the Action from its environment to what stands on GitHub afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kit.runner import Runner
from tests.kit.whole import GOOD, alive


def test_a_labelled_issue_becomes_a_verified_pull(runner: Runner):
    github = runner.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step(event="issues", payload=runner.labeled(issue.number))

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    head = github.state.sha_of(pull.pull.head)
    [check] = github.state.checks.values()
    assert ("completed", "success", head) == (check.status, check.conclusion, check.head_sha)
    assert ["orchestrate:done"] == issue.labels
    assert [str(pull.number)] == done.outputs["pull-requests"].strip("[]").split(", ")
    assert ("1", "0") == (done.outputs["succeeded"], done.outputs["failed"])
    [comment] = github.state.comments_on(issue.number)
    assert "state=done" in comment.body.splitlines()[1]
    assert "```mermaid\ngantt" in done.summary
    assert done.report["run_id"] == done.outputs["run-id"]
    assert json.loads(Path(done.outputs["report-path"]).read_text())["run_id"] == done.outputs["run-id"]
    assert [] == alive(runner.repo.path)
