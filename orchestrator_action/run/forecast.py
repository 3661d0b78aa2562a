"""What a plan says of itself before anything starts: the tasks, their order, and what may conflict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator_action.protocol.candidates import agents_for
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.paths import mentioned
from orchestrator_action.run.setup import Survey
from orchestrator_action.verify.setup import setup_in_force


def forecast(found: Survey) -> dict[str, Any]:
    """A plan as one JSON object."""
    touched = touched_by(found)
    return {
        "schema": 1,
        "repo": found.forge.repository,
        "base_branch": found.base_branch,
        "base_sha": found.base_sha,
        "test": list(found.test_commands),
        "test_found": found.test_found,
        "setup": list(setup_in_force(found.git, found.base_sha, found.config).how),
        "tasks": [
            {
                "task_id": t.id,
                "title": t.title,
                "issue": t.issue.number if t.issue else None,
                "branch": t.branch,
                "depends_on": list(t.depends_on),
                "files": list(touched[t.id]),
                "agent": t.agent or found.config.agent,
                "candidates": list(agents_for(t, found.config.candidates, found.config.agent)),
            }
            for t in found.tasks
        ],
        "conflicts": [{"a": c.a, "b": c.b, "paths": list(c.paths)} for c in conflicts(touched)],
    }


def touched_by(found: Survey) -> dict[str, tuple[str, ...]]:
    """By task: the files that it declares; otherwise those of the base commit that its text mentions."""
    known = set(found.git.paths(found.base_sha))
    return {t.id: t.files or tuple(p for p in mentioned(t.text) if p in known) for t in found.tasks}


def forecast_lines(body: Mapping[str, Any]) -> list[str]:
    """A forecast in words."""
    tests = " && ".join(body["test"]) or "none"
    said = [f"base {body['base_branch']} {body['base_sha'][:12]}; tests: {tests} ({body['test_found']})"]
    said += [f"set-up: {step}" for step in body["setup"]]
    for number, task in enumerate(body["tasks"], 1):
        after = f" after {', '.join(task['depends_on'])}" if task["depends_on"] else ""
        said.append(f"{number:3} {task['task_id']:14} {task['title']} → {task['branch']}{after}")
        if rivals := task["candidates"]:
            said.append(f"    the best of {len(rivals)} candidates, side by side: {', '.join(rivals)}")
    said += [f"may conflict: {c['a']} and {c['b']} on {', '.join(c['paths'])}" for c in body["conflicts"]]
    return said
