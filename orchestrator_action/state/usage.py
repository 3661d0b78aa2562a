"""What the attempts of a task used and how they failed, added up as they end, across restarts of ours.

Cost is counted once. Claude Code 2.1.330 and later print for a resumed session what all of it cost so far,
2.1.197 what the last process cost. Which of them it is shows in the tokens that the cost counts: they are
either those of this process alone, or those of the process before and this one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.protocol.events import Event
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
    model: str = ""
    curves: list[Mapping[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    before_s: float = 0.0
    """What earlier processes of ours spent on it."""
    reviews_usd: float | None = None
    """What reviewers cost."""
    _printed: dict[str, tuple[float, int]] = field(default_factory=dict)
    """By session: the cost that was printed last, and the tokens that it counts."""

    def add(
        self, number: int, outcome: Outcome, report: AgentReport, failure: Failure | None
    ) -> dict[str, Any]:
        """Count one attempt; returns it as data of `attempt-ended`."""
        self.outcome, self.report, self.number = outcome, report, number
        self.attempts += 1
        return self._add(number, outcome, report, failure)

    def add_earlier(
        self, number: int, outcome: Outcome, report: AgentReport, failure: Failure | None
    ) -> dict[str, Any]:
        """Count what an attempt used that began in a process before us, which did not see its end."""
        self.outcome, self.report = outcome, report
        return self._add(number, outcome, report, failure)

    def set_aside(self, number: int, outcome: Outcome, report: AgentReport) -> dict[str, Any]:
        """An attempt that was asked to come again: what it used is used, but it is not charged."""
        self.number = number
        return self._add(number, outcome, report, None, shed=True)

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

    def _add(
        self,
        number: int,
        outcome: Outcome,
        report: AgentReport,
        failure: Failure | None,
        *,
        shed: bool = False,
    ) -> dict[str, Any]:
        if failure:
            self.failures.append(failure)
        cost = self._own_cost(report)
        record = _attempt_record(number, outcome, report, failure, cost_usd=cost, shed=shed)
        self._use(record)
        return record

    def _own_cost(self, report: AgentReport) -> float | None:
        """What this process added to the cost of its session."""
        if report.cost_usd is None:
            return None
        before_usd, before_tokens = self._printed.get(report.session_id, (0.0, 0))
        counts_before = before_tokens and report.cost_tokens >= before_tokens + report.own_tokens
        return max(0.0, report.cost_usd - before_usd) if counts_before else report.cost_usd

    def _use(self, record: Mapping[str, Any]) -> None:
        self.cpu_s += record.get("cpu_s", 0.0)
        self.peak_rss_mib = max(self.peak_rss_mib, record.get("peak_rss_mib", 0.0))
        self.read_bytes += record.get("read_bytes", 0)
        self.write_bytes += record.get("write_bytes", 0)
        self.model = record.get("model") or self.model
        if record.get("curve"):
            self.curves.append(record["curve"])
        if record.get("turns") is not None:
            self.turns = (self.turns or 0) + record["turns"]
        if record.get("cost_usd") is not None:
            self.cost_usd = (self.cost_usd or 0.0) + record["cost_usd"]
        self.note_printed(record)

    def note_printed(self, record: Mapping[str, Any]) -> None:
        """Remember what a session had printed as its cost when an attempt ended, so that none of it counts again."""
        if record.get("session_id") and record.get("printed_cost_usd") is not None:
            self._printed[record["session_id"]] = (record["printed_cost_usd"], record["cost_tokens"])

    def count_reviews(self, events: Iterable[Event]) -> None:
        """Take what the task's reviewers cost from its events: all of them, those of earlier processes too."""
        known = [e.data["cost_usd"] for e in events if e.kind == "review-ended"]
        costs = [float(c) for c in known if c is not None]
        self.reviews_usd = sum(costs) if costs else None

    @property
    def total_usd(self) -> float | None:
        """What agents and reviewers cost; None when none of them said."""
        known = [c for c in (self.cost_usd, self.reviews_usd) if c is not None]
        return round(sum(known), 6) if known else None

    def figures(self) -> dict[str, Any]:
        """The sums, as fields of a TaskResult."""
        return {
            "attempts": self.attempts,
            "cpu_s": round(self.cpu_s, 3),
            "peak_rss_mib": round(self.peak_rss_mib, 1),
            "read_bytes": self.read_bytes,
            "write_bytes": self.write_bytes,
            "model": self.model,
            "curves": tuple(self.curves),
            "turns": self.turns,
            "cost_usd": self.total_usd,
            "failures": tuple(self.failures),
            "wall_s": round(self.before_s + time.monotonic() - self.started, 3),
        }


def _attempt_record(
    number: int,
    outcome: Outcome,
    report: AgentReport,
    failure: Failure | None,
    *,
    cost_usd: float | None,
    shed: bool,
) -> dict[str, Any]:
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
        "curve": dict(outcome.curve),
        "model": report.model,
        "turns": report.turns,
        "cost_usd": cost_usd,
        "session_id": report.session_id,
        "printed_cost_usd": report.cost_usd,
        "cost_tokens": report.cost_tokens,
        "error": outcome.error,
        "problems": list(report.problems),
        "failure": failure,
        "shed": shed,
        "leftovers": outcome.leftovers,
        "survivors": outcome.survivors,
    }
