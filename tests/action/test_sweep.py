"""One request of the whole flow fails: the run ends as it should, and nothing is there twice.

`python -m benchmarks faults` has every fault at every request; here each request meets one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import NPM, need
from tests.kit.github_server import GitHubServer
from tests.kit.runner import Runner
from tests.kit.sweep import REQUESTS, Case, play, sample
from tests.kit.whole import GOOD

SLOW = 3
"""On a slow machine there is progress to be told: two updates, and a check in progress."""
pytestmark = [pytest.mark.slow, pytest.mark.npm, pytest.mark.usefixtures("graphql")]


@pytest.mark.parametrize("case", sample(), ids=str)
def test_a_fault_anywhere_posts_nothing_twice_and_ends_as_told(case: Case, tmp_path: Path):
    need(NPM / "@octokit" / "webhooks-examples", "@octokit/webhooks-examples")

    played = play(case, tmp_path)

    assert (True, []) == (played.struck, played.wrong), "\n".join(played.wrong)


@pytest.mark.parametrize("graphql", REQUESTS)
def test_the_sweep_leaves_no_request_out(runner: Runner, github: GitHubServer, graphql: bool):
    github.graphql = graphql
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate", "bug"))

    runner.step(event="issues", payload=runner.labeled(issue.number))

    extra = len(github.requests) - REQUESTS[graphql]
    assert 0 <= extra <= SLOW, github.by_operation()
