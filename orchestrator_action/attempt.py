"""One task from its worktree to its result: prepare, let the agent work, measure again, publish, tidy up.

Read top to bottom. Whatever goes wrong on the way is this task's result, never the run's end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shlex
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator_action import render
from orchestrator_action.agents.environment import command_environment
from orchestrator_action.claims import Claims, reminder
from orchestrator_action.core.judge import End, conclude
from orchestrator_action.core.ledger import Ledger
from orchestrator_action.core.model import (
    GOOD_STATUSES,
    AgentReport,
    Conclusion,
    Ending,
    Limits,
    Outcome,
    Status,
    Task,
    TaskContext,
    TaskResult,
    Verdict,
)
from orchestrator_action.core.phases import PHASES
from orchestrator_action.core.text import clean, sanitise
from orchestrator_action.core.wire import CONTEXT_VARIABLE, SOCKET_VARIABLE, TOKEN_VARIABLE, context_digest
from orchestrator_action.errors import GitError, OrchestratorError
from orchestrator_action.measure import Measure
from orchestrator_action.parts import Parts, Subject
from orchestrator_action.publish import claim_issue, publish
from orchestrator_action.runtime.gitcall import identity_env
from orchestrator_action.runtime.journal import replace_file
from orchestrator_action.runtime.supervisor import Cancel, supervise
from orchestrator_action.runtime.workspace import Worktree
from orchestrator_action.trail import Trail

log = logging.getLogger(__name__)

IDENTITY = identity_env("orchestrator-action[bot]", "orchestrator-action[bot]@users.noreply.github.com")


@dataclass(slots=True)
class _Tally:
    """What the attempts of a task used, added up as they end."""

    started: float
    """Of the task, monotonic seconds."""
    outcome: Outcome = field(default_factory=lambda: Outcome(ending=Ending.CANCELLED))
    report: AgentReport = field(default_factory=AgentReport)
    attempts: int = 0
    cpu_s: float = 0.0
    peak_rss_mib: float = 0.0
    turns: int | None = None
    cost_usd: float | None = None
    spans: list[tuple[float, float]] = field(default_factory=list)

    def add(self, outcome: Outcome, report: AgentReport) -> None:
        self.outcome, self.report = outcome, report
        self.attempts += 1
        self.cpu_s += outcome.cpu_s
        self.peak_rss_mib = max(self.peak_rss_mib, outcome.peak_rss_mib)
        if report.turns is not None:
            self.turns = (self.turns or 0) + report.turns
        if report.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + report.cost_usd
        if outcome.pid:
            self.spans.append((outcome.started_at, outcome.started_at + outcome.wall_s))

    def figures(self) -> dict[str, Any]:
        """The sums, as fields of a TaskResult."""
        return {
            "attempts": self.attempts,
            "cpu_s": round(self.cpu_s, 3),
            "peak_rss_mib": round(self.peak_rss_mib, 1),
            "turns": self.turns,
            "cost_usd": self.cost_usd,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A task's result, and when its agent processes were alive (epoch seconds)."""

    result: TaskResult
    spans: tuple[tuple[float, float], ...] = ()


def work_on(task: Task, parts: Parts) -> Worked:
    """Take one task all the way. Never raises for what can go wrong with a task."""
    tally = _Tally(started=time.monotonic())
    subject: Subject | None = None
    trail: Trail | None = None
    try:
        subject = _prepared(task, parts)
        trail = Trail(subject)
        result = _work(subject, tally, trail)
    except Exception as exc:
        if isinstance(exc, OrchestratorError):
            log.warning("task failed task=%s error=%s", task.id, exc.message)
        else:
            log.exception("task failed by a bug of ours task=%s", task.id)
        result = _failed(task, parts, exc)
        if subject is not None:
            result = _published(subject, result)
    result = replace(result, wall_s=round(time.monotonic() - tally.started, 3), **tally.figures())
    parts.journal.append(
        "task-ended", task.id, status=result.status, conclusion=result.conclusion, error=result.error,
        head_sha=result.head_sha, wall_s=result.wall_s, kept_because=result.kept_because,
    )  # fmt: skip
    if trail is not None:
        trail.close()
    log.info("task ended task=%s status=%s wall_s=%.1f", task.id, result.status, result.wall_s)
    return Worked(result=result, spans=tuple(tally.spans))


