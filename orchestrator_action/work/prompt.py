"""The prompt of one attempt: the rules, the eleven phases with their commands, the task as data."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_action.protocol.model import Task
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.text import limits as texts
from orchestrator_action.text.template import fill


def task_prompt(
    task: Task,
    *,
    boundary: str,
    branch: str = "",
    base_branch: str = "",
    base_sha: str = "",
    test_commands: Sequence[str] = (),
    message: str = "",
) -> str:
    """The prompt of one attempt: the rules, the eleven phases with their commands, the task as data.

    The text of an issue is sanitised (again: it costs nothing); that of a prompt file is its
    author's own and only loses what nobody can see. `boundary` is random. `message` is what to tell an
    agent that takes a task up again.
    """
    given = texts.sanitise(task.text).text if task.issue else texts.clean(task.text)[0]
    return fill(
        "prompt.md.j2",
        (),
        title=texts.title(task.title),
        issue=task.issue,
        branch=branch or task.branch,
        base_branch=base_branch,
        base_sha=base_sha,
        tests=list(test_commands),
        message=message,
        phases=PHASES,
        data=texts.wrap_as_data(given, boundary),
        boundary=boundary,
    )
