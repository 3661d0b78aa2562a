"""Labels, events, roles, runs and workflows: what the queue asks GitHub."""

from __future__ import annotations

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.protocol.forge_values import Conclusion
from tests.forge.conftest import Connect
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo


def test_our_labels_get_their_colours_once(connect: Connect, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="octo").number

    for _ in range(2):
        connect().set_labels(number, add=["orchestrate:running", "theirs"])

    assert {"orchestrate:running": "fbca04", "theirs": "ededed"} == {
        n.name: n.color for n in github.state.labels.values()
    }
    assert 1 == github.count("PATCH", "/labels/")


def test_a_label_with_any_characters_is_set_and_removed(forge: GitHubForge, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="octo").number
    for label in ("needs: review/now?", "ünï #1", "100%", "a+b & c"):
        forge.set_labels(number, add=[label])
        assert (label,) == forge.issue(number).labels
        assert forge.take_label(number, label)


def test_who_set_a_label_is_read_from_the_events(forge: GitHubForge, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="stranger", labels=("orchestrate",)).number
    github.label(number, "again", actor="maintainer")
    github.state.happened(github.state.issues[number], "renamed", "stranger", rename=("one", "two"))

    events = forge.events(number)

    assert [
        ("labeled", "stranger", "orchestrate"),
        ("labeled", "maintainer", "again"),
        ("renamed", "stranger", ""),
    ] == [(e.kind, e.actor, e.label) for e in events]
    assert ("one", "two") == (events[2].before, events[2].after)
    assert all(e.id and e.at.endswith("Z") and e.actor_type == "User" for e in events)


def test_many_events_are_read_to_the_last(forge: GitHubForge, github: GitHubServer) -> None:
    issue = github.state.add_issue("one", "b", user="octo")
    for _ in range(130):
        github.state.set_label(issue, "x", actor="octo")
        github.state.drop_label(issue, "x", actor="octo")

    assert 260 == len(forge.events(issue.number))


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read", "none"])
def test_roles_are_told_apart(forge: GitHubForge, github: GitHubServer, role: str) -> None:
    github.state.user("somebody", role=role)

    assert role == forge.permission("somebody")


def test_a_custom_role_counts_as_the_permission_it_gives(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.user("somebody", role="security-champion")

    assert "read" == forge.permission("somebody")


def test_unknown_people_may_nothing(forge: GitHubForge) -> None:
    assert ("none", "") == (forge.permission("nobody-here"), forge.account_type("nobody-here"))


def test_bots_and_people_are_told_apart(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.user("renovate[bot]")

    assert ("Bot", "User") == (forge.account_type("renovate[bot]"), forge.account_type("octo"))


@pytest.mark.parametrize(
    ("status", "alive"), [("in_progress", True), ("queued", True), ("waiting", True), ("completed", False)]
)
def test_a_runs_life_is_asked_of_github(
    forge: GitHubForge, github: GitHubServer, status: str, alive: bool
) -> None:
    github.state.runs[77] = {"id": 77, "status": status, "conclusion": None}

    assert alive is forge.run_alive("77")
    assert forge.run_alive("78") is None


def test_what_a_branch_was_at_before_a_push_is_told_by_its_latest(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    """Also when it came to the same commit twice; not of the push that made it, nor where nobody tells."""
    first = topic.at_remote("refs/heads/topic")
    moves = [topic.commit({"a.txt": str(n)}, f"c{n}") for n in range(3)]
    for sha in (moves[0], moves[1], moves[2], moves[1]):
        topic.git("push", "-qf", "origin", f"{sha}:refs/heads/topic")
    topic.git("push", "-q", "origin", f"{first}:refs/heads/new")

    told = {sha: forge.before_push("topic", sha) for sha in moves}

    assert {moves[0]: first, moves[1]: moves[2], moves[2]: moves[1]} == told
    assert ("", "", "") == (
        forge.before_push("topic", "f" * 40), forge.before_push("new", first), forge.before_push("no", first)
    )  # fmt: skip
    github.fail("404", "GET", "/activity")
    assert "" == forge.before_push("topic", moves[0])


def test_a_workflow_is_dispatched_with_its_inputs(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.workflows.add("ci.yml")

    forge.dispatch("ci.yml", ref="topic", inputs={"why": "test"})

    assert [{"workflow": "ci.yml", "ref": "topic", "inputs": {"why": "test"}}] == github.state.dispatched


@pytest.mark.parametrize(("workflow", "ref", "status"), [("no.yml", "main", 404), ("ci.yml", "nowhere", 422)])
def test_a_dispatch_of_nothing_is_refused(
    forge: GitHubForge, github: GitHubServer, workflow: str, ref: str, status: int
) -> None:
    github.state.workflows.add("ci.yml")

    with pytest.raises(ForgeError) as caught:
        forge.dispatch(workflow, ref=ref)

    assert status == caught.value.status


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        (None, "pending"),
        (Conclusion.SUCCESS, "success"),
        (Conclusion.NEUTRAL, "success"),
        (Conclusion.FAILURE, "failure"),
        (Conclusion.TIMED_OUT, "failure"),
        (Conclusion.ACTION_REQUIRED, "failure"),
        (Conclusion.CANCELLED, "error"),
    ],
)
def test_a_conclusion_becomes_one_of_four_states(
    forge: GitHubForge, github: GitHubServer, head: str, conclusion: Conclusion | None, state: str
) -> None:
    forge.status(head_sha=head, context="c", conclusion=conclusion, description="d" * 300)

    assert [state] == [s.state for s in github.state.statuses]
