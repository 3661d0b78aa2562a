"""A task as an earlier run left it: of one that died, or of one whose pull request somebody wants changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator_action.errors import ForgeError, OrchestratorError
from orchestrator_action.protocol.model import Task
from orchestrator_action.state.takeover import look_for_left, with_wishes

if TYPE_CHECKING:
    from orchestrator_action.run.setup import Survey


def go_on(task: Task, found: Survey, say: Callable[[str], None], unfit: dict[str, OrchestratorError]) -> Task:
    """The task as a run that died left it, or anew, with the reason; or as its pull request stands, on which
    somebody asks for more: what cannot be gone on with there is not begun at all."""
    asked, before = (task.issue.asked, task.issue.left_by) if task.issue else (None, "")
    if not before and asked is None:
        return task
    limit = found.config.follow_ups
    left = look_for_left(found.git, found.remote, found.forge, task, found.base_branch, follow_ups=limit)
    if asked and left.why:
        hint = "set the label again to have the issue worked on anew"
        unfit[task.id] = ForgeError(
            f"pull request #{asked.pull} cannot be gone on with: {left.why}", hint=hint
        )
        return task
    note = f"taken over from run {before}, which is no longer alive; " if before else ""
    note += f"{asked.by} asked for it on #{asked.pull}; " if asked else ""
    note += f"it starts anew: {left.why}" if left.why else f"it goes on at {left.head[:12]}"
    say(f"{task.id}: {note}")
    text = with_wishes(task, left.ledger) if left.ledger else task.text
    return replace(task, text=text, branch=left.branch or task.branch, goes_on_at=left.head, note=note)
