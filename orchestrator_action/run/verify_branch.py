"""Judge a branch again, on any machine: the audit trail is read from the remote, the head measured anew.

A person's later push makes what was measured stale; here everything that can be measured at the current head
is, by the same functions as in a run, and the check is posted at that head. Where the base branch was merged in, or the
branch was rebased onto it, the change is measured against what it grows from now. Claims are never made up: a phase
nobody claimed stays missing, unless a person with write access lets it pass.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.forge.base import Queue
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.plan.rules import WRITERS
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.acceptance import Acceptance, let_pass, read_acceptances
from orchestrator_action.protocol.attempt import AgentReport, Ending, Limits, Outcome
from orchestrator_action.protocol.ends import End, conclude
from orchestrator_action.protocol.events import Event, Ledger, fold
from orchestrator_action.protocol.forge_values import Issue, ReviewFinding
from orchestrator_action.protocol.model import Claim, Fact, Task, TaskContext, TaskResult, Verdict
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.checks import post_check
from orchestrator_action.state.context import ForgeActs, RunContext, TaskRun, make_task_run
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


def task_of_branch(run: RunContext, branch: str) -> str:
    """The id of the task whose branch this is, by the trails at the remote; empty when none speaks of it."""
    known = [r.removeprefix(audit.TASKS_PREFIX) for r in run.remote.refs(f"{audit.TASKS_PREFIX}*")]
    likely = sorted((t for t in known if t in branch), key=len, reverse=True)
    for task_id in [*likely, *(t for t in known if t not in likely)]:
        if fold(trail_of(run, task_id).events, task_id).branch == branch:
            return task_id
    return ""


def trail_of(run: RunContext, task_id: str) -> audit.Audit:
    """The audit trail of a task as the remote has it. Raises ConfigError when there is none."""
    commit = run.remote.fetch_ref(audit.ref_of(task_id))
    if not commit:
        raise ConfigError(f"the remote has no audit trail of task {task_id!r}", hint="check the task's id")
    return audit.read(run.git, commit, task_id)


def verify(run: RunContext, branch: str, task_id: str) -> Verified:
    """Judge the branch of a task at its current head and post the check there. Raises GitError when it is gone."""
    trail = trail_of(run, task_id)
    head = run.remote.fetch_ref(f"refs/heads/{branch}")
    if not head:
        raise GitError(f"branch {branch!r} is not at the remote any more", hint="restore it first")
    _take_over(run, trail.events, task_id)
    known = fold(trail.events, task_id)
    task_run = task_run_at(run, replace(known, base_sha=grown_base(run, known, head)), head)
    measure = _Again(
        task_run, FORGE_ACTS, ledger=lambda: _ledger(run, trail.events, task_id),
        events=lambda: [*trail.events, *run.journal.of(task_id)],
    )  # fmt: skip
    claims = Claims(
        journal=run.journal,
        task=task_id,
        policy=run.config.phases,
        measure=measure,
        head=lambda: head,
        earlier=trail.events,
    )
    try:
        verdict = claims.settle()
    finally:
        claims.close()
        run.trees.remove(task_run.tree)
    ledger = _ledger(run, trail.events, task_id)
    accepted = () if verdict.settled else _accepted(run, ledger, trail.events, head)
    verdict = let_pass(verdict, accepted)
    end = conclude(FINE, AgentReport(), verdict, trail.problems)
    result = _result(task_run, ledger, verdict, end, head, measure)
    post_check(task_run, result, ledger)
    run.journal.append(
        "verified", task_id, head=head, status=end.status, problems=list(trail.problems),
        accepted=[asdict(a) for a in accepted],
    )  # fmt: skip
    _keep(run, trail, task_id)
    return Verified(result=result, verdict=verdict, problems=trail.problems)


def grown_base(run: RunContext, ledger: Ledger, head: str) -> str:
    """The commit of the base branch that the head grows from: the recorded base, or a later one that came in since.

    What others merged meanwhile is not this change's.
    """
    tip = run.remote.fetch(ledger.base_branch or run.base_branch)
    now = run.git.merge_base(tip, head)
    return now if now and now != head and run.git.is_ancestor(ledger.base_sha, now) else ledger.base_sha


def _accepted(run: RunContext, ledger: Ledger, trail: Sequence[Event], head: str) -> tuple[Acceptance, ...]:
    """What people let pass since this head was measured first."""
    if ledger.pull is None:
        return ()
    queue = cast("Queue", run.forge)
    at = min((e.at for e in trail if e.kind == "fact" and e.data["commit"] == head), default=time.time())
    return read_acceptances(
        run.forge.comments(ledger.pull), since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        may_write=lambda login: queue.permission(login) in WRITERS,
    )  # fmt: skip


def approved_by(run: RunContext, pull: int, head: str) -> str:
    """The first person with write access who approves a pull request at this very head; empty when nobody does."""
    queue = cast("Queue", run.forge)
    return next((who for who in queue.approvals(pull, head) if queue.permission(who) in WRITERS), "")


def _keep(run: RunContext, trail: audit.Audit, task_id: str) -> None:
    """Add what was measured here to the task's trail at the remote."""
    events = run.journal.of(task_id)
    message = f"{task_id}: verified ({len(events)} events of run {run.run_id})\n"
    tip = audit.record(run.git, trail.commit, run.run_id, events, message)
    try:
        run.remote.push(tip, audit.ref_of(task_id), known=trail.commit)
    except (
        GitError
    ) as exc:  # a token that only reads: the check is there, and the trail tells what it told before
        log.warning("what was measured is not added to the trail of %s: %s", task_id, exc.message)


