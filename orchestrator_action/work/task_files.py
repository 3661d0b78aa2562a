"""The files of a task outside its tree: context, prompt, logs and the agent's `orchestrator-phase`."""

from __future__ import annotations

import hashlib
import json
import secrets
import shlex
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator_action.git.task_tree import TaskTree
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.attempt import Limits
from orchestrator_action.protocol.model import Task, TaskContext
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.protocol.wire import context_digest
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.takeover import wish_text
from orchestrator_action.text.limits import clean, sanitise
from orchestrator_action.work.prompt import task_prompt

GOES_ON = """An earlier run of this task died. Its commits are on your branch, and what it proved still counts:
look at them, then run `orchestrator-phase show`. Claim initial-setup again, as your task context is a new one;
after that go on with the first phase that is open."""


FOLLOWS = """Your branch is that of a pull request on which a person asks for a change: it stands at the end of the
task's text. Look at what is there (`git log`, `orchestrator-phase show`). Claim initial-setup again, as your task
context is new, then do what is asked, with commits of your own on top, and go through the phases from
Implementation on. If it cannot or should not be done, say so: `orchestrator-phase stop --because 'WHY'`."""


def directory_of(run: RunContext, task_id: str) -> Path:
    """Where the files of a task are."""
    return run.run_dir / "tasks" / task_id


def log_path(directory: Path, attempt: int) -> Path:
    """The raw output of an attempt: `agent.log`, then `agent-2.log`, …"""
    return directory / ("agent.log" if attempt == 1 else f"agent-{attempt}.log")


def record_path(directory: Path, attempt: int) -> Path:
    """What names the processes of an attempt while it runs, and its end afterwards."""
    return directory / f"attempt-{attempt}.json"


def limits_of(run: RunContext) -> Limits:
    """What one attempt may use."""
    config = run.config
    return replace(
        run.limits,
        wall_s=config.timeout,
        max_turns=config.max_turns,
        max_budget_usd=config.max_budget_usd,
    )


def write_context(task: Task, run: RunContext, tree: TaskTree, directory: Path) -> TaskContext:
    """Write `task.md`, `prompt.md` and `context.json`; their digest is what the first claim must carry.

    What a task was given once stays: a run that is taken up again finds the same files and digest.
    """
    tests = task.test or run.test_commands
    context = TaskContext(
        path=str(directory / "context.json"), task=task, run_id=run.run_id, attempt=1,
        worktree_path=str(tree.path), prompt_path=str(directory / "prompt.md"), base_sha=tree.base_sha,
        base_branch=run.base_branch, limits=limits_of(run), test_commands=tests, digest="",
        parallel=run.parallel, session_id=str(uuid.uuid4()),
    )  # fmt: skip
    body = _written(Path(context.path), tree)
    if body is None:
        body = _write(task, run, tree, directory, context)
    return replace(context, digest=body["digest"])


def _written(path: Path, tree: TaskTree) -> dict[str, Any] | None:
    """The context of an earlier attempt in the same place; None when there is none, or it is damaged."""
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = body.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    same = context_digest(body) == digest and body.get("worktree_path") == str(tree.path)
    return {**body, "digest": digest} if same and body.get("base_sha") == tree.base_sha else None


def _write(
    task: Task, run: RunContext, tree: TaskTree, directory: Path, context: TaskContext
) -> dict[str, Any]:
    limits = context.limits
    text = sanitise(task.text).text if task.issue else clean(task.text)[0]
    replace_file(directory / "task.md", text)
    prompt = task_prompt(
        task, boundary=secrets.token_hex(8), branch=tree.branch, base_branch=run.base_branch,
        base_sha=tree.base_sha, test_commands=context.test_commands,
        message=_where(task),
    )  # fmt: skip
    replace_file(Path(context.prompt_path), prompt)
    body: dict[str, Any] = {
        "task_id": task.id,
        "task_name": task.title,
        "original_prompt_file": task.prompt_file or context.prompt_path,
        "worktree_path": str(tree.path),
        "orchestrator_context": {
            "parallel_execution": run.parallel, "subprocess_mode": True, "governance_delegation": True,
        },
        "schema": 1,
        "run_id": run.run_id,
        "attempt": context.attempt,
        "issue": _issue_context(task),
        "base_sha": tree.base_sha,
        "base_branch": run.base_branch,
        "branch": tree.branch,
        "phases": [
            {"number": p.number, "id": p.id, "title": p.title, "does": p.does, "claim": p.claim} for p in PHASES
        ],
        "limits": {"wall_s": limits.wall_s, "max_turns": limits.max_turns, "max_budget_usd": limits.max_budget_usd},
        "commands": {"test": " && ".join(context.test_commands)},
        "prompt_path": context.prompt_path,
        "task_path": str(directory / "task.md"),
    }  # fmt: skip
    if asked := task.issue.asked if task.issue else None:
        body["asked"] = sanitise(wish_text(asked)).text
    body["digest"] = context_digest(body)
    replace_file(Path(context.path), json.dumps(body, indent=2) + "\n")
    return body


def _where(task: Task) -> str:
    """What an agent is told that does not begin on a base."""
    if task.issue and task.issue.asked:
        return FOLLOWS
    return GOES_ON if task.goes_on_at else ""


def _issue_context(task: Task) -> dict[str, Any] | None:
    issue = task.issue
    if issue is None:
        return None
    return {
        "number": issue.number,
        "url": issue.url,
        "title": issue.title,
        "author": issue.author,
        "labeled_by": issue.labeled_by,
        "body_sha256": hashlib.sha256(issue.body.encode("utf-8", "replace")).hexdigest(),
    }


def phase_client(directory: Path) -> Path:
    """A directory for the agent's PATH that holds `orchestrator-phase` and nothing else.

    Our own environment's `bin` would put our python before the repository's.
    """
    folder = directory / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "orchestrator-phase"
    replace_file(
        script,
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -m orchestrator_action.phase_client.main "$@"\n',
    )
    script.chmod(0o755)
    return folder
