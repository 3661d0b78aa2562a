"""A run as it is published: one JSON object, whose schema is `report.schema.json`."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchestrator_action.protocol.model import (
    Conflict,
    Fact,
    Integration,
    PhaseVerdict,
    RunReport,
    Status,
    TaskResult,
)
from orchestrator_action.publish.report.beside import beside_record, claim_beside_fact
from orchestrator_action.text.redact import mask


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "rule": fact.rule,
        "commit": fact.commit,
        "holds": fact.holds,
        "message": fact.message,
        "detail": dict(fact.detail),
    }


def _phase(verdict: PhaseVerdict) -> dict[str, Any]:
    return {
        "phase": verdict.phase,
        "state": verdict.state.value,
        "reason": verdict.reason,
        "claimed": verdict.claimed,
        "findings": [{"rule": f.rule, "message": f.message} for f in verdict.findings],
        "facts": [_fact(f) for f in verdict.facts],
    }


def task_json(result: TaskResult) -> dict[str, Any]:
    """One task of the published report."""
    pull = result.pull
    return {
        "task_id": result.task_id,
        "title": result.title,
        "status": result.status.value,
        "conclusion": result.conclusion.value,
        "issue": result.issue,
        "branch": result.branch,
        "base_sha": result.base_sha,
        "head_sha": result.head_sha,
        "pull": {"number": pull.number, "url": pull.url} if pull else None,
        "exit_code": result.exit_code,
        "wall_s": round(result.wall_s, 3),
        "attempts": result.attempts,
        "model": result.model,
        "turns": result.turns,
        "cost_usd": result.cost_usd,
        "peak_rss_mib": round(result.peak_rss_mib, 1),
        "cpu_s": round(result.cpu_s, 3),
        "read_bytes": result.read_bytes,
        "write_bytes": result.write_bytes,
        "curves": [dict(c) for c in result.curves],
        "failures": list(result.failures),
        "agents": list(result.agents),
        "candidates": [dataclasses.asdict(c) for c in result.candidates],
        "cross_tests": [dataclasses.asdict(c) for c in result.cross_tests],
        "pid": result.pid,
        "needs_person": result.needs_person,
        "said": result.said,
        "beside": beside_record(claim_beside_fact(result, result.status)),
        "review": [dataclasses.asdict(r) for r in result.review],
        "declined": dataclasses.asdict(result.declined) if result.declined else None,
        "phases": [_phase(p) for p in result.phases],
        "log": result.log,
        "error": result.error,
        "worktree": result.worktree,
        "kept_because": result.kept_because,
    }


def counts(report: RunReport) -> dict[str, int]:
    """How many tasks ended in each status, the absent ones too; the values add up to the tasks."""
    return {status.value: sum(t.status is status for t in report.tasks) for status in Status}


def failures(report: RunReport) -> dict[str, int]:
    """How many attempts failed in each way over the run, the most frequent first; only what happened."""
    return dict(Counter(f for t in report.tasks for f in t.failures).most_common())


_SHORTEST_TOKEN = 16


def _masked(value: Any, clean: Callable[[str], str]) -> Any:
    """JSON values with each of their strings made clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _masked(v, clean) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(v, clean) for v in value]
    return value


def _cleaner(secrets: frozenset[str]) -> Callable[[str], str]:
    """Masks each string once: a report says the same of many tasks."""

    @functools.cache
    def clean(text: str) -> str:
        return mask(text, secrets) if secrets or len(text) >= _SHORTEST_TOKEN else text

    return clean


def report_json(report: RunReport, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The run as published: `--json`, `report.json`, the Action's `results`.

    Tails of output and messages are an agent's or a test's words: they are masked.
    """
    body: dict[str, Any] = _masked(_report(report), _cleaner(frozenset(secrets)))
    return body


def _conflicts(found: Sequence[Conflict]) -> list[dict[str, Any]]:
    return [{"a": c.a, "b": c.b, "paths": list(c.paths)} for c in found]


def _integration(found: Integration | None) -> dict[str, Any] | None:
    if found is None:
        return None
    names = {n: list(getattr(found, n)) for n in ("order", "left_out", "red")}
    return {**names, "clashes": _conflicts(found.clashes), "tests": found.tests, "commit": found.commit}


def _report(report: RunReport) -> dict[str, Any]:
    return {
        "schema": 1,
        "run_id": report.run_id,
        "repo": report.repo,
        "base_sha": report.base_sha,
        "agent": report.agent,
        "started_at": report.started_at,
        "wall_s": round(report.wall_s, 3),
        "sum_task_s": round(report.sum_task_s, 3),
        "speedup": round(report.speedup, 2),
        "peak_parallel": report.peak_parallel,
        "cost_usd": report.cost_usd,
        "isolation": dict(report.isolation)
        or {"level": "open", "held": [], "reached": [], "why": "not on record"},
        "requested": report.requested,
        "counts": counts(report),
        "failures": failures(report),
        "tasks": [task_json(t) for t in report.tasks],
        "conflicts": _conflicts(report.conflicts),
        "integration": _integration(report.integration),
    }
