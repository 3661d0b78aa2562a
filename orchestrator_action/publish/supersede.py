"""An issue that is worked on again: the pull request of the attempt before is closed, with a link to the new one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import cast

from orchestrator_action.forge.base import Forge, Queue
from orchestrator_action.protocol.forge_values import Pull
from orchestrator_action.protocol.model import GOOD_STATUSES, TaskResult
from orchestrator_action.state.context import TaskRun
from orchestrator_action.text.limits import marker


def supersede(task_run: TaskRun, result: TaskResult) -> Iterator[tuple[str, Callable[[], object]]]:
    """The acts by which earlier pull requests of the task end; none unless the new one is verified.

    What nobody could verify replaces nothing: the earlier one stays open beside it.
    """
    new = result.pull
    if new is None or result.status not in GOOD_STATUSES:
        return
    for branch in task_run.task.supersedes:
        yield f"that {branch} is superseded", functools.partial(_close, task_run, branch, new.number)


def _is_anothers(forge: Forge, pull: Pull) -> bool:
    """Whether somebody else opened a pull request, whatever its branch is called: that one is not ours to close."""
    return forge.has_users and pull.author != cast("Queue", forge).viewer()


def _close(task_run: TaskRun, branch: str, new: int) -> None:
    forge, task = task_run.run.forge, task_run.task.id
    old = forge.find_pull(branch)
    if old is None or old.number == new or _is_anothers(forge, old):
        return
    said = f"The issue was worked on again: #{new} takes the place of this pull request.\n"
    forge.comment(
        old.number, marker=marker("superseded", task), body=f"### orchestrator: superseded\n\n{said}"
    )
    forge.close_pull(old.number)
