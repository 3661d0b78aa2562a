"""The whole way on GitHub: the real command, git over HTTP, and what stands on GitHub afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.github_server import TOKEN, GitHubServer
from tests.kit.repos import Repo
from tests.kit.whole import EMPTY, GOOD, LIBRARY, LIES, House, Ran


@pytest.fixture
def home(make: Callable[..., Repo]) -> House:
    return House(repo=make(LIBRARY), forge=Path())


@pytest.fixture
def server(home: House) -> Iterator[GitHubServer]:
    with GitHubServer(home.repo.remote) as github:
        home.repo.git("remote", "set-url", "origin", github.clone_url)
        home.env |= {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": github.url,
            "GITHUB_REPOSITORY": github.repository,
        }
        yield github


def drain(home: House) -> Ran:
    return home.cli("run", "--forge", "github", "--agent", "patch", "--json")


def test_labelled_issues_become_verified_pulls(home: House, server: GitHubServer) -> None:
    """Success, refutation and nothing done, each told on GitHub once; a second run finds nothing to do."""
    for title, text in (("Add more", GOOD), ("Break it", LIES), ("Say nothing", EMPTY)):
        server.state.add_issue(title, text, user="octo", labels=("orchestrate",))

    ran = drain(home)
    state = server.state
    pulls = [i for i in state.issues.values() if i.pull]
    again = drain(home)

    assert (1, 3) == (ran.code, again.code)
    assert "success" == ran.task("issue-1")["status"], ran.err
    assert {"orchestrate:done": 1, "orchestrate:failed": 2} == Counter(
        n for i in state.issues.values() for n in i.labels
    )
    assert {1: 1, 2: 1, 3: 1} | {p.number: 1 for p in pulls} == Counter(
        c.number for c in state.comments.values()
    )
    assert ["Add more"] == [p.title for p in pulls if "Add more" in p.title]
    for pull in pulls:
        assert pull.pull
        head = home.repo.at_remote(f"refs/heads/{pull.pull.head}")
        assert [1] == [sum(c.head_sha == head for c in state.checks.values())]
    assert "success" in [c.conclusion for c in state.checks.values()]
    assert None not in [c.conclusion for c in state.checks.values()]
    home.assert_tidy()


def test_what_a_successful_task_costs_in_requests(home: House, server: GitHubServer) -> None:
    """Measured, so that a change that costs more is seen; the listing is shared by all tasks."""
    for name in ("running", "done"):
        server.state.label(f"orchestrate:{name}", description="known")
    for i in (1, 2):
        server.state.add_issue(f"Add more {i}", GOOD, user="octo", labels=("orchestrate",))

    ran = drain(home)

    assert [0, 2] == [ran.code, ran.report["counts"]["success"]], ran.err
    assert server.count() <= 1 + 2 * 15, server.by_operation()
