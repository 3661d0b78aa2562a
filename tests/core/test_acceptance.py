"""What a change's facts come to, and what a person's comment lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_action.protocol.acceptance import Acceptance, conclude_change, read_acceptances
from orchestrator_action.protocol.forge_values import Comment, Conclusion
from orchestrator_action.protocol.model import Fact


def fact(rule: str, holds: bool = True, **detail: Any) -> Fact:
    return Fact(phase="testing", rule=rule, commit="a" * 40, holds=holds, message=rule, detail=detail)


LOST = fact("nothing-lost", False)
UNPROVEN = fact("suite", False, unproven=True)
EXCEPTED = fact("base-tests", exceptions=[{"id": "t", "reason": "r"}])
ACCEPTS = Acceptance(rule="nothing-lost", reason="the feature goes", by="ada")


@pytest.mark.parametrize(
    ("facts", "accepted", "conclusion"),
    [
        ([fact("suite")], [], Conclusion.SUCCESS),
        ([fact("suite"), LOST], [], Conclusion.FAILURE),
        ([LOST, UNPROVEN], [], Conclusion.FAILURE),
        ([fact("nothing-lost"), UNPROVEN], [], Conclusion.ACTION_REQUIRED),
        ([fact("suite"), LOST], [ACCEPTS], Conclusion.NEUTRAL),
        ([UNPROVEN, LOST], [ACCEPTS], Conclusion.ACTION_REQUIRED),
        ([EXCEPTED], [], Conclusion.NEUTRAL),
        ([fact("suite")], [ACCEPTS], Conclusion.SUCCESS),
        ([], [], Conclusion.SUCCESS),
    ],
)
def test_the_conclusion_follows_from_the_facts(
    facts: list[Fact], accepted: list[Acceptance], conclusion: Conclusion
) -> None:
    """An acceptance of what holds anyway changes nothing."""
    assert conclusion is conclude_change(facts, accepted).conclusion


def test_what_was_accepted_is_shown_with_its_person() -> None:
    """It is neither open nor forgotten."""
    verdict = conclude_change([LOST], [ACCEPTS])

    assert ((LOST, ACCEPTS),) == verdict.accepted
    assert () == verdict.open


def comment(body: str, author: str = "ada", at: str = "2026-01-02T00:00:00Z") -> Comment:
    return Comment(id=1, number=7, author=author, body=body, created_at=at, url="")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            comment("/orchestrate accept nothing-lost: the feature goes"),
            [("nothing-lost", "the feature goes", "ada")],
        ),
        (comment("/orchestrate accept nothing-lost:"), []),
        (comment("/orchestrate accept nothing-lost because"), []),
        (comment("> /orchestrate accept nothing-lost: quoted"), []),
        (comment("please /orchestrate accept nothing-lost: later"), []),
        (comment("/orchestrate accept nothing-lost: mine", author="mallory"), []),
        (comment("/orchestrate accept nothing-lost: old", at="2026-01-01T00:00:00Z"), []),
        (comment("/orchestrate accept nothing-lost: same", at="2026-01-01T12:00:00Z"), []),
    ],
)
def test_only_people_who_may_write_accept_and_only_this_head(
    said: Comment, wanted: list[tuple[str, str, str]]
) -> None:
    """At the start of a comment, with a reason, after this head was judged."""
    found = read_acceptances([said], since="2026-01-01T12:00:00Z", may_write=lambda login: login == "ada")

    assert wanted == [(a.rule, a.reason, a.by) for a in found]


def test_the_last_word_on_a_fact_counts_and_each_person_is_asked_once() -> None:
    """Asking GitHub for a role costs a request."""
    asked: list[str] = []
    comments = [comment(f"/orchestrate accept suite: {n}", at=f"2026-01-0{n}T00:00:00Z") for n in (2, 3)]

    found = read_acceptances(comments, since="2026-01-01", may_write=lambda login: not asked.append(login))

    assert (["3"], ["ada"]) == ([a.reason for a in found], asked)


def test_nobody_accepts_before_a_head_was_judged() -> None:
    """Without a time of the head nothing counts."""
    assert () == read_acceptances(
        [comment("/orchestrate accept suite: x")], since="", may_write=lambda _: True
    )
