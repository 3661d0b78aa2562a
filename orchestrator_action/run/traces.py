"""A run as a trace: run → task → attempt → phase, made from its journal and its report, so that it says what they say.

Pure; `otlp` sends it. Names of attributes are OpenTelemetry's where it has them. Source: opentelemetry.io, "CICD
attributes" and "VCS attributes".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator_action.protocol.candidates import is_candidate, stem
from orchestrator_action.protocol.events import Event
from orchestrator_action.protocol.model import GOOD_STATUSES, Status
from orchestrator_action.publish.progress import times
from orchestrator_action.text.template import phase_title

_RESULTS: Mapping[str, str] = {
    **dict.fromkeys(GOOD_STATUSES, "success"),
    Status.CANCELLED: "cancellation",
    **dict.fromkeys((Status.TIMEOUT, Status.STALLED), "timeout"),
    **dict.fromkeys((Status.BLOCKED, Status.SKIPPED), "skip"),
}
"""How a task ended, in OpenTelemetry's words; what is not named failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time with what is known of it, and the shorter ones within. Times in epoch seconds."""

    name: str
    began: float
    ended: float
    known: Mapping[str, Any]
    fault: str = ""
    """What went wrong; empty when nothing did."""
    within: tuple[Span, ...] = ()


def trace_of(events: Sequence[Event], report: Mapping[str, Any]) -> Span:
    """The spans of a run. `report` is the published one, in which secrets are masked."""
    began = next((e.at for e in events if e.kind == "run-started"), 0.0)
    ended = max((e.at for e in events), default=began)
    phases = times(events)
    tasks = [_task(task, events, began, phases.get(task["task_id"], ())) for task in report["tasks"]]
    bad = sum(n for status, n in report["counts"].items() if status not in set(GOOD_STATUSES))
    cancelled = report["counts"][Status.CANCELLED]
    said = f", {cancelled} cancelled" if cancelled else ""
    return Span(
        name="run",
        began=began,
        ended=ended,
        known={
            "cicd.pipeline.name": "orchestrator-action",
            "cicd.pipeline.run.id": report["run_id"],
            "cicd.pipeline.result": "cancellation" if cancelled else "failure" if bad else "success",
            "vcs.repository.name": report["repo"],
            "vcs.ref.base.revision": report["base_sha"],
            "orchestrator.agent": report["agent"],
            "orchestrator.tasks": report["requested"],
            "orchestrator.speedup": report["speedup"],
            "orchestrator.cost_usd": report["cost_usd"],
            "orchestrator.isolation": report["isolation"]["level"],
        },
        fault=f"{bad} of {report['requested']} did not succeed" + said if bad else "",
        within=tuple(filter(None, tasks)),
    )


def _task(
    task: Mapping[str, Any], events: Sequence[Event], began: float, phases: Sequence[tuple[str, float, float]]
) -> Span | None:
    own = [e for e in events if e.task == task["task_id"]]
    if not own:
        return None
    first = next((e.at for e in own if e.kind == "task-started"), own[0].at)
    rivals = [e for e in events if is_candidate(e.task) and stem(e.task) == task["task_id"]]
    attempts = list(_attempts([*own, *rivals]))
    states = {p["phase"]: p["state"] for p in task["phases"]}
    outside = []
    for phase, start, end in phases:
        span = _phase(phase, began + start, began + end, states.get(phase, ""))
        at = max((n for n, a in enumerate(attempts) if a.began <= span.ended), default=-1)
        if at < 0 or rivals:  # side by side, time does not tell whose phase it was
            outside.append(span)
        else:
            inner = replace(span, began=max(span.began, attempts[at].began))  # the first begins with the task
            attempts[at] = replace(attempts[at], within=(*attempts[at].within, inner))
    pull = task["pull"] or {}
    known = {
        "cicd.pipeline.task.name": task["title"],
        "cicd.pipeline.task.run.id": task["task_id"],
        "cicd.pipeline.task.run.result": _RESULTS.get(task["status"], "failure"),
        "vcs.ref.head.name": task["branch"],
        "vcs.ref.head.revision": task["head_sha"],
        "vcs.change.id": str(pull["number"]) if pull else None,
        "orchestrator.status": task["status"],
        "orchestrator.issue": task["issue"],
        "orchestrator.attempts": task["attempts"],
        "orchestrator.turns": task["turns"],
        "orchestrator.cost_usd": task["cost_usd"],
        "orchestrator.needs_person": task["needs_person"],
    }
    good = task["status"] in set(GOOD_STATUSES)
    return Span(
        name=f"task {task['task_id']}",
        began=first,
        ended=max(first, own[-1].at),
        known=known,
        fault="" if good else task["error"][:500] or task["status"],
        within=(*attempts, *outside),
    )


def _attempts(own: Sequence[Event]) -> Iterator[Span]:
    for event in own:
        data = event.data
        if event.kind != "attempt-ended" or not data.get("started_at"):
            continue
        code, failure = data.get("exit_code"), data.get("failure")
        yield Span(
            name=f"{event.task} attempt {data['attempt']}"
            if is_candidate(event.task)
            else f"attempt {data['attempt']}",
            began=data["started_at"],
            ended=data["started_at"] + data["wall_s"],
            known={
                "process.pid": data.get("pid"),
                "process.exit.code": code,
                "orchestrator.ending": data.get("ending"),
                "orchestrator.turns": data.get("turns"),
                "orchestrator.cost_usd": data.get("cost_usd"),
                "orchestrator.cpu_s": data.get("cpu_s"),
                "orchestrator.peak_rss_mib": data.get("peak_rss_mib"),
            },
            fault=str(failure or ("" if code == 0 else data.get("ending", ""))),
        )


def _phase(phase: str, began: float, ended: float, state: str) -> Span:
    known = {"orchestrator.phase": phase, "orchestrator.state": state}
    fault = state if state == "refuted" else ""
    return Span(name=f"phase {phase_title(phase)}", began=began, ended=ended, known=known, fault=fault)
