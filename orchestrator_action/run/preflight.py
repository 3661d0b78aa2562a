"""What stands in the way of every success, looked at before anything is taken or paid: one list for all doors.

`run` and the Action end the tasks that it concerns as blocked; `doctor` shows it; a dry run says it. So a run never
pays an agent for work that cannot be pushed or proposed, and `doctor` is not green where `run` cannot work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from orchestrator_action.agents.registry import make_agent, require_key
from orchestrator_action.config.schema import BRANCH_PREFIX
from orchestrator_action.errors import AgentError, ConfigError, ForgeError, OrchestratorError
from orchestrator_action.forge.base import Queue, Requirement
from orchestrator_action.git.remote import Remote
from orchestrator_action.protocol.candidates import agents_at
from orchestrator_action.protocol.model import Task
from orchestrator_action.state.context import IDENTITY

if TYPE_CHECKING:
    from orchestrator_action.run.setup import Survey

IN_THE_WAY = BRANCH_PREFIX.rstrip("/")
"""git keeps refs as files and folders: a branch of this name leaves no room for ours."""
SAMPLE_BRANCH = "orchestrator/issue-1"
"""Stands for a task's branch where there is no task."""


def preflight(found: Survey, env: Mapping[str, str]) -> dict[str, OrchestratorError]:
    """By task: what makes its success impossible, the first cause only. Empty when nothing does.

    Raises ForgeError when the forge cannot be asked at all, ConfigError for an agent that nobody knows.
    """
    if found.want:
        return dict.fromkeys((t.id for t in found.tasks), found.want)
    if wants := forge_wants(found):
        return {**dict.fromkeys((t.id for t in found.tasks), wants[0]), **found.unfit}
    for name in (
        found.config.agent_fallback
    ):  # one that is not there is passed over; one that nobody knows is a mistake
        make_agent(name, found.config)
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
    asked = look_at_forge(found, found.tasks, label=found.config.label)
    return [*_refusals(asked), *(e for name in agents if (e := agent_want(name, found, env)))]


def _task_want(task: Task, found: Survey, env: Mapping[str, str]) -> OrchestratorError | None:
    return _want_of_issue(task, found, lambda name: agent_want(name, found, env))


def issue_want(task: Task, found: Survey) -> OrchestratorError | None:
    """What is in the way of one issue, whatever machine its agent runs on.

    Raises ConfigError for an agent of the configuration that nobody knows.
    """

    def is_known(name: str) -> None:
        make_agent(name, found.config)

    return _want_of_issue(task, found, is_known)


def _want_of_issue(
    task: Task, found: Survey, look: Callable[[str], OrchestratorError | None]
) -> OrchestratorError | None:
    """A label may name an agent that cannot work: that is the trouble of one issue, not of the run."""
    if task.issue and task.issue.locked and _is_an_app(found):
        return ForgeError(
            f"the conversation of #{task.issue.number} is locked, so an App cannot say there what became of it",
            hint="unlock the conversation, or give a person's token",
        )
    names = agents_at(task, found.config.candidates, found.config.agent)
    try:
        return next((want for name in dict.fromkeys(names) if (want := look(name))), None)
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
    return _refusals(look_at_forge(found, found.tasks))


def _refusals(asked: Sequence[Requirement]) -> list[ForgeError]:
    return [ForgeError(r.found, hint=r.hint) for r in asked if r.ok is False]


def _is_an_app(found: Survey) -> bool:
    return found.forge.has_users and cast("Queue", found.forge).viewer().endswith("[bot]")


def look_at_forge(found: Survey, tasks: Sequence[Task] = (), *, label: str = "") -> Sequence[Requirement]:
    """Everything that the forge and its remote were asked, for `doctor` too; `label` as `requirements` takes it."""
    if in_the_way := branch_in_the_way(found.remote):
        return (in_the_way,)
    branch = tasks[0].branch if tasks else SAMPLE_BRANCH
    email = IDENTITY["GIT_AUTHOR_EMAIL"]
    return found.forge.requirements(branch=branch, base=found.base_branch, email=email, label=label)


def branch_in_the_way(remote: Remote) -> Requirement | None:
    """A branch of the remote that leaves no room for ours. Raises GitError when the remote cannot be asked."""
    if not remote.sha(f"refs/heads/{IN_THE_WAY}"):
        return None
    return Requirement(
        what="branches", ok=False,
        found=f"the remote has a branch {IN_THE_WAY!r}, so no branch {BRANCH_PREFIX}… can be pushed",
        hint=f"rename it: git push origin {IN_THE_WAY}:{IN_THE_WAY}-old :{IN_THE_WAY}",
    )  # fmt: skip
