"""Many issues in few requests: the repository's events, edits by GraphQL, and what is not believed of them."""

from __future__ import annotations

import pytest

from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.forge.github.parse import event as event_of
from tests.forge.conftest import Connect
from tests.kit.github_server import GitHubServer


def labelled(github: GitHubServer, count: int) -> list[int]:
    return [
        github.state.add_issue(f"n{i}", "b", user="octo", labels=("bug", "orchestrate")).number
        for i in range(count)
    ]


def test_who_labelled_many_issues_is_asked_a_hundred_events_at_a_time(
    forge: GitHubForge, github: GitHubServer
) -> None:
    numbers = labelled(github, 120)

    found = forge.recent_events("Orchestrate", numbers)

    assert set(numbers) == set(found)
    assert (3, 3) == (github.count(), github.count("GET", "/issues/events$"))
    assert {("labeled", "octo")} == {(e[0].kind, e[0].actor) for e in found.values()}


def test_what_the_events_of_a_repository_tell_is_what_the_issue_tells(
    forge: GitHubForge, github: GitHubServer
) -> None:
    """From the last time the label was set, with all that came after it: each by itself says the same."""
    one, two, _ = labelled(github, 3)
    state = github.state
    github.edit(one, user="stranger", title="other")
    state.drop_label(state.issues[two], "orchestrate", actor="octo")
    github.label(two, "orchestrate", actor="maintainer")
    github.label(two, "later", actor="stranger")

    found = forge.recent_events("orchestrate", [one, two])

    assert ["labeled", "renamed"] == [e.kind for e in found[one]]
    assert [("orchestrate", "maintainer"), ("later", "stranger")] == [(e.label, e.actor) for e in found[two]]
    for number, events in found.items():
        assert events == forge.events(number)[-len(events) :]


def test_a_busy_repository_is_not_read_back_for_ever(forge: GitHubForge, github: GitHubServer) -> None:
    """Pages that tell of fewer than two issues cost more than asking each."""
    numbers = labelled(github, 5)
    noise = github.state.add_issue("noise", "b", user="octo")
    for _ in range(150):
        github.state.set_label(noise, "x", actor="octo")
        github.state.drop_label(noise, "x", actor="octo")

    assert {} == forge.recent_events("orchestrate", numbers)
    assert 1 == github.count()


@pytest.mark.parametrize("count", [0, 1])
def test_for_one_issue_its_own_events_are_asked(forge: GitHubForge, github: GitHubServer, count: int) -> None:
    assert {} == forge.recent_events("orchestrate", labelled(github, count))
    assert 0 == github.count()


def test_events_in_another_order_are_not_believed(
    forge: GitHubForge, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest first would show who set a label long ago."""
    numbers = labelled(github, 3)
    ids = iter(range(1, 1000))
    from orchestrator_action.forge.github import github_bulk

    monkeypatch.setattr(
        github_bulk.read, "event", lambda data: event_of({**data, "id": next(ids)})
    )  # GitHub's answer, as if it were listed the other way round

    assert {} == forge.recent_events("orchestrate", numbers)


@pytest.mark.parametrize("kind", ["403", "404", "410", "secondary"])
def test_where_they_are_refused_each_issue_is_asked(
    connect: Connect, github: GitHubServer, kind: str
) -> None:
    numbers = labelled(github, 3)
    github.fail(kind, "GET", "/issues/events", wait_s=9000)

    assert {} == connect().recent_events("orchestrate", numbers)


@pytest.mark.usefixtures("graphql")
def test_when_texts_were_edited_is_told_where_graphql_is(forge: GitHubForge, github: GitHubServer) -> None:
    one, two = labelled(github, 2)
    before = forge.edits([one, two])
    github.state.clock = lambda: 1_900_000_000.0
    github.edit(one, user="stranger", title="two")
    renamed = forge.edits([one])
    github.edit(one, user="stranger", body="other")
    edited = forge.edits([one, two, 4711])
    github.graphql = False

    assert ({one: "", two: ""}, {one: ""}) == (before, renamed)
    assert {one: "2030-03-17T17:46:40Z", two: "", 4711: None} == edited
    assert {one: None, two: None} == forge.edits([one, two])


@pytest.mark.usefixtures("graphql")
def test_edits_of_a_thousand_issues_are_ten_requests(forge: GitHubForge, github: GitHubServer) -> None:
    numbers = labelled(github, 1000)

    assert dict.fromkeys(numbers, "") == forge.edits(numbers)
    assert 10 == github.count("POST", "/graphql")


def test_what_blocks_an_issue_is_asked_only_where_the_list_says_that_something_does(
    forge: GitHubForge, github: GitHubServer
) -> None:
    one, two, three = labelled(github, 3)
    github.state.issues[two].blocked_by = [one, three]
    github.state.issues[three].state = "closed"
    github.state.issues[one].parent = two

    found = {i.number: i for i in forge.issues("orchestrate")}

    assert [(0, two), (1, 0)] == [(found[n].blocked_by, found[n].parent) for n in (one, two)]
    assert (one,) == forge.open_blockers(two), "one that is closed blocks nothing"
    assert () == forge.open_blockers(one)


def test_a_server_that_knows_no_dependencies_blocks_nothing(forge: GitHubForge, github: GitHubServer) -> None:
    [one] = labelled(github, 1)
    github.fail("404", "GET", "/dependencies/")

    assert () == forge.open_blockers(one)