def _failed(task: Task, parts: Parts, exc: Exception) -> TaskResult:
    cancelled = parts.cancel.is_set()
    hint = getattr(exc, "hint", "")
    bug = "" if isinstance(exc, OrchestratorError) else f"a bug of ours: {type(exc).__name__}: "
    return TaskResult(
        task_id=task.id,
        title=task.title,
        status=Status.CANCELLED if cancelled else Status.FAILED,
        conclusion=Conclusion.CANCELLED if cancelled else Conclusion.FAILURE,
        issue=task.issue.number if task.issue else None,
        branch=task.branch,
        base_sha=parts.base_sha,
        error=f"{bug}{exc}" + (f" ({hint})" if hint else ""),
    )


def _prepared(task: Task, parts: Parts) -> Subject:
    """The task's worktree, files, environment and place at the broker."""
    agent = parts.agents(task.agent or parts.config.agent)
    parts.check_not_cancelled()
    worktree = parts.workspace.create(task.id, task.branch, parts.base_sha)
    directory = parts.run_dir / "tasks" / task.id
    directory.mkdir(parents=True, exist_ok=True)
    context = _write_context(task, parts, worktree, directory, attempt=1)
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
        command_env={**command_environment(parts.env), **IDENTITY},
        test_commands=context.test_commands,
    )
    parts.journal.append(
        "task-started", task.id, base_sha=worktree.base_sha, base_branch=parts.base_branch, branch=worktree.branch,
        digest=context.digest, worktree=str(worktree.path), note=worktree.note,
        **({"issue": task.issue.number} if task.issue else {}),
    )  # fmt: skip
    return subject


def _limits(parts: Parts) -> Limits:
    config = parts.config
    return Limits(wall_s=config.timeout, max_turns=config.max_turns, max_budget_usd=config.max_budget_usd)


def _write_context(
    task: Task, parts: Parts, worktree: Worktree, directory: Path, *, attempt: int
) -> TaskContext:
    """Write `task.md`, `prompt.md` and `context.json`; their digest is what the first claim must carry."""
    text = sanitise(task.text).text if task.issue else clean(task.text)[0]
    tests = task.test or parts.test_commands
    limits = _limits(parts)
    prompt_path, path = directory / "prompt.md", directory / "context.json"
    replace_file(directory / "task.md", text)
    prompt = render.task_prompt(
        task, boundary=secrets.token_hex(8), branch=worktree.branch, base_branch=parts.base_branch,
        base_sha=worktree.base_sha, test_commands=tests,
    )  # fmt: skip
    replace_file(prompt_path, prompt)
    body: dict[str, Any] = {
        "task_id": task.id,
        "task_name": task.title,
        "original_prompt_file": task.prompt_file or str(prompt_path),
        "worktree_path": str(worktree.path),
        "orchestrator_context": {
            "parallel_execution": parts.parallel, "subprocess_mode": True, "governance_delegation": True,
        },
        "schema": 1,
        "run_id": parts.run_id,
        "attempt": attempt,
        "issue": _issue_context(task),
        "base_sha": worktree.base_sha,
        "base_branch": parts.base_branch,
        "branch": worktree.branch,
        "phases": [{"number": p.number, "id": p.id, "title": p.title, "does": p.does, "claim": p.claim} for p in PHASES],
        "limits": {"wall_s": limits.wall_s, "max_turns": limits.max_turns, "max_budget_usd": limits.max_budget_usd},
        "commands": {"test": " && ".join(tests)},
        "prompt_path": str(prompt_path),
        "task_path": str(directory / "task.md"),
    }  # fmt: skip
    digest = context_digest(body)
    replace_file(path, json.dumps({**body, "digest": digest}, indent=2) + "\n")
    return TaskContext(
        path=str(path), task=task, run_id=parts.run_id, attempt=attempt, worktree_path=str(worktree.path),
        prompt_path=str(prompt_path), base_sha=worktree.base_sha, base_branch=parts.base_branch, limits=limits,
        test_commands=tests, digest=digest, parallel=parts.parallel, session_id=str(uuid.uuid4()),
    )  # fmt: skip


