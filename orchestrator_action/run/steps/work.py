"""The second step: one shard's tasks with their agents, and a bundle for each. No write token.

It is a run like any other, on stand-ins for remote and forge: what its machine measures answers the agent and
decides nothing. A bundle is written the moment its task has ended, so that a job that dies keeps those.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.errors import ConfigError
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate
from orchestrator_action.protocol.candidates import tasks_at_work
from orchestrator_action.protocol.documents import Bundle, ForgeRequest, VerdictDocument
from orchestrator_action.protocol.ends import End
from orchestrator_action.protocol.events import Ledger, fold
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import RunReport, Status, Task, TaskResult
from orchestrator_action.run.finish import recorded_result
from orchestrator_action.run.recover import end_leftovers_of, owned
from orchestrator_action.run.remote import make_remote
from orchestrator_action.run.remote_orders import RemoteOrders
from orchestrator_action.run.run import run_tasks
from orchestrator_action.run.settling import close_task
from orchestrator_action.run.setup import slots_of
from orchestrator_action.run.steps.bundle import write_bundle
from orchestrator_action.run.steps.files import ReadPlan, machine
from orchestrator_action.run.steps.offers import collect_offers, verified
from orchestrator_action.run.steps.step import STAGED, enter_step, killed_step
from orchestrator_action.run.token import token_of
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.fold import recall, task_state
from orchestrator_action.state.limits import RunLimits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBundle:
    """A bundle that was written."""

    task_id: str
    folder: Path
    digest: str
    status: str
    """As this machine says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What a shard came to."""

    report: RunReport
    bundles: tuple[WrittenBundle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the waves before a shard's brought: bundles, and verdicts by the bundle that each is about."""

    folders: Sequence[Path] = ()
    verdicts: Mapping[str, VerdictDocument] = field(default_factory=dict)
    accept: Collection[str] | None = None
    """When given, also empty, only bundles of these digests count."""


def tasks_of_shard(read: ReadPlan, shard: int) -> tuple[Task, ...]:
    """The tasks of a shard, 1 being the first. Raises ConfigError for one that the plan has not."""
    shards = read.plan.shards
    if not 1 <= shard <= len(shards):
        raise ConfigError(f"the plan has no shard {shard}", hint=f"it has {len(shards)}, from 1")
    return tuple(t for t in tasks_at_work(read.plan) if t.id in shards[shard - 1])


def work(
    read: ReadPlan,
    shard: int,
    out: Path,
    repo: Path,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    before: Before,
    say: Callable[[str], None],
    begin: Callable[[RunContext], None],
    watch: Callable[[RunContext], AbstractContextManager[object]],
    tell: Callable[[TaskResult], None],
    wrote: Callable[[WrittenBundle], None],
) -> Worked:
    """Work on a shard of a plan; a folder `out`/TASK for each of its tasks. `begin` is told of the run's parts.

    `wrote` is told of each bundle as soon as it is there.
    """
    tasks = tasks_of_shard(read, shard)
    written: list[WrittenBundle] = []
    with enter_step(read, tasks, f"work{shard}", repo, env, cancel, needs_agents=True) as (found, run):
        by_id = {t.id: t for t in tasks}

        def keep(result: TaskResult) -> None:
            tell(result)
            written.append(_bundle(run, by_id[result.task_id], result, out / result.task_id))
            wrote(written[-1])

        begin(run)
        done = _done_before(read, run, tasks, before, say)
        with watch(run), _orders_of_people(read, run, env):
            report = run_tasks(tasks, run, slots=slots_of(found, auto=False), tell=keep, done=done)
    return Worked(report=report, bundles=tuple(written))


@contextlib.contextmanager
def _orders_of_people(read: ReadPlan, run: RunContext, env: Mapping[str, str]) -> Iterator[None]:
    """What people order by a comment reaches the agents of this step, where it may read the remote: it has no token,
    so of a private repository it may not."""
    with contextlib.ExitStack() as stack:
        if read.plan.forge == "github":
            private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oa-orders-")))
            remote = make_remote(run.git, token=token_of(env), private=private, env=env)
            stack.enter_context(RemoteOrders(run.run_dir, remote, read.plan.holder))
        yield


