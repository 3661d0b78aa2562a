"""What both forges promise of issues, labels and comments. Everything here runs over a folder and over GitHub."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator_action.errors import ForgeError
from tests.forge.world import World

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


def test_an_issue_read_a_moment_ago_is_believed_and_otherwise_read_again(world: World) -> None:
    number = world.write_issue("one")
    first = world.forge.issue(number)
    world.delete(number)

    if world.forge.name == "github":  # in a folder nothing is remembered
        assert (number, first.state) == (world.forge.issue(number, max_age_s=60).number, "open")
    with pytest.raises(ForgeError):
        world.forge.issue(number)


def test_the_default_branch_is_known(world: World) -> None:
    assert "main" == world.forge.default_branch()


def test_a_person_of_the_repository_may_and_nobody_may_not(world: World) -> None:
    assert "admin" == world.queue.permission("octo")
    assert "none" == world.queue.permission("")


def test_a_commit_that_nobody_pushed_came_from_nowhere(world: World) -> None:
    assert "" == world.queue.before_push("topic", "f" * 40)


def test_an_unknown_run_is_not_called_alive(world: World) -> None:
    assert world.queue.run_alive("4711") is None
    assert world.queue.run_alive("../../x") is None
