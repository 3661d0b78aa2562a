"""What a task used, counted once, whatever a version of the CLI means by the cost of a resumed session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.protocol.events import Event
from orchestrator_action.state.fold import task_state
from orchestrator_action.state.usage import TaskUsage

ENDED = Outcome(ending=Ending.EXITED, exit_code=0)


def result(session: str, cost: float, own: int, counted: int) -> dict[str, Any]:
    """A result as the CLI prints it; the figures of the tests are those of real sessions."""
    return {
        "type": "result", "subtype": "success", "is_error": False, "num_turns": 1, "session_id": session,
        "total_cost_usd": cost, "usage": {"input_tokens": own, "cache_read_input_tokens": 0},
        "modelUsage": {"a-model": {"inputTokens": counted, "costUSD": cost}},
    }  # fmt: skip


def reports(*results: dict[str, Any]) -> list[AgentReport]:
    """What the reader makes of one process each."""
    found = []
    for one in results:
        reader = ClaudeReader("")
        reader.feed(json.dumps({"type": "system", "subtype": "init"}).encode())
        reader.feed(json.dumps(one).encode())
        found.append(reader.report(ENDED))
    return found


def used(found: Sequence[AgentReport]) -> TaskUsage:
    usage = TaskUsage()
    for number, report in enumerate(found, 1):
        usage.add(number, ENDED, report, None)
    return usage


CUMULATIVE = (result("s", 0.0016, 240, 240), result("s", 0.0032, 240, 480), result("s", 0.004, 120, 600))
"""Claude Code 2.1.330 and 2.1.332."""
EACH = (result("s", 0.002, 240, 240), result("s", 0.002, 240, 240), result("s", 0.001, 120, 120))
"""Claude Code 2.1.197."""


@pytest.mark.parametrize(("printed", "cost"), [(CUMULATIVE, 0.004), (EACH, 0.005)], ids=["330", "197"])
def test_the_cost_of_a_resumed_session_is_counted_once(printed, cost):
    assert pytest.approx(cost) == used(reports(*printed)).figures()["cost_usd"]


def test_sessions_of_their_own_add_up():
    """A fresh session that happens to be longer than the one before is no continuation of it."""
    printed = (result("a", 0.0016, 240, 240), result("b", 0.0032, 480, 480))

    assert pytest.approx(0.0048) == used(reports(*printed)).figures()["cost_usd"]


def test_a_longer_process_of_a_version_that_prints_each_is_counted_whole():
    """More than before is not more of the same: the tokens that the cost counts are this process's own."""
    printed = (result("s", 0.002, 240, 240), result("s", 0.005, 600, 600))

    assert pytest.approx(0.007) == used(reports(*printed)).figures()["cost_usd"]


def test_a_run_that_is_taken_up_again_counts_on():
    """What was printed before stands in the journal."""
    first, second, _ = reports(*CUMULATIVE)
    record = TaskUsage().add(1, ENDED, first, None)
    common = {"at": 0.0, "run": "r", "task": "t", "prev": "", "hash": ""}
    events = [
        Event(seq=1, kind="attempt-started", data={"attempt": 1, "session_id": "s"}, **common),
        Event(seq=2, kind="attempt-ended", data=record, **common),
    ]
    usage = TaskUsage()
    usage.recall(task_state(events))

    usage.add(2, ENDED, second, None)

    assert pytest.approx(0.0032) == usage.figures()["cost_usd"]
