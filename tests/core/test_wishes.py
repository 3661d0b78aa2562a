"""By what one wish to have an issue worked on is told from the next, in whichever list its events are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator_action.plan import rules
from orchestrator_action.protocol.forge_values import History, IssueEvent

T = "2026-01-02T03:04:05Z"
LATER = "2026-01-02T03:04:06Z"


def event(
    kind: str, at: str = T, *, label: str = "orchestrate", n: int = 0, actor: str = "octo"
) -> IssueEvent:
    return IssueEvent(id=n, kind=kind, label=label, at=at, actor=actor)


def key(events: list[IssueEvent]) -> str:
    request = rules.request_of(events, "orchestrate")
    assert request
    return request.key


def test_a_wish_has_the_same_key_with_ids_and_without() -> None:
    rest = [event("labeled", n=7), event("labeled", n=8, label="bug")]

    assert key(rest) == key([replace(e, id=0) for e in rest])


def test_a_label_set_again_in_the_same_second_is_another_wish() -> None:
    """By the same person, so that the two events are alike in all that GraphQL tells."""
    once = [event("labeled")]
    again = [*once, event("unlabeled"), event("labeled")]

    assert key(once) != key(again)
    assert key(once) == rules.wish_key(again[0], again), "the first one's does not change by the second"


def test_other_labels_of_the_same_second_do_not_count() -> None:
    assert key([event("labeled")]) == key([event("labeled", label="bug"), event("labeled")])


@pytest.mark.parametrize("case", ["orchestrate", "Orchestrate"])
def test_the_case_of_a_label_makes_no_other_wish(case: str) -> None:
    events = [event("labeled"), event("unlabeled"), event("labeled", label=case)]

    assert key(events).endswith(".2")


def test_a_claim_of_a_version_before_names_the_events_id() -> None:
    one, two = event("labeled", n=7), event("labeled", LATER, n=9, actor="other")
    events = [one, event("unlabeled", n=8), two]

    for known in ("7", key([one])):
        request = rules.request_again(known, events, ())
        assert request and (known, "octo", T) == (request.key, request.actor, request.at)
    assert rules.request_again("8", events, ()) is None
    assert rules.request_again("0", [replace(one, id=0)], ()) is None, "0 is no id"


@pytest.mark.parametrize(("whole", "first", "told"), [(True, T, True), (False, T, False), (False, "", True)])
def test_a_history_that_may_lack_a_wish_of_the_same_second_tells_nothing(
    whole: bool, first: str, told: bool
) -> None:
    """Then the issue is asked by itself."""
    early = "2026-01-02T03:04:04Z"
    events = (event("labeled", first or early, label="bug"), event("labeled"))

    assert told == bool(rules.since(History(events=events, whole=whole), "orchestrate"))


def test_a_history_without_the_wish_tells_nothing_unless_it_is_whole() -> None:
    events = (event("labeled", label="bug"),)

    assert () == rules.since(History(events=events, whole=False), "orchestrate")
    assert () == rules.since(History(events=(), whole=False), "orchestrate")
    assert events == rules.since(History(events=events, whole=True), "orchestrate")
