"""One task from its tree to its result: prepare, let the agent work, measure again, publish, tidy up.

Read top to bottom. Whatever goes wrong on the way is this task's result, never the run's end; only a
journal that takes nothing more is, for then nothing may be done that relies on it. A task that an
earlier process of ours began goes on where the journal says it stood.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError, JournalError, OrchestratorError, TakenError
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.candidates import is_candidate
from orchestrator_action.protocol.ends import End, conclude
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.forge_values import Conclusion, ReviewFinding
from orchestrator_action.protocol.model import GOOD_STATUSES, Reviewed, Status, Task, TaskResult, Verdict
from orchestrator_action.publish.acts import with_problems
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.claim import claim_issue, known_pull
from orchestrator_action.run.audit_sync import Trail
from orchestrator_action.run.finish import (
    finish_task,
    publish_again,
    publish_result,
    record_end,
    recorded_phases,
    recorded_result,
    recorded_task_run,
    salvage_tree,
)
from orchestrator_action.run.sessions import session_before
from orchestrator_action.state.context import RunContext, TaskRun, make_task_run
from orchestrator_action.state.fold import TaskState, agents_of, task_state
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.takeover import base_of, carry, text_digest
from orchestrator_action.state.usage import TaskUsage
from orchestrator_action.verify.measure import Measure
from orchestrator_action.work.attempts import Trying
from orchestrator_action.work.claims import Claims
from orchestrator_action.work.task_files import directory_of, log_path, write_context

log = logging.getLogger(__name__)

_UNKNOWN: Verdict | None = Verdict(head_sha="", phases=())
"""There was no time left to measure."""


MOST_SAID = 4000
"""Characters of an agent's closing words that are kept."""


def work_on(task: Task, run: RunContext, run_limits: RunLimits) -> TaskResult:
    """Take one task all the way. Raises JournalError, and nothing else that can go wrong with a task."""
    state = task_state(run.journal.of(task.id))
    usage = TaskUsage()
    usage.recall(state)
    with contextlib.ExitStack() as after:  # the trail is closed when the end is recorded, so that it tells it
        return record_end(run, _whole_way(task, run, run_limits, state, usage, after))


def _whole_way(
    task: Task,
    run: RunContext,
    run_limits: RunLimits,
    state: TaskState,
    usage: TaskUsage,
    after: contextlib.ExitStack,
) -> TaskResult:
    """The result of one task, whatever happened. What it leaves open is closed by `after`, once that is recorded."""
    task_run: TaskRun | None = None
    try:
        if state.judged is not None and state.judged["status"] != Status.CANCELLED:
            result = _finish_judged(task, run, state, run_limits)
        else:
            ready = bool(state.attempts) and run.trees.path_of(task.id).is_dir()
            claim_task(task, run, run_limits)
            task_run = _prepared(task, run, state, usage)
            trail = Trail(task_run)
            after.callback(run_limits.bounded, f"trail-{task.id}", trail.close, run.cancel, None)
            result = _work(task_run, usage, trail, state, run_limits, ready=ready)
    except JournalError:
        raise
    except Exception as exc:  # noqa: BLE001 - it is told as the result, and logged there
        result = failure_result(task, run, exc, run_limits)
        result = publish_failure(task, run, task_run, result, run_limits, usage)
    return result


def failure_result(task: Task, run: RunContext, exc: Exception, run_limits: RunLimits) -> TaskResult:
    """The result of a task that an error ended on its way; whether it is a bug of ours stands in the log."""
    if isinstance(exc, (OrchestratorError, OSError)):
        log.warning("task failed task=%s error=%s", task.id, exc)
    else:
        log.error("task failed by a bug of ours task=%s", task.id, exc_info=exc)
    hint = getattr(exc, "hint", "")
    foreseen = isinstance(exc, (OrchestratorError, OSError))  # a full disk is no bug of ours
    bug = "" if foreseen else f"a bug of ours: {type(exc).__name__}: "
    error = f"{bug}{exc}" + (f" ({hint})" if hint else "")
    end = End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)
    end = stopped(run, run_limits) or end
    if isinstance(exc, TakenError):  # also of a run that is being cancelled: nothing of it is ours to tell
        end = End(status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, error=error)
    return replace(end.result(task, run.base_sha), phases=recorded_phases(run, task.id))


