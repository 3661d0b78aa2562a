"""Why an attempt failed, in one word that can be counted over a run, and whether trying again may help.

Pure. A failure that may pass by itself is tried again within the configured number of retries; what is
wrong with the machine rather than the API gets a single second chance. Everything else stands.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orchestrator_action.agents.refusals import is_out_of_quota, is_refused, is_unknown_model
from orchestrator_action.protocol.attempt import LONGEST_PAUSE_S, AgentReport, Ending, Outcome


class Failure(StrEnum):
    """The classes of failure, as in the report."""

    OVERLOADED = "overloaded"
    """The API said "too much" or broke off (429, 529, 5xx, a lost connection)."""
    NO_START = "no-start"
    LOST = "lost"
    """Its guard was killed, or the orchestrator ended."""
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    LOG_LIMIT = "log-limit"
    DISK_LIMIT = "disk-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    SPAWN_FAILED = "spawn-failed"
    CANCELLED = "cancelled"
    AGENT_LIMIT = "agent-limit"
    """The agent's own limit of turns or money."""
    QUOTA = "quota"
    """What was paid for is used up, or the API asks to come back after more than ten minutes."""
    MODEL = "model"
    """The API does not know the model."""
    AUTHENTICATION = "authentication"
    AGENT = "agent"
    """Any other reason its reader gave."""


_BY_ENDING = {
    Ending.NO_START: Failure.NO_START,
    Ending.LOST: Failure.LOST,
    Ending.TIMEOUT: Failure.TIMEOUT,
    Ending.STALLED: Failure.STALLED,
    Ending.LOG_LIMIT: Failure.LOG_LIMIT,
    Ending.DISK_LIMIT: Failure.DISK_LIMIT,
    Ending.MEMORY_LIMIT: Failure.MEMORY_LIMIT,
    Ending.PROCESS_LIMIT: Failure.PROCESS_LIMIT,
    Ending.SPAWN_FAILED: Failure.SPAWN_FAILED,
    Ending.CANCELLED: Failure.CANCELLED,
}
VENDOR_REFUSES = frozenset({Failure.QUOTA, Failure.OVERLOADED})
"""The agent's vendor cannot serve us now: another agent may go on."""
_ONCE = frozenset({Failure.NO_START, Failure.LOST, Failure.OUT_OF_MEMORY})
"""The machine's doing: worth one more try, and no more."""


def failure_of(outcome: Outcome, report: AgentReport) -> Failure | None:
    """The class of this end; None when the process did its part."""
    if outcome.oom:
        return Failure.OUT_OF_MEMORY
    if outcome.ending in _BY_ENDING:
        return _BY_ENDING[outcome.ending]
    if report.limit:
        return Failure.AGENT_LIMIT
    if not report.problems and outcome.ending is not Ending.ABORTED:
        return None
    words = " ".join(report.problems)
    if report.retry_after_s > LONGEST_PAUSE_S or is_out_of_quota(words):
        return Failure.QUOTA
    if report.transient:
        return Failure.OVERLOADED
    if is_refused(words):
        return Failure.AUTHENTICATION
    return Failure.MODEL if is_unknown_model(words) else Failure.AGENT


def with_its_return(report: AgentReport, outcome: Outcome) -> AgentReport:
    """The report of a quota that is used up, with the time at which the vendor asks to come back, where it is known."""
    if not report.retry_after_s:
        return report
    back = time.gmtime(outcome.started_at + outcome.wall_s + report.retry_after_s)
    words = time.strftime("the vendor asks to come back at %Y-%m-%d %H:%M UTC", back)
    return replace(report, problems=(*report.problems, words))


@dataclass(slots=True)
class Chances:
    """How many more times a task may be tried. `retries` bounds them all together."""

    retries: int
    taken: list[Failure] = field(default_factory=list)

    def allow(self, failure: Failure | None, outcome: Outcome) -> bool:
        """Whether a further attempt makes sense after this one; nothing is counted yet.

        Where something of the attempt still runs there is none: a retry must not meet it.
        """
        if failure is None or outcome.survivors or len(self.taken) >= self.retries:
            return False
        if failure in _ONCE:
            return failure not in self.taken
        return failure is Failure.OVERLOADED

    def take(self, failure: Failure) -> None:
        """Count a further attempt."""
        self.taken.append(failure)
