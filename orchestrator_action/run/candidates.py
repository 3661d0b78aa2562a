"""A task with candidates: several attempts side by side, of which the best one becomes the task's result.

Each candidate is a task of its own on a stand-in for the forge, with its own agent, tree, broker, journal stream, trail
and share of the budget; its branch goes to the remote like any other. When all have ended and were measured, the best
one's claims and facts are taken over into the task's own stream, what only the forge can tell is asked there, and the
result is judged and published like that of any task. Tests of each that is green run on the code of the others.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from orchestrator_action.errors import GitError, JournalError, OrchestratorError
from orchestrator_action.forge.folder.forge import LocalForge
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.candidates import agents_for, best_of, candidate_tasks
from orchestrator_action.protocol.ends import End, end_of
from orchestrator_action.protocol.events import fact_data
from orchestrator_action.protocol.forge_values import Conclusion, Pull
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import (
    GOOD_STATUSES,
    Candidate,
    CrossTest,
    Fact,
    PhaseState,
    Status,
    Task,
    TaskResult,
)
from orchestrator_action.publish.acts import with_problems
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.run.audit_sync import Trail
from orchestrator_action.run.finish import (
    publish_again,
    publish_result,
    record_end,
    recorded_phases,
    recorded_result,
    recorded_task_run,
)
from orchestrator_action.run.task import claim_task, failure_result, publish_failure, stopped, work_on
from orchestrator_action.state.context import RunContext, TaskRun, crew_of
from orchestrator_action.state.fold import result_record, task_state
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.takeover import base_of, text_digest
from orchestrator_action.state.usage import TaskUsage
from orchestrator_action.verify.cross_tests import cross_tests
from orchestrator_action.verify.measure import Measure, bench_of, suite_at_base
from orchestrator_action.work.task_files import directory_of

log = logging.getLogger(__name__)

CARRIED = frozenset({"claim", "plan", "review", "answer", "declined", "fact"})
"""Kinds of events that a task takes over of its best candidate."""
_ASKED_AGAIN = frozenset({"issue-creation", "branch-management", "pull-request"})
"""Phases whose facts are of the candidate's own branch and of its stand-in."""


def work_on_candidates(task: Task, run: RunContext, run_limits: RunLimits) -> TaskResult:
    """Take a task with candidates all the way. Raises JournalError, and nothing else that can go wrong with a task."""
    state = task_state(run.journal.of(task.id))
    with contextlib.ExitStack() as after:  # the trail is closed when the end is recorded, so that it tells it
        try:
            if state.judged is not None and state.judged["status"] != Status.CANCELLED:
                result = publish_again(run, task, state, run_limits)
            else:
                result = _whole_way(task, run, run_limits, after)
        except JournalError:
            raise
        except Exception as exc:  # noqa: BLE001 - it is told as the result, and logged there
            result = failure_result(task, run, exc, run_limits)
            result = publish_failure(task, run, None, result, run_limits, TaskUsage())
        return record_end(run, result)


def _whole_way(task: Task, run: RunContext, run_limits: RunLimits, after: contextlib.ExitStack) -> TaskResult:
    began = time.monotonic()
    rivals = rivals_of(run, task)
    claim_task(replace(task, note=task.note or note_of_rivals(rivals)), run, run_limits)
    base = base_of(run, task)
    bare = End(status=Status.INCOMPLETE, conclusion=Conclusion.NEUTRAL).result(task, base)
    task_run = recorded_task_run(run, task, bare)
    trail = Trail(task_run)
    after.callback(run_limits.bounded, f"trail-{task.id}", trail.close, run.cancel, None)
    run.journal.append(
        "task-started", task.id, base_sha=base, base_branch=run.base_branch, branch=task.branch, digest="",
        worktree="", note="", text_sha256=text_digest(task),
        candidates=[{"id": r.id, "agent": r.agent} for r in rivals],
        **({"issue": task.issue.number} if task.issue else {}),
    )  # fmt: skip
    trail.mark()
    results = _side_by_side(task, rivals, run, run_limits)
    candidates = tuple(_candidate(run, r, one) for r, one in zip(rivals, results, strict=True))
    crossed = () if run.cancel.is_set() else _crossed(task_run, candidates, results)
    if end := stopped(run, run_limits):
        result = replace(end.result(task, base), candidates=candidates)
    else:
        best = best_of(candidates)
        candidates = tuple(replace(c, chosen=c.id == best.id) for c in candidates)
        won = next(r for r in results if r.task_id == best.id)
        record_choice(run, task, best, candidates, crossed)
        task_run = replace(task_run, crew=crew_of(run, task))
        result = replace(_adopted(task_run, won), candidates=candidates, cross_tests=crossed)
    result = replace(result, **_sums(results, time.monotonic() - began))
    run.journal.append("judged", task.id, **result_record(result))
    return with_problems(result, publish_result(task_run, result, run_limits))


def rivals_of(run: RunContext, task: Task) -> tuple[Task, ...]:
    """The candidates of a task; none where one attempt is all that is wanted."""
    return candidate_tasks(task, agents_for(task, run.config.candidates, run.config.agent))