def _done_before(
    read: ReadPlan, run: RunContext, tasks: Sequence[Task], before: Before, say: Callable[[str], None]
) -> dict[str, TaskResult]:
    """What became of tasks of other shards that these depend on. The stand-in then has the verified branches."""
    here = {t.id for t in tasks}
    needed = {d for t in tasks for d in t.depends_on} - here
    if not needed:
        return {}
    offers = collect_offers(read, run.private, before.folders, before.verdicts, accept=before.accept, say=say)
    known, done = verified(read.plan, offers), dict[str, TaskResult]()
    for task in (t for t in read.plan.tasks if t.id in needed):
        work = known.get(task.id)
        if work is None:
            say(f"{task.id} is not verified, as far as was handed over: what depends on it is not begun")
            end = End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error="it is not verified")
            done[task.id] = end.result(task, run.base_sha)
            continue
        if work.head:
            run.remote.push(work.head, f"refs/heads/{task.branch}", known="")
        end = End(status=work.bundle.status, conclusion=Conclusion.SUCCESS)
        done[task.id] = replace(end.result(task, work.bundle.base_sha), head_sha=work.head)
    return done


def settle(
    read: ReadPlan,
    shard: int,
    out: Path,
    repo: Path,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    say: Callable[[str], None],
    wrote: Callable[[WrittenBundle], None],
) -> None:
    """Write a bundle for each task that a killed `work` on this machine left without one. No agent is started.

    A task that had begun is handed on as cancelled, with what its agent had committed; of one that had not there is
    nothing to hand on.
    """
    tasks = [t for t in tasks_of_shard(read, shard) if not (out / t.id).exists()]
    folder = killed_step(Git.open(repo, env), read.plan.run_id, f"work{shard}") if tasks else None
    if folder is None:
        return
    with owned(folder, read.plan.run_id) as journal:
        end_leftovers_of(folder, recall(journal.events), say)
        parts = enter_step(
            read, tasks, f"work{shard}", repo, env, cancel, needs_agents=False, journal=journal
        )
        run_limits = RunLimits(slots=Slots(1), gate=RateGate(1), user=cancel)
        with parts as (_, run):
            for task in (t for t in tasks if run.journal.of(t.id)):
                state = task_state(run.journal.of(task.id))
                result = recorded_result(run, task.id, state) if state.ended else None
                result = result or close_task(run, task, run_limits)[0]
                _bring_trail(run, task)
                written = _bundle(run, task, result, out / task.id)
                say(f"{task.id}: its work job was killed; a bundle has what it had committed")
                wrote(written)


def _bring_trail(run: RunContext, task: Task) -> None:
    """Have all that the journal knows of a task at the stand-in: who was killed may not have come to its push."""
    ref, events = audit.ref_of(task.id), run.journal.of(task.id)
    tip = run.remote.fetch_ref(ref)
    made = audit.record(run.git, tip, run.run_id, events, f"{task.id}: settled after a kill\n")
    run.remote.push(made, ref, known=tip)


def _bundle(run: RunContext, task: Task, result: TaskResult, folder: Path) -> WrittenBundle:
    """Write down what became of a task, as far as it was pushed to the stand-in: nothing else travels."""
    staged = Git.open(run.run_dir / STAGED, run.git.env)
    branch, trail = f"refs/heads/{task.branch}", audit.ref_of(task.id)
    there = staged.refs()
    events = audit.read(staged, there[trail], task.id).events if trail in there else ()
    ledger = fold(events, task.id)
    base = result.base_sha or run.base_sha
    if branch not in there and base != run.base_sha and staged.rev_parse(base):
        staged.update_ref(branch, base)  # what it grew from has to travel, also when it changed nothing
        there = staged.refs()
    head = there.get(branch, "") or (base if result.head_sha == base else "")
    bundle = Bundle(
        run_id=run.run_id, task_id=task.id, branch=task.branch, base_sha=base if head else run.base_sha, head_sha=head,
        status=result.status, error=_one_text(result.error), declined=result.declined,
        claims=tuple(ledger.claims[p] for p in sorted(ledger.claims)),
        requests=_requests(task, ledger), trail=events[-1].hash if events else "", said=_one_text(result.said),
        machine=machine(run.run_id), attempts=result.attempts, turns=result.turns, cost_usd=result.cost_usd,
        wall_s=result.wall_s,
    )  # fmt: skip
    refs = [ref for ref in (branch, trail) if ref in there]
    digest = write_bundle(folder, bundle, staged, refs, plan_base=run.base_sha)
    log.info("bundle written task=%s head=%s digest=%s", task.id, head[:12], digest)
    return WrittenBundle(task_id=task.id, folder=folder, digest=digest, status=str(result.status))


def _requests(task: Task, ledger: Ledger) -> tuple[ForgeRequest, ...]:
    claim = ledger.claims.get("pull-request")
    if claim is None or ledger.no_change:
        return ()
    title = _one_line(claim.note or task.title)
    return (ForgeRequest(kind="pull-request", title=title, body=_one_text(claim.text or claim.note)),)


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]


def _one_text(text: str) -> str:
    """Text as a bundle may carry it: without what a terminal obeys."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)[:60_000]
