"""Candidates: several attempts at one task, side by side. What they are called, and which of them is the best. Pure.

A candidate of the task `issue-7` is `issue-7.1`; it has a branch, a tree, a journal stream and a trail of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from orchestrator_action.protocol.documents import Plan
from orchestrator_action.protocol.model import Candidate, Status, Task

MOST_CANDIDATES = 9
"""Candidates of one task: each is paid for."""
_NUMBER = re.compile(r"\.[1-9]$")

_RANKS = {
    Status.SUCCESS: 0, Status.NO_CHANGE: 2, Status.INCOMPLETE: 3, Status.DECLINED: 4, Status.TIMEOUT: 5,
    Status.STALLED: 5, Status.BLOCKED: 6, Status.FAILED: 8,
}  # fmt: skip
_WITH_EXCEPTIONS, _BROKE, _REFUTED, _NOT_TRIED = 1, 7, 9, 10


def stem(name: str) -> str:
    """The task, or the task's branch, that a candidate or its branch belongs to; any other name as it is."""
    return _NUMBER.sub("", name)


def is_candidate(task_id: str) -> bool:
    """Whether this is the id of a candidate: no other task has a dot in its id."""
    return stem(task_id) != task_id


def agents_for(task: Task, wanted: Sequence[str], agent: str) -> tuple[str, ...]:
    """The agents of a task's candidates, one each; empty where one attempt is all that is wanted.

    `wanted` is the key `candidates`, `agent` the one in force. Who asks for a change on a pull request, or takes over
    what a run left behind, goes on with one branch. An agent that is named for this task works alone, or N times.
    """
    if task.goes_on_at or (task.issue and task.issue.asked) or is_candidate(task.id):
        return ()
    number = _number(wanted)
    if number:
        return (task.agent or agent,) * number if number > 1 else ()
    return () if task.agent else tuple(wanted)


def _number(wanted: Sequence[str]) -> int:
    """How many candidates of the same agent are wanted; 0 where agents are named."""
    return int(wanted[0]) if len(wanted) == 1 and wanted[0].isdecimal() else 0


def share_of(task_id: str, wanted: Sequence[str]) -> int:
    """Among how many a task's budget is shared: a candidate has one part of it, any other task all."""
    return (_number(wanted) or len(wanted) or 1) if is_candidate(task_id) else 1


def agents_at(task: Task, wanted: Sequence[str], agent: str) -> tuple[str, ...]:
    """All agents that begin on a task: those of its candidates, or the one that is named or configured."""
    return agents_for(task, wanted, agent) or (task.agent or agent,)


def candidate_tasks(task: Task, agents: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the candidates, in order."""
    issue = replace(task.issue, left_by="", asked=None) if task.issue else None
    return tuple(
        replace(
            task, id=f"{task.id}.{n}", branch=f"{task.branch}.{n}", agent=agent, issue=issue, depends_on=(),
            supersedes=(), note="",
        )
        for n, agent in enumerate(agents, 1)
    )  # fmt: skip


def rivals_in(plan: Plan, task: Task) -> tuple[Task, ...]:
    """The candidates of a task of a plan, each worked on and verified by itself; none where it is worked on once.

    Each grows from what the task depends on.
    """
    agents = agents_for(task, plan.config.get("candidates", ()), str(plan.config.get("agent", "")))
    return tuple(replace(one, depends_on=task.depends_on) for one in candidate_tasks(task, agents))


def tasks_at_work(plan: Plan) -> tuple[Task, ...]:
    """What agents are set to: the tasks of a plan, and in the place of one with candidates these."""
    return tuple(one for task in plan.tasks for one in (rivals_in(plan, task) or (task,)))


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The one that is verified, then the smallest, then the cheapest, then the first.

    Where none is verified: one that is not finished before one that failed, and one whose claim a fact refuted last.
    What a candidate cost that nobody told counts as more than any.
    """
    return min(candidates, key=lambda c: (_rank(c), c.lines, _cost(c), c.id))


def _rank(candidate: Candidate) -> int:
    if candidate.refuted:
        return _REFUTED
    if candidate.status is Status.SUCCESS and candidate.needs_person:
        return _WITH_EXCEPTIONS
    if candidate.status is Status.FAILED and candidate.failure:
        return _BROKE  # its process did, which is no lie; without that it did to its tree what it must not
    return _RANKS.get(candidate.status, _NOT_TRIED)


def _cost(candidate: Candidate) -> float:
    return float("inf") if candidate.cost_usd is None else candidate.cost_usd
