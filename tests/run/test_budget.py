"""What a run may spend: at a limit nothing new starts, the issue keeps its label, and is told why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.run.budget import Budget
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, House, house

SPENDER = """#!/bin/sh
echo '{"cost_usd": 2.0}'
orchestrator-phase stop --because 'money is all it takes' >/dev/null
"""


@pytest.mark.parametrize(
    ("budget", "spent", "running", "may"),
    [
        (Budget(), 1000.0, 9, True),
        (Budget(run_usd=5), 4.99, 3, True),
        (Budget(run_usd=5), 5.0, 0, False),
        (Budget(run_usd=5, task_usd=2), 3.0, 0, True),
        (Budget(run_usd=5, task_usd=2), 3.5, 0, False),
        (Budget(run_usd=5, task_usd=2), 0.0, 1, True),
        (Budget(run_usd=5, task_usd=2), 0.0, 2, False),
        (Budget(day_usd=10, before_usd=9), 0.5, 0, True),
        (Budget(day_usd=10, before_usd=9), 1.0, 0, False),
        (Budget(run_usd=5, day_usd=10, before_usd=10), 0.0, 0, False),
    ],
)
def test_a_task_starts_while_there_is_room_for_it(budget: Budget, spent: float, running: int, may: bool):
    """What runs keeps its share of a limit reserved, where a task has one."""
    assert may is not bool(budget.refusal(spent, running))


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path: Path) -> House:
    """Three issues for an agent that spends two dollars on each."""
    script = tmp_path / "spender.sh"
    script.write_text(SPENDER)
    script.chmod(0o755)
    settings = f"agent-command: {{argv: [{script}]}}\nphases: {{testing: off}}\nmax-parallel: 1\n"
    made = house(tmp_path, make({**LIBRARY, ".github/orchestrator.yml": settings}))
    for number in (1, 2, 3):
        made.issue(number, f"Task {number}", "Spend.")
    return made


def statuses(home: House, *args: str) -> tuple[list[str], str]:
    ran = home.run("--agent", "command", *args, agent="command")
    return [t["status"] for t in ran.report["tasks"]], ran.report["tasks"][-1]["error"]


def test_at_the_limit_of_a_run_nothing_new_starts(home: House):
    found, error = statuses(home, "--max-run-usd", "3")

    assert ["declined", "declined", "blocked"] == found
    assert "the budget of the run is $3.00: $4.00 are spent" in error
    told = "".join(p.read_text() for p in (home.forge / "comments" / "3").glob("*"))
    assert "not started" in told and "The label stays" in told
    assert (
        '"orchestrate"' in (home.forge / "issues" / "3.md").read_text()
        or "- orchestrate\n" in (home.forge / "issues" / "3.md").read_text()
    )


def test_with_a_limit_for_each_task_the_limit_of_the_run_is_never_passed(home: House):
    found, error = statuses(home, "--max-run-usd", "3", "--max-budget-usd", "2")

    assert ["declined", "blocked", "blocked"] == found
    assert "$1.00 are left for a further task" in error


def test_the_limit_of_a_day_counts_what_other_runs_left_on_the_remote(home: House):
    first, _ = statuses(home, "--max-run-usd", "1")
    second, error = statuses(home, "--max-day-usd", "3")

    assert ["declined", "blocked", "blocked"] == first
    assert ["declined", "blocked"] == second
    assert "the budget of the day is $3.00: $4.00 are spent" in error