def _issue_context(task: Task) -> dict[str, Any] | None:
    issue = task.issue
    if issue is None:
        return None
    return {
        "number": issue.number,
        "url": issue.url,
        "title": issue.title,
        "author": issue.author,
        "labeled_by": issue.labeled_by,
        "body_sha256": hashlib.sha256(issue.body.encode("utf-8", "replace")).hexdigest(),
    }


def _work(subject: Subject, tally: _Tally, trail: Trail) -> TaskResult:
    parts, task = subject.parts, subject.task
    if task.issue:
        claim_issue(parts, task.issue.number)
    subject.setup(subject.worktree.path, "setup")
    measure = Measure(subject, ledger=lambda: parts.journal.ledger(task.id))
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
        _let_the_agent_work(subject, claims, tally, token)
        problems = parts.workspace.protect(subject.worktree)
        verdict = _settled(claims, tally.outcome, problems)
    finally:
        parts.broker.revoke(token)
        claims.close()
    end = conclude(tally.outcome, tally.report, verdict, problems)
    result = _result(subject, claims.ledger(), tally, verdict, end)
    result = replace(result, pull=measure.pull, wall_s=round(time.monotonic() - tally.started, 3))
    return _published(subject, result)


def _published(subject: Subject, result: TaskResult) -> TaskResult:
    """Tell the forge, tidy up, and say what could not be told or removed."""
    unpublished = publish(subject, result, subject.parts.journal.ledger(subject.task.id))
    kept = _tidy(subject)
    where = str(subject.worktree.path) if kept else ""
    return replace(_with_problems(result, unpublished), worktree=where, kept_because=kept)


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


def _settled(claims: Claims, outcome: Outcome, problems: tuple[str, ...]) -> Verdict | None:
    """The final verdict; as things stood when nothing can or should be measured any more."""
    try:
        if outcome.ending is Ending.CANCELLED or problems:
            return claims.verdict()
        return claims.settle()
    except GitError as exc:
        log.warning("nothing can be measured: %s", exc.message)
        return None


def _with_problems(result: TaskResult, problems: tuple[str, ...]) -> TaskResult:
    """What could not be published stands in the way of success: nobody would see it."""
    if not problems:
        return result
    error = "; ".join(filter(None, (result.error, *problems)))
    if result.status in GOOD_STATUSES:
        return replace(result, status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)
    return replace(result, error=error)


def _tidy(subject: Subject) -> str:
    """Remove what the task borrowed; returns why its worktree was kept, or an empty string."""
    workspace, task = subject.parts.workspace, subject.task
    subject.teardown(subject.worktree.path, "teardown")
    with contextlib.suppress(GitError):
        workspace.remove(workspace.root / f"measure-{task.id}")
    try:
        kept = workspace.remove(subject.worktree)
        if kept and (saved := workspace.salvage(subject.worktree, task.id)):
            subject.parts.journal.append("salvaged", task.id, sha=saved)
    except GitError as exc:
        kept = exc.message
    return kept


def _let_the_agent_work(subject: Subject, claims: Claims, tally: _Tally, token: str) -> None:
    """One attempt after the other, within one deadline, until nothing is open or nothing can be gained."""
    deadline = time.monotonic() + subject.limits.wall_s
    env = {
        **subject.env,
        SOCKET_VARIABLE: str(subject.parts.broker.path),
        TOKEN_VARIABLE: token,
        CONTEXT_VARIABLE: subject.context.path,
        "PATH": f"{_bin(subject)}{os.pathsep}{subject.env.get('PATH', os.defpath)}",
    }
    context = subject.context
    while True:
        left = deadline - time.monotonic()
        limits = replace(subject.limits, wall_s=max(left, 0.1))
        _one_attempt(subject, context, env, limits, tally)
        again = _next_attempt(subject, context, claims, tally)
        if again is None:
            return
        context = again


