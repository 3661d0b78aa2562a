"""How the runs of a repository stand, once or as it changes, for people and for programs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import known_trees
from orchestrator_action.run import past_runs as inspect_runs

REFRESH_S = 0.5


def standing(git: Git, runs: Sequence[Path]) -> dict[str, Any]:
    """Every run of `runs` and every tree of ours, as things are now."""
    kept = [
        {
            "path": str(left.path),
            "branch": left.branch,
            "head_sha": left.head_sha,
            "kept_because": left.kept_because,
        }
        for left in known_trees(git).leftovers()
    ]
    return {"schema": 1, "runs": [inspect_runs.overview(path) for path in runs], "worktrees": kept}


def lines(now: dict[str, Any]) -> list[str]:
    """The same in words: what is under way first and in full, then the latest run, older ones as one line each."""
    runs = [run for run in now["runs"][::-1] if run["state"] != "empty"]
    runs.sort(key=lambda run: run["state"] != "running")
    found = [] if runs else ["no run of this repository is known"]
    for number, run in enumerate(runs):
        hint = f": orchestrator-action resume {run['run_id']}" if run["state"] == "interrupted" else ""
        whole = (
            number == 0
            or run["state"] in {"running", "interrupted"}
            or any(t["pending"] for t in run["tasks"])
        )
        found.append(
            f"run {run['run_id']}: {run['state']}{hint}" + ("" if whole else f": {_ends(run['tasks'])}")
        )
        for task in run["tasks"] if whole else []:
            found += [_row(task), *(_row(rival, "    ") for rival in task["candidates"])]
    for left in now["worktrees"]:
        why = left["kept_because"] or "can go: orchestrator-action clean --remove"
        found.append(f"tree {left['path']}: {why}")
    return found


def _row(task: dict[str, Any], indent: str = "  ") -> str:
    notes = [task["error"], *(f"not on the forge yet: {what}" for what in task["pending"])]
    row = f"{indent}{task['task_id']:16} {task['status']:12} {task['proven']:2}/11 proven  "
    return (row + "; ".join(filter(None, notes))).rstrip()


def _ends(tasks: Sequence[dict[str, Any]]) -> str:
    """`3 success, 1 failed`, the most frequent first."""
    counted = Counter(str(task["status"]) for task in tasks)
    return ", ".join(f"{n} {status}" for status, n in counted.most_common()) or "no task"


def changes(git: Git, runs: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """How things stand, now and whenever that has changed, until no run is under way."""
    before: dict[str, Any] | None = None
    while True:
        now = standing(git, runs)
        if now != before:
            yield now
            before = now
        if not any(run["state"] == "running" for run in now["runs"]):
            return
        time.sleep(REFRESH_S)
