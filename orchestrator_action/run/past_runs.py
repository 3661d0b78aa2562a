"""What `status`, `logs` and `report` read: journals and logs of runs, also of runs still under way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator_action.config.records import from_record
from orchestrator_action.errors import ConfigError, JournalError
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.private import prune
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import known_trees
from orchestrator_action.process.files import lock_file
from orchestrator_action.protocol.candidates import is_candidate, stem
from orchestrator_action.protocol.events import Event, encode_event, fold, last_measured
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import PhaseState, PhaseVerdict, RunReport
from orchestrator_action.run.live import WordsOf
from orchestrator_action.state import orders
from orchestrator_action.state.fold import TaskState, recall, result_of
from orchestrator_action.state.journal import read_events
from orchestrator_action.state.store import drop_scratch, find_run, run_dirs
from orchestrator_action.text.limits import harmless_log_line

_LOOK_S = 0.2


def is_held(journal: Path) -> bool:
    """Whether a living orchestrator holds this journal."""
    with journal.open("rb") as file:
        return not lock_file(file.fileno(), shared=True)


def overview(folder: Path) -> dict[str, Any]:
    """A run and its tasks, as things stand: `state` is running, ended, interrupted, empty or damaged."""
    path = folder / "journal.jsonl"
    try:
        events = read_events(path)
    except JournalError as exc:
        return {"run_id": folder.name, "state": f"damaged: {exc.message}", "tasks": []}
    run = recall(events)
    if run.ended:
        state = "ended"
    elif is_held(path):
        state = "running"
    else:
        state = "interrupted" if run.plan else "empty"
    return {
        "run_id": folder.name,
        "state": state,
        "pid": run.owner.get("pid", 0) if state == "running" else 0,
        "resumed": run.resumed,
        "tasks": [
            {
                **_task(events, t, run.tasks[t], state),
                "candidates": [_task(events, c, s, state) for c, s in run.candidates.items() if stem(c) == t],
            }
            for t in run.requested
        ],
    }


def run_to_resume(git: Git) -> Path:
    """The latest run that was cut short, or whose results are not all told; else the latest. Raises ConfigError."""
    for folder in reversed(run_dirs(git)):
        seen = overview(folder)
        if seen["state"] == "interrupted" or any(t["pending"] for t in seen["tasks"]):
            return folder
    return find_run(git, "last")


def _task(events: Sequence[Event], task: str, known: TaskState, state: str) -> dict[str, Any]:
    ledger = fold(events, task)
    end = known.ended or {}
    head = str(end.get("head_sha") or last_measured(events, task) or ledger.base_sha)
    phases = judge(ledger, policy={}, head=head).phases
    return {
        "task_id": task,
        "status": known.status or (state if known.begun else "waiting"),
        "proven": sum(p.state is PhaseState.PROVEN for p in phases),
        "phases": {p.phase: str(p.state) for p in phases},
        "attempts": len(known.attempts),
        "pid": known.attempts[-1].pid if known.attempts and known.attempts[-1].ended is None else 0,
        "pending": list(known.pending),
        "salvaged": known.salvaged,
        "error": end.get("error", ""),
    }


def report_of(folder: Path) -> dict[str, Any]:
    """The report of a run. Raises ConfigError while there is none."""
    path = folder / "report.json"
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"run {folder.name} has no report yet", hint="orchestrator-action status") from None
    return body


def audit_of(git: Git, remote: Remote, task: str) -> dict[str, Any]:
    """A task's audit trail as the remote has it: events, how each phase stands, and what is wrong with it.

    Raises ConfigError when the remote has none.
    """
    known = git.rev_parse(audit.ref_of(task))
    commit = remote.fetch_ref(audit.ref_of(task))
    if not commit:
        raise ConfigError(f"the remote has no audit trail of task {task!r}", hint="check the task's id")
    found = audit.read(git, commit, task)
    gone = audit.taken_back(git, known, commit)
    ledger = fold(found.events, task)
    head = last_measured(found.events, task) or ledger.base_sha
    return {
        "schema": 1,
        "task_id": task,
        "commit": commit,
        "branch": ledger.branch,
        "base_sha": ledger.base_sha,
        "head_sha": head,
        "status": ledger.ended,
        "phases": {p.phase: str(p.state) for p in judge(ledger, policy={}, head=head).phases},
        "problems": [*found.problems, *([gone] if gone else [])],
        "events": [json.loads(encode_event(e)) for e in found.events],
    }


def report_from(body: dict[str, Any]) -> RunReport:
    """The values of a published report, for rendering it anew. Raises JournalError when it is no such report."""
    tasks = tuple(result_of(t, tuple(_phase(p) for p in t["phases"])) for t in body["tasks"])
    try:
        return replace(from_record(RunReport, {**body, "tasks": ()}), tasks=tasks)
    except ValueError as exc:
        hint = "look at it with the version that wrote it"
        raise JournalError(f"the report cannot be read: {exc}", hint=hint) from None


def _phase(body: dict[str, Any]) -> PhaseVerdict:
    facts = [{**f, "phase": body["phase"]} for f in body["facts"]]
    return from_record(PhaseVerdict, {**body, "facts": facts})


def log_lines(
    runs: Sequence[Path], task: str, *, follow: bool, words_of: WordsOf | None = None
) -> Iterator[str]:
    """The log of a task of the first of `runs` that has it, made harmless; with `follow` until it ends.

    With `words_of` a line says in words what the agent did; lines that say nothing of it are left out.
    Raises ConfigError when no run has that task.
    """
    folder = next((r for r in runs if task in _names(r / "tasks")), None)
    if folder is None:
        folder = _before_it_began(runs, task, follow=follow)
    if rivals := sorted(n for n in _names(folder / "tasks") if is_candidate(n) and stem(n) == task):
        raise ConfigError(
            f"{task} was tried by {len(rivals)} candidates, each has a log of its own",
            hint=f"orchestrator-action logs {rivals[0]}; the others are {', '.join(rivals[1:]) or 'still to begin'}",
        )
    seen = 0
    while True:
        logs = sorted((folder / "tasks" / task).glob("agent*.log"), key=_attempt_of)
        for number, log in enumerate(logs[seen:], seen + 1):
            last = number == len(logs)
            said = _in_words(folder, task, _attempt_of(log), words_of) if words_of else _harmless
            lines = _lines(log, wait=lambda n=number: follow and _goes_on(folder, task, n))
            yield from filter(None, map(said, lines))
            seen = number
            if last and not (follow and _goes_on(folder, task, number)):
                return
        if not (follow and _goes_on(folder, task, seen)):
            return
        time.sleep(_LOOK_S)


def _before_it_began(runs: Sequence[Path], task: str, *, follow: bool) -> Path:
    """The run in which a task waits for its place; with `follow` once it has begun."""
    for run in runs:
        if task not in recall(read_events(run / "journal.jsonl", strict=False)).requested:
            continue
        while follow and is_held(run / "journal.jsonl") and task not in _names(run / "tasks"):
            time.sleep(_LOOK_S)
        if task in _names(run / "tasks"):
            return run
        known = recall(read_events(run / "journal.jsonl", strict=False)).tasks[task].ended
        if known is not None:
            why = f": {known['status']}: {known.get('error', '')}".rstrip(": ")
            raise ConfigError(
                f"task {task} of run {run.name} ended before its agent began{why}",
                hint=f"orchestrator-action report {run.name} has all that is known of it",
            )
        hint = "orchestrator-action status" if follow else f"wait for it: orchestrator-action logs {task} -f"
        raise ConfigError(f"task {task} of run {run.name} has not begun", hint=hint)
    raise ConfigError(f"no run has a task {task!r}", hint="orchestrator-action status lists them")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _attempt_of(log: Path) -> int:
    _, _, number = log.stem.partition("-")
    return int(number or 1)


def _goes_on(folder: Path, task: str, attempt: int) -> bool:
    """Whether more of this attempt, or a further one, may still come."""
    events = read_events(folder / "journal.jsonl")
    if any(e.task == task and e.kind == "task-ended" for e in events):
        return False
    if (folder / "tasks" / task / f"agent-{attempt + 1}.log").exists():
        return False
    return is_held(folder / "journal.jsonl")


def _in_words(folder: Path, task: str, attempt: int, words_of: WordsOf) -> Callable[[bytes], str]:
    """How the lines of the agent of this attempt read in words."""
    events = read_events(folder / "journal.jsonl", strict=False)
    started = [e.data for e in events if e.task == task and e.kind == "attempt-started"]
    plan = recall(events).plan
    own = next((t.get("agent") for t in plan.get("tasks", ()) if t.get("id") == task), "")
    named = next((d.get("agent") for d in started if d["attempt"] == attempt), "")
    words = words_of(str(named or own or plan.get("agent", "")))
    return lambda line: _harmless(words(line).encode("utf-8", "replace"))


def _lines(log: Path, *, wait: Any) -> Iterator[bytes]:
    with log.open("rb") as file:
        rest = b""
        while True:
            piece = file.read(65536)
            if piece:
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                continue
            if not wait():
                break
            time.sleep(_LOOK_S)
            if os.fstat(file.fileno()).st_nlink == 0:
                break
        if rest:
            yield rest


def _harmless(line: bytes) -> str:
    return harmless_log_line(line.decode("utf-8", "replace"))


# -- orders from another terminal -------------------------------------------------------------------

CANCEL_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What came of an order to cancel."""

    words: str
    confirmed: bool = True


