"""What both forges promise of pulls, reviews and checks. Everything here runs over a folder and over GitHub."""

from __future__ import annotations

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.protocol.forge_values import Annotation, Conclusion, ReviewFinding
from tests.forge.world import World

# pulls


def test_a_pull_is_a_draft_and_its_head_is_gits(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="Title", body="Closes #1")

    read = world.again().pull(pull.number)

    assert (world.head, "topic", "main", True, "open") == (
        read.head_sha,
        read.head_branch,
        read.base_branch,
        read.draft,
        read.state,
    )
    assert ("Title", "Closes #1") == (read.title, read.body)


def test_a_draft_that_is_ready_is_one_no_longer_and_stays_so(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    world.forge.mark_ready(pull.number)
    world.again().mark_ready(pull.number)

    assert not world.again().pull(pull.number).draft
    assert ("T", "b") == (world.forge.pull(pull.number).title, world.forge.pull(pull.number).body)


def test_a_pull_that_is_closed_is_found_no_more_and_keeps_its_words(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    world.forge.close_pull(pull.number)

    assert ("closed", "T", None) == (
        world.again().pull(pull.number).state, world.forge.pull(pull.number).title, world.forge.find_pull("topic"),
    )  # fmt: skip


def test_a_pull_that_is_not_there_cannot_be_ready(world: World) -> None:
    with pytest.raises(ForgeError) as caught:
        world.forge.mark_ready(404)

    assert 404 == caught.value.status


def test_a_pulls_head_moves_with_its_branch(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")
    moved = world.repo.commit({"more.txt": "x"})
    world.repo.push()

    assert moved == world.forge.pull(pull.number).head_sha != pull.head_sha


def test_opening_again_updates_the_open_pull(world: World) -> None:
    first = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    second = world.again().open_pull(branch="topic", base="main", title="U", body="c")

    assert first.number == second.number
    assert ("U", "c") == (second.title, second.body)


def test_a_pull_is_found_by_its_branch(world: World) -> None:
    assert world.forge.find_pull("topic") is None
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    found = world.again().find_pull("topic")

    assert found is not None
    assert (pull.number, world.head) == (found.number, found.head_sha)
    assert world.forge.find_pull("top") is None


@pytest.mark.parametrize(("branch", "base"), [("nowhere", "main"), ("main", "main")])
def test_a_pull_of_nothing_is_refused(world: World, branch: str, base: str) -> None:
    with pytest.raises(ForgeError) as caught:
        world.forge.open_pull(branch=branch, base=base, title="T", body="b")

    assert 422 == caught.value.status


def test_a_pull_that_does_not_exist_is_a_404(world: World) -> None:
    with pytest.raises(ForgeError) as caught:
        world.forge.pull(4711)

    assert 404 == caught.value.status


def test_a_review_is_posted_once_with_its_findings(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")
    findings = [
        ReviewFinding(id="f1", path="a.py", line=10, severity="high", text="wrong"),
        ReviewFinding(id="f2", path="new.txt", line=2, severity="low", text="odd"),
    ]

    url = world.forge.review(pull.number, head_sha=world.head, body="seen", findings=findings, marker="rev 1")
    same = world.again().review(
        pull.number, head_sha=world.head, body="seen", findings=findings, marker="rev 1"
    )

    assert url == same
    assert [("a.py", 10), ("new.txt", 2)] == world.lines(pull.number)


def test_an_answer_goes_into_the_thread_of_its_finding_once(world: World) -> None:
    """Here f2 is answered later than f1, and asking again adds nothing."""
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")
    findings = [
        ReviewFinding(id="f1", path="a.py", line=10, severity="error", text="wrong"),
        ReviewFinding(id="f2", path="new.txt", line=2, severity="note", text="odd"),
    ]
    world.forge.review(pull.number, head_sha=world.head, body="seen", findings=findings, marker="rev 1")

    counts = [
        world.forge.answer(pull.number, {"f1": "fixed in abc"}),
        world.again().answer(pull.number, {"f1": "fixed in abc", "f2": "declined: it is right"}),
        world.again().answer(pull.number, {"f1": "fixed in abc", "f2": "declined: it is right"}),
    ]

    assert [1, 1, 0] == counts


# checks


def test_a_check_goes_from_in_progress_to_its_conclusion(world: World) -> None:
    started = world.forge.start_check(
        head_sha=world.head, name="orchestrator", external_id="r1", title="working", summary="s"
    )
    done = world.forge.finish_check(
        started,
        conclusion=Conclusion.FAILURE,
        title="3 of 11 proven",
        summary="sum",
        text="text",
        annotations=[Annotation(path="a.py", line=1, message="m")],
    )

    [read] = world.again().checks(world.head)

    assert ("in_progress", None) == (started.status, started.conclusion)
    assert started.id == done.id == read.id
    assert ("completed", Conclusion.FAILURE, "3 of 11 proven", "sum", "text") == (
        read.status,
        read.conclusion,
        read.title,
        read.summary,
        read.text,
    )


@pytest.mark.parametrize("begun", ["not", "by us", "by another process"])
def test_a_check_is_completed_whether_it_had_begun_or_not(world: World, begun: str) -> None:
    given = {
        "head_sha": world.head,
        "name": "orchestrator",
        "external_id": "r1",
        "title": "t",
        "summary": "s",
    }
    if begun != "not":
        (world.forge if begun == "by us" else world.again()).start_check(**given)

    done = world.forge.post_check(**given, conclusion=Conclusion.SUCCESS)
    again = world.again().post_check(**given, conclusion=Conclusion.SUCCESS)

    [read] = world.again().checks(world.head)
    assert done.id == again.id == read.id
    assert ("completed", Conclusion.SUCCESS) == (read.status, read.conclusion)


def test_a_check_is_begun_once_for_its_external_id(world: World) -> None:
    given = {"head_sha": world.head, "name": "orchestrator", "title": "t", "summary": "s"}

    first = world.forge.start_check(**given, external_id="r1")
    same = world.again().start_check(**given, external_id="r1")
    other = world.forge.start_check(**given, external_id="r2")

    assert first.id == same.id != other.id


def test_checks_of_another_commit_are_not_shown(world: World) -> None:
    world.forge.start_check(head_sha=world.head, name="o", external_id="r", title="t", summary="s")

    assert () == world.forge.checks(world.repo.at_remote("refs/heads/main"))