def publish_failure(
    task: Task,
    run: RunContext,
    task_run: TaskRun | None,
    result: TaskResult,
    run_limits: RunLimits,
    usage: TaskUsage,
) -> TaskResult:
    """Tell of a task that failed on the way. One that was cancelled before its claim is as it was before."""
    if task_run is not None:
        return finish_task(task_run, replace(result, head_sha=_head_or(task_run, "")), run_limits, usage)
    if result.status is Status.CANCELLED and not any(e.kind == "claiming" for e in run.journal.of(task.id)):
        return result
    return with_problems(result, publish_result(recorded_task_run(run, task, result), result, run_limits))


def stopped(run: RunContext, run_limits: RunLimits) -> End | None:
    """The end of what is being cancelled, or whose run is out of time; None while neither is so."""
    if not run.cancel.is_set():
        return None
    if run_limits.expired:
        error = f"the run's limit of {run_limits.run_limit_s:g} s had passed"
        return End(status=Status.TIMEOUT, conclusion=Conclusion.TIMED_OUT, error=error)
    return End(
        status=Status.CANCELLED, conclusion=Conclusion.CANCELLED, error=run.cancel.reason or "cancelled"
    )


def _finish_judged(task: Task, run: RunContext, state: TaskState, run_limits: RunLimits) -> TaskResult:
    """A task that was judged before a crash: only the telling and the tidying are left."""
    result = publish_again(run, task, state, run_limits)
    kept = ""
    where = ""
    for left in run.trees.leftovers():
        if left.task_id == task.id:
            if left.kept_because:
                salvage_tree(run, task)
            if why := run.trees.remove(left.path):
                kept, where = why, str(left.path)
    return replace(result, worktree=where, kept_because=kept)


# -- the way of a task ------------------------------------------------------------------------------


def claim_task(task: Task, run: RunContext, run_limits: RunLimits) -> None:
    """Before anything else: of an issue that another run has, nothing is to be told. A candidate's is its task's."""
    if task.issue and not is_candidate(task.id):
        issue = task.issue
        run.check_not_cancelled()
        run_limits.bounded(f"claim-{task.id}", lambda: claim_issue(run, task, issue), run.cancel, None)


def _prepared(task: Task, run: RunContext, state: TaskState, usage: TaskUsage) -> TaskRun:
    """The task's tree, files, environment and place at the broker; set up once."""
    run.agents(task.agent or run.config.agent)  # an agent that is not there is said before a tree is made
    run.check_not_cancelled()
    base = base_of(run, task)
    tree = run.trees.adopt(task.id, task.branch, base) if state.begun else None
    if tree is None:
        tree = run.trees.create(task.id, task.branch, base, at=task.goes_on_at)
    directory = directory_of(run, task.id)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        context = write_context(task, run, tree, directory)
    except OSError:
        with contextlib.suppress(GitError):
            run.trees.remove(tree)  # ours, and nothing was done in it
        raise
    task_run = make_task_run(run, context, tree, directory, env=_with_setup(run, tree.path))
    run.journal.append(
        "task-started", task.id, base_sha=tree.base_sha, base_branch=run.base_branch, branch=tree.branch,
        digest=context.digest, worktree=str(tree.path), note=tree.note, text_sha256=text_digest(task),
        **({"issue": task.issue.number} if task.issue else {}),
    )  # fmt: skip
    if task.goes_on_at:
        session = "" if state.begun else _session(task_run, usage)
        carry(run, task)
        return replace(task_run, context=replace(context, resume_session=session))
    return task_run


def _session(task_run: TaskRun, usage: TaskUsage) -> str:
    """The session that a follow-up goes on with, brought to this run's agent; empty for a new one."""
    private, cwd = task_run.directory / "agent", str(task_run.tree.path)
    private.mkdir(exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError, OrchestratorError):  # a new session does as well
        return session_before(task_run.run, task_run.task, task_run.agent, private, cwd, usage)
    return ""


def _with_setup(run: RunContext, tree: Path) -> Mapping[str, str]:
    """The door's environment with the programs that set-up puts into the task's tree."""
    return run.preparation.environment(tree, run.env) if run.preparation is not None else run.env


