"""What both forges promise. Everything here runs over a folder and over GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator_action.core.model import Annotation, Conclusion, ReviewFinding
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import Forge, Queue
from tests.forge.conftest import open_local
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo


@dataclass
class World:
    """One kind of forge, with what a person and another process can do to it."""

    forge: Forge
    queue: Queue
    again: Callable[[], Forge]
    """The same forge, opened by a process that remembers nothing."""
    write_issue: Callable[..., int]
    say: Callable[[int, str], None]
    """Somebody else comments."""
    delete: Callable[[int], None]
    delete_comment: Callable[[int, int], None]
    lines: Callable[[int], list[tuple[str, int]]]
    repo: Repo

    @property
    def head(self) -> str:
        return self.repo.at_remote("refs/heads/topic")


def on_github(request: pytest.FixtureRequest) -> World:
    github: GitHubServer = request.getfixturevalue("github")
    forge = request.getfixturevalue("forge")
    state = github.state

    def write_issue(title: str, body: str = "", labels: tuple[str, ...] = (), *, closed: bool = False) -> int:
        issue = state.add_issue(title, body, user="octo", labels=labels)
        issue.state = "closed" if closed else "open"
        return issue.number

    def lines(pull: int) -> list[tuple[str, int]]:
        found = state.issues[pull].pull
        assert found
        return [(c["path"], c["line"]) for r in found.reviews for c in r.comments]

    return World(
        forge=forge,
        queue=forge,
        again=request.getfixturevalue("connect"),
        write_issue=write_issue,
        say=lambda n, text: void(state.add_comment(state.issues[n], text, user="stranger")),
        delete=lambda n: setattr(state.issues[n], "deleted", True),
        delete_comment=lambda _, i: void(state.comments.pop(i)),
        lines=lines,
        repo=request.getfixturevalue("topic"),
    )


def on_a_folder(request: pytest.FixtureRequest) -> World:
    topic, tmp_path = request.getfixturevalue("topic"), request.getfixturevalue("tmp_path")
    folder: Path = tmp_path / "forge"
    forge = request.getfixturevalue("local")

    def write_issue(title: str, body: str = "", labels: tuple[str, ...] = (), *, closed: bool = False) -> int:
        at = folder / "issues"
        at.mkdir(exist_ok=True)
        number = max((int(p.stem) for p in at.glob("*.md")), default=0) + 1
        state = "closed" if closed else "open"
        head = f"title: '{title}'\nlabels: [{', '.join(labels)}]\nauthor: octo\nstate: {state}\n"
        (at / f"{number}.md").write_text(f"---\n{head}---\n\n{body}\n")
        return number

    def say(number: int, text: str) -> None:
        at = folder / "comments" / str(number)
        at.mkdir(parents=True, exist_ok=True)
        (at / "999.md").write_text(f"---\nauthor: stranger\n---\n\n{text}\n")

    def lines(pull: int) -> list[tuple[str, int]]:
        texts = [p.read_text() for p in (folder / "pulls" / str(pull) / "reviews").iterdir()]
        return [(m[1], int(m[2])) for t in texts for m in re.finditer(r"`([\w./]+):(\d+)`", t)]

    return World(
        forge=forge,
        queue=forge,
        again=lambda: open_local(topic, folder),
        write_issue=write_issue,
        say=say,
        delete=lambda n: (folder / "issues" / f"{n}.md").unlink(),
        delete_comment=lambda n, i: (folder / "comments" / str(n) / f"{i}.md").unlink(),
        lines=lines,
        repo=topic,
    )


def void(_: object) -> None:
    """Drop a value."""


@pytest.fixture(params=[on_a_folder, on_github], ids=["local", "github"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.param(request)
    return made


# issues


def test_open_issues_with_the_label_are_listed_lowest_number_first(world: World) -> None:
    first = world.write_issue("one", "body one", ("orchestrate", "bug"))
    world.write_issue("closed", labels=("orchestrate",), closed=True)
    world.write_issue("unlabelled")
    last = world.write_issue("two", labels=("orchestrate",))

    found = list(world.forge.issues("orchestrate"))

    assert [(first, "one", "body one"), (last, "two", "")] == [(i.number, i.title, i.body) for i in found]
    assert ("orchestrate", "bug") == found[0].labels
    assert "octo" == found[0].author


def test_a_label_nobody_carries_lists_nothing(world: World) -> None:
    assert [] == list(world.forge.issues("orchestrate"))


def test_pulls_are_not_listed_as_issues(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")
    number = world.write_issue("one", labels=("orchestrate",))
    if world.forge.name == "github":
        world.forge.set_labels(pull.number, add=["orchestrate"])

    assert [number] == [i.number for i in world.forge.issues("orchestrate")]


def test_a_pulls_number_is_refused_as_an_issue(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    with pytest.raises(ForgeError, match="pull") as caught:
        world.forge.issue(pull.number)

    assert 404 == caught.value.status


def test_a_deleted_issue_is_named_with_a_hint(world: World) -> None:
    number = world.write_issue("one")
    world.delete(number)

    with pytest.raises(ForgeError, match=f"#{number} ") as caught:
        world.forge.issue(number)

    assert (404, 4) == (caught.value.status, caught.value.exit_code)
    assert caught.value.hint


@pytest.mark.parametrize("title", ["12:30", "Ünïcode 🎉", "a: b # c", "- x", 'quote " and \\ back', "No"])
def test_any_title_is_read_back(world: World, title: str) -> None:
    made = world.forge.create_issue(title, "body", marker="m")

    assert title == made.title == world.again().issue(made.number).title


def test_an_issue_is_opened_once_for_its_marker(world: World) -> None:
    first = world.forge.create_issue(
        "T", "body\n\nmore", marker="orchestrator:issue x", labels=["orchestrate"]
    )

    same = world.again().create_issue("T", "body", marker="orchestrator:issue x", labels=["orchestrate"])
    other = world.forge.create_issue("T", "body", marker="orchestrator:issue x2")

    assert first.number == same.number != other.number
    assert first.body.endswith("body\n\nmore")
    assert [first.number] == [i.number for i in world.forge.issues("orchestrate")]


def test_numbers_are_shared_by_issues_and_pulls(world: World) -> None:
    numbers = [
        world.forge.create_issue("a", "", marker="a").number,
        world.forge.open_pull(branch="topic", base="main", title="T", body="b").number,
        world.forge.create_issue("b", "", marker="b").number,
    ]

    assert numbers == sorted(set(numbers))


# labels


def test_labels_change_and_others_stay(world: World) -> None:
    number = world.write_issue("one", labels=("orchestrate", "bug"))

    world.forge.set_labels(number, add=["orchestrate:running"], remove=["orchestrate", "never there"])

    assert {"bug", "orchestrate:running"} == set(world.forge.issue(number).labels)


def test_labels_of_a_deleted_issue_are_an_error(world: World) -> None:
    number = world.write_issue("one", labels=("x",))
    world.delete(number)

    for change in ({"add": ["y"]}, {"remove": ["x"]}):
        with pytest.raises(ForgeError):
            world.forge.set_labels(number, **change)  # type: ignore[arg-type]


def test_exactly_one_of_many_takes_a_label(world: World) -> None:
    number = world.write_issue("one", labels=("orchestrate",))

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: world.queue.take_label(number, "orchestrate"), range(8)))

    assert [True] == [t for t in taken if t]
    assert () == world.forge.issue(number).labels


def test_events_tell_who_set_a_label(world: World) -> None:
    number = world.write_issue("one", labels=("orchestrate",))
    world.forge.set_labels(number, add=["orchestrate:running"], remove=["orchestrate"])

    events = world.queue.events(number)

    assert [("labeled", "orchestrate:running")] == [
        (e.kind, e.label) for e in events if e.kind == "labeled" and e.label == "orchestrate:running"
    ]
    assert ("unlabeled", "orchestrate") in [(e.kind, e.label) for e in events]
    assert all(e.actor for e in events)


# comments


def test_a_comment_is_written_once_and_then_updated(world: World) -> None:
    number = world.write_issue("one")

    first = world.forge.comment(number, marker="orchestrator:status", body="working")
    second = world.forge.comment(number, marker="orchestrator:status", body="done")
    third = world.again().comment(number, marker="orchestrator:status", body="done again")

    assert first.id == second.id == third.id
    assert ["done again"] == [c.body.splitlines()[-1] for c in world.forge.comments(number)]


def test_markers_do_not_mix(world: World) -> None:
    number = world.write_issue("one")

    ids = {world.forge.comment(number, marker=m, body="b").id for m in ("task 1", "task 12", "task")}

    assert 3 == len(ids)


def test_a_marker_in_somebody_elses_comment_is_not_ours(world: World) -> None:
    number = world.write_issue("one")
    world.say(number, "<!-- orchestrator:status -->\nI am the orchestrator, honestly")

    mine = world.again().comment(number, marker="orchestrator:status", body="real")

    assert ["I am the orchestrator, honestly", "real"] == sorted(
        c.body.splitlines()[-1] for c in world.forge.comments(number)
    )
    assert "stranger" != mine.author


def test_a_marker_quoted_in_our_own_text_is_not_the_marker(world: World) -> None:
    number = world.write_issue("one")
    world.forge.comment(number, marker="a", body="the agent said:\n<!-- b -->\nx")

    world.again().comment(number, marker="b", body="own")

    assert 2 == len(list(world.forge.comments(number)))


def test_a_deleted_comment_is_written_anew(world: World) -> None:
    number = world.write_issue("one")
    first = world.forge.comment(number, marker="a", body="one")
    world.delete_comment(number, first.id)

    world.forge.comment(number, marker="a", body="two")

    assert ["two"] == [c.body.splitlines()[-1] for c in world.forge.comments(number)]


def test_parallel_updates_of_one_comment_leave_one(world: World) -> None:
    number = world.write_issue("one")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: world.forge.comment(number, marker="a", body=f"v{i}"), range(8)))

    assert 1 == len(list(world.forge.comments(number)))


def test_pulls_take_comments_too(world: World) -> None:
    pull = world.forge.open_pull(branch="topic", base="main", title="T", body="b")

    world.forge.comment(pull.number, marker="a", body="hello")

    assert 1 == len(list(world.again().comments(pull.number)))


def test_a_comment_where_nothing_is_fails_with_404(world: World) -> None:
    with pytest.raises(ForgeError) as caught:
        world.forge.comment(4711, marker="a", body="x")

    assert 404 == caught.value.status


@pytest.mark.parametrize("marker", ["", "a-->b", "a\nb", "--"])
def test_a_marker_that_would_show_is_refused(world: World, marker: str) -> None:
    number = world.write_issue("one")

    with pytest.raises(ForgeError, match="marker"):
        world.forge.comment(number, marker=marker, body="x")

    assert [] == list(world.forge.comments(number))


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


def test_an_issue_read_a_moment_ago_is_believed_and_otherwise_read_again(world: World) -> None:
    number = world.write_issue("one")
    first = world.forge.issue(number)
    world.delete(number)

    if world.forge.name == "github":  # in a folder nothing is remembered
        assert (number, first.state) == (world.forge.issue(number, max_age_s=60).number, "open")
    with pytest.raises(ForgeError):
        world.forge.issue(number)


def test_a_check_is_begun_once_for_its_external_id(world: World) -> None:
    given = {"head_sha": world.head, "name": "orchestrator", "title": "t", "summary": "s"}

    first = world.forge.start_check(**given, external_id="r1")
    same = world.again().start_check(**given, external_id="r1")
    other = world.forge.start_check(**given, external_id="r2")

    assert first.id == same.id != other.id


def test_checks_of_another_commit_are_not_shown(world: World) -> None:
    world.forge.start_check(head_sha=world.head, name="o", external_id="r", title="t", summary="s")

    assert () == world.forge.checks(world.repo.at_remote("refs/heads/main"))


def test_the_default_branch_is_known(world: World) -> None:
    assert "main" == world.forge.default_branch()


def test_a_person_of_the_repository_may_and_nobody_may_not(world: World) -> None:
    assert "admin" == world.queue.permission("octo")
    assert "none" == world.queue.permission("")


def test_an_unknown_run_is_not_called_alive(world: World) -> None:
    assert world.queue.run_alive("4711") is None
    assert world.queue.run_alive("../../x") is None
