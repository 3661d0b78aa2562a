"""A run: every requested task, at most so many at once, each to exactly one end.

Tasks start in plan order as places come free and their dependencies have succeeded. The journal says at
every moment what was asked and how far it came; a process that takes the run up again needs nothing else.
The report's figures are measured: the speed-up is the sum of task times over wall time, the peak what
was alive at one instant.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Literal

from orchestrator_action.errors import GitError
from orchestrator_action.process import table as procs
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate
from orchestrator_action.process.supervisor import spawner
from orchestrator_action.protocol.candidates import agents_at, agents_for, stem
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.ends import End, cannot_run, held_up
from orchestrator_action.protocol.model import GOOD_STATUSES, Conflict, RunReport, Task, TaskResult
from orchestrator_action.publish.claim import tell_not_started
from orchestrator_action.publish.report import comments as render
from orchestrator_action.run.bases import Bases
from orchestrator_action.run.budget import budget_of, config_for, out_of_quota, spent
from orchestrator_action.run.candidates import work_on_candidates
from orchestrator_action.run.grown import Ground, ground_of
from orchestrator_action.run.integration import integrate, tell_integration
from orchestrator_action.run.remote_orders import orders_to
from orchestrator_action.run.task import stopped, work_on
from orchestrator_action.state import orders
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.fold import RunState, planned, recall, result_record
from orchestrator_action.state.limits import RunLimits

log = logging.getLogger(__name__)

UNSETTLED = "unsettled"
"""A file in a run's folder while it is under way, or has something left to tell."""
SCHEDULER_TICK_S = 0.1
"""How soon an order from another process is seen."""
LAST_ACTS_S = 300.0
"""For measuring and telling, once an agent has ended."""
RELIEVE_S = 1.0
"""How often memory is looked at."""
POLITE_S, DISCARD_S = 0.4, 0.1
"""Until a cancelled run whose tasks ended at once is done deleting files; and what it takes for that at least."""

Lifetime = tuple[float, float]
Tell = Callable[[TaskResult], None]


@dataclass(slots=True)
class _Board:
    """Who waits, who runs, who is done."""

    waiting: list[Task]
    running: dict[Future[TaskResult], Task] = field(default_factory=dict)
    done: dict[str, TaskResult] = field(default_factory=dict)
    cancels: dict[str, Cancel] = field(default_factory=dict)
    fault: BaseException | None = None
    """What ends the run, because nothing can be relied on any more."""

    def blocked_by(self, task: Task) -> str:
        """The dependency that ended badly, if one did."""
        ended = (self.done.get(d) for d in task.depends_on)
        return next((r.task_id for r in ended if r and r.status not in GOOD_STATUSES), "")

    def ready(self, task: Task) -> bool:
        """Whether every dependency has ended."""
        return all(d in self.done for d in task.depends_on)


def run_tasks(
    tasks: Sequence[Task],
    run: RunContext,
    *,
    slots: int | Literal["auto"],
    tell: Tell,
    done: Mapping[str, TaskResult] | None = None,
    places: Slots | None = None,
    first_wait_s: float = 2.0,
) -> RunReport:
    """Run `tasks`, at most `slots` at once, and return the report, which is on disk by then.

    `done` holds results of an earlier process that stand; `places` decides who is let in, by the machine's
    memory unless told otherwise. Raises JournalError when the journal takes nothing more; all tasks have
    been ended by then, and the run can be resumed.
    """
    return _Run(tasks, run, slots, tell, dict(done or {}), places, first_wait_s).whole()