def note_of_rivals(rivals: Sequence[Task]) -> str:
    """What people are told of a task's candidates; nothing where there are none."""
    if not rivals:
        return ""
    names = ", ".join(f"{r.id} ({r.agent})" for r in rivals)
    return (
        f"{len(rivals)} candidates work on it side by side: {names}; the best one becomes the task's result"
    )


# -- the candidates ---------------------------------------------------------------------------------


def run_of_candidate(run: RunContext, rival: Task, count: int) -> RunContext:
    """The run as one of `count` candidates has it: what it asks the forge for is only written down."""
    folder = directory_of(run, rival.id) / "forge"
    forge = LocalForge(folder, read_ref=lambda b: run.remote.sha(f"refs/heads/{b}") or None)
    if rival.issue:
        forge.put_issue(rival.issue)
    config = replace(run.config, max_budget_usd=run.config.max_budget_usd / count)
    return replace(run, forge=forge, config=config, stand_in=True)


def _side_by_side(
    task: Task, rivals: Sequence[Task], run: RunContext, run_limits: RunLimits
) -> tuple[TaskResult, ...]:
    """What each of them came to. Their attempts share the run's slots; one that had ended is not done again."""

    def one(rival: Task) -> TaskResult:
        own, known = run_of_candidate(run, rival, len(rivals)), task_state(run.journal.of(rival.id))
        if known.settled and known.status != Status.CANCELLED:
            return recorded_result(own, rival.id, known)
        return work_on(rival, own, run_limits)

    with ThreadPoolExecutor(len(rivals), thread_name_prefix=f"candidate-{task.id}") as pool:
        return tuple(pool.map(one, rivals))


def open_candidates(run: RunContext, task: Task) -> Iterator[tuple[Task, RunContext]]:
    """The candidates that have begun and not ended, each with the run as it has it."""
    rivals = rivals_of(run, task)
    for rival in rivals:
        known = task_state(run.journal.of(rival.id))
        if known.begun and not known.ended:
            yield rival, run_of_candidate(run, rival, len(rivals))


def candidates_so_far(run: RunContext, task: Task) -> tuple[Candidate, ...]:
    """The candidates that have ended, of a task that did not come to its end."""
    states = {r.id: task_state(run.journal.of(r.id)) for r in rivals_of(run, task)}
    return tuple(
        _candidate(run, r, recorded_result(run, r.id, states[r.id]))
        for r in rivals_of(run, task)
        if states[r.id].ended
    )


def _candidate(run: RunContext, rival: Task, result: TaskResult) -> Candidate:
    pushed = run.journal.ledger(rival.id).pushed_sha
    return Candidate(
        id=rival.id,
        agent=result.agents[-1] if result.agents else rival.agent,
        branch=rival.branch,
        head_sha=result.head_sha if result.head_sha != result.base_sha else "",
        status=result.status,
        error=result.error,
        lines=size_of_change(run.private, result.base_sha, result.head_sha),
        cost_usd=result.cost_usd,
        refuted=any(p.state is PhaseState.REFUTED for p in result.phases),
        failure=result.failures[-1] if result.failures else "",
        needs_person=result.needs_person,
        pushed=bool(pushed) and pushed == result.head_sha,
    )


def size_of_change(git: Git, base: str, head: str) -> int:
    """Lines that a branch adds and removes; of a binary file nobody knows any."""
    if not head:
        return 0
    with contextlib.suppress(GitError):
        changes = git.changes(base, head)
        return sum((c.added or 0) + (c.deleted or 0) for c in changes)
    return 0


def _crossed(
    task_run: TaskRun, candidates: Sequence[Candidate], results: Sequence[TaskResult]
) -> tuple[CrossTest, ...]:
    """The tests of each candidate whose own suite is green, on the code of the others of them."""
    run = task_run.run
    green = {
        c.id: c.head_sha for c, r in zip(candidates, results, strict=True) if c.head_sha and _is_green(r)
    }
    if len(green) < 2:
        return ()
    (task_run.directory / "evidence").mkdir(parents=True, exist_ok=True)
    bench = bench_of(task_run, run.private)
    try:
        at_base = suite_at_base(run, task_run.base_sha, bench).result()
        return cross_tests(bench, base=task_run.base_sha, heads=green, at_base=at_base)
    except OrchestratorError as exc:
        log.warning("the candidates' tests were not compared task=%s: %s", task_run.task.id, exc.message)
        first, second, *_ = green
        return (CrossTest(tests_of=first, code_of=second, error=exc.message),)


def _is_green(result: TaskResult) -> bool:
    facts = (f for p in result.phases for f in p.facts if f.rule == "suite")
    return any(f.holds and f.commit == result.head_sha for f in facts)


