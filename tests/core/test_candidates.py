"""Which of several attempts at a task is the best one, and who works on a task that has candidates."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestrator_action.config.load import load_text
from orchestrator_action.errors import ConfigError
from orchestrator_action.protocol.candidates import agents_for, best_of, candidate_tasks, is_candidate, stem
from orchestrator_action.protocol.forge_values import FollowUp, Issue
from orchestrator_action.protocol.model import Candidate, Status, Task


def one(name: str, status: Status, lines: int = 10, cost: float | None = None, **more: object) -> Candidate:
    return Candidate(
        id=name, agent="claude", branch=name, head_sha="a", status=status, lines=lines, cost_usd=cost, **more
    )


RANKED = [
    one("smallest", Status.SUCCESS, 3, 2.0),
    one("cheaper", Status.SUCCESS, 5, 0.5),
    one("dearer", Status.SUCCESS, 5, 0.9),
    one("cost-unknown", Status.SUCCESS, 5),
    one("larger", Status.SUCCESS, 50, 0.1),
    one("a-person-reads-it", Status.SUCCESS, 1, 0.1, needs_person=1),
    one("no-change", Status.NO_CHANGE, 0),
    one("unfinished", Status.INCOMPLETE, 400),
    one("declined", Status.DECLINED, 0),
    one("out-of-time", Status.TIMEOUT, 0),
    one("not-begun", Status.BLOCKED, 0),
    one("crashed", Status.FAILED, 0, failure="agent"),
    one("touched-what-it-must-not", Status.FAILED, 0),
    one("liar", Status.FAILED, 0, 0.0, refuted=True),
    one("cancelled", Status.CANCELLED, 0),
]
"""The best first."""


@pytest.mark.parametrize("first", range(len(RANKED)))
def test_the_best_is_verified_then_smallest_then_cheapest_and_a_liar_comes_last(first: int):
    """Whatever the order in which they stand."""
    some = RANKED[first:]
    random.Random(first).shuffle(some)
    assert RANKED[first].id == best_of(some).id


def test_a_liar_that_ran_out_of_time_is_still_a_liar():
    liar = one("a", Status.TIMEOUT, 0, refuted=True)
    assert "b" == best_of([liar, one("b", Status.FAILED, 99, failure="agent")]).id


def test_of_two_that_are_alike_it_is_the_first():
    assert "x.1" == best_of([one("x.2", Status.SUCCESS), one("x.1", Status.SUCCESS)]).id


TASK = Task(
    id="issue-7", title="t", text="x", branch="orchestrator/issue-7-t", issue=Issue(number=7, title="t")
)


@pytest.mark.parametrize(
    ("wanted", "named", "agents"),
    [
        (("1",), "", ()),
        (("3",), "", ("claude",) * 3),
        (("2",), "codex", ("codex",) * 2),
        (("codex", "gemini:pro"), "", ("codex", "gemini:pro")),
        (("codex", "gemini"), "claude", ()),
    ],
)
def test_a_number_is_of_the_agent_in_force_and_names_are_one_each(wanted, named, agents):
    """An agent that the issue names by its label works alone, or as often as is wanted."""
    assert agents == agents_for(replace(TASK, agent=named), wanted, "claude")


def test_what_goes_on_with_a_branch_has_one_attempt():
    asked = FollowUp(key="p1c1", pull=1, by="ada", at="2026-01-01T00:00:00Z")
    follows = replace(TASK, issue=Issue(number=7, title="t", asked=asked))
    assert () == agents_for(follows, ("3",), "claude")
    assert () == agents_for(replace(TASK, goes_on_at="abc"), ("3",), "claude")


def test_candidates_have_names_of_their_own_that_lead_back_to_the_task():
    made = candidate_tasks(TASK, ("codex", "gemini"))
    assert [("issue-7.1", "codex"), ("issue-7.2", "gemini")] == [(t.id, t.agent) for t in made]
    assert {TASK.branch} == {stem(t.branch) for t in made}
    assert all(is_candidate(t.id) for t in made) and not is_candidate(TASK.id)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("candidates: 3", ("3",)),
        ("candidates: '3'", ("3",)),
        ("candidates: codex", ("codex",)),
        ("candidates: [codex, 'gemini:pro']", ("codex", "gemini:pro")),
        ("{}", ("1",)),
    ],
)
def test_the_key_takes_a_number_or_names(text: str, value: tuple[str, ...]):
    assert value == load_text(text, source="x.yml").candidates


@pytest.mark.parametrize(
    "text", ["0", "10", "[3, codex]", "[]", "true", "1.5", "[2, 2]", "{a: 1}", "''", "-2"]
)
def test_what_makes_no_sense_is_said_with_its_place(text: str):
    with pytest.raises(ConfigError, match=r"x\.yml:1:"):
        load_text(f"candidates: {text}", source="x.yml")
