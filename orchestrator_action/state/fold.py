"""What a run was asked to do and how far it came, read back from its journal alone.

Pure: events come in, values go out. `planned` and the `…_record` functions write down what `recall`
and the others need to take a run up again on a machine that knows nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from orchestrator_action.config.records import from_record, to_record
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import JournalError
from orchestrator_action.protocol.attempt import Ending, Outcome
from orchestrator_action.protocol.candidates import stem
from orchestrator_action.protocol.events import Event
from orchestrator_action.protocol.model import PhaseVerdict, Task, TaskResult

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """One attempt, as far as the journal knows it."""

    number: int
    session_id: str = ""
    started_at: float = 0.0
    ended: Mapping[str, Any] | None = None
    """Data of its `attempt-ended`; None when the orchestrator did not live to see the end."""
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """How far one task came."""

    begun: bool = False
    judged: Mapping[str, Any] | None = None
    """The result before it was published; None while the task is at work."""
    ended: Mapping[str, Any] | None = None
    pending: tuple[str, ...] = ()
    """Outside effects that nobody confirmed, in the words they were announced with."""
    attempts: tuple[Attempted, ...] = ()
    salvaged: str = ""
    """The latest commit that uncommitted work was saved as."""

    @property
    def status(self) -> str:
        """The status it ended with, or an empty string."""
        return str(self.ended["status"]) if self.ended else ""

    @property
    def settled(self) -> bool:
        """Nothing of it is left to do, not even to be told."""
        return self.ended is not None and not self.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far a run came."""

    run_id: str = ""
    started_at: float = 0.0
    worked_before_s: float = 0.0
    """What the processes before that one spent: each from its first to its last event, or to the end of what it
    had started."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """Data of `run-started`."""
    owner: Mapping[str, Any] = field(default_factory=dict)
    """The process that was at it last: boot, pid, start_ticks."""
    resumed: int = 0
    ended: bool = False
    tasks: Mapping[str, TaskState] = field(default_factory=dict)
    candidates: Mapping[str, TaskState] = field(default_factory=dict)
    """The candidates of these tasks, as far as they have begun."""
    untold: tuple[str, ...] = ()
    """Who was to be told that the run has ended, and did not confirm it."""
    worked_last_s: float = 0.0
    """What the last process spent, from its first to its last event."""

    @property
    def requested(self) -> tuple[str, ...]:
        """The ids of all tasks, in the order of the plan."""
        return tuple(self.plan.get("requested", ()))

    @property
    def pending(self) -> tuple[str, ...]:
        """Tasks that ended and whose outside effects are not all confirmed."""
        return tuple(t for t, s in self.tasks.items() if s.ended is not None and s.pending)


def recall(events: Sequence[Event]) -> RunState:
    """The state of a run from its journal's events."""
    values: dict[str, Any] = {"resumed": 0, "ended": False}
    for event in events:
        if event.kind in {"run-started", "run-resumed"}:
            values["owner"] = event.data.get("owner", {})
            values["ended"] = False
            values["resumed"] += event.kind == "run-resumed"
        if event.kind == "run-started":
            values |= {"run_id": event.run, "started_at": event.at, "plan": event.data}
        elif event.kind == "run-ended":
            values["ended"] = True
    asked = values.get("plan", {}).get("requested", ())
    by_task: dict[str, list[Event]] = {t: [] for t in asked}
    candidates: dict[str, list[Event]] = {}
    for event in events:
        if event.task in by_task:
            by_task[event.task].append(event)
        elif stem(event.task) in by_task:
            candidates.setdefault(event.task, []).append(event)
    tasks = {t: task_state(found) for t, found in by_task.items()}
    theirs = {t: task_state(found) for t, found in sorted(candidates.items())}
    return RunState(
        **values, worked_before_s=_worked_before_s(events), worked_last_s=_worked_last_s(events), tasks=tasks,
        candidates=theirs, untold=_pending(e for e in events if not e.task),
    )  # fmt: skip


def _pending(events: Iterable[Event]) -> tuple[str, ...]:
    """Outside effects that were announced and that nobody confirmed since."""
    pending: dict[str, None] = {}
    for event in events:
        if event.kind == "pending":
            pending[str(event.data["what"])] = None
        elif event.kind == "posted":
            pending.pop(str(event.data["what"]), None)
    return tuple(pending)


def _worked_last_s(events: Sequence[Event]) -> float:
    """Seconds from the first to the last event of the process that was at the run last."""
    begins = [e.at for e in events if e.kind in {"run-started", "run-resumed"}]
    return max(0.0, events[-1].at - begins[-1]) if begins else 0.0


