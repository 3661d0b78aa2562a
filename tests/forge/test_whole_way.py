"""The whole way on GitHub: the real command, git over HTTP, and what stands on GitHub afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator_action.forge.github.labels import LABELS
from tests.kit.github_server import AFTER, PAT, TOKEN, GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import wait_for
from tests.kit.tables import few
from tests.kit.whole import EMPTY, GOOD, LIBRARY, LIES, House, Ran, new_file


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
    """Success, refutation and what cannot be done, each told on GitHub once; a second run finds nothing to do."""
    for title, text in (("Add more", GOOD), ("Break it", LIES), ("Say nothing", EMPTY)):
        server.state.add_issue(title, text, user="octo", labels=("orchestrate",))

    ran = drain(home)
    state = server.state
    pulls = [i for i in state.issues.values() if i.pull]
    again = drain(home)

    assert (1, 3) == (ran.code, again.code)
    assert "success" == ran.task("issue-1")["status"], ran.err
    assert {"orchestrate:done": 1, "orchestrate:failed": 1, "orchestrate:declined": 1} == Counter(
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


@pytest.mark.slow
def test_a_pull_names_the_pulls_it_will_conflict_with(home: House, server: GitHubServer) -> None:
    """As far as the run has pushed: the third touches what the second does, and nothing of the first."""
    for text in (new_file("one.py"), GOOD, GOOD.replace("more.py", "other.py")):
        server.state.add_issue("Add", text, user="octo", labels=("orchestrate",))

    ran = home.cli("run", "--forge", "github", "--agent", "patch", "--max-parallel", "1", "--json")

    last = [p for p in server.state.issues.values() if p.pull][-1]
    [said] = [c.body for c in server.state.comments_on(last.number)]
    assert "with `issue-2` (both touch the same paths): `README.md`" in said, ran.err
    assert "issue-1" not in said


REQUESTS_A_TASK, WRITES_A_TASK = 6, 3
"""GraphQL's and answers 304 counted too; what is asked for all tasks at once is the run's. A task of minutes has up
to two updates of its comment more, and a check that is begun before it is completed."""
ALONE = 1
"""Who set the label of one single issue is asked about that issue, not about all of them."""


@pytest.mark.usefixtures("graphql")
@pytest.mark.parametrize("tasks", few([1, 5], 1))
def test_what_a_successful_task_costs_in_requests(home: House, server: GitHubServer, tasks: int) -> None:
    """Everything that came in from the listing on, by number of tasks."""
    for name in ("running", "done"):  # made once in a repository's life
        color, said = LABELS[f"orchestrate:{name}"]
        server.state.label(f"orchestrate:{name}", color=color, description=said)
    for i in range(tasks):
        server.state.add_issue(f"Add more {i}", GOOD, user="octo", labels=("orchestrate",))

    ran = home.cli("run", "--forge", "github", "--label", "orchestrate", "--agent", "patch", "--json")

    assert [0, tasks] == [ran.code, ran.report["counts"]["success"]], ran.err
    shared, made = server.split()
    most = REQUESTS_A_TASK * tasks + (ALONE if tasks == 1 else 0)
    assert made <= most and shared <= 11, (made, shared, server.by_operation())
    writes = server.content_writes()
    assert writes <= WRITES_A_TASK * tasks, server.by_operation()
    print(
        f"{made} requests for {tasks} task(s), {made / tasks:.1f} each, and {shared} for all; {writes} content writes"
    )


@pytest.mark.slow
def test_a_run_on_a_bad_day_posts_nothing_twice(home: House, server: GitHubServer) -> None:
    """Each kind of write is carried out and then answered with a failure, once."""
    server.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    server.graphql = False
    faults = [
        server.fail("502", "POST", r"/comments$", when=AFTER),
        server.fail("reset", "POST", r"/pulls$", when=AFTER),
        server.fail("500", "POST", r"/check-runs$", when=AFTER),
        server.fail("504", "PATCH", r"/issues/comments/", when=AFTER),
        server.fail("html", "POST", r"/labels$", when=AFTER),
        server.fail("reset", "DELETE", r"/labels/", when=AFTER),
        server.fail("secondary", "GET", r"/issues", wait_s=1),
    ]

    ran = drain(home)

    state = server.state
    [pull] = [i for i in state.issues.values() if i.pull]
    assert pull.pull
    assert "success" == ran.task("issue-1")["status"], ran.err
    assert [1] * len(faults) == [f.struck for f in faults]
    assert Counter({1: 1, pull.number: 1}) == Counter(c.number for c in state.comments.values())
    assert 1 == len(state.checks)
    assert ["orchestrate:done"] == state.issues[1].labels
    home.assert_tidy()


def test_a_personal_token_ends_in_a_status(home: House, server: GitHubServer) -> None:
    """It cannot make check runs, and the run says so."""
    server.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    ran = home.cli("run", "--forge", "github", "--agent", "patch", "--json", env={"GITHUB_TOKEN": PAT})

    state = server.state
    assert "success" == ran.task("issue-1")["status"], ran.err
    assert ["success"] == [s.state for s in state.statuses]
    assert {"octo"} == {c.user for c in state.comments.values()}


def test_the_pull_is_read_once_at_the_end_and_that_reading_decides(home: House, server: GitHubServer) -> None:
    """What GitHub answered to its opening is not the last word: somebody closes it while the agent goes on."""
    server.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    def close_it() -> None:
        wait_for(lambda: any(i.pull for i in [*server.state.issues.values()]), "the pull", within_s=90)
        with server.lock:
            next(i for i in server.state.issues.values() if i.pull).state = "closed"

    somebody = threading.Thread(target=close_it)
    somebody.start()
    ran = drain(home)
    somebody.join()

    assert 1 == server.count("GET", r"/pulls/\d+$"), server.by_operation()
    assert (1, "refuted") == (ran.code, ran.state("issue-1", "pull-request")), ran.err
    assert ["orchestrate:failed"] == server.state.issues[1].labels