class _Run:
    def __init__(
        self,
        tasks: Sequence[Task],
        run: RunContext,
        slots: int | Literal["auto"],
        tell: Tell,
        done: dict[str, TaskResult],
        places: Slots | None,
        first_wait_s: float,
    ) -> None:
        self._tasks, self._tell, self._journal = tasks, tell, run.journal
        self._user = run.cancel
        self._cancel = Cancel(run.cancel)
        self._run = replace(run, cancel=self._cancel)
        self._board = _Board(waiting=[t for t in tasks if t.id not in done], done=done)
        places = places or Slots(slots)
        limit_s = run.config.run_timeout
        self._run_limits = RunLimits(
            slots=places,
            gate=RateGate(places.limit),
            user=run.cancel,
            first_wait_s=first_wait_s,
            run_limit_s=limit_s,
            ends_at=time.monotonic() + limit_s if limit_s else math.inf,
        )
        self._bases = Bases(self._run, [t for t in self._board.waiting if self._is_fresh(t)])
        self._budget = budget_of(run.config, run.git, run.remote, run.run_id)
        self._orders = orders.Orders(run.run_dir)
        self._relieve_at = 0.0
        self._began = time.monotonic()

    def whole(self) -> RunReport:
        board = self._board
        self._begin()
        with (
            spawner(),
            orders_to(self._run),
            ThreadPoolExecutor(self._run_limits.slots.limit, thread_name_prefix="task") as pool,
        ):
            try:
                self._bases.start()
                while board.running or (board.waiting and not board.fault):
                    self._start(pool)
                    ended, _ = wait(board.running, timeout=SCHEDULER_TICK_S, return_when=FIRST_COMPLETED)
                    if not board.running and board.waiting:  # for the base, or for a dependency of theirs
                        self._cancel.wait(SCHEDULER_TICK_S)
                    for future in ended:
                        self._take(future)
                    self._look()
            except BaseException as exc:
                # before the pool is left: it waits for its tasks, and they for this word
                self._cancel.set(f"the run failed: {exc}")
                raise
            finally:
                self._bases.close()
        if board.fault is not None:
            raise board.fault
        return self._end()

    def _begin(self) -> None:
        run = self._run
        run.trees.discard_dead()
        me = procs.identity(os.getpid())
        owner = me._asdict() if me else {}
        kind = "run-resumed" if any(e.kind == "run-started" for e in self._journal.events) else "run-started"
        plan = planned(
            self._tasks, config=run.config, forge=run.forge_name or run.forge.name, base_sha=run.base_sha,
            base_branch=run.base_branch, test_commands=run.test_commands, repository=run.forge.repository,
        )  # fmt: skip
        more = plan if kind == "run-started" else {"open": [t.id for t in self._board.waiting]}
        self._journal.append(kind, owner=owner, slots=self._run_limits.slots.limit, **more)
        with contextlib.suppress(OSError):
            (run.run_dir / UNSETTLED).touch()

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Give free places to tasks that may start; settle those that never will."""
        board = self._board
        for task in list(board.waiting):
            cancel = board.cancels.setdefault(task.id, Cancel(self._cancel))
            run = replace(self._run, cancel=cancel)
            blocker = board.blocked_by(task)
            if board.fault is not None:
                return
            if end := stopped(run, self._run_limits):
                self._settle(task, replace(end, error=f"{end.error}, before this task started"))
            elif why := task.stuck or (blocker and f"{blocker} did not succeed"):
                if task.stuck:
                    tell_not_started(run, task, why)
                self._settle(task, held_up(why))
            elif late := self._too_late():
                tell_not_started(run, task, late)
                self._settle(task, held_up(late))
            elif cannot := self._cannot(task):
                tell_not_started(run, task, cannot.error)
                self._settle(task, cannot)
            elif (
                board.ready(task)
                and self._bases.is_looked_at(task)
                and len(board.running) < self._run_limits.slots.limit
                and self._can_pay_for(task, run)
            ):
                ground = self._ground(task)
                if ground.clash:
                    tell_not_started(run, task, ground.clash)
                    self._settle(task, held_up(ground.clash))
                    continue
                own = config_for(run.config, task.id)
                run = replace(run, base_sha=ground.sha, base_branch=ground.branch, config=own)
                board.waiting.remove(task)
                work = (
                    work_on_candidates
                    if agents_for(task, run.config.candidates, run.config.agent)
                    else work_on
                )
                board.running[pool.submit(work, task, run, self._run_limits)] = task

    def _ground(self, task: Task) -> Ground:
        """Where the task's branch begins; on what it depends on, when that was verified in this run."""
        run = self._run
        return ground_of(
            run.private, task, self._board.done, base_sha=run.base_sha, base_branch=run.base_branch
        )

    def _is_fresh(self, task: Task) -> bool:
        """Whether no process has set an agent to it, and one may be."""
        return not _is_begun(self._run, task) and task.id not in self._run.blocked

    def _cannot(self, task: Task) -> End | None:
        """Why no agent is to be paid for a task, whatever it would do."""
        if error := self._run.blocked.get(task.id):
            return cannot_run(error.message + (f" ({error.hint})" if error.hint else ""))
        return self._bases.end(task)

    def _too_late(self) -> str:
        """Why a task that begins now might not end before the forge's token; empty when it will."""
        limit_s, left_s = self._run.config.timeout, self._run.token_ends_at - time.monotonic()
        if limit_s + LAST_ACTS_S <= left_s:
            return ""
        may = f"a task may take {limit_s / 60:.0f} minutes" if limit_s else "a task may take any time"
        return (
            f"the App's token that was given is good for {max(0.0, left_s) / 60:.0f} more minutes at most, and {may}: "
            "give app-id and app-private-key, which renew it, or a shorter timeout"
        )

    def _can_pay_for(self, task: Task, run: RunContext) -> bool:
        """Whether budget and quotas have room for one more; one for which they never will is ended here."""
        used, running = spent(self._journal.events), len(self._board.running)
        config = run.config
        names = (*agents_at(task, config.candidates, config.agent), *config.agent_fallback)
        why = out_of_quota(self._journal.events, names)
        if not why and not self._budget.refusal(used, running):
            return True
        if why := why or self._budget.refusal(used, 0):  # whatever those that run leave of their share
            tell_not_started(run, task, why)
            self._settle(task, held_up(why))
        return False

    def _take(self, future: Future[TaskResult]) -> None:
        task = self._board.running.pop(future)
        self._board.cancels.pop(task.id, None)
        try:
            result = future.result()
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the others are ended before it is raised
            log.error("the run ends task=%s error=%s", task.id, exc)
            self._board.fault = self._board.fault or exc
            self._cancel.set(str(exc))
            return
        self._board.done[task.id] = result
        self._tell(result)

    def _settle(self, task: Task, end: End) -> None:
        """End a task that never started."""
        self._board.waiting.remove(task)
        self._board.cancels.pop(task.id, None)
        result = end.result(task, self._run.base_sha)
        self._journal.append("task-ended", task.id, **result_record(result))
        self._board.done[task.id] = result
        self._tell(result)

    # -- while it goes on

    def _look(self) -> None:
        """Obey orders from other processes, end what is out of time, keep memory above its floor."""
        for order in self._orders.fresh():
            self._obey(order)
        now = time.monotonic()
        if now >= self._run_limits.ends_at and not self._cancel.is_set():
            self._cancel.set(f"the run's limit of {self._run_limits.run_limit_s:g} s had passed")
        if now >= self._relieve_at and not self._cancel.is_set():
            self._relieve_at = now + RELIEVE_S
            self._run_limits.slots.relieve()

    def _obey(self, order: str) -> None:
        words = self._orders.words_of(order)
        if order == orders.CANCEL:
            self._user.set(words)
        elif order == orders.NOW:
            self._user.hurry()
        elif order.startswith(orders.ONE):
            named = order.removeprefix(orders.ONE)
            for one in (t.id for t in self._tasks if named in {t.id, stem(t.id)}):
                self._board.cancels.setdefault(one, Cancel(self._cancel)).set(words)
        else:
            return
        self._journal.append("cancelled", order=order)

    # -- the end

    def _end(self) -> RunReport:
        state = recall(self._journal.events)
        results = [self._board.done[t.id] for t in self._tasks]
        together = integrate(self._run, results)
        tell_integration(self._run, results, together)
        wall_s = state.worked_before_s + time.monotonic() - self._began
        report = report_on(self._run, results, state, wall_s)
        report = replace(report, integration=together)
        self._journal.write_report(render.report_json(report, self._run.secrets))
        self._journal.append("run-ended", counts=render.counts(report))
        if not state.pending:
            (self._run.run_dir / UNSETTLED).unlink(missing_ok=True)
        if self._user.is_set():
            self._discard()
        self._run.trees.drop_bases()
        return report

    def _discard(self) -> None:
        """Delete what the cancelled tasks left, as far as time allows; the next run, or `clean`, does the rest."""
        last = threading.Thread(target=self._run.trees.discard, name="discard", daemon=True)
        last.start()
        last.join(max(DISCARD_S, self._user.since + POLITE_S - time.monotonic()))


