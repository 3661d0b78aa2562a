"""One fact of Testing while it is being found, and what several of them say alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.verify.change_runs import (
    ChangeRuns,
)
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.exceptions import NamedTest, reason_for
from orchestrator_action.verify.test_changes import is_named

AT_MOST = 5
"""How many tests a message names; the rest stands in the detail."""
MESSAGE_CHARS = 600


@dataclass(slots=True)
class Answer:
    """One fact while it is being found."""

    holds: bool = True
    message: str = ""
    unproven: bool = False
    exceptions: list[NamedTest] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def fact(self, rule: str, head: str) -> Fact:
        """As it stands now, at the commit `head`."""
        detail = dict(self.detail)
        if self.unproven:
            detail["unproven"] = True
        if self.exceptions:
            detail["exceptions"] = [e.data() for e in self.exceptions]
        return Fact(
            phase="testing", rule=rule, commit=head, holds=self.holds, message=self.message, detail=detail
        )


def not_compared(why: str) -> Answer:
    """Nothing can be said, and why."""
    return Answer(holds=False, unproven=True, message=f"not compared with the base: {why}")


def failing_data(cases: Sequence[CaseResult], runs: ChangeRuns) -> list[dict[str, Any]]:
    """Failing tests as the detail of a fact has them."""
    return [
        {
            "id": shown(c.id), "file": shown(c.file), "message": c.message[:MESSAGE_CHARS],
            "red_before": normal_id(c.id) in runs.red_before, "flaky": normal_id(c.id) in runs.flaky,
        }
        for c in cases[:50]
    ]  # fmt: skip


def named_tests(ids: Iterable[str]) -> str:
    """The first few by name, and how many more."""
    return listed(list(ids), at_most=AT_MOST)


def named_files(runs: ChangeRuns, note: str) -> list[NamedTest]:
    """Where tests have no ids, what reading the files shows is named by file and test."""
    found = []
    for path, what, _ in runs.losses:
        reason = reason_for(note, path, "") if is_named(path, note) else ""
        if reason:
            found.append(NamedTest(id=shown(path), what=what, reason=reason))
    return found if len(found) == len(runs.losses) else []
