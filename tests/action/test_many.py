"""Many labelled issues: what is asked of GitHub before the first agent starts grows by pages, not by issues."""

from __future__ import annotations

import pytest

from tests.kit.runner import Runner

ISSUES = 1000


@pytest.mark.usefixtures("graphql")
def test_a_thousand_labelled_issues_are_admitted_in_one_request_a_hundred(runner: Runner):
    """The list tells who set each label and when a text was edited; people are asked about once each."""
    github = runner.github
    for number in range(ISSUES):
        github.state.add_issue(f"Do {number}", "text " * 100, user="octo", labels=("orchestrate",))
    stranger = github.state.add_issue("Evil", "text", user="stranger", labels=("orchestrate",)).number

    done = runner.step(dry_run="true")

    assert ISSUES == done.log.count("would run issue-"), done.log[-2000:]
    assert f"#{stranger} is not started: stranger has no write access" in done.log
    listed = -(-(ISSUES + 1) // 100)
    few = 1 + 2  # the empty list of running issues, two people
    # what is looked at before anything is paid: the repository, three permissions, rules of branches
    few += 5
    assert len(github.requests) <= listed + few, github.by_operation()
    assert listed == github.count("POST", "/graphql")
