"""Judge a branch again, on any machine: the audit trail is read from the remote, the head measured anew.

A person's later push makes what was measured stale; here everything that can be measured at the current head
is, by the same functions as in a run, and the check is posted at that head. Claims are never made up: a phase
nobody claimed stays missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.protocol.events import Event, Ledger, fold
from orchestrator_action.protocol.judge import End, conclude
from orchestrator_action.protocol.model import (
    AgentReport,
    Claim,
    Ending,
    Fact,
    Issue,
    Limits,
    Outcome,
    Task,
    TaskContext,
    TaskResult,
    Verdict,
)
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.publish import post_check
from orchestrator_action.state.context import Parts, Subject, command_env
from orchestrator_action.state.journal import replace_file
from orchestrator_action.verify.measure import Measure
from orchestrator_action.work.claims import Claims

log = logging.getLogger(__name__)

FINE = Outcome(ending=Ending.EXITED, exit_code=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification found, and whether the trail it rests on is whole."""

    result: TaskResult
    verdict: Verdict
    problems: tuple[str, ...]


def task_of_branch(parts: Parts, branch: str) -> str:
    """The id of the task whose branch this is, by the trails at the remote.

    Raises ConfigError when no trail speaks of it.
    """
    known = [r.removeprefix(audit.TASKS_PREFIX) for r in parts.remote.refs(f"{audit.TASKS_PREFIX}*")]
    likely = sorted((t for t in known if t in branch), key=len, reverse=True)
    for task_id in [*likely, *(t for t in known if t not in likely)]:
        if fold(trail_of(parts, task_id).events, task_id).branch == branch:
            return task_id
    raise ConfigError(
        f"no audit trail at the remote speaks of branch {branch!r}",
        hint="verify judges branches that a run of orchestrator-action made",
    )


def trail_of(parts: Parts, task_id: str) -> audit.Audit:
    """The audit trail of a task as the remote has it. Raises ConfigError when there is none."""
    commit = parts.remote.fetch_ref(audit.ref_of(task_id))
    if not commit:
        raise ConfigError(f"the remote has no audit trail of task {task_id!r}", hint="check the task's id")
    return audit.read(parts.git, commit, task_id)


def branch_meant(parts: Parts, branch: str, *, pull: int) -> str:
    """The branch to judge: that of the pull request, the one named, or the one checked out.

    Raises ConfigError when it is none of them, or two.
    """
    if pull and branch:
        raise ConfigError("--branch and --pr name two things to judge", hint="give one of them")
    meant = parts.forge.pull(pull).head_branch if pull else branch or parts.git.branch()
    if not meant:
        raise ConfigError("no branch is checked out here", hint="give --branch or --pr")
    return meant


def verify(parts: Parts, branch: str) -> Verified:
    """Judge `branch` at its current head and post the check there.

    Raises ConfigError when nothing is known of the branch, GitError when it is gone.
    """
    task_id = task_of_branch(parts, branch)
    trail = trail_of(parts, task_id)
    head = parts.remote.fetch_ref(f"refs/heads/{branch}")
    if not head:
        raise GitError(f"branch {branch!r} is not at the remote any more", hint="restore it first")
    _take_over(parts, trail.events, task_id)
    subject = _subject(parts, fold(trail.events, task_id), head)
    measure = _Again(subject, FORGE_ACTS, ledger=lambda: _ledger(parts, trail.events, task_id))
    claims = Claims(
        journal=parts.journal,
        task=task_id,
        policy=parts.config.phases,
        measure=measure,
        head=lambda: head,
        earlier=trail.events,
    )
    try:
        verdict = claims.settle()
    finally:
        claims.close()
        for kind in ("measure", "review"):
            parts.workspace.remove(parts.workspace.root / f"{kind}-{task_id}")
    end = conclude(FINE, AgentReport(), verdict, trail.problems)
    ledger = _ledger(parts, trail.events, task_id)
    result = _result(subject, ledger, verdict, end, head, measure)
    post_check(subject, result, ledger)
    parts.journal.append("verified", task_id, head=head, status=end.status, problems=list(trail.problems))
    _keep(parts, trail, task_id)
    return Verified(result=result, verdict=verdict, problems=trail.problems)


