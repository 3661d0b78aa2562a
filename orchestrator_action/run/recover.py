"""Taking up a run that was cut short, from its journal alone; and telling what an ended one left untold.

The guards of a dead orchestrator end its agents, so normally none is alive to go back to. What is alive
all the same, because everything was killed at once, is found by boot, PID and start time, and ended: its
output has no reader any more, and its work is in the worktree. Then every task goes on from its first
open phase; facts count by the commit they were measured at, and whatever was posted is found again.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.errors import ForgeError, JournalError, OrchestratorError
from orchestrator_action.forge.base import Forge
from orchestrator_action.forge.registry import make_forge
from orchestrator_action.git.repo import Git
from orchestrator_action.process import table as procs
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate
from orchestrator_action.process.recovery import end_leftovers
from orchestrator_action.protocol.candidates import agents_at
from orchestrator_action.protocol.ends import End
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import RunReport, Status, Task, TaskResult
from orchestrator_action.publish.report.document import report_json
from orchestrator_action.run.finish import publish_again, record_end, recorded_result
from orchestrator_action.run.on_finish import tell_finish
from orchestrator_action.run.past_runs import is_held, report_from, report_of
from orchestrator_action.run.remote import forge_parts, make_remote
from orchestrator_action.run.run import UNSETTLED, run_tasks
from orchestrator_action.run.setup import Survey, enter_run
from orchestrator_action.run.token import token_of
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.fold import RunState, TaskState, config_of, recall, tasks_of
from orchestrator_action.state.journal import Journal, read_events
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.store import drop_scratch, run_dirs
from orchestrator_action.text.figures import count

Say = Callable[[str], None]
"""Tells a person one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """A run that is ours now, with what is left of it."""

    found: Survey
    run: RunContext
    state: RunState
    open: tuple[Task, ...]
    """The tasks that go on; empty when the run had ended and everything was told."""
    done: Mapping[str, TaskResult]


@contextlib.contextmanager
def resume_run(
    folder: Path, git: Git, env: Mapping[str, str], cancel: Cancel, *, say: Say, needs_agents: bool = True
) -> Iterator[Resumable]:
    """Take the run in `folder`: its lock, its plan, its leftovers; a line to `say` for all that is unusual.

    Whoever only closes it `needs_agents` no more: the agent's program may be gone by then.

    Raises JournalError when somebody else is at it, or its journal is damaged, empty or missing.
    """
    with owned(folder) as journal, tempfile.TemporaryDirectory(prefix="oa-run-") as private:
        state = recall(journal.events)
        end_leftovers_of(folder, state, say)
        with _found_again(state, git, env, Path(private)) as found:
            with cancel.interrupting():
                tasks, skipped = _still_wanted(found, state, say)
            with enter_run(found, env, cancel, journal=journal, needs_agents=needs_agents) as run:
                for task_id, why in skipped.items():
                    _skip(run, task_id, tasks_of(state.plan), why)
                state = recall(journal.events)
                done = {
                    t: recorded_result(run, t, s)
                    for t, s in state.tasks.items()
                    if t not in {k.id for k in tasks}
                }
                yield Resumable(found=found, run=run, state=state, open=tasks, done=done)


def resume(taken: Resumable, *, say: Say, tell: Callable[[TaskResult], None]) -> RunReport:
    """Go on with what is open; the report is that of the whole run."""
    run, state = taken.run, taken.state
    if state.ended and not taken.open:
        say(f"run {state.run_id} has ended and everything was told: nothing is left to do")
        return report_from(report_of(run.run_dir))
    say(f"run {state.run_id}: {len(taken.open)} of {count(len(state.requested), 'task')} to go on with")
    wanted = sum(len(agents_at(t, run.config.candidates, run.config.agent)) for t in taken.open)
    slots = max(1, min(run.config.max_parallel, wanted))
    return run_tasks(taken.found.tasks, run, slots=slots, tell=tell, done=taken.done)


