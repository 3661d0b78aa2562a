"""A run: every requested task, at most so many at once, each to exactly one end.

Tasks start in plan order as slots come free and their dependencies have succeeded. The report's figures
are measured: the speed-up is the sum of task times over wall time, the peak what was alive at one instant.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from orchestrator_action import render
from orchestrator_action.attempt import Worked, work_on
from orchestrator_action.core.model import (
    GOOD_STATUSES,
    Conclusion,
    Conflict,
    RunReport,
    Status,
    Task,
    TaskResult,
)
from orchestrator_action.core.plan import conflicts
from orchestrator_action.errors import GitError
from orchestrator_action.parts import Parts
from orchestrator_action.runtime.supervisor import nursery

log = logging.getLogger(__name__)

Tell = Callable[[TaskResult], None]


@dataclass(slots=True)
class _Board:
    """Who waits, who runs, who is done."""

    waiting: list[Task]
    running: dict[Future[Worked], Task] = field(default_factory=dict)
    done: dict[str, TaskResult] = field(default_factory=dict)
    spans: list[tuple[float, float]] = field(default_factory=list)

    def blocked_by(self, task: Task) -> str:
        """The dependency that ended badly, if one did."""
        ended = (self.done.get(d) for d in task.depends_on)
        return next((r.task_id for r in ended if r and r.status not in GOOD_STATUSES), "")

    def ready(self, task: Task) -> bool:
        """Whether every dependency has ended."""
        return all(d in self.done for d in task.depends_on)


def run_tasks(tasks: Sequence[Task], parts: Parts, *, slots: int, tell: Tell) -> RunReport:
    """Run `tasks`, at most `slots` at once, and return the report, which is on disk by then."""
    started, began = time.time(), time.monotonic()
    parts.journal.append(
        "run-started", requested=[t.id for t in tasks], base_sha=parts.base_sha, base_branch=parts.base_branch,
        agent=parts.config.agent, slots=slots,
    )  # fmt: skip
    board = _Board(waiting=list(tasks))
    with nursery(), ThreadPoolExecutor(max_workers=slots, thread_name_prefix="task") as pool:
        while board.waiting or board.running:
            _start(board, parts, pool, slots, tell)
            ended, _ = wait(board.running, return_when=FIRST_COMPLETED) if board.running else (set(), None)
            for future in ended:
                board.running.pop(future)
                worked = future.result()
                board.done[worked.result.task_id] = worked.result
                board.spans += worked.spans
                tell(worked.result)
    report = _report(tasks, board, parts, started, time.monotonic() - began)
    parts.journal.write_report(render.report_json(report))
    parts.journal.append("run-ended", counts=render.counts(report))
    return report


def _start(board: _Board, parts: Parts, pool: ThreadPoolExecutor, slots: int, tell: Tell) -> None:
    """Give free slots to tasks that may start; settle those that never will."""
    for task in list(board.waiting):
        blocker = board.blocked_by(task)
        if parts.cancel.is_set():
            _settle(
                board, task, parts, Status.CANCELLED, "the run was cancelled before this task started", tell
            )
        elif blocker:
            _settle(board, task, parts, Status.BLOCKED, f"{blocker} did not succeed", tell)
        elif board.ready(task) and len(board.running) < slots:
            board.waiting.remove(task)
            board.running[pool.submit(work_on, task, parts)] = task


def _settle(board: _Board, task: Task, parts: Parts, status: Status, error: str, tell: Tell) -> None:
    board.waiting.remove(task)
    result = TaskResult(
        task_id=task.id,
        title=task.title,
        status=status,
        conclusion=Conclusion.CANCELLED if status is Status.CANCELLED else Conclusion.SKIPPED,
        issue=task.issue.number if task.issue else None,
        branch=task.branch,
        base_sha=parts.base_sha,
        error=error,
    )
    parts.journal.append("task-ended", task.id, status=status, conclusion=result.conclusion, error=error)
    board.done[task.id] = result
    tell(result)


def peak(spans: Iterable[tuple[float, float]]) -> int:
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


def _report(tasks: Sequence[Task], board: _Board, parts: Parts, started: float, wall_s: float) -> RunReport:
    results = tuple(board.done[t.id] for t in tasks)
    spans = list(board.spans)
    most = peak(spans)
    total = sum(r.wall_s for r in results)
    costs = [r.cost_usd for r in results if r.cost_usd is not None]
    return RunReport(
        run_id=parts.run_id,
        repo=parts.forge.repository,
        base_sha=parts.base_sha,
        agent=parts.config.agent,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        wall_s=wall_s,
        sum_task_s=total,
        speedup=speedup(total, wall_s, most),
        peak_parallel=most,
        cost_usd=sum(costs) if costs else None,
        requested=len(tasks),
        tasks=results,
        conflicts=_conflicts(results, parts),
    )


def _conflicts(results: Sequence[TaskResult], parts: Parts) -> tuple[Conflict, ...]:
    """Branches of this run that touch the same paths, by their diffs."""
    touched: dict[str, set[str]] = {}
    for result in results:
        if not result.head_sha or result.head_sha == result.base_sha:
            continue
        try:
            touched[result.task_id] = {c.path for c in parts.git.changes(result.base_sha, result.head_sha)}
        except GitError as exc:
            log.warning("no diff of task=%s: %s", result.task_id, exc.message)
    return conflicts(touched)
