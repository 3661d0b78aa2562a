"""The state of a run is what its journal's events say, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator_action.protocol.events import Event, seal
from orchestrator_action.state.fold import recall

Said = tuple[float, str, dict[str, Any]]


def events(*said: Said) -> Sequence[Event]:
    return [
        seal(seq=n, at=at, run="r", task="t" if "attempt" in kind else "", kind=kind, data=data, prev="")
        for n, (at, kind, data) in enumerate(said, 1)
    ]


def attempt(started_at: float, wall_s: float) -> dict[str, Any]:
    return {"attempt": 1, "pid": 7, "started_at": started_at, "wall_s": wall_s}


STARTED: Said = (100.0, "run-started", {"requested": ["t"]})


@pytest.mark.parametrize(
    ("said", "worked_s"),
    [
        ([STARTED, (130.0, "run-ended", {})], 0.0),
        ([STARTED, (130.0, "note", {}), (500.0, "run-resumed", {})], 30.0),
        (
            [
                STARTED,
                (110.0, "note", {}),
                (500.0, "run-resumed", {}),
                (501.0, "attempt-ended", attempt(105, 40)),
            ],
            45.0,
        ),
        ([STARTED, (130.0, "attempt-ended", attempt(105, 20)), (500.0, "run-resumed", {})], 30.0),
        ([STARTED, (500.0, "run-resumed", {}), (590.0, "attempt-ended", attempt(510, 80))], 0.0),
        (
            [
                STARTED,
                (110.0, "note", {}),
                (500.0, "run-resumed", {}),
                (510.0, "note", {}),
                (900.0, "run-resumed", {}),
            ],
            20.0,
        ),
        ([], 0.0),
    ],
    ids=[
        "the only one",
        "to its last event",
        "its agent lived on",
        "its agent ended before",
        "of this one",
        "two",
        "none",
    ],
)
def test_what_was_worked_before_is_that_of_processes_and_their_agents(said: list[Said], worked_s: float):
    """A killed orchestrator's agents are ended by their guards a little later: their time counts once."""
    assert worked_s == recall(events(*said)).worked_before_s