def _next_attempt(
    subject: Subject, context: TaskContext, claims: Claims, tally: _Tally
) -> TaskContext | None:
    """What a further attempt is given; None when there shall be none."""
    outcome, report = tally.outcome, tally.report
    if subject.parts.cancel.is_set() or not subject.agent.resumes:
        return None
    if outcome.ending is not Ending.EXITED or report.problems or not report.session_id:
        return None
    try:
        verdict = claims.outlook()
    except GitError:
        return None
    if verdict.settled or claims.ledger().reminders >= subject.parts.config.reminders:
        return None
    still = [p.phase for p in verdict.phases if not p.settled]
    subject.parts.journal.append("reminded", subject.task.id, open=still)
    return replace(
        context,
        attempt=context.attempt + 1,
        resume_session=report.session_id,
        message=reminder(verdict),
    )


def _one_attempt(
    subject: Subject, context: TaskContext, env: Mapping[str, str], limits: Limits, tally: _Tally
) -> None:
    parts, task = subject.parts, subject.task
    private = subject.directory / "agent"
    private.mkdir(exist_ok=True, mode=0o700)
    reader = subject.agent.reader()
    stop = Cancel(parts.cancel)

    def feed(line: bytes) -> Any:
        mark = reader.feed(line)
        if reader.abort:
            stop.set(reader.abort)
        return mark

    def began(pid: int, ticks: int) -> None:
        parts.journal.append("attempt-running", task.id, attempt=context.attempt, pid=pid, start_ticks=ticks)

    command = subject.agent.command(context, env=env, private=private)
    parts.journal.append(
        "attempt-started", task.id, attempt=context.attempt, session_id=context.resume_session or context.session_id,
        argv=list(command.argv),
    )  # fmt: skip
    outcome = supervise(
        command,
        log=log_path(subject.directory, context.attempt),
        limits=limits,
        cancel=stop,
        feed=feed,
        expects_start=subject.agent.announces_start,
        record=subject.directory / f"attempt-{context.attempt}.json",
        on_start=began,
    )
    if reader.abort and outcome.ending is Ending.CANCELLED and not parts.cancel.is_set():
        outcome = replace(outcome, ending=Ending.ABORTED, error=reader.abort)
    report = reader.report(outcome)
    tally.add(outcome, report)
    parts.journal.append(
        "attempt-ended", task.id, attempt=context.attempt, ending=outcome.ending, exit_code=outcome.exit_code,
        signal=outcome.signal, wall_s=round(outcome.wall_s, 3), error=outcome.error, problems=list(report.problems),
        leftovers=outcome.leftovers, survivors=outcome.survivors,
    )  # fmt: skip
    log.info(
        "attempt ended task=%s attempt=%d ending=%s exit=%s wall_s=%.1f peak_rss_mib=%.0f",
        task.id, context.attempt, outcome.ending, outcome.exit_code, outcome.wall_s, outcome.peak_rss_mib,
    )  # fmt: skip


def log_path(directory: Path, attempt: int) -> Path:
    """The raw output of an attempt: `agent.log`, then `agent-2.log`, …"""
    return directory / ("agent.log" if attempt == 1 else f"agent-{attempt}.log")


def _bin(subject: Subject) -> Path:
    """A directory for the agent's PATH that holds `orchestrator-phase` and nothing else.

    Our own environment's `bin` would put our python before the repository's.
    """
    folder = subject.directory / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "orchestrator-phase"
    replace_file(
        script, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m orchestrator_action.client "$@"\n'
    )
    script.chmod(0o755)
    return folder


def _result(subject: Subject, ledger: Ledger, tally: _Tally, verdict: Verdict | None, end: End) -> TaskResult:
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
        phases=verdict.phases if verdict else (),
        log=str(log_path(subject.directory, tally.attempts)) if tally.attempts else "",
        error=end.error,
        **tally.figures(),
    )