def _work(
    task_run: TaskRun, usage: TaskUsage, trail: Trail, state: TaskState, run_limits: RunLimits, *, ready: bool
) -> TaskResult:
    """`ready` says that an earlier process of ours has set the tree up."""
    run, task = task_run.run, task_run.task
    if not ready:
        task_run.setup(task_run.tree.path, "setup")
    measure = Measure(task_run, FORGE_ACTS, ledger=lambda: run.journal.ledger(task.id))
    claims = Claims(
        journal=run.journal,
        task=task.id,
        policy=run.config.phases,
        measure=measure,
        head=lambda: _head(task_run),
        boundary=trail.mark,
        reminders=run.config.reminders if task_run.agent.resumes else 0,
    )
    token = run.broker.register(claims.answer)
    try:
        attempts = Trying(task_run, claims, usage, run_limits, token)
        attempts.run(state)
        problems, verdict = _measured_at_the_end(task_run, claims, attempts, usage, run_limits)
        if verdict and not problems and attempts.run_with_what_is_red(verdict):
            problems, verdict = _measured_at_the_end(task_run, claims, attempts, usage, run_limits)
        if verdict is _UNKNOWN:
            verdict = _as_claimed(claims)
    finally:
        run.broker.revoke(token)
        run_limits.bounded(f"measure-{task.id}", claims.close, run.cancel, None)
    ledger = claims.ledger()
    end = conclude(usage.outcome, usage.report, verdict, problems, declined=ledger.declined)
    if end.status not in GOOD_STATUSES:
        end = stopped(run, run_limits) or end
    result = _result(task_run, ledger, usage, verdict, end)
    result = replace(result, pull=measure.pull or known_pull(run, ledger, result.head_sha))
    return finish_task(task_run, result, run_limits, usage)


def _head(task_run: TaskRun) -> str:
    """The commit the task stands at. Raises GitError when the agent has destroyed its tree."""
    head = task_run.git.head()
    if not head:
        raise GitError(f"{task_run.tree.path} has no commit any more", hint="the tree was tampered with")
    return head


def _head_or(task_run: TaskRun, default: str) -> str:
    with contextlib.suppress(GitError):
        return _head(task_run)
    return default


def _measured_at_the_end(
    task_run: TaskRun, claims: Claims, attempts: Trying, usage: TaskUsage, run_limits: RunLimits
) -> tuple[tuple[str, ...], Verdict | None]:
    """What the agent must not have done, and the verdict at its final head."""
    run = task_run.run
    problems = () if run.cancel.is_set() else run.trees.problems(task_run.tree)
    if changed := run.changed_program_files():
        problems += (
            f"files of the installed orchestrator were changed while agents ran: {', '.join(changed)}",
        )
    verdict = run_limits.bounded(
        f"settle-{task_run.task.id}",
        lambda: _settled(claims, usage, problems, until_red=attempts.may_be_sent_back_red()),
        run.cancel,
        _UNKNOWN,
    )
    return problems, verdict


def _settled(
    claims: Claims, usage: TaskUsage, problems: tuple[str, ...], *, until_red: bool
) -> Verdict | None:
    """The final verdict; as things stood when nothing can or should be measured any more."""
    if usage.outcome.ending is Ending.CANCELLED or problems or claims.ledger().declined:
        return _as_claimed(claims)
    try:
        return claims.settle(until_red=until_red)
    except GitError as exc:
        log.warning("nothing can be measured: %s", exc.message)
        return None


def _as_claimed(claims: Claims) -> Verdict | None:
    with contextlib.suppress(GitError):
        return claims.verdict()
    return None


def _result(
    task_run: TaskRun, ledger: Ledger, usage: TaskUsage, verdict: Verdict | None, end: End
) -> TaskResult:
    task = task_run.task
    return TaskResult(
        task_id=task.id,
        title=task.title,
        status=end.status,
        conclusion=end.conclusion,
        issue=ledger.issue,
        branch=task_run.branch,
        base_sha=task_run.base_sha,
        head_sha=_head_or(task_run, ""),
        exit_code=usage.outcome.exit_code,
        pid=usage.outcome.pid,
        phases=verdict.phases if verdict else recorded_phases(task_run.run, task.id),
        log=str(log_path(task_run.directory, usage.number)) if usage.number else "",
        said=usage.report.text[:MOST_SAID],
        agents=agents_of(task_run.run.journal.of(task.id)),
        review=tuple(_reviewed(ledger, f) for f in ledger.findings),
        declined=ledger.declined if end.status is Status.DECLINED else None,
        error=end.error,
        **usage.figures(),
    )


def _reviewed(ledger: Ledger, finding: ReviewFinding) -> Reviewed:
    answer = ledger.answers.get(finding.id)
    return Reviewed(
        id=finding.id, path=finding.path, line=finding.line, severity=finding.severity, text=finding.text,
        fixed_in=answer.fixed_in if answer else "", declined=answer.declined if answer else "",
    )  # fmt: skip


__all__ = ["recorded_result", "stopped", "work_on"]
