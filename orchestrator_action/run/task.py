"""One task from its worktree to its result: prepare, let the agent work, measure again, publish, tidy up.

Read top to bottom. Whatever goes wrong on the way is this task's result, never the run's end; only a
journal that takes nothing more is, for then nothing may be done that relies on it. A task that an
earlier process of ours began goes on where the journal says it stood.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError, JournalError, OrchestratorError, TakenError
from orchestrator_action.git.worktree_list import admin_of
from orchestrator_action.git.worktrees import Worktree
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.judge import End, conclude
from orchestrator_action.protocol.model import (
    GOOD_STATUSES,
    Conclusion,
    Ending,
    Status,
    Task,
    TaskResult,
    Verdict,
)
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.publish import claim_issue, known_pull
from orchestrator_action.run.audit_sync import Trail
from orchestrator_action.run.finish import (
    ended,
    known_result,
    phases_known,
    saved,
    settle,
    subject_of,
    told,
    told_again,
    with_problems,
)
from orchestrator_action.state.context import IDENTITY, Parts, Subject, command_env
from orchestrator_action.state.fold import TaskState, task_state
from orchestrator_action.state.limits import Pace
from orchestrator_action.state.takeover import base_of, carry, text_digest
from orchestrator_action.state.usage import Tally
from orchestrator_action.verify.measure import Measure
from orchestrator_action.work.attempts import Trying, last_log
from orchestrator_action.work.claims import Claims
from orchestrator_action.work.task_files import directory_of, drop_stale_locks, write_context

log = logging.getLogger(__name__)

_UNKNOWN: Verdict | None = Verdict(head_sha="", phases=())
"""There was no time left to measure."""


def work_on(task: Task, parts: Parts, pace: Pace) -> TaskResult:
    """Take one task all the way. Raises JournalError, and nothing else that can go wrong with a task."""
    state = task_state(parts.journal.of(task.id))
    tally = Tally()
    tally.recall(state)
    trails: list[Trail] = []
    try:
        return ended(parts, _whole_way(task, parts, pace, state, tally, trails))
    finally:
        for trail in trails:  # after the end is recorded, so that the trail tells it
            pace.bounded(f"trail-{task.id}", trail.close, parts.cancel, None)


def _whole_way(
    task: Task, parts: Parts, pace: Pace, state: TaskState, tally: Tally, trails: list[Trail]
) -> TaskResult:
    """The result of one task, whatever happened; its trail is put into `trails` as soon as it is begun."""
    subject: Subject | None = None
    try:
        if state.judged is not None and state.judged["status"] != Status.CANCELLED:
            result = _told_and_tidied(task, parts, state, pace)
        else:
            ready = bool(state.attempts) and _path(task, parts).is_dir()
            _claim(task, parts, pace)
            subject = _prepared(task, parts, state)
            trails.append(Trail(subject))
            result = _work(subject, tally, trails[0], state, pace, ready=ready)
    except JournalError:
        raise
    except Exception as exc:
        if isinstance(exc, (OrchestratorError, OSError)):
            log.warning("task failed task=%s error=%s", task.id, exc)
        else:
            log.exception("task failed by a bug of ours task=%s", task.id)
        result = _failed(task, parts, exc, pace)
        result = _failure_told(task, parts, subject, result, pace, tally)
    return result


def _failed(task: Task, parts: Parts, exc: Exception, pace: Pace) -> TaskResult:
    hint = getattr(exc, "hint", "")
    foreseen = isinstance(exc, (OrchestratorError, OSError))  # a full disk is no bug of ours
    bug = "" if foreseen else f"a bug of ours: {type(exc).__name__}: "
    error = f"{bug}{exc}" + (f" ({hint})" if hint else "")
    end = End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)
    end = stopped(parts, pace) or end
    if isinstance(exc, TakenError):  # also of a run that is being cancelled: nothing of it is ours to tell
        end = End(status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, error=error)
    return replace(end.result(task, parts.base_sha), phases=phases_known(parts, task.id))


def _failure_told(
    task: Task, parts: Parts, subject: Subject | None, result: TaskResult, pace: Pace, tally: Tally
) -> TaskResult:
    """Tell of a task that failed on the way. One that was cancelled before its claim is as it was before."""
    if subject is not None:
        return settle(subject, replace(result, head_sha=_head_or(subject, "")), pace, tally)
    if result.status is Status.CANCELLED and not any(e.kind == "claiming" for e in parts.journal.of(task.id)):
        return result
    return with_problems(result, told(subject_of(parts, task, result), result, pace))


def stopped(parts: Parts, pace: Pace) -> End | None:
    """The end of what is being cancelled, or whose run is out of time; None while neither is so."""
    if not parts.cancel.is_set():
        return None
    if pace.expired:
        error = f"the run's limit of {pace.run_limit_s:g} s had passed"
        return End(status=Status.TIMEOUT, conclusion=Conclusion.TIMED_OUT, error=error)
    return End(
        status=Status.CANCELLED, conclusion=Conclusion.CANCELLED, error=parts.cancel.reason or "cancelled"
    )


def _told_and_tidied(task: Task, parts: Parts, state: TaskState, pace: Pace) -> TaskResult:
    """A task that was judged before a crash: only the telling and the tidying are left."""
    result = told_again(parts, task, state, pace)
    kept = ""
    for left in parts.workspace.leftovers():
        if left.path.name in {f"task-{task.id}", f"measure-{task.id}", f"review-{task.id}"}:
            if left.path == _path(task, parts) and left.kept_because:
                saved(parts, task)
            kept = parts.workspace.remove(left.path) or kept
    where = str(_path(task, parts)) if kept else ""
    return replace(result, worktree=where, kept_because=kept)


def _path(task: Task, parts: Parts) -> Path:
    return parts.workspace.root / f"task-{task.id}"


# -- the way of a task ------------------------------------------------------------------------------


def _claim(task: Task, parts: Parts, pace: Pace) -> None:
    """Before anything else: of an issue that another run has, nothing is to be told."""
    if task.issue:
        issue = task.issue
        parts.check_not_cancelled()
        pace.bounded(f"claim-{task.id}", lambda: claim_issue(parts, task, issue), parts.cancel, None)


def _prepared(task: Task, parts: Parts, state: TaskState) -> Subject:
    """The task's worktree, files, environment and place at the broker; set up once."""
    agent = parts.agents(task.agent or parts.config.agent)
    parts.check_not_cancelled()
    base = base_of(parts, task)
    worktree = _adopted(task, parts, base) if state.begun else None
    if worktree is None:
        worktree = parts.workspace.create(task.id, task.branch, base, at=task.goes_on_at)
    directory = directory_of(parts, task.id)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        context = write_context(task, parts, worktree, directory)
    except OSError:
        with contextlib.suppress(GitError):
            parts.workspace.remove(worktree)  # ours, and nothing was done in it
        raise
    subject = Subject(
        parts=parts,
        task=task,
        agent=agent,
        context=context,
        worktree=worktree,
        git=worktree.git,
        directory=directory,
        limits=context.limits,
        env={**parts.env, **IDENTITY},
        command_env=command_env(parts.env),
        test_commands=context.test_commands,
    )
    parts.journal.append(
        "task-started", task.id, base_sha=worktree.base_sha, base_branch=parts.base_branch, branch=worktree.branch,
        digest=context.digest, worktree=str(worktree.path), note=worktree.note, text_sha256=text_digest(task),
        **({"issue": task.issue.number} if task.issue else {}),
    )  # fmt: skip
    if task.goes_on_at:
        carry(parts, task)
    return subject


