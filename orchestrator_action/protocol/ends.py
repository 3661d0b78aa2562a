"""How a task ends: one status, one conclusion, one error line; and what a run's exit code makes of them.

Everything that DESIGN § 6 says of ends stands here and nowhere else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.judge import waits_for_a_person
from orchestrator_action.protocol.model import GOOD_STATUSES, Declined, Status, Task, TaskResult, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a task ended, and why, in one line."""

    status: Status
    conclusion: Conclusion
    error: str = ""

    def result(self, task: Task, base_sha: str) -> TaskResult:
        """What is known of a task by this end alone."""
        return TaskResult(
            task_id=task.id,
            title=task.title,
            status=self.status,
            conclusion=self.conclusion,
            issue=task.issue.number if task.issue else None,
            branch=task.branch,
            base_sha=base_sha,
            error=self.error,
        )


_ENDINGS = {
    Ending.CANCELLED: (Status.CANCELLED, Conclusion.CANCELLED),
    Ending.TIMEOUT: (Status.TIMEOUT, Conclusion.TIMED_OUT),
    Ending.STALLED: (Status.STALLED, Conclusion.TIMED_OUT),
    Ending.LOG_LIMIT: (Status.FAILED, Conclusion.TIMED_OUT),
    Ending.DISK_LIMIT: (Status.FAILED, Conclusion.TIMED_OUT),
    Ending.MEMORY_LIMIT: (Status.FAILED, Conclusion.TIMED_OUT),
    Ending.PROCESS_LIMIT: (Status.FAILED, Conclusion.TIMED_OUT),
    Ending.NO_START: (Status.FAILED, Conclusion.FAILURE),
    Ending.SPAWN_FAILED: (Status.FAILED, Conclusion.FAILURE),
    Ending.LOST: (Status.FAILED, Conclusion.FAILURE),
}


def conclude(
    outcome: Outcome,
    report: AgentReport,
    verdict: Verdict | None,
    problems: tuple[str, ...] = (),
    *,
    declined: Declined | None = None,
) -> End:
    """The one status and conclusion of a task whose agent was at work.

    `report` is what the agent's output amounts to, `problems` what else must not have happened (a
    worktree tampered with). Success needs all three: a process that ended well, every phase settled
    at the final head, and nothing else in the way. An error of the API alone does not undo a task
    of which nothing was open any more. An agent that `declined` and ended well is neither right nor wrong.
    """
    if outcome.ending in _ENDINGS:
        status, conclusion = _ENDINGS[outcome.ending]
        return End(status=status, conclusion=conclusion, error=outcome.error or str(outcome.ending))
    if outcome.ending is Ending.ABORTED:
        problems = (*report.problems, *problems) or ("stopped: its output shows that it cannot succeed",)
    if problems:
        return _failed("; ".join(problems))
    if declined and (report.api_failed or report.limit or not report.problems):
        return End(status=Status.DECLINED, conclusion=Conclusion.ACTION_REQUIRED, error=str(declined))
    if report.limit:
        error = "; ".join(report.problems) or f"stopped at its limit: {report.limit}"
        return End(status=Status.INCOMPLETE, conclusion=Conclusion.TIMED_OUT, error=error)
    finished = verdict is not None and verdict.settled
    if report.problems and not (report.api_failed and finished):
        return _failed("; ".join(report.problems))
    return _failed("nothing could be measured") if verdict is None else end_of(verdict)


def end_of(verdict: Verdict) -> End:
    """The end that the facts alone amount to."""
    if not verdict.settled:
        return _open_end(verdict)
    if verdict.no_change:
        return End(status=Status.NO_CHANGE, conclusion=Conclusion.NEUTRAL)
    conclusion = Conclusion.NEUTRAL if verdict.exceptions else Conclusion.SUCCESS
    return End(status=Status.SUCCESS, conclusion=conclusion)


def _open_end(verdict: Verdict) -> End:
    """What a fact refutes is the cause; phases that are missing besides follow from it more often than not."""
    if waits_for_a_person(verdict):
        return End(
            status=Status.INCOMPLETE, conclusion=Conclusion.ACTION_REQUIRED, error=verdict.findings[0].message
        )
    refuted = next((f for f in verdict.findings if f.rule == "refuted"), None)
    status = Status.FAILED if refuted else Status.INCOMPLETE
    error = (refuted or verdict.findings[0]).message
    return End(status=status, conclusion=Conclusion.FAILURE, error=error)


def _failed(error: str) -> End:
    return End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)


def cannot_run(why: str) -> End:
    """The end of a task that was not begun, because no success was possible: nothing can be measured at the
    base, the forge would refuse it, or its agent cannot start."""
    return End(status=Status.BLOCKED, conclusion=Conclusion.ACTION_REQUIRED, error=why)


def held_up(why: str) -> End:
    """The end of a task that was not begun, because another task did not succeed."""
    return End(status=Status.BLOCKED, conclusion=Conclusion.SKIPPED, error=why)


def end_word(status: Status) -> str:
    """`done`, `declined` or `failed`: how labels and our comment's lease call an end."""
    if status is Status.DECLINED:
        return "declined"
    return "done" if status in GOOD_STATUSES else "failed"


def exit_code(tasks: Iterable[TaskResult], *, interrupted: bool = False, blocked: int = 2) -> int:
    """Of the command: 0 when every task succeeded or needed no change, 1 when some task did not.

    `blocked` when a task waits for what somebody has to set up: 2 for what cannot be measured at the base,
    4 for what the forge would refuse, 6 for an agent that cannot start; 130 when interrupted.
    """
    if interrupted:
        return 130
    ended = list(tasks)
    if any(t.status is Status.BLOCKED and t.conclusion is Conclusion.ACTION_REQUIRED for t in ended):
        return blocked
    return 0 if all(t.status in GOOD_STATUSES for t in ended) else 1
