"""The last step of the Action: close what a cancelled or killed run left open on this machine.

No agent is started here. A task that had begun ends as cancelled, its work kept; one that had not begun is
as it was before. What was told stays told: everything is found again by its marker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate
from orchestrator_action.protocol.ends import End
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import RunReport, Status, Task, TaskResult
from orchestrator_action.publish.report.document import counts, report_json
from orchestrator_action.run.candidates import candidates_so_far, open_candidates
from orchestrator_action.run.finish import (
    publish_result,
    record_end,
    recorded_phases,
    recorded_task_run,
    salvage_tree,
)
from orchestrator_action.run.on_finish import tell_finish
from orchestrator_action.run.past_runs import is_held
from orchestrator_action.run.recover import Resumable, Say, resume_run, settle_pending
from orchestrator_action.run.run import UNSETTLED, report_on
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.fold import recall
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.store import run_dirs

KILLED = "the run was ended from outside before this task was done"


Show = Callable[[RunReport, RunContext], None]
"""Is shown the report of a run that is closed here."""


def settle_all(git: Git, env: Mapping[str, str], cancel: Cancel, *, say: Say, show: Show) -> int:
    """Tell what runs of this checkout left untold; returns how many tasks, and others who wait, were told."""
    done = settle_pending(git, env, cancel, say=say)
    for folder in run_dirs(git):
        journal = folder / "journal.jsonl"
        if not (folder / UNSETTLED).exists() or is_held(journal):
            continue
        try:
            done += _close(folder, git, env, cancel, say, show)
        except OrchestratorError as exc:
            say(f"run {folder.name}: {exc.message}")
    return done


def _close(folder: Path, git: Git, env: Mapping[str, str], cancel: Cancel, say: Say, show: Show) -> int:
    with resume_run(folder, git, env, cancel, say=say, needs_agents=False) as taken:
        if taken.state.ended:
            return 0
        run, run_limits = taken.run, RunLimits(slots=Slots(1), gate=RateGate(1), user=cancel)
        closed = {task.id: _cancelled(taken, task, run_limits, say) for task in taken.open}
        done = {**taken.done, **{task: result for task, (result, _) in closed.items()}}
        wall_s = taken.state.worked_before_s + taken.state.worked_last_s
        report = report_on(run, [done[t.id] for t in taken.found.tasks], recall(run.journal.events), wall_s)
        run.journal.write_report(report_json(report, run.secrets))
        run.journal.append("run-ended", counts=counts(report))
        still = [problems for _, problems in closed.values() if problems]
        if not still:
            (folder / UNSETTLED).unlink(missing_ok=True)
        show(report, run)
        for line in tell_finish(run, folder / "report.json"):
            say(f"run {run.run_id}: {line}")
    return len(closed) - len(still)


def _cancelled(
    taken: Resumable, task: Task, run_limits: RunLimits, say: Say
) -> tuple[TaskResult, tuple[str, ...]]:
    """End one task as cancelled; with the result, what could not be told."""
    result, problems = close_task(taken.run, task, run_limits)
    say(f"{task.id}: cancelled" + "".join(f"; {p}" for p in problems))
    return result, problems


def close_task(run: RunContext, task: Task, run_limits: RunLimits) -> tuple[TaskResult, tuple[str, ...]]:
    """End a task that a killed process left open, its work kept; with the result, what could not be told."""
    for rival, own in open_candidates(run, task):
        close_task(own, rival, run_limits)
    events = run.journal.of(task.id)
    ledger = run.journal.ledger(task.id)
    begun = any(e.kind in {"task-started", "claiming", "claimed"} for e in events)
    head = salvage_tree(run, task) if begun else ""
    end = End(status=Status.CANCELLED, conclusion=Conclusion.CANCELLED, error=KILLED)
    result = replace(
        end.result(task, ledger.base_sha or run.base_sha),
        branch=ledger.branch or task.branch,
        head_sha=head,
        phases=recorded_phases(run, task.id, head),
        candidates=candidates_so_far(run, task),
        attempts=sum(e.kind == "attempt-started" for e in events),
    )
    problems = publish_result(recorded_task_run(run, task, result), result, run_limits) if begun else ()
    return record_end(run, result), problems