@contextlib.contextmanager
def owned(folder: Path, run_id: str = "") -> Iterator[Journal]:
    """The journal of a run that had started, which nobody else is at; the folder has its name. Raises JournalError."""
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise JournalError(f"run {folder.name} has no journal", hint="start a new run")
    with contextlib.closing(Journal(path, run_id or folder.name)) as journal:
        if "tasks" not in recall(journal.events).plan:
            raise JournalError(
                f"run {folder.name} never started: its journal holds no plan", hint="start a new run"
            )
        drop_scratch(folder)
        yield journal


def end_leftovers_of(folder: Path, state: RunState, say: Say) -> None:
    """End what the run's dead orchestrator left alive; identity decides, never a PID alone."""
    boot = state.owner.get("boot", "")
    if boot and procs.boot_id() and boot != procs.boot_id():
        say("this machine was restarted, or is another one: no process of the run can be alive here")
    swept = end_leftovers(sorted(folder.glob("tasks/*/attempt-*.json")))
    if swept.ended:
        say(f"ended what the run had left behind: {count(len(swept.ended), 'process', 'processes')}")
    if swept.survivors:
        pids = ", ".join(map(str, swept.survivors))
        raise JournalError(
            f"processes of the run cannot be ended: {pids}", hint="end them, then resume again"
        )


@contextlib.contextmanager
def _found_again(state: RunState, git: Git, env: Mapping[str, str], private: Path) -> Iterator[Survey]:
    """Repository, remote and forge as the run was planned with them."""
    plan, token = state.plan, token_of(env)
    remote = make_remote(git, token=token, private=private, env=env)
    forge = make_forge(str(plan["forge"]), forge_parts(git, remote, token, env))
    if not git.rev_parse(str(plan["base_sha"])):
        remote.fetch(str(plan["base_branch"]))
    config = config_of(plan)
    try:
        yield Survey(
            git=git, remote=remote, forge=forge, config=config, base_branch=str(plan["base_branch"]),
            base_sha=str(plan["base_sha"]), tasks=tasks_of(plan), test_commands=tuple(plan["test_commands"]),
            test_found="as planned", token=token, forge_name=str(plan["forge"]),
            isolation=isolation_of(config, env, git.work_tree or git.common_dir),
        )  # fmt: skip
    finally:
        forge.close()


def _still_wanted(found: Survey, state: RunState, say: Say) -> tuple[tuple[Task, ...], dict[str, str]]:
    """The tasks that go on, and those that do not any more, with the reason."""
    reopened = _reopened(found.tasks, state)
    skipped: dict[str, str] = {}
    for task in reopened:
        note, gone = _changed(task, found.forge)
        if gone and not state.tasks[task.id].ended:
            skipped[task.id] = gone
        if line := gone or note:
            say(f"{task.id}: {line}")
    return tuple(t for t in reopened if t.id not in skipped), skipped


def _reopened(tasks: Sequence[Task], state: RunState) -> tuple[Task, ...]:
    """Tasks without an end, with something untold, cancelled, or blocked by one of these."""
    again: dict[str, Task] = {}
    for task in tasks:
        known = state.tasks.get(task.id, TaskState())
        blocked = known.status == Status.BLOCKED and any(d in again for d in task.depends_on)
        if not known.settled or known.status == Status.CANCELLED or blocked:
            again[task.id] = task
    return tuple(again.values())


def _changed(task: Task, forge: Forge) -> tuple[str, str]:
    """What became of a task's source meanwhile: a note, and why it is not to be done any more."""
    if task.issue is None:
        return _changed_file(task), ""
    try:
        now = forge.issue(task.issue.number)
    except ForgeError as exc:
        return ("", f"issue #{task.issue.number} is gone") if exc.status == 404 else ("", "")
    if now.state != "open":
        return "", f"issue #{now.number} was {now.state} meanwhile"
    if (now.title, now.body) != (task.issue.title, task.issue.body):
        return (
            f"issue #{now.number} was edited meanwhile; the run goes on with the text it was started with",
            "",
        )
    return "", ""