class _Again(Measure):
    """The measurements of a run, made on a branch that nobody has checked out.

    Whoever pushed, it was not the task's agent: its rounds of review are not used up, and what an earlier head was
    blamed for counts only where the review of this head says it again.
    """

    rounds_count = False

    def __init__(
        self,
        task_run: TaskRun,
        acts: ForgeActs,
        *,
        ledger: Callable[[], Ledger],
        events: Callable[[], list[Event]],
    ) -> None:
        super().__init__(task_run, acts, ledger=ledger)
        self._events = events
        self._approved: dict[str, str] = {}

    def _rounds_used(self, ledger: Ledger) -> int:  # noqa: ARG002
        return 0

    def _known_findings(self, ledger: Ledger) -> Sequence[ReviewFinding]:
        return tuple(f for f in ledger.findings if f.id in ledger.answers)

    def _open_findings(self, head: str) -> Sequence[ReviewFinding]:
        if self._approver(head):
            return ()
        reviews = (e for e in self._events() if e.kind == "review" and e.data["head"] == head)
        here = {f["id"] for e in reviews for f in e.data["findings"]}
        return tuple(f for f in self.ledger().open_findings if f.id in here)

    def _review(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        if not (who := self._approver(head)):
            return super()._review(claim, head, final)
        message = f"{who} approves {head[:12]}"
        return [
            Fact(
                phase="review", rule="reviewed", commit=head, holds=True, message=message, detail={"by": who}
            )
        ]

    def _approver(self, head: str) -> str:
        """The person who approves this head, asked once."""
        pull = self.ledger().pull
        if head not in self._approved:
            self._approved[head] = approved_by(self.run, pull, head) if pull else ""
        return self._approved[head]

    def _branch_management(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:  # noqa: ARG002
        base = self.task_run.base_sha
        kept = self.git.merge_base(base, head) == base
        there = self.run.remote.sha(f"refs/heads/{self.task_run.branch}") == head
        return [
            Fact(
                phase="branch-management", rule="on-branch", commit=head, holds=there,
                message=f"the remote's {self.task_run.branch} is at {head[:12]}" if there else "the branch moved on",
            ),
            Fact(
                phase="branch-management", rule="base-kept", commit=head, holds=kept,
                message=f"the branch grows from its base {base[:12]}" if kept else "the branch was taken off its base",
            ),
        ]  # fmt: skip

    def _push(self, head: str) -> None:
        """Nothing is pushed: the branch is where it is."""


def _take_over(run: RunContext, events: Sequence[Event], task_id: str) -> None:
    run.journal.append(
        "run-started", requested=[task_id], base_sha=run.base_sha, base_branch=run.base_branch, verify=True,
        agent=run.config.agent, trail=events[-1].hash if events else "",
    )  # fmt: skip


def _ledger(run: RunContext, earlier: Sequence[Event], task_id: str) -> Ledger:
    return fold([*earlier, *run.journal.of(task_id)], task_id)


def task_run_at(run: RunContext, ledger: Ledger, head: str) -> TaskRun:
    """The task as far as its ledger tells, seen from a clean checkout of its head."""
    issue: Issue | None = run.forge.issue(ledger.issue) if ledger.issue else None
    task = Task(
        id=ledger.task,
        title=issue.title if issue else ledger.task,
        text=issue.body if issue else "",
        branch=ledger.branch,
        issue=issue,
    )
    return task_run_of(run, task, ledger, head)


def task_run_of(run: RunContext, task: Task, ledger: Ledger, head: str) -> TaskRun:
    """A known task, seen from a clean checkout of its head. The tree is the caller's to remove."""
    tree = replace(run.trees.measure(ledger.task, head), branch=ledger.branch, base_sha=ledger.base_sha)
    directory = run.run_dir / "tasks" / ledger.task
    directory.mkdir(parents=True, exist_ok=True)
    commands = task.test or run.test_commands
    replace_file(directory / "task.md", task.text)
    limits = Limits(wall_s=run.config.timeout)
    context = TaskContext(
        path="", task=task, run_id=run.run_id, attempt=0, worktree_path=str(tree.path), prompt_path="",
        base_sha=ledger.base_sha, base_branch=ledger.base_branch, limits=limits, test_commands=commands,
        digest=ledger.digest,
    )  # fmt: skip
    return make_task_run(run, context, tree, directory)


def _result(
    task_run: TaskRun, ledger: Ledger, verdict: Verdict, end: End, head: str, measure: Measure
) -> TaskResult:
    return TaskResult(
        task_id=ledger.task,
        title=task_run.task.title,
        status=end.status,
        conclusion=end.conclusion,
        issue=ledger.issue,
        branch=ledger.branch,
        base_sha=task_run.base_sha,
        head_sha=head,
        pull=measure.pull,
        attempts=ledger.attempts,
        phases=verdict.phases,
        error=end.error,
    )
