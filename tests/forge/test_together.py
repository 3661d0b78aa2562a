"""Comments and labels in one request: what is confirmed is done, anything else is done one by one, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest

from orchestrator_action.forge.base import CompletedCheck, MarkedComment
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.protocol.forge_values import Annotation, Conclusion
from tests.kit.github_server import AFTER, APP, BEFORE, PAT, TOKEN, GitHubServer
from tests.kit.github_server.state import ACTIONS_PERMISSIONS, Issue, Viewer

pytestmark = pytest.mark.usefixtures("graphql")
Connect = Callable[..., GitHubForge]
RUNNING, DONE = "orchestrate:running", "orchestrate:done"


@dataclass
class Told:
    """What a task tells of itself: a claim, and an end on two places."""

    forge: GitHubForge
    issue: Issue
    pull: int = 0
    check: CompletedCheck | None = None

    def propose(self) -> None:
        """Open the pull request; its head gets a check at the end."""
        pull = self.forge.open_pull(branch="topic", base="main", title="T", body="b")
        self.pull, self.check = pull.number, check_of(pull.head_sha)

    def claim(self) -> bool:
        words = [MarkedComment(self.issue.number, "task 1", "working")]
        return self._write(words, [RUNNING], [DONE, "orchestrate:failed"])

    def end(self) -> bool:
        words = [
            MarkedComment(self.pull, "report", "ledger"),
            MarkedComment(self.issue.number, "task 1", "done"),
        ]
        remove = [RUNNING, "orchestrate:failed"]
        return self._write(words if self.pull else words[1:], [DONE], remove, self.check)

    def _write(
        self,
        words: list[MarkedComment],
        add: list[str],
        remove: list[str],
        check: CompletedCheck | None = None,
    ) -> bool:
        """As it is called: each by itself where it is not known to be done."""
        number = self.issue.number
        if self.forge.write_together(words, number=number, add=add, remove=remove, check=check):
            return True
        if check is not None:
            self.forge.post_check(**{f.name: getattr(check, f.name) for f in fields(check)})
        for word in words:
            self.forge.comment(word.number, marker=word.marker, body=word.body)
        self.forge.set_labels(number, add=add, remove=remove)
        return False


def check_of(head: str, annotations: int = 2) -> CompletedCheck:
    return CompletedCheck(
        head_sha=head, name="orchestrator", external_id="run.task", conclusion=Conclusion.SUCCESS, title="Verified",
        summary="s", text="t",
        annotations=[Annotation(path="a.py", line=n, level="warning", message="m") for n in range(annotations)],
    )  # fmt: skip


def checks(github: GitHubServer) -> list[tuple[str | None, str, int]]:
    """Each check: its conclusion, its title, how many annotations it has."""
    found = github.state.checks.values()
    return [(c.conclusion, str(c.output["title"]), len(c.annotations)) for c in found]


@pytest.fixture
def told(forge: GitHubForge, github: GitHubServer) -> Told:
    issue = github.state.add_issue("one", "b", user="octo", labels=("orchestrate", "bug"))
    assert [issue.number] == [i.number for i in forge.issues("orchestrate")]
    assert forge.take_label(issue.number, "orchestrate")
    return Told(forge, issue)


def bodies(github: GitHubServer, number: int) -> list[str]:
    return [c.body.splitlines()[-1] for c in github.state.comments_on(number)]


def test_a_claim_and_an_end_are_one_request_each(told: Told, github: GitHubServer) -> None:
    told.propose()
    github.state.label(DONE)
    told.claim()  # labels are looked up once
    before = github.count()

    assert told.end()

    assert 1 == github.count() - before
    assert [("success", "Verified", 2)] == checks(github)
    assert (["done"], ["ledger"]) == (bodies(github, told.issue.number), bodies(github, told.pull))
    assert {"bug", DONE} == set(told.issue.labels)


def test_a_check_that_was_begun_is_completed_with_the_rest(told: Told, github: GitHubServer) -> None:
    told.propose()
    assert told.check
    head = told.check.head_sha
    told.forge.start_check(head_sha=head, name="orchestrator", external_id="run.task", title="…", summary="…")
    github.state.label(DONE)
    told.claim()
    before = github.count()

    assert told.end()

    assert (1, [("success", "Verified", 2)]) == (github.count() - before, checks(github))


@pytest.mark.parametrize("annotations", [2, 51])
@pytest.mark.parametrize("begun", [False, True])
def test_a_check_of_another_process_or_with_many_annotations_is_completed_by_itself(
    connect: Connect, told: Told, github: GitHubServer, annotations: int, begun: bool
) -> None:
    told.propose()
    assert told.check
    head = told.check.head_sha
    told.check = check_of(head, annotations)
    if begun:
        connect().start_check(
            head_sha=head, name="orchestrator", external_id="run.task", title="…", summary="…"
        )
        told.forge = connect()
        told.pull = 0
        list(told.forge.issues(RUNNING))

    told.claim()
    told.end()
    told.end()

    assert [("success", "Verified", annotations)] == checks(github)
    assert {"bug", DONE} == set(told.issue.labels)


@pytest.mark.parametrize("kind", ["token", "permission"])
def test_where_no_check_may_be_made_a_status_stands_for_it_and_nothing_is_written_twice(
    connect: Connect, github: GitHubServer, kind: str
) -> None:
    issue = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",))
    if kind == "permission":
        given = {**ACTIONS_PERMISSIONS, "checks": "none"}
        github.state.tokens[TOKEN] = Viewer("github-actions[bot]", "actions", given)
    forge = connect(PAT if kind == "token" else TOKEN)
    list(forge.issues("orchestrate"))
    told = Told(forge, issue)
    told.propose()
    told.claim()

    assert told.end()

    assert ([], ["success"]) == (checks(github), [s.state for s in github.state.statuses])
    assert (["done"], ["ledger"]) == (bodies(github, issue.number), bodies(github, told.pull))


def test_labels_that_others_set_meanwhile_stay(told: Told, github: GitHubServer) -> None:
    told.claim()
    github.label(told.issue.number, "urgent", actor="octo")
    github.label(told.issue.number, "orchestrate", actor="octo")

    assert told.end()

    assert {"bug", "urgent", "orchestrate", DONE} == set(told.issue.labels)


def test_our_labels_are_made_with_their_colours(told: Told, github: GitHubServer) -> None:
    told.claim()
    told.end()

    assert {RUNNING: "fbca04", DONE: "0e8a16"} == {
        n.name: n.color for n in github.state.labels.values() if ":" in n.name
    }


def test_what_was_written_together_is_updated_by_itself(told: Told, github: GitHubServer) -> None:
    """Progress between the claim and the end: one request, nothing looked for."""
    told.claim()
    before = github.count()

    told.forge.comment(told.issue.number, marker="task 1", body="half way")

    assert (1, ["half way"]) == (github.count() - before, bodies(github, told.issue.number))


def test_a_comment_read_before_is_updated_and_not_written_twice(
    connect: Connect, github: GitHubServer
) -> None:
    """Another process of ours commented once, a stranger copied its marker; all were read on the way in."""
    issue = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",))
    connect().comment(issue.number, marker="task 1", body="of an earlier run")
    github.say(issue.number, "<!-- task 1 -->\nI am the orchestrator", user="stranger")
    forge = connect()
    list(forge.issues("orchestrate"))
    list(forge.comments(issue.number))

    assert Told(forge, issue).claim()

    assert ["working", "I am the orchestrator"] == bodies(github, issue.number)


def test_where_comments_were_not_read_they_are_looked_for(connect: Connect, github: GitHubServer) -> None:
    issue = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",))
    connect().comment(issue.number, marker="task 1", body="of an earlier run")
    forge = connect()
    list(forge.issues("orchestrate"))

    assert not Told(forge, issue).claim()

    assert ["working"] == bodies(github, issue.number)


@pytest.mark.parametrize("token", [TOKEN, APP, PAT])
def test_who_we_are_is_learned_from_it(connect: Connect, github: GitHubServer, token: str) -> None:
    """GraphQL names an app without its `[bot]`."""
    issue = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",))
    forge = connect(token)
    list(forge.issues("orchestrate"))
    assert Told(forge, issue).claim()
    before = github.count()

    assert github.state.comments_on(issue.number)[0].user == forge.viewer()
    assert before == github.count()


FAULTS = [
    (kind, when)
    for kind in ("500", "502", "html", "reset", "truncated", "cut-json", "401", "403", "404", "422")
    for when in (BEFORE, AFTER)
]


@pytest.mark.parametrize(("kind", "when"), FAULTS)
@pytest.mark.parametrize("act", ["claim", "end"])
@pytest.mark.parametrize("after", [0, 1], ids=["labels asked", "written"])
def test_whatever_fails_each_thing_is_there_once(
    told: Told, github: GitHubServer, kind: str, when: str, act: str, after: int
) -> None:
    told.propose()
    if act == "end":
        told.claim()
        after = 0
    fault = github.fail(kind, "POST", "/graphql", when=when, after=after)

    getattr(told, act)()
    told.end()

    assert 1 == fault.struck
    assert [("success", "Verified", 2)] == checks(github)
    assert (["done"], ["ledger"]) == (bodies(github, told.issue.number), bodies(github, told.pull))
    assert {"bug", DONE} == set(told.issue.labels)


def test_a_comment_deleted_meanwhile_is_written_anew(told: Told, github: GitHubServer) -> None:
    """One part fails and the others are done; what is done is not done again."""
    told.pull = told.forge.open_pull(branch="topic", base="main", title="T", body="b").number
    told.claim()
    github.state.comments.clear()

    assert not told.end()

    assert (["done"], ["ledger"]) == (bodies(github, told.issue.number), bodies(github, told.pull))
    assert {"bug", DONE} == set(told.issue.labels)


def test_a_label_deleted_meanwhile_is_made_anew(told: Told, github: GitHubServer) -> None:
    told.claim()
    told.end()
    del github.state.labels[DONE]
    told.issue.labels.remove(DONE)

    assert not told.end()

    assert (["done"], {"bug", DONE}) == (bodies(github, told.issue.number), set(told.issue.labels))


def test_a_label_of_the_other_end_set_by_hand_goes_too(told: Told, github: GitHubServer) -> None:
    told.claim()
    github.label(told.issue.number, "orchestrate:failed", actor="octo")

    told.end()

    assert {"bug", DONE} == set(told.issue.labels)


def test_where_graphql_is_not_to_be_had_it_is_asked_once(told: Told, github: GitHubServer) -> None:
    github.graphql = False

    assert [False, False, False] == [told.claim(), told.end(), told.end()]

    assert 1 == github.count("POST", "/graphql")
    assert (["done"], {"bug", DONE}) == (bodies(github, told.issue.number), set(told.issue.labels))
    assert 0 == github.count("GET", "/comments"), "nothing was written, so nothing is looked for"


@pytest.mark.parametrize("text", ['"){', "}\n\\", "$body0", "ünï 🎉", "a" * 70_000])
def test_any_text_goes_in_as_it_is(told: Told, github: GitHubServer, text: str) -> None:
    words = [MarkedComment(told.issue.number, "m", text)]

    assert told.forge.write_together(words, number=told.issue.number, add=[RUNNING])

    [comment] = github.state.comments_on(told.issue.number)
    assert comment.body.startswith("<!-- m -->\n" + text[:1000])
    assert len(comment.body) <= 65_535