def _keep(parts: Parts, trail: audit.Audit, task_id: str) -> None:
    """Add what was measured here to the task's trail at the remote."""
    events = parts.journal.of(task_id)
    message = f"{task_id}: verified ({len(events)} events of run {parts.run_id})\n"
    tip = audit.record(parts.git, trail.commit, parts.run_id, events, message)
    parts.remote.push(tip, audit.ref_of(task_id), known=trail.commit)


class _Again(Measure):
    """The measurements of a run, made on a branch that nobody has checked out."""

    def _branch_management(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:  # noqa: ARG002
        base = self.subject.base_sha
        kept = self.git.merge_base(base, head) == base
        there = self.parts.remote.sha(f"refs/heads/{self.subject.branch}") == head
        return [
            Fact(
                phase="branch-management", rule="on-branch", commit=head, holds=there,
                message=f"the remote's {self.subject.branch} is at {head[:12]}" if there else "the branch moved on",
            ),
            Fact(
                phase="branch-management", rule="base-kept", commit=head, holds=kept,
                message=f"the branch grows from its base {base[:12]}" if kept else "the branch was taken off its base",
            ),
        ]  # fmt: skip

    def _push(self, head: str) -> None:
        """Nothing is pushed: the branch is where it is."""


def _take_over(parts: Parts, events: Sequence[Event], task_id: str) -> None:
    parts.journal.append(
        "run-started", requested=[task_id], base_sha=parts.base_sha, base_branch=parts.base_branch, verify=True,
        agent=parts.config.agent, trail=events[-1].hash if events else "",
    )  # fmt: skip


def _ledger(parts: Parts, earlier: Sequence[Event], task_id: str) -> Ledger:
    return fold([*earlier, *parts.journal.of(task_id)], task_id)


def _subject(parts: Parts, ledger: Ledger, head: str) -> Subject:
    """The task as far as its ledger tells, seen from a detached worktree at its head."""
    worktree = parts.workspace.measure(ledger.task, head)
    worktree = replace(worktree, branch=ledger.branch, base_sha=ledger.base_sha)
    directory = parts.run_dir / "tasks" / ledger.task
    directory.mkdir(parents=True, exist_ok=True)
    issue: Issue | None = parts.forge.issue(ledger.issue) if ledger.issue else None
    task = Task(
        id=ledger.task,
        title=issue.title if issue else ledger.task,
        text=issue.body if issue else "",
        branch=ledger.branch,
        issue=issue,
    )
    replace_file(directory / "task.md", task.text)
    limits = Limits(wall_s=parts.config.timeout)
    context = TaskContext(
        path="", task=task, run_id=parts.run_id, attempt=0, worktree_path=str(worktree.path), prompt_path="",
        base_sha=ledger.base_sha, base_branch=ledger.base_branch, limits=limits, test_commands=parts.test_commands,
        digest=ledger.digest,
    )  # fmt: skip
    return Subject(
        parts=parts, task=task, agent=parts.agents(parts.config.agent), context=context, worktree=worktree,
        git=worktree.git, directory=directory, limits=limits, env=parts.env, command_env=command_env(parts.env),
        test_commands=parts.test_commands,
    )  # fmt: skip


def _result(
    subject: Subject, ledger: Ledger, verdict: Verdict, end: End, head: str, measure: Measure
) -> TaskResult:
    return TaskResult(
        task_id=ledger.task,
        title=subject.task.title,
        status=end.status,
        conclusion=end.conclusion,
        issue=ledger.issue,
        branch=ledger.branch,
        base_sha=ledger.base_sha,
        head_sha=head,
        pull=measure.pull,
        attempts=ledger.attempts,
        phases=verdict.phases,
        error=end.error,
    )
