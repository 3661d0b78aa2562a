"""Trees of a repository in a test, and what an agent does in one."""

from __future__ import annotations

from pathlib import Path

from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import Trees


def trees_of(where: Git | Path, run_id: str = "run") -> Trees:
    """The trees of a run in the repository, which live in a folder beside the checkout."""
    user = where if isinstance(where, Git) else Git.open(where)
    return Trees(user, run_id=run_id, root=user.common_dir.parent.parent / "trees")
