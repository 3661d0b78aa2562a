"""What the attempts of a task used and how they failed, added up as they end, across restarts of ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.model import AgentReport, Ending, Outcome
from orchestrator_action.state.failure import Failure
from orchestrator_action.state.fold import TaskState


@dataclass(slots=True)
class TaskUsage:
    """The sums of one task."""

    started: float = field(default_factory=time.monotonic)
    """When this process took the task up, monotonic seconds."""
    outcome: Outcome = field(default_factory=lambda: Outcome(ending=Ending.CANCELLED))
    report: AgentReport = field(default_factory=AgentReport)
    attempts: int = 0
    """Those that count: one that only made room for others does not."""
    number: int = 0
    """The number of the last attempt, which its log carries."""
    cpu_s: float = 0.0
    peak_rss_mib: float = 0.0
    read_bytes: int = 0
    write_bytes: int = 0
    turns: int | None = None
    cost_usd: float | None = None
    failures: list[str] = field(default_factory=list)
    before_s: float = 0.0
    """What earlier processes of ours spent on it."""

    def add(self, number: int, outcome: Outcome, report: AgentReport, failure: Failure | None) -> None:
        """Count one attempt."""
        self.outcome, self.report, self.number = outcome, report, number
        self.attempts += 1
        if failure:
            self.failures.append(failure)
        self._use(attempt_record(number, outcome, report, failure))

    def set_aside(self, number: int, outcome: Outcome, report: AgentReport) -> None:
        """An attempt that was asked to come again: what it used is used, but it is not charged."""
        self.number = number
        self._use(attempt_record(number, outcome, report, None))

    def recall(self, state: TaskState) -> None:
        """Take over what the journal says of attempts before this process."""
        for one in state.attempts:
            self.number = max(self.number, one.number)
            self.attempts += 1
            if one.ended is None:
                continue
            self.attempts -= bool(one.ended.get("shed"))
            self.before_s += one.ended.get("wall_s", 0.0)
            if one.ended.get("failure"):
                self.failures.append(one.ended["failure"])
            self._use(one.ended)

    def _use(self, record: Mapping[str, Any]) -> None:
        self.cpu_s += record.get("cpu_s", 0.0)
        self.peak_rss_mib = max(self.peak_rss_mib, record.get("peak_rss_mib", 0.0))
        self.read_bytes += record.get("read_bytes", 0)
        self.write_bytes += record.get("write_bytes", 0)
        if record.get("turns") is not None:
            self.turns = (self.turns or 0) + record["turns"]
        if record.get("cost_usd") is not None:
            self.cost_usd = (self.cost_usd or 0.0) + record["cost_usd"]

    def figures(self) -> dict[str, Any]:
        """The sums, as fields of a TaskResult."""
        return {
            "attempts": self.attempts,
            "cpu_s": round(self.cpu_s, 3),
            "peak_rss_mib": round(self.peak_rss_mib, 1),
            "read_bytes": self.read_bytes,
            "write_bytes": self.write_bytes,
            "turns": self.turns,
            "cost_usd": self.cost_usd,
            "failures": tuple(self.failures),
            "wall_s": round(self.before_s + time.monotonic() - self.started, 3),
        }


def attempt_record(
    number: int, outcome: Outcome, report: AgentReport, failure: Failure | None, *, shed: bool = False
) -> dict[str, Any]:
    """An attempt's end as data of `attempt-ended`."""
    return {
        "attempt": number,
        "ending": outcome.ending,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "pid": outcome.pid,
        "started_at": round(outcome.started_at, 3),
        "wall_s": round(outcome.wall_s, 3),
        "cpu_s": round(outcome.cpu_s, 3),
        "peak_rss_mib": round(outcome.peak_rss_mib, 1),
        "read_bytes": outcome.read_bytes,
        "write_bytes": outcome.write_bytes,
        "turns": report.turns,
        "cost_usd": report.cost_usd,
        "error": outcome.error,
        "problems": list(report.problems),
        "failure": failure,
        "shed": shed,
        "leftovers": outcome.leftovers,
        "survivors": outcome.survivors,
    }
