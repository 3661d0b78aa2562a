"""From where a task grows that depends on others: from their verified branches, not from the run's base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.git.merging import merge, merge_commit
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Task, TaskResult
from orchestrator_action.protocol.paths import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a task's branch begins, and onto which branch it asks to be merged."""

    sha: str
    branch: str
    clash: str = ""
    """Why there is no such commit: the branches do not go together."""


def ground_of(
    git: Git, task: Task, done: Mapping[str, TaskResult], *, base_sha: str, base_branch: str
) -> Ground:
    """The ground of a task whose dependencies are all `done` and well; `git` has their commits.

    One branch that holds all the others is taken as it is. Several are merged, and the task then asks to be merged
    onto the run's own base. A dependency that needed no change has no branch.
    """
    grown = [r for d in task.depends_on if (r := done[d]).head_sha and r.head_sha != base_sha]
    heads = _tips(git, tuple(dict.fromkeys(r.head_sha for r in grown)))
    if not heads:
        return Ground(sha=base_sha, branch=base_branch)
    if len(heads) == 1:
        return Ground(sha=heads[0], branch=next(r.branch for r in grown if r.head_sha == heads[0]))
    return _joined(git, heads, {r.head_sha: r.task_id for r in grown}, base_sha, base_branch)


def _tips(git: Git, heads: Sequence[str]) -> list[str]:
    """Those that no other one holds."""
    return [h for h in heads if not any(o != h and git.is_ancestor(h, o) for o in heads)]


def _joined(
    git: Git, heads: Sequence[str], names: Mapping[str, str], base_sha: str, base_branch: str
) -> Ground:
    at = heads[0]
    for head in heads[1:]:
        merged = merge(git, at, head)
        if merged.clashes:
            why = f"{names[head]} does not go together with what else it depends on: {listed(merged.clashes)}"
            return Ground(sha=base_sha, branch=base_branch, clash=why)
        at = merge_commit(git, merged.tree, [at, head])
    return Ground(sha=at, branch=base_branch)
