"""Anybody's pull request on GitHub: of a person, of a bot, of a fork; accepted for one head, pushed again, queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.person import Person
from tests.kit.repos import git
from tests.kit.runner import Runner

FIXED = "def double(n):\n    return n + n\n"
BROKEN = "def double(n):\n    return n * 7\n"
GONE = "import unittest\n\n\nclass Other(unittest.TestCase):\n    def test_it(self):\n        pass\n"


@pytest.fixture
def person(runner: Runner, tmp_path: Path) -> Person:
    """Somebody with write access."""
    return Person(runner, tmp_path, "ada", role="write")


def test_an_honest_pull_request_passes_without_any_ceremony(person: Person) -> None:
    """One comment, one check, at most six requests; no label, no agent, no key."""
    head = person.push({"numbers_.py": FIXED})
    before = len(person.github.requests)

    done = person.verify()

    assert (0, "success", ["success"]) == (done.code, done.outputs["conclusion"], person.checks(head)), (
        done.log
    )
    [comment] = person.comments()
    assert f"**Verified** at `{head[:7]}`" in comment
    assert Path(done.outputs["document"]).is_file()
    assert len(person.github.requests) - before <= 6


def test_a_lost_test_is_refuted_until_a_person_accepts_it_for_this_head(person: Person) -> None:
    """And the next push takes that back."""
    lost = {"tests/test_numbers.py": GONE}
    first = person.push(lost)
    refuted = person.verify()
    person.says("/orchestrate accept nothing-lost: the feature goes")
    accepted = person.verify()
    second = person.push({"more.py": "x = 1\n"})
    again = person.verify()

    assert ["failure", "neutral", "failure"] == [
        d.outputs["conclusion"] for d in (refuted, accepted, again)
    ], accepted.log
    assert "neutral" == person.checks(first)[-1]
    assert "failure" == person.checks(second)[-1]
    [comment] = person.comments()
    assert "/orchestrate accept nothing-lost: WHY" in comment


def test_somebody_without_write_access_accepts_nothing(runner: Runner, tmp_path: Path) -> None:
    """Also the author of the pull request."""
    stranger = Person(runner, tmp_path, "mallory", role="read")
    stranger.push({"tests/test_numbers.py": GONE})
    stranger.verify()
    stranger.says("/orchestrate accept nothing-lost: I say so")

    assert "failure" == stranger.verify().outputs["conclusion"]


@pytest.mark.parametrize(("role", "conclusion"), [("write", "neutral"), ("read", "failure")])
def test_a_workflow_is_changed_by_people_who_may_and_that_is_said(
    runner: Runner, tmp_path: Path, role: str, conclusion: str
) -> None:
    """It is an exception, never plain success."""
    author = Person(runner, tmp_path, "ada", role=role)
    author.push({".github/workflows/more.yml": "on: push\njobs: {}\n"})

    assert conclusion == author.verify().outputs["conclusion"]


def test_a_broken_change_of_a_bot_fails_with_the_failing_test(runner: Runner, tmp_path: Path) -> None:
    """A bot gets the same facts as a person."""
    bot = Person(runner, tmp_path, "helper[bot]", role="write", kind="Bot")
    head = bot.push({"numbers_.py": BROKEN})

    done = bot.verify()

    assert (1, ["failure"]) == (done.code, bot.checks(head))
    assert "test_double" in done.log


def test_an_honest_change_of_a_bot_passes_like_a_persons(runner: Runner, tmp_path: Path) -> None:
    """Who made it is no fact."""
    bot = Person(runner, tmp_path, "helper[bot]", role="write", kind="Bot")
    head = bot.push({"numbers_.py": FIXED})

    done = bot.verify()

    assert (0, ["success"]) == (done.code, bot.checks(head)), done.log


def test_a_queued_commit_gets_its_check(person: Person) -> None:
    """`merge_group` names no pull request: the branch of the queue is measured as it would be merged."""
    person.push({"numbers_.py": BROKEN})
    branch = "gh-readonly-queue/main/pr-1"
    git(person.tree, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")
    head = git(person.tree, "rev-parse", "HEAD").strip()
    person.runner.env["GITHUB_REF_NAME"] = branch

    done = person.runner.step("verify", event="merge_group", payload={"merge_group": {}})

    assert (1, ["failure"]) == (done.code, person.checks(head)), done.log


def queued(person: Person, more: str = "") -> str:
    """The merge queue squashes the pull request onto its base; `more` is a file that comes with it."""
    tree, branch = person.tree, f"gh-readonly-queue/main/pr-{person.number}-{'a' * 40}"
    git(tree, "checkout", "-q", "-B", "queued", "origin/main")
    git(tree, "merge", "-q", "--squash", "feature")
    if more:
        (tree / more).write_text("x = 1\n")
        git(tree, "add", more)
    git(tree, "commit", "-qm", "Queued")
    git(tree, "push", "-qf", "origin", f"HEAD:refs/heads/{branch}")
    person.runner.env["GITHUB_REF_NAME"] = branch
    return git(tree, "rev-parse", "HEAD").strip()


def test_what_a_person_accepted_holds_in_the_merge_queue(person: Person) -> None:
    """For the commit that brings the pull request's very head and nothing else; the comment stays as it is."""
    git(person.tree, "checkout", "-q", "-b", "feature")
    person.push({"tests/test_numbers.py": GONE})
    person.verify()
    person.says("/orchestrate accept nothing-lost: the feature goes")
    person.verify()
    [comment] = person.comments()

    whole, more = queued(person), ""
    passed = person.runner.step("verify", event="merge_group", payload={"merge_group": {}})
    more = queued(person, "more.py")
    refused = person.runner.step("verify", event="merge_group", payload={"merge_group": {}})

    assert (["neutral"], ["failure"]) == (person.checks(whole), person.checks(more)), passed.log + refused.log
    assert [comment] == person.comments()


