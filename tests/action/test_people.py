"""People push to pull requests, in every way there is; each head is measured anew, and none stays red for good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.github_server.state import Review
from tests.kit.person import Person
from tests.kit.repos import git
from tests.kit.runner import Runner, Stepped
from tests.kit.whole import GOOD


class Pushes:
    """One branch, pushed to in the ways that people and GitHub's buttons have."""

    def __init__(self, person: Person, branch: str, number: int) -> None:
        self.person, self.branch = person, branch
        person.number = number
        git(person.tree, "fetch", "-q", "origin")
        git(person.tree, "checkout", "-q", "-B", "mine", f"origin/{branch}")
        self._mains = self._notes = 0

    def _commit(self, name: str, text: str) -> None:
        (self.person.tree / name).write_text(text)
        git(self.person.tree, "add", "-A")
        git(self.person.tree, "commit", "-q", "-m", f"Write {name}")

    def _main_moves_on(self) -> None:
        """Somebody else's change is merged, one that changes a workflow and takes a test away."""
        tree, self._mains = self.person.tree, self._mains + 1
        git(tree, "checkout", "-q", "-B", "main", "origin/main")
        (tree / ".github/workflows").mkdir(parents=True, exist_ok=True)
        self._commit(f".github/workflows/w{self._mains}.yml", "on: push\njobs: {}\n")
        git(tree, "push", "-q", "origin", "main")
        git(tree, "checkout", "-q", "mine")

    def plain(self) -> None:
        self._notes += 1
        self._commit("notes.md", f"Note {self._notes}.\n")

    def update_branch(self) -> None:
        self._main_moves_on()
        git(self.person.tree, "merge", "-q", "--no-edit", "origin/main")

    def rebase(self) -> None:
        self._main_moves_on()
        git(self.person.tree, "rebase", "-q", "origin/main")

    def squash(self) -> None:
        git(self.person.tree, "reset", "-q", "--soft", "origin/main")
        git(self.person.tree, "commit", "-q", "-m", "All of it")

    def force(self) -> None:
        git(self.person.tree, "commit", "-q", "--amend", "-m", "All of it, said better")

    def push(self, how: str) -> str:
        """Do it and push; the new head."""
        getattr(self, how)()
        git(self.person.tree, "push", "-q", "-f", "origin", f"HEAD:refs/heads/{self.branch}")
        git(self.person.tree, "push", "-q", "-f", "origin", f"HEAD:refs/pull/{self.person.number}/head")
        return git(self.person.tree, "rev-parse", "HEAD").strip()


KINDS = ("plain", "update_branch", "rebase", "squash", "force")


@pytest.fixture
def ada(runner: Runner, tmp_path: Path) -> Person:
    return Person(runner, tmp_path, "ada", role="write")


@pytest.fixture
def task(runner: Runner, ada: Person) -> Pushes:
    """The pull request of a task that succeeded."""
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    assert 0 == runner.step(event="issues", payload=runner.labeled(issue.number)).code
    [pull] = [i for i in runner.github.state.issues.values() if i.pull]
    return Pushes(ada, pull.pull.head, pull.number)


def approve(person: Person, head: str, *, login: str = "", event: str = "APPROVE") -> None:
    """A review by the pull request's page."""
    state = person.github.state
    pull = state.issues[person.number].pull
    assert pull
    pull.reviews.append(Review(next(state.ids), login or person.login, "", event, head, []))


def ends(done: Stepped, person: Person, head: str) -> tuple[str, str | None]:
    """What the step and the last check at the head say."""
    return done.outputs["conclusion"], (person.checks(head) or [None])[-1]


def said(person: Person, head: str) -> str:
    """Title and summary of the last check at a head."""
    outputs = [c.output for c in person.github.state.checks.values() if c.head_sha == head]
    return f"{outputs[-1]['title']} {outputs[-1]['summary']}"


GREEN = ("success", "success")
RED = ("failure", "failure")
EXCEPTED = ("success", "neutral")


@pytest.mark.timeout(300)  # five verifications in a row
def test_a_tasks_branch_stays_green_through_every_way_to_push(task: Pushes, ada: Person) -> None:
    """What others merged meanwhile (a workflow, by somebody who may) is not charged to it."""
    found = {}
    for how in ("update_branch", "rebase", "squash", "force", "update_branch"):
        head = task.push(how)
        done = ada.verify()
        found[f"{how} {len(found)}"] = ends(done, ada, head)

    assert {GREEN} == set(found.values()), (found, done.log)


