"""How the runs of a repository stand, once or as it changes, for people and for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktrees import Workspace
from orchestrator_action.run import past_runs as inspect_runs

LOOK_S = 0.5


def standing(git: Git, runs: Sequence[Path]) -> dict[str, Any]:
    """Every run of `runs` and every worktree of ours, as things are now."""
    kept = [
        {
            "path": str(left.path),
            "branch": left.branch,
            "head_sha": left.head_sha,
            "kept_because": left.kept_because,
        }
        for left in Workspace(git).leftovers()
    ]
    return {"schema": 1, "runs": [inspect_runs.overview(path) for path in runs], "worktrees": kept}


def lines(now: dict[str, Any]) -> list[str]:
    """The same in words."""
    found = [] if now["runs"] else ["no run of this repository is known"]
    for run in now["runs"]:
        hint = f": orchestrator-action resume {run['run_id']}" if run["state"] == "interrupted" else ""
        found.append(f"run {run['run_id']}: {run['state']}{hint}")
        for task in run["tasks"]:
            notes = [task["error"], *(f"not told yet: {what}" for what in task["pending"])]
            row = f"  {task['task_id']:16} {task['status']:12} {task['proven']:2}/11 proven  "
            found.append((row + "; ".join(filter(None, notes))).rstrip())
    for left in now["worktrees"]:
        why = left["kept_because"] or "can go: orchestrator-action clean --remove"
        found.append(f"worktree {left['path']}: {why}")
    return found


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
        time.sleep(LOOK_S)


def show(git: Git, runs: Sequence[Path]) -> None:
    """Watch on the terminal, in place; line by line where there is none."""
    if not sys.stderr.isatty():
        for now in changes(git, runs):
            sys.stderr.write("\n".join(lines(now)) + "\n")
        return
    from rich.console import Console  # 30 ms, and only on a terminal
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(file=sys.stderr), auto_refresh=False) as live:
        for now in changes(git, runs):
            live.update(Text("\n".join(lines(now))), refresh=True)