def test_a_workflow_that_is_queued_was_let_in_by_somebody_who_may(person: Person) -> None:
    """An exception, so that the queue does not stop for good where nobody can comment."""
    git(person.tree, "checkout", "-q", "-b", "feature")
    person.push({".github/workflows/more.yml": "on: push\njobs: {}\n"})
    head = queued(person)

    done = person.runner.step("verify", event="merge_group", payload={"merge_group": {}})

    assert (0, ["neutral"]) == (done.code, person.checks(head)), done.log


def test_a_rerun_of_a_draft_says_the_same_in_one_comment(person: Person) -> None:
    """A draft gets its check like any other, and a second run of the job changes nothing."""
    head = person.push({"numbers_.py": FIXED})
    pull = person.github.state.issues[person.number].pull
    assert pull
    pull.draft = True

    first, again = person.verify(), person.verify()

    assert (0, 0) == (first.code, again.code), again.log
    assert {"success"} == set(person.checks(head))
    assert 1 == len(person.comments())


def test_a_push_to_a_protected_branch_is_judged_from_what_was_there(person: Person) -> None:
    """From the event's own commits: there is no pull request."""
    before = git(person.tree, "rev-parse", "HEAD").strip()
    (person.tree / "numbers_.py").write_text(BROKEN)
    git(person.tree, "commit", "-qam", "Direct")
    git(person.tree, "push", "-q", "origin", "HEAD:main")
    after = git(person.tree, "rev-parse", "HEAD").strip()
    payload = {"before": before, "after": after, "ref": "refs/heads/main"}
    person.runner.env["GITHUB_REF_NAME"] = "main"

    done = person.runner.step("verify", event="push", payload=payload)

    assert (1, ["failure"]) == (done.code, person.checks(after)), done.log


def test_an_event_that_names_nothing_is_neutral(runner: Runner) -> None:
    """Nothing is judged, and that is said."""
    done = runner.step("verify", event="schedule", payload={})

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log