def _is_begun(run: RunContext, task: Task) -> bool:
    """Whether a process before us has set an agent to it."""
    return any(e.kind == "task-started" for e in run.journal.of(task.id))


def peak(spans: Iterable[Lifetime]) -> int:
    """The most processes alive at the same instant, by when each was alive."""
    edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    alive = most = 0
    for _, step in edges:
        alive += step
        most = max(most, alive)
    return most


def speedup(sum_task_s: float, wall_s: float, most: int) -> float:
    """Sum of task times over wall time. What ran one after the other is 1.0, whatever the rounding."""
    if most <= 1 or wall_s <= 0:
        return 1.0
    return sum_task_s / wall_s


def report_on(run: RunContext, results: Sequence[TaskResult], state: RunState, wall_s: float) -> RunReport:
    """The report. Of a resumed run, wall time is what our processes were at it, one after the other."""
    most = peak(_spans(state))
    total = sum(r.wall_s for r in results)
    costs = [r.cost_usd for r in results if r.cost_usd is not None]
    return RunReport(
        run_id=run.run_id,
        repo=run.forge.repository,
        base_sha=run.base_sha,
        agent=run.config.agent,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.started_at)),
        wall_s=wall_s,
        sum_task_s=total,
        speedup=speedup(total, wall_s, most),
        peak_parallel=most,
        cost_usd=sum(costs) if costs else None,
        requested=len(results),
        tasks=tuple(results),
        conflicts=_conflicts(results, run),
        isolation=run.isolation.json(),
    )


def _spans(state: RunState) -> list[Lifetime]:
    """When agents were alive, by the journal: those of earlier processes count too."""
    every = (*state.tasks.values(), *state.candidates.values())
    ends = [a.ended for t in every for a in t.attempts if a.ended and a.ended.get("pid")]
    return [(e["started_at"], e["started_at"] + e["wall_s"]) for e in ends]


def _conflicts(results: Sequence[TaskResult], run: RunContext) -> tuple[Conflict, ...]:
    """Branches of this run that touch the same paths, by their diffs."""
    touched: dict[str, set[str]] = {}
    for result in results:
        if run.cancel.is_set():
            break
        if not result.head_sha or result.head_sha == result.base_sha:
            continue
        try:
            touched[result.task_id] = {c.path for c in run.private.changes(result.base_sha, result.head_sha)}
        except GitError as exc:
            log.warning("no diff of task=%s: %s", result.task_id, exc.message)
    return conflicts(touched)
