"""The session that wrote a pull request, taken up again by what people ask there: where it is on this machine still.

A runner of GitHub's is gone when its job has ended, and so is the session: then a new one begins. What a session cost
until now is known from its run's journal, so that the follow-up is charged for its own part only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator_action.agents.base import KeepsSessions
from orchestrator_action.errors import JournalError
from orchestrator_action.state.fold import Attempted, task_state
from orchestrator_action.state.journal import read_events
from orchestrator_action.state.store import journal_of, run_dirs
from orchestrator_action.state.takeover import look_for
from orchestrator_action.work.task_files import directory_of

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator_action.agents.base import Agent
    from orchestrator_action.protocol.model import Task
    from orchestrator_action.state.context import RunContext
    from orchestrator_action.state.usage import TaskUsage


def session_before(
    run: RunContext, task: Task, agent: Agent, private: Path, cwd: str, usage: TaskUsage
) -> str:
    """The id of the session that an attempt at a follow-up goes on with; empty when it begins a new one.

    `private` is the agent's own directory for this task, `cwd` the tree it will work in. What the session has
    cost is noted in `usage`.
    """
    if not (task.issue and task.issue.asked) or not isinstance(agent, KeepsSessions):
        return ""
    found = _last_attempt(run, task)
    if found is None:
        return ""
    folder, attempt = found
    session = str((attempt.ended or {}).get("session_id") or "")
    if not session or not agent.adopt_session(session, folder / "agent", private, cwd):
        return ""
    usage.note_printed(attempt.ended or {})
    return session


def _last_attempt(run: RunContext, task: Task) -> tuple[Path, Attempted] | None:
    """The last attempt of the run that the branch is from, by that run's own journal, and the folder of its task."""
    left = look_for(run, task)
    name = left.ledger.run if left.ledger else ""
    if name == run.run_id or all(folder.name != name for folder in run_dirs(run.git)):
        return None
    path = journal_of(run.git, name)
    try:
        attempts = task_state(e for e in read_events(path, strict=False) if e.task == task.id).attempts
    except (OSError, JournalError):
        return None
    return (
        (path.parent / directory_of(run, task.id).relative_to(run.run_dir), attempts[-1])
        if attempts
        else None
    )