def _changed_file(task: Task) -> str:
    if not task.prompt_file:
        return ""
    try:
        same = task.text.strip() in Path(task.prompt_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{task.prompt_file} is gone; the run goes on with the text it was started with"
    if same:
        return ""
    return f"{task.prompt_file} was edited meanwhile; the run goes on with the text it was started with"


def _skip(run: RunContext, task_id: str, tasks: Sequence[Task], why: str) -> None:
    [task] = [t for t in tasks if t.id == task_id]
    end = End(status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, error=why)
    record_end(run, end.result(task, run.base_sha))


# -- what an ended run left untold ------------------------------------------------------------------


def settle_pending(git: Git, env: Mapping[str, str], cancel: Cancel, *, say: Say) -> int:
    """Tell what earlier runs of this repository could not, once; returns for how many tasks that was done.

    Runs that were interrupted are named, not taken up: that is for `resume`.
    """
    told = 0
    for folder in run_dirs(git):
        if not (folder / UNSETTLED).exists():
            continue
        try:
            told += _settle_run(folder, git, env, cancel, say)
        except OrchestratorError as exc:
            say(f"run {folder.name}: {exc.message}")
    return told


def _settle_run(folder: Path, git: Git, env: Mapping[str, str], cancel: Cancel, say: Say) -> int:
    state = recall(read_events(folder / "journal.jsonl"))
    if state.plan and not state.ended:
        if not is_held(folder / "journal.jsonl"):
            say(f"run {folder.name} was interrupted: orchestrator-action resume {folder.name}")
        return 0
    if not state.pending and not state.untold:
        (folder / UNSETTLED).unlink(missing_ok=True)
        return 0
    told = 0
    with owned(folder) as journal, tempfile.TemporaryDirectory(prefix="oa-run-") as private:
        state = recall(journal.events)
        with (
            _found_again(state, git, env, Path(private)) as found,
            enter_run(found, env, cancel, journal=journal, needs_agents=False) as run,
        ):
            by_id = {t.id: t for t in found.tasks}
            run_limits = RunLimits(slots=Slots(1), gate=RateGate(1), user=cancel)
            ends = [_tell(run, by_id[t], state.tasks[t], run_limits, say) for t in state.pending]
            _write_ends(run, [end for end in ends if end])
            told = len(ends) - ends.count(None) + tell_untold(run, say)
        left = recall(journal.events)
        if not left.pending and not left.untold:
            (folder / UNSETTLED).unlink(missing_ok=True)
    return told


def tell_untold(run: RunContext, say: Say) -> int:
    """Tell whoever was to be told that a run has ended, and did not confirm it; how many have their answer now."""
    before = recall(run.journal.events).untold
    if not before:
        return 0
    lines = list(tell_finish(run, run.run_dir / "report.json", only=before))
    left = recall(run.journal.events).untold
    if not lines:
        told = [who for who in before if who not in left]
        lines += [f"told that it has ended: {', '.join(told)}"] if told else []
        lines += [f"still to be told that it has ended: {', '.join(left)}"] if left else []
    for line in lines:
        say(f"run {run.run_id}: {line}")
    return len(before) - len(left)


def _tell(
    run: RunContext, task: Task, known: TaskState, run_limits: RunLimits, say: Say
) -> TaskResult | None:
    """Tell what is pending of one task; the end that was told, None where it could not be."""
    result = record_end(run, publish_again(run, task, known, run_limits))
    still = recall(run.journal.events).tasks[task.id].pending
    told = f"told what was pending: {result.status}" + (f": {result.error}" if result.error else "")
    say(f"run {run.run_id}: {task.id}: " + ("still not told" if still else told))
    return None if still else result


def _write_ends(run: RunContext, ends: Sequence[TaskResult]) -> None:
    """Let the run's report say what is told now: a task whose end nobody could be told of had failed by that alone."""
    if not ends or not (run.run_dir / "report.json").is_file():
        return
    report, by_id = report_from(report_of(run.run_dir)), {e.task_id: e for e in ends}
    tasks = [
        replace(t, status=end.status, conclusion=end.conclusion, error=end.error)
        if (end := by_id.get(t.task_id))
        else t
        for t in report.tasks
    ]
    run.journal.write_report(report_json(replace(report, tasks=tuple(tasks)), run.secrets))