def _adopted(task: Task, parts: Parts, base_sha: str) -> Worktree | None:
    """The worktree that an earlier process of ours left, with what a killed git left in it cleared away."""
    common = parts.git.common_dir
    with contextlib.suppress(GitError):
        drop_stale_locks(common, admin_of(common, _path(task, parts)), task.branch)
    return parts.workspace.adopt(task.id, task.branch, base_sha)


def _work(
    subject: Subject, tally: Tally, trail: Trail, state: TaskState, pace: Pace, *, ready: bool
) -> TaskResult:
    """`ready` says that an earlier process of ours has set the worktree up."""
    parts, task = subject.parts, subject.task
    if not ready:
        subject.setup(subject.worktree.path, "setup")
        parts.workspace.accept(subject.worktree)
    measure = Measure(subject, FORGE_ACTS, ledger=lambda: parts.journal.ledger(task.id))
    claims = Claims(
        journal=parts.journal,
        task=task.id,
        policy=parts.config.phases,
        measure=measure,
        head=lambda: _head(subject),
        boundary=trail.mark,
        reminders=parts.config.reminders if subject.agent.resumes else 0,
    )
    token = parts.broker.register(claims.answer)
    try:
        Trying(subject, claims, tally, pace, token).run(state)
        problems = () if parts.cancel.is_set() else parts.workspace.protect(subject.worktree)
        verdict: Verdict | None = pace.bounded(
            f"settle-{task.id}", lambda: _settled(claims, tally, problems), parts.cancel, _UNKNOWN
        )
        if verdict is _UNKNOWN:
            verdict = _as_claimed(claims)
    finally:
        parts.broker.revoke(token)
        pace.bounded(f"measure-{task.id}", claims.close, parts.cancel, None)
    end = conclude(tally.outcome, tally.report, verdict, problems)
    if end.status not in GOOD_STATUSES:
        end = stopped(parts, pace) or end
    ledger = claims.ledger()
    result = _result(subject, ledger, tally, verdict, end)
    result = replace(result, pull=measure.pull or known_pull(parts, ledger, result.head_sha))
    return settle(subject, result, pace, tally)


def _head(subject: Subject) -> str:
    """The commit the task stands at. Raises GitError when the agent has destroyed its worktree."""
    head = subject.git.head()
    if not head:
        raise GitError(
            f"{subject.worktree.path} has no commit any more", hint="the worktree was tampered with"
        )
    return head


def _head_or(subject: Subject, default: str) -> str:
    with contextlib.suppress(GitError):
        return _head(subject)
    return default


def _settled(claims: Claims, tally: Tally, problems: tuple[str, ...]) -> Verdict | None:
    """The final verdict; as things stood when nothing can or should be measured any more."""
    if tally.outcome.ending is Ending.CANCELLED or problems:
        return _as_claimed(claims)
    try:
        return claims.settle()
    except GitError as exc:
        log.warning("nothing can be measured: %s", exc.message)
        return None


def _as_claimed(claims: Claims) -> Verdict | None:
    with contextlib.suppress(GitError):
        return claims.verdict()
    return None


def _result(subject: Subject, ledger: Ledger, tally: Tally, verdict: Verdict | None, end: End) -> TaskResult:
    task = subject.task
    return TaskResult(
        task_id=task.id,
        title=task.title,
        status=end.status,
        conclusion=end.conclusion,
        issue=ledger.issue,
        branch=subject.branch,
        base_sha=subject.base_sha,
        head_sha=_head_or(subject, ""),
        exit_code=tally.outcome.exit_code,
        pid=tally.outcome.pid,
        phases=verdict.phases if verdict else phases_known(subject.parts, task.id),
        log=last_log(subject.directory, tally),
        error=end.error,
        **tally.figures(),
    )


__all__ = ["known_result", "stopped", "work_on"]