def _sums(results: Iterable[TaskResult], wall_s: float) -> dict[str, Any]:
    """What all of them used, as fields of a TaskResult. They were at work side by side: their times are not added."""
    every = list(results)
    turns = [r.turns for r in every if r.turns is not None]
    costs = [r.cost_usd for r in every if r.cost_usd is not None]
    return {
        "attempts": sum(r.attempts for r in every),
        "turns": sum(turns) if turns else None,
        "cost_usd": round(sum(costs), 6) if costs else None,
        "cpu_s": round(sum(r.cpu_s for r in every), 3),
        "peak_rss_mib": max(r.peak_rss_mib for r in every),
        "read_bytes": sum(r.read_bytes for r in every),
        "write_bytes": sum(r.write_bytes for r in every),
        "failures": tuple(f for r in every for f in r.failures),
        "wall_s": round(max(wall_s, *(r.wall_s for r in every)), 3),
    }


# -- the best one -----------------------------------------------------------------------------------


def record_choice(
    run: RunContext,
    task: Task,
    best: Candidate,
    candidates: Sequence[Candidate],
    crossed: Sequence[CrossTest] = (),
) -> None:
    """Write down which one it is, with all that was known of the others; once."""
    if any(e.kind == "chosen" and e.data["candidate"] == best.id for e in run.journal.of(task.id)):
        return
    run.journal.append(
        "chosen", task.id, candidate=best.id, agent=best.agent, candidates=[asdict(c) for c in candidates],
        cross_tests=[asdict(c) for c in crossed],
    )  # fmt: skip


def _adopted(task_run: TaskRun, won: TaskResult) -> TaskResult:
    """The task as its best candidate left it, judged by what the forge says of the task itself."""
    run, task, head = task_run.run, task_run.task, won.head_sha
    _carry(run, task, won.task_id)
    if head and head != won.base_sha:
        run.private.update_ref(f"refs/heads/{task.branch}", head)
        run.trees.keep_branch(task_run.tree, task.id)
    error, pull = "", None
    try:
        pull = _ask_forge(task_run, head)
    except OrchestratorError as exc:
        error = exc.message
    verdict = judge(run.journal.ledger(task.id), policy=run.config.phases, head=head)
    end = End(status=won.status, conclusion=won.conclusion, error=won.error)
    if won.status in GOOD_STATUSES:
        end = end_of(verdict)
        end = replace(end, error="; ".join(filter(None, (end.error, error))))
    return replace(
        won, task_id=task.id, title=task.title, issue=run.journal.ledger(task.id).issue, branch=task.branch,
        status=end.status, conclusion=end.conclusion, error=end.error, pull=pull,
        phases=recorded_phases(run, task.id, head),
    )  # fmt: skip


def _carry(run: RunContext, task: Task, candidate: str) -> None:
    """Take over what the best one claimed and what was measured of it; nothing twice, however often this is tried."""
    records = [
        (e.kind, dict(e.data))
        for e in run.journal.of(candidate)
        if e.kind in CARRIED and not (e.kind == "fact" and _is_stand_ins(e.data))
    ]
    there = sum(e.kind in CARRIED for e in run.journal.of(task.id))
    for kind, data in records[there:]:
        run.journal.append(kind, task.id, **data)


def _is_stand_ins(fact: Any) -> bool:
    return fact["phase"] in _ASKED_AGAIN or fact["rule"] == "pull-current"


def _ask_forge(task_run: TaskRun, head: str) -> Pull | None:
    """Measure what the forge knows, and open the pull request when all that comes before it is settled."""
    run, task = task_run.run, task_run.task
    measure = Measure(task_run, FORGE_ACTS, ledger=lambda: run.journal.ledger(task.id))
    claims = run.journal.ledger(task.id).claims
    if claim := claims.get("issue-creation"):
        _record(task_run, measure(claim, head, False))
    if "branch-management" in claims:
        _record(task_run, _branch_facts(task_run, head))
    ledger = run.journal.ledger(task.id)
    before = judge(ledger, policy=run.config.phases, head=head, upto="documentation")
    claim = claims.get("pull-request")
    if claim is None or claim.waive or not before.settled or ledger.no_change or ledger.declined:
        return None
    _record(task_run, measure(claim, head, False))
    if ledger.findings:
        FORGE_ACTS.post_review(task_run, head, ledger.findings)
    return measure.pull


def _record(task_run: TaskRun, facts: Iterable[Fact]) -> None:
    for fact in facts:
        task_run.run.journal.append("fact", task_run.task.id, **fact_data(fact))


def _branch_facts(task_run: TaskRun, head: str) -> tuple[Fact, ...]:
    """The task's branch is a name that we gave to its best candidate's last commit."""
    git, base = task_run.run.private, task_run.base_sha
    at = git.rev_parse(f"refs/heads/{task_run.branch}") or base
    grown = git.merge_base(base, head)
    return (
        Fact(
            phase="branch-management", rule="on-branch", commit=head, holds=at == head,
            message=f"{task_run.branch} is at {at[:12]}",
        ),
        Fact(
            phase="branch-management", rule="base-kept", commit=head, holds=grown == base,
            message=f"the branch grows from {grown[:12]}; its base is {base[:12]}",
        ),
    )  # fmt: skip