@pytest.mark.timeout(400)  # seven verifications in a row
def test_a_persons_own_commits_use_up_no_round_and_end_green(task: Pushes, ada: Person) -> None:
    """The reviewer finds each time that the task did not ask for it; a person settles that, for this head."""
    for _ in range(3):
        head = task.push("plain")
        done = ada.verify()
        assert RED == ends(done, ada, head), done.log
        assert "rounds are used up" not in said(ada, head)
    assert "`/orchestrate accept findings-answered: WHY`" in said(ada, head)
    assert "An approving review settles the review." in said(ada, head)

    approve(ada, head)
    approved = ada.verify(event="pull_request_review")
    assert GREEN == ends(approved, ada, head), approved.log

    head = task.push("plain")
    assert RED == ends(ada.verify(), ada, head), "an approval of another head counts"
    ada.says("/orchestrate accept findings-answered: it is what I want")
    accepted = ada.verify(event="issue_comment")
    assert EXCEPTED == ends(accepted, ada, head), accepted.log
    assert "it is what I want (ada)" in said(ada, head)


def _by_a_stranger(person: Person, head: str) -> None:
    person.github.state.user("mallory").role = "read"
    approve(person, head, login="mallory")


def _by_a_bot(person: Person, head: str) -> None:
    state = person.github.state
    known = state.user("helper[bot]")
    known.role, known.type = "write", "Bot"
    approve(person, head, login="helper[bot]")
    words = "/orchestrate accept findings-answered: fine"
    state.add_comment(state.issues[person.number], words, user="helper[bot]")


def _taken_back(person: Person, head: str) -> None:
    approve(person, head)
    approve(person, head, event="REQUEST_CHANGES")


@pytest.mark.parametrize("who", [_by_a_stranger, _by_a_bot, _taken_back])
def test_only_a_persons_own_last_word_settles_a_review(
    task: Pushes, ada: Person, who: Callable[[Person, str], None]
) -> None:
    """Not one without write access, not a program, not an approval that was taken back."""
    head = task.push("plain")
    assert RED == ends(ada.verify(), ada, head)
    ada.wait_a_second()
    who(ada, head)

    assert RED == ends(ada.verify(), ada, head)


@pytest.mark.timeout(200)  # three verifications and a run
def test_a_broken_push_is_red_until_somebody_answers_for_it(task: Pushes, ada: Person) -> None:
    """An approving review undoes no refuted test; naming the fact does, in sight."""
    (ada.tree / "numbers_.py").write_text("def double(n):\n    return n * 3\n")
    head = task.push("plain")
    approve(ada, head)

    broken = ada.verify()
    assert RED == ends(broken, ada, head), broken.log
    assert "`/orchestrate accept suite: WHY`" in said(ada, head)
    ada.says("/orchestrate accept suite: known, mended in the next one")
    answered = ada.verify()

    assert EXCEPTED == ends(answered, ada, head), answered.log
    assert "known, mended in the next one (ada)" in said(ada, head)


@pytest.fixture
def anybodys(ada: Person) -> Pushes:
    """A person's own branch and pull request."""
    ada.push({"numbers_.py": "def double(n):\n    return n + n\n"})
    return Pushes(ada, "feature", ada.number)


@pytest.mark.timeout(300)  # six verifications in a row
def test_a_persons_pull_request_stays_green_through_every_way_to_push(anybodys: Pushes, ada: Person) -> None:
    """One comment, however often it was pushed to."""
    found = {}
    for how in (*KINDS, "plain"):
        head = anybodys.push(how)
        done = ada.verify()
        found[f"{how} {len(found)}"] = ends(done, ada, head)

    assert {GREEN} == set(found.values()), (found, done.log)
    assert 1 == len(ada.comments())


def test_an_approving_review_decides_what_could_not_be_measured(ada: Person) -> None:
    """Where nothing could be counted a person is asked; it is shown as an exception."""
    head = ada.push({"notes.md": "A note.\n"})
    ada.runner.env["INPUT_TEST"] = "true"
    waits = ada.verify()
    assert ("action_required", "action_required") == ends(waits, ada, head), waits.log
    approve(ada, head)
    decided = ada.verify(event="pull_request_review")

    assert ("neutral", "neutral") == ends(decided, ada, head), decided.log
    assert "approves the pull request (ada)" in ada.comments()[0]
