"""Many issues in few requests: the list with what happened to each, by GraphQL, and what is done where it fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.forge.github.github_bulk import NEWEST_EVENTS
from orchestrator_action.plan import rules
from tests.forge.conftest import Connect
from tests.kit.github_server import GitHubServer


def labelled(github: GitHubServer, count: int) -> list[int]:
    return [
        github.state.add_issue(f"n{i}", "b", user="octo", labels=("bug", "orchestrate")).number
        for i in range(count)
    ]


@pytest.mark.usefixtures("graphql")
def test_one_request_a_hundred_lists_issues_and_tells_who_labelled_and_edited_each(
    forge: GitHubForge, github: GitHubServer
) -> None:
    numbers = labelled(github, 120)
    github.edit(numbers[0], user="stranger", body="other")

    found = [i.number for i in forge.issues("orchestrate", histories=True)]
    told = forge.histories("orchestrate", numbers)

    assert (numbers, set(numbers)) == (found, set(told))
    assert (2, 2) == (github.count(), github.count("POST", "/graphql"))
    assert {"octo"} == {h.events[-1].actor for h in told.values()}
    assert [numbers[0]] == [n for n, h in told.items() if h.edited_at]


@pytest.mark.usefixtures("graphql")
def test_both_ways_to_list_give_the_same_issues(forge: GitHubForge, github: GitHubServer) -> None:
    """Author, labels, dependencies, parent, comments: whatever a run reads of an issue."""
    state = github.state
    one, two, three = labelled(github, 3)
    state.issues[one].parent = two
    state.issues[two].blocked_by = [one]
    state.issues[three].user = state.user("helper[bot]").login
    state.issues[three].body = "a\r\nb"
    state.add_comment(state.issues[three], "hello", user="octo")
    state.add_issue("not labelled", "b", user="octo")
    state.add_issue("closed", "b", user="octo", labels=("orchestrate",)).state = "closed"

    assert list(forge.issues("orchestrate")) == list(forge.issues("orchestrate", histories=True))


@pytest.mark.usefixtures("graphql")
def test_an_empty_list_is_asked_for_again_by_rest(forge: GitHubForge, github: GitHubServer) -> None:
    """Nobody says whether GraphQL takes a label in another case for the same; REST does."""
    assert [] == list(forge.issues("orchestrate", histories=True))

    assert (1, 1) == (github.count("POST", "/graphql"), github.count("GET", "/issues$"))


@pytest.mark.usefixtures("graphql")
@pytest.mark.parametrize("kind", ["403", "404", "500", "reset", "truncated", "cut-json", "secondary"])
@pytest.mark.parametrize("after", [0, 1])
def test_where_graphql_fails_issues_are_listed_by_rest_each_once(
    connect: Connect, github: GitHubServer, kind: str, after: int
) -> None:
    numbers = labelled(github, 120)
    fault = github.fail(kind, "POST", "/graphql", wait_s=9000, after=after)

    assert numbers == [i.number for i in connect().issues("orchestrate", histories=True)]
    assert 1 == fault.struck


@pytest.mark.usefixtures("graphql")
def test_an_issue_that_is_read_anew_is_asked_about_anew(forge: GitHubForge, github: GitHubServer) -> None:
    """Its text is newer than what the list told: an edit in between must be seen."""
    [one] = labelled(github, 1)
    list(forge.issues("orchestrate", histories=True))
    github.edit(one, user="stranger", body="other")
    forge.issue(one)

    assert forge.histories("orchestrate", [one])[one].edited_at


@pytest.mark.usefixtures("graphql")
def test_what_is_told_of_many_is_what_each_tells_by_itself(forge: GitHubForge, github: GitHubServer) -> None:
    one, two, _ = labelled(github, 3)
    state = github.state
    github.edit(one, user="stranger", title="other")
    state.drop_label(state.issues[two], "orchestrate", actor="octo")
    github.label(two, "orchestrate", actor="helper[bot]")

    found = forge.histories("orchestrate", [one, two, 4711])

    assert {one, two} == set(found)
    for number, history in found.items():
        assert history.whole
        assert [replace(e, id=0) for e in forge.events(number)] == list(history.events)


@pytest.mark.usefixtures("graphql")
def test_of_a_long_history_the_newest_is_told_and_that_there_is_more(
    forge: GitHubForge, github: GitHubServer
) -> None:
    [one] = labelled(github, 1)
    for _ in range(NEWEST_EVENTS):
        github.label(one, "x", actor="octo")
        github.state.drop_label(github.state.issues[one], "x", actor="octo")

    told = forge.histories("orchestrate", [one])[one]

    assert (NEWEST_EVENTS, False) == (len(told.events), told.whole)


def test_an_event_that_is_not_shown_hides_what_came_before_it() -> None:
    """GraphQL puts null in the place of what it may not, or cannot, show."""
    actor = {"__typename": "User", "login": "octo"}
    event = {"__typename": "LabeledEvent", "createdAt": "t", "actor": actor, "label": {"name": "x"}}
    items = {"nodes": [event, None, event], "pageInfo": {"hasPreviousPage": False}}

    told = read.history({"lastEditedAt": None, "timelineItems": items})

    assert (1, False, "") == (len(told.events), told.whole, told.edited_at)


@pytest.mark.usefixtures("graphql")
def test_when_texts_were_edited_is_told_where_graphql_is(forge: GitHubForge, github: GitHubServer) -> None:
    one, two = labelled(github, 2)
    before = forge.histories("orchestrate", [one, two])
    github.state.clock = lambda: 1_900_000_000.0
    github.edit(one, user="stranger", title="two")
    renamed = forge.histories("orchestrate", [one])
    github.edit(one, user="stranger", body="other")
    edited = forge.histories("orchestrate", [one, two])
    github.graphql = False

    assert ["", "", ""] == [before[one].edited_at, before[two].edited_at, renamed[one].edited_at]
    assert ["2030-03-17T17:46:40Z", ""] == [edited[one].edited_at, edited[two].edited_at]
    assert [None, None] == [h.edited_at for h in forge.histories("orchestrate", [one, two]).values()]


@pytest.mark.usefixtures("graphql")
def test_histories_of_a_thousand_issues_are_ten_requests(forge: GitHubForge, github: GitHubServer) -> None:
    numbers = labelled(github, 1000)

    assert set(numbers) == set(forge.histories("orchestrate", numbers))
    assert 10 == github.count("POST", "/graphql")


# without GraphQL: the events of the whole repository


def test_without_graphql_who_labelled_many_issues_is_asked_a_hundred_events_at_a_time(
    forge: GitHubForge, github: GitHubServer
) -> None:
    github.graphql = False
    numbers = labelled(github, 120)

    found = forge.histories("Orchestrate", numbers)

    assert set(numbers) == set(found)
    assert 3 == github.count("GET", "/issues/events$")
    assert {("octo", None)} == {(h.events[-1].actor, h.edited_at) for h in found.values()}


def test_without_graphql_they_tell_all_since_the_second_of_the_label(
    forge: GitHubForge, github: GitHubServer
) -> None:
    """A label set twice in one second is there twice, and the key of the wish is that of the second."""
    github.graphql = False
    one, two, _ = labelled(github, 3)
    state, now = github.state, github.state.clock()
    state.clock = lambda: now + 5
    github.edit(one, user="stranger", title="other")
    for _ in range(2):
        state.drop_label(state.issues[two], "orchestrate", actor="octo")
        github.label(two, "orchestrate", actor="maintainer")
    github.label(two, "later", actor="stranger")

    found = forge.histories("orchestrate", [one, two])

    assert "renamed" == found[one].events[-1].kind
    for number, history in found.items():
        events = forge.events(number)
        assert events[-len(history.events) :] == history.events
        assert rules.request_of(events, "orchestrate") == rules.request_of(history.events, "orchestrate")
        assert history.events == rules.since(history, "orchestrate")


def test_without_graphql_a_busy_repository_is_not_read_back_for_ever(
    forge: GitHubForge, github: GitHubServer
) -> None:
    """Pages that tell of fewer than two issues cost more than asking each."""
    github.graphql = False
    numbers = labelled(github, 5)
    noise = github.state.add_issue("noise", "b", user="octo")
    for _ in range(150):
        github.state.set_label(noise, "x", actor="octo")
        github.state.drop_label(noise, "x", actor="octo")

    assert {} == forge.histories("orchestrate", numbers)
    assert 1 == github.count("GET")


@pytest.mark.parametrize("kind", ["403", "404", "410", "secondary"])
def test_where_both_are_refused_each_issue_is_asked(
    connect: Connect, github: GitHubServer, kind: str
) -> None:
    github.graphql = False
    numbers = labelled(github, 3)
    github.fail(kind, "GET", "/issues/events", wait_s=9000)

    assert {} == connect().histories("orchestrate", numbers)


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