def cancel(folder: Path, task: str, *, within_s: float = CANCEL_WITHIN_S) -> Cancelled:
    """Order the end of the run in `folder`, or of one task of it, and wait until that is seen.

    Raises ConfigError when the run is not under way, or has no such task.
    """
    run = recall(read_events(folder / "journal.jsonl"))
    if task and task not in run.tasks:
        raise ConfigError(f"run {folder.name} has no task {task!r}", hint=f"it has {', '.join(run.tasks)}")
    if task and run.tasks[task].ended:
        return Cancelled(f"{task} has ended already: {run.tasks[task].status}")
    if not is_held(folder / "journal.jsonl"):
        if run.ended:
            raise ConfigError(
                f"run {folder.name} has ended",
                hint=f"see how it ended: orchestrator-action report {folder.name}",
            )
        raise ConfigError(
            f"run {folder.name} was interrupted, nobody is at it",
            hint=f"to go on with it: orchestrator-action resume {folder.name}",
        )
    if not orders.place(folder, orders.ONE + task if task else orders.CANCEL) and not task:
        orders.place(folder, orders.NOW)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if task and (end := _end_of(folder, task)):
            return Cancelled(f"{task}: {end}")
        if not is_held(folder / "journal.jsonl"):
            return Cancelled(f"run {folder.name} was cancelled")
        time.sleep(_LOOK_S / 2)
    return Cancelled(f"not confirmed within {within_s:g} s; give the order again to kill at once", False)


def clean(git: Git, tasks: Collection[str], *, remove: bool) -> Iterator[str]:
    """Remove the trees that may go, of these tasks or of all; a line for each, also for those that stay.

    Without `remove` it only says what would go.
    """
    trees = known_trees(git)
    found = [left for left in trees.leftovers() if not tasks or left.task_id in tasks]
    if not found:
        yield "no tree of ours is left" + (f" of {', '.join(tasks)}" if tasks else "")
    for left in found:
        kept = left.kept_because or (trees.remove(left.path) if remove else "")
        if kept:
            yield f"kept {left.path}: {kept}"
        else:
            yield f"{'removed' if remove else 'would remove'} {left.path}"
    if remove:
        trees.discard()
        trees.drop_bases()
        prune(trees.private)
        for folder in run_dirs(git):
            if not is_held(folder / "journal.jsonl"):
                drop_scratch(folder)


def _end_of(folder: Path, task: str) -> str:
    return recall(read_events(folder / "journal.jsonl")).tasks[task].status
