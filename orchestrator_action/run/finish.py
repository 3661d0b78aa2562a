"""A task's end: judged, told to the forge, tidied up. Every step within the time a cancelled run has.

The result is in the journal before anything is told, so that whoever comes after a crash tells the same.
What the forge did not confirm is `pending` there; it is found again by its marker and never told twice.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace

from orchestrator_action.errors import GitError, OrchestratorError
from orchestrator_action.git.tree_view import delete
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.attempt import Limits
from orchestrator_action.protocol.events import fold, last_measured
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import (
    PhaseVerdict,
    Task,
    TaskContext,
    TaskResult,
)
from orchestrator_action.publish.acts import with_problems
from orchestrator_action.publish.publish import publish, push_salvage
from orchestrator_action.state.context import RunContext, TaskRun, make_task_run
from orchestrator_action.state.fold import TaskState, result_of, result_record
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.usage import TaskUsage
from orchestrator_action.work.task_files import directory_of, limits_of

log = logging.getLogger(__name__)

PUBLICATION = "the publication"
NOT_CONFIRMED = f"{PUBLICATION} was not confirmed before the run had to end"


def finish_task(task_run: TaskRun, result: TaskResult, run_limits: RunLimits, usage: TaskUsage) -> TaskResult:
    """Write the result down, tell the forge, tidy up; the result says what could not be told or removed."""
    run, task = task_run.run, task_run.task
    usage.count_reviews(run.journal.of(task.id))
    result = replace(result, **usage.figures())
    run.journal.append("judged", task.id, **result_record(result))
    problems = publish_result(task_run, result, run_limits)
    kept = run_limits.bounded(
        "tidying", lambda: _tidy(task_run, run_limits), run.cancel, "the run had to end"
    )
    where = str(task_run.tree.path) if kept else ""
    return replace(with_problems(result, problems), worktree=where, kept_because=kept, **usage.figures())


def publish_result(task_run: TaskRun, result: TaskResult, run_limits: RunLimits) -> tuple[str, ...]:
    """Write the result to the forge; returns what could not be written, in words."""
    run, task = task_run.run, task_run.task
    unconfirmed: tuple[str, ...] = (NOT_CONFIRMED,)
    problems = run_limits.bounded(
        f"publish-{task.id}",
        lambda: publish(task_run, result, run.journal.ledger(task.id)),
        run.cancel,
        unconfirmed,
    )
    if problems is unconfirmed:
        run.journal.append("pending", task.id, what=PUBLICATION, error=NOT_CONFIRMED)
    elif not problems:
        run.journal.append("posted", task.id, what=PUBLICATION)
    return problems


def record_end(run: RunContext, result: TaskResult) -> TaskResult:
    """Write down that a task has ended; nothing of it is to be done after this."""
    run.journal.append("task-ended", result.task_id, **result_record(result))
    log.info("task ended task=%s status=%s wall_s=%.1f", result.task_id, result.status, result.wall_s)
    return result


def _tidy(task_run: TaskRun, run_limits: RunLimits) -> str:
    """Remove what the task borrowed; returns why its tree was kept, or an empty string.

    A run that is being cancelled only moves the files aside: to tell comes first, to delete last.
    """
    trees, task = task_run.run.trees, task_run.task
    _teardown(task_run)
    delete(task_run.directory / "scratch")
    try:
        trees.keep_branch(task_run.tree, task.id)
        kept = trees.remove(task_run.tree, delete=not run_limits.user.is_set())
        if kept and (saved := trees.salvage(task_run.tree, task.id)):
            task_run.run.journal.append("salvaged", task.id, sha=saved)
            push_salvage(task_run.run, task.id, saved)
    except GitError as exc:
        kept = exc.message
    return kept


def _teardown(task_run: TaskRun) -> None:
    """Run the repository's teardown commands. A cancelled run still gives them the time it has left."""
    if not task_run.run.config.teardown:
        return
    if not task_run.run.cancel.is_set():
        task_run.teardown(task_run.tree.path, "teardown")
        return
    free = replace(task_run, run=replace(task_run.run, cancel=Cancel()))
    free.teardown(task_run.tree.path, "teardown")  # given up with us when the time is over


# -- tasks whose work is done elsewhere -------------------------------------------------------------


def recorded_phases(run: RunContext, task_id: str, head: str = "") -> tuple[PhaseVerdict, ...]:
    """How the phases of a task stand by the journal, at `head` or where they were last measured."""
    events = run.journal.of(task_id)
    if not any(e.kind == "task-started" for e in events):
        return ()
    ledger = fold(events, task_id)
    at = head or last_measured(events, task_id) or ledger.base_sha
    return judge(ledger, policy=run.config.phases, head=at).phases


def recorded_result(run: RunContext, task_id: str, state: TaskState) -> TaskResult:
    """The result of a task that ended before, its phases judged again from the journal."""
    record = state.ended or state.judged or {}
    return result_of(record, recorded_phases(run, task_id, str(record.get("head_sha", ""))))


def publish_again(run: RunContext, task: Task, state: TaskState, run_limits: RunLimits) -> TaskResult:
    """Tell what was judged before but never confirmed; the end is as it was judged."""
    result = recorded_result(run, task.id, replace(state, ended=state.judged or state.ended))
    problems = publish_result(recorded_task_run(run, task, result), result, run_limits)
    for what in state.pending:
        if not problems:
            run.journal.append("posted", task.id, what=what)
    return with_problems(result, problems)


def recorded_task_run(run: RunContext, task: Task, result: TaskResult) -> TaskRun:
    """A task of which only the result is left: what publishing needs, and no tree."""
    tree = run.trees.absent(task.id, result.branch or task.branch, result.base_sha)
    limits = Limits()
    with contextlib.suppress(OrchestratorError):
        limits = limits_of(run)
    context = TaskContext(
        path="", task=task, run_id=run.run_id, attempt=max(1, result.attempts), worktree_path=str(tree.path),
        prompt_path="", base_sha=result.base_sha, base_branch=run.base_branch, limits=limits,
        test_commands=task.test or run.test_commands, digest="",
    )  # fmt: skip
    return replace(make_task_run(run, context, tree, directory_of(run, task.id)), git=run.private)


def salvage_tree(run: RunContext, task: Task) -> str:
    """Keep what a tree holds that no commit has; returns the head of the task's branch."""
    ledger = run.journal.ledger(task.id)
    try:
        tree = run.trees.adopt(task.id, ledger.branch or task.branch, ledger.base_sha)
        if tree is None:
            return run.private.rev_parse(f"refs/heads/{ledger.branch}") if ledger.branch else ""
        head = tree.git.head()
        run.trees.keep_branch(tree, task.id)
        if sha := run.trees.salvage(tree, task.id):
            run.journal.append("salvaged", task.id, sha=sha)
            push_salvage(run, task.id, sha)
        return head
    except GitError:
        return ""
