"""What stands in the way of every success, looked at before anything is taken or paid: one list for all doors.

`run` and the Action end the tasks that it concerns as blocked; `doctor` shows it; a dry run says it. So a run never
pays an agent for work that cannot be pushed or proposed, and `doctor` is not green where `run` cannot work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator_action.agents.registry import make_agent, require_key
from orchestrator_action.errors import AgentError, ConfigError, ForgeError, OrchestratorError
from orchestrator_action.forge.base import Requirement
from orchestrator_action.protocol.model import Task
from orchestrator_action.state.context import IDENTITY

if TYPE_CHECKING:
    from orchestrator_action.run.setup import Survey

SAMPLE_BRANCH = "orchestrator/issue-1"
"""Stands for a task's branch where there is no task."""


def preflight(found: Survey, env: Mapping[str, str]) -> dict[str, OrchestratorError]:
    """By task: what makes its success impossible, the first cause only. Empty when nothing does.

    Raises ForgeError when the forge cannot be asked at all.
    """
    if wants := forge_wants(found):
        return {**dict.fromkeys((t.id for t in found.tasks), wants[0]), **found.unfit}
    reviewers = next((e for name in found.config.reviewers if (e := agent_want(name, found, env))), None)
    blocked = dict(found.unfit)
    for task in found.tasks:
        if task.id in blocked:
            continue
        if want := _task_want(task, found, env) or reviewers:
            blocked[task.id] = want
    return blocked


def wants_of(found: Survey, env: Mapping[str, str]) -> list[OrchestratorError]:
    """What makes every success impossible here, whatever the task."""
    agents = (found.config.agent, *found.config.reviewers)
    return [*forge_wants(found), *(e for name in agents if (e := agent_want(name, found, env)))]


def _task_want(task: Task, found: Survey, env: Mapping[str, str]) -> OrchestratorError | None:
    """A label may name an agent that nobody knows: that is the trouble of one issue, not of the run."""
    try:
        return agent_want(task.agent or found.config.agent, found, env)
    except ConfigError as exc:
        if task.issue and task.agent:
            return exc
        raise


def agent_want(name: str, found: Survey, env: Mapping[str, str]) -> OrchestratorError | None:
    """Why an agent cannot be started here, its key included; None when it can.

    Raises ConfigError for an agent that nobody knows.
    """
    try:
        make_agent(name, found.config).check()
        require_key(name, found.config, env)
    except AgentError as exc:
        return exc
    return None


def forge_wants(found: Survey) -> Sequence[ForgeError]:
    """What the forge would refuse; empty when nothing is known."""
    return [ForgeError(r.found, hint=r.hint) for r in look_at_forge(found, found.tasks) if r.ok is False]


def look_at_forge(found: Survey, tasks: Sequence[Task] = ()) -> Sequence[Requirement]:
    """Everything that the forge was asked, for `doctor` too."""
    branch = tasks[0].branch if tasks else SAMPLE_BRANCH
    email = IDENTITY["GIT_AUTHOR_EMAIL"]
    return found.forge.requirements(branch=branch, base=found.base_branch, email=email)