def _worked_before_s(events: Sequence[Event]) -> float:
    """Seconds in which a process before the last one, or an agent of it, was at work. An agent may outlive the
    last event of a process that was killed: its own record says until when."""
    processes: list[list[float]] = []
    agents: list[tuple[float, float]] = []
    for event in events:
        if event.kind in {"run-started", "run-resumed"}:
            processes.append([event.at, event.at])
        elif processes:
            processes[-1][1] = event.at
        if event.kind == "attempt-ended" and event.data.get("pid"):
            began = float(event.data.get("started_at", 0.0))
            agents.append((began, began + float(event.data["wall_s"])))
    last = processes.pop()[0] if processes else 0.0
    return _together([(first, end) for first, end in processes] + [a for a in agents if a[0] < last])


def _together(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie within any of the spans."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def task_state(events: Iterable[Event]) -> TaskState:
    """The state of one task from its own events."""
    values: dict[str, Any] = {}
    attempts: dict[int, dict[str, Any]] = {}
    events = tuple(events)
    for event in events:
        data = event.data
        match event.kind:
            case "task-started":
                values |= {"begun": True, "judged": None, "ended": None}
            case "judged":
                values["judged"] = data
            case "task-ended":
                values["ended"] = data
            case "salvaged":
                values["salvaged"] = data["sha"]
            case "attempt-started":
                number = data["attempt"]
                attempts[number] = {
                    "number": number,
                    "session_id": data.get("session_id", ""),
                    "started_at": event.at,
                }
            case "attempt-running" if data["attempt"] in attempts:
                attempts[data["attempt"]]["pid"] = data["pid"]
            case "attempt-ended" if data["attempt"] in attempts:
                attempts[data["attempt"]]["ended"] = data
            case _:
                pass
    return TaskState(
        **values, pending=_pending(events), attempts=tuple(Attempted(**a) for _, a in sorted(attempts.items()))
    )  # fmt: skip


def agents_of(events: Iterable[Event]) -> tuple[str, ...]:
    """The agents that were at a task, in order, each once; none where an earlier version did not say."""
    named = (str(e.data.get("agent", "")) for e in events if e.kind == "attempt-started")
    return tuple(dict.fromkeys(filter(None, named)))


# -- records: values as JSON, and back -------------------------------------------------------------


def ended_as(record: Mapping[str, Any] | None) -> Outcome | None:
    """How an attempt's process ended, as its `attempt-ended` has it."""
    if record is None:
        return None
    return Outcome(
        ending=Ending(record["ending"]),
        exit_code=record["exit_code"],
        signal=record["signal"],
        pid=record.get("pid", 0),
        wall_s=record["wall_s"],
        error=record["error"],
        survivors=record["survivors"],
    )


def planned(
    tasks: Sequence[Task], *, config: Config, forge: str, base_sha: str, base_branch: str,
    test_commands: Sequence[str], repository: str,
) -> dict[str, Any]:  # fmt: skip
    """All that another machine needs to take the run up: data of `run-started`.

    `forge` is its full name, as `github` or `local:/some/folder`.
    """
    return {
        "requested": [t.id for t in tasks],
        "tasks": [to_record(t) for t in tasks],
        "config": to_record(config),
        "forge": forge,
        "repository": repository,
        "agent": config.agent,
        "base_sha": base_sha,
        "base_branch": base_branch,
        "test_commands": list(test_commands),
    }


def tasks_of(plan: Mapping[str, Any]) -> tuple[Task, ...]:
    """The tasks of `run-started`, as they were planned. Raises JournalError when they cannot be read."""
    return tuple(_read(Task, task) for task in plan["tasks"])


def config_of(plan: Mapping[str, Any]) -> Config:
    """The configuration of `run-started`, as it was in force. Raises JournalError when it cannot be read."""
    record = dict(plan["config"])
    tests = record.get("test", ())  # the first versions kept the commands alone
    record["test"] = [{"command": t} if isinstance(t, str) else t for t in tests]
    return _read(Config, record)


def _read(kind: type[V], record: Any) -> V:
    try:
        return from_record(kind, record)
    except ValueError as exc:
        raise JournalError(
            f"the journal cannot be read: {exc}", hint="use the version of orchestrator-action that wrote it"
        ) from None


def result_record(result: TaskResult) -> dict[str, Any]:
    """A result as data of `judged` and `task-ended`; the phases stand in the journal as claims and facts."""
    record = to_record(result)
    del record["phases"]
    pull = result.pull
    record["pull"] = {"number": pull.number, "url": pull.url, "base": pull.base_branch} if pull else None
    return record


def result_of(record: Mapping[str, Any], phases: tuple[PhaseVerdict, ...] = ()) -> TaskResult:
    """The result of such a record, or of a task of the published report."""
    pull = record.get("pull") and pull_record(record)
    return replace(_read(TaskResult, {**record, "phases": (), "pull": pull}), phases=phases)


def pull_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The pull request of a result's record, with what only the result knows of it."""
    return {
        "title": "", "body": "", "base_branch": record["pull"].get("base", ""),
        "head_branch": record.get("branch", ""), "head_sha": record.get("head_sha", ""), **record["pull"],
    }  # fmt: skip
