"""A task's end: judged, told to the forge, tidied up. Every step within the time a cancelled run has.

The result is in the journal before anything is told, so that whoever comes after a crash tells the same.
What the forge did not confirm is `pending` there; it is found again by its marker and never told twice.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError, OrchestratorError
from orchestrator_action.git.worktrees import Worktree
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.events import fold, last_measured
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import (
    GOOD_STATUSES,
    Conclusion,
    Limits,
    PhaseVerdict,
    Status,
    Task,
    TaskContext,
    TaskResult,
)
from orchestrator_action.publish.publish import publish, push_salvage
from orchestrator_action.state.context import IDENTITY, Parts, Subject, command_env
from orchestrator_action.state.fold import TaskState, result_of, result_record
from orchestrator_action.state.limits import Pace
from orchestrator_action.state.usage import Tally
from orchestrator_action.work.task_files import directory_of, limits_of

log = logging.getLogger(__name__)

PUBLICATION = "the publication"
NOT_CONFIRMED = f"{PUBLICATION} was not confirmed before the run had to end"


def settle(subject: Subject, result: TaskResult, pace: Pace, tally: Tally) -> TaskResult:
    """Write the result down, tell the forge, tidy up; the result says what could not be told or removed."""
    parts, task = subject.parts, subject.task
    result = replace(result, **tally.figures())
    parts.journal.append("judged", task.id, **result_record(result))
    problems = told(subject, result, pace)
    kept = pace.bounded("tidying", lambda: _tidy(subject, pace), parts.cancel, "the run had to end")
    where = str(subject.worktree.path) if kept else ""
    return replace(with_problems(result, problems), worktree=where, kept_because=kept, **tally.figures())


def told(subject: Subject, result: TaskResult, pace: Pace) -> tuple[str, ...]:
    """Write the result to the forge; returns what could not be written, in words."""
    parts, task = subject.parts, subject.task
    unconfirmed: tuple[str, ...] = (NOT_CONFIRMED,)
    problems = pace.bounded(
        f"publish-{task.id}",
        lambda: publish(subject, result, parts.journal.ledger(task.id)),
        parts.cancel,
        unconfirmed,
    )
    if problems is unconfirmed:
        parts.journal.append("pending", task.id, what=PUBLICATION, error=NOT_CONFIRMED)
    elif not problems:
        parts.journal.append("posted", task.id, what=PUBLICATION)
    return problems


def with_problems(result: TaskResult, problems: tuple[str, ...]) -> TaskResult:
    """What could not be published stands in the way of success: nobody would see it."""
    if not problems:
        return result
    error = "; ".join(filter(None, (result.error, *problems)))
    if result.status in GOOD_STATUSES:
        return replace(result, status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)
    return replace(result, error=error)


def ended(parts: Parts, result: TaskResult) -> TaskResult:
    """Write down that a task has ended; nothing of it is to be done after this."""
    parts.journal.append("task-ended", result.task_id, **result_record(result))
    log.info("task ended task=%s status=%s wall_s=%.1f", result.task_id, result.status, result.wall_s)
    return result


def _tidy(subject: Subject, pace: Pace) -> str:
    """Remove what the task borrowed; returns why its worktree was kept, or an empty string.

    A run that is being cancelled only moves the files aside: to tell comes first, to delete last.
    """
    workspace, task = subject.parts.workspace, subject.task
    _teardown(subject)
    measured = workspace.root / f"measure-{task.id}"
    with contextlib.suppress(GitError):
        if measured.exists():
            workspace.remove(measured)
    try:
        kept = workspace.remove(subject.worktree, delete=not pace.user.is_set())
        if kept and (saved := workspace.salvage(subject.worktree, task.id)):
            subject.parts.journal.append("salvaged", task.id, sha=saved)
            push_salvage(subject.parts, task.id, saved)
    except GitError as exc:
        kept = exc.message
    return kept


def _teardown(subject: Subject) -> None:
    """Run the repository's teardown commands. A cancelled run still gives them the time it has left."""
    if not subject.parts.config.teardown:
        return
    if not subject.parts.cancel.is_set():
        subject.teardown(subject.worktree.path, "teardown")
        return
    free = replace(subject, parts=replace(subject.parts, cancel=Cancel()))
    free.teardown(subject.worktree.path, "teardown")  # given up with us when the time is over


# -- tasks whose work is done elsewhere -------------------------------------------------------------


def phases_known(parts: Parts, task_id: str, head: str = "") -> tuple[PhaseVerdict, ...]:
    """How the phases of a task stand by the journal, at `head` or where they were last measured."""
    events = parts.journal.of(task_id)
    if not any(e.kind == "task-started" for e in events):
        return ()
    ledger = fold(events, task_id)
    at = head or last_measured(events, task_id) or ledger.base_sha
    return judge(ledger, policy=parts.config.phases, head=at).phases


def known_result(parts: Parts, task_id: str, state: TaskState) -> TaskResult:
    """The result of a task that ended before, its phases judged again from the journal."""
    record = state.ended or state.judged or {}
    return result_of(record, phases_known(parts, task_id, str(record.get("head_sha", ""))))


def told_again(parts: Parts, task: Task, state: TaskState, pace: Pace) -> TaskResult:
    """Tell what was judged before but never confirmed; the end is as it was judged."""
    result = known_result(parts, task.id, replace(state, ended=state.judged or state.ended))
    problems = told(subject_of(parts, task, result), result, pace)
    for what in state.pending:
        if not problems:
            parts.journal.append("posted", task.id, what=what)
    return with_problems(result, problems)


def subject_of(parts: Parts, task: Task, result: TaskResult) -> Subject:
    """A task of which only the result is left: what publishing needs, and no worktree."""
    git = parts.workspace.git
    path = parts.workspace.root / f"task-{task.id}"
    limits = Limits()
    with contextlib.suppress(OrchestratorError):
        limits = limits_of(parts)
    context = TaskContext(
        path="", task=task, run_id=parts.run_id, attempt=max(1, result.attempts), worktree_path=str(path),
        prompt_path="", base_sha=result.base_sha, base_branch=parts.base_branch, limits=limits,
        test_commands=task.test or parts.test_commands, digest="",
    )  # fmt: skip
    return Subject(
        parts=parts,
        task=task,
        agent=parts.agents(task.agent or parts.config.agent),
        context=context,
        worktree=Worktree(
            path=path,
            admin=Path(git.common_dir),
            branch=result.branch or task.branch,
            base_sha=result.base_sha,
            git=git,
        ),
        git=git,
        directory=directory_of(parts, task.id),
        limits=limits,
        env={**parts.env, **IDENTITY},
        command_env=command_env(parts.env),
        test_commands=context.test_commands,
    )


def saved(parts: Parts, task: Task) -> str:
    """Keep what a worktree holds that no commit has; returns the head of the task's branch."""
    ledger = parts.journal.ledger(task.id)
    try:
        worktree = parts.workspace.adopt(task.id, ledger.branch or task.branch, ledger.base_sha)
        if worktree is None:
            return parts.git.rev_parse(f"refs/heads/{ledger.branch}") if ledger.branch else ""
        head = worktree.git.head()
        if sha := parts.workspace.salvage(worktree, task.id):
            parts.journal.append("salvaged", task.id, sha=sha)
            push_salvage(parts, task.id, sha)
        return head
    except GitError:
        return ""
