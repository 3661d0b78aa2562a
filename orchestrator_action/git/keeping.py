"""Whether a tree may go: only when nothing is lost with it. Every function gives the reason why not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.git.cache import is_remote_tip
from orchestrator_action.git.parse import read_line
from orchestrator_action.git.repo import Git
from orchestrator_action.git.salvage import KEPT_REFS, is_lost
from orchestrator_action.process.files import walk
from orchestrator_action.protocol.paths import listed

ON_REMOTES = ("refs/remotes/*", "refs/tags/*")
"""Where a commit is known to somebody else than this machine."""
_UNDER_WAY = {
    "rebase-merge": "a rebase", "rebase-apply": "a rebase", "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert", "BISECT_LOG": "a bisect",
}  # fmt: skip


def reason_to_keep(git: Git, branch: str, user: Git) -> str:
    """Why the tree that `git` sees must stay; empty when it may go. `user` is the user's own repository."""
    try:
        return _reason(git, branch, user)
    except GitError as exc:
        return exc.message


def _reason(git: Git, branch: str, user: Git) -> str:
    path, own = git.work_tree, git.git_dir
    if path is None:
        return ""
    for name, what in _UNDER_WAY.items():
        if (own / name).exists():
            return f"{what} is under way"
    if (own / "index").exists() and (changed := git.dirty()):
        return f"uncommitted changes: {listed(changed)}"
    if inner := foreign_repositories(git):
        return f"it holds other repositories: {listed(inner)}"
    head = git.head()
    if not head:
        return "its HEAD names no commit"
    lost = 0 if is_remote_tip(git.common_dir, head) else git.shared.unreachable(head, KEPT_REFS)
    if not lost or not is_lost(user, head, ON_REMOTES):
        return ""
    return f"{lost} commit{'s' if lost > 1 else ''} not on any remote: {branch or head[:12]}"


def inner_repositories(path: Path) -> list[str]:
    """Directories of a tree that are repositories of their own."""
    found: list[str] = []
    for folder, names, files in walk(path):
        if folder != str(path) and (".git" in names or ".git" in files):
            found.append(os.path.relpath(folder, path))
            names.clear()
        names[:] = [n for n in names if n not in {".git", "node_modules", ".venv"}]
    return sorted(found)


def foreign_repositories(git: Git) -> list[str]:
    """Those whose contents would be lost: all but submodules that are as they were checked out."""
    if git.work_tree is None:
        return []
    inner = inner_repositories(git.work_tree)
    if not inner:
        return []
    links = git.links("HEAD")
    return [name for name in inner if not _is_plain_submodule(git, name, links.get(name, ""))]


def _is_plain_submodule(git: Git, name: str, recorded: str) -> bool:
    """A clean submodule at the recorded commit, of which its own remote has everything.

    Its configuration is the agent's: it is looked at with every filter blanked.
    """
    if not recorded or git.work_tree is None:
        return False
    path = git.work_tree / name
    line = read_line(path / ".git")
    if not line.startswith("gitdir: "):
        return False
    own = Path(os.path.normpath(path / line.removeprefix("gitdir: ")))
    if not own.is_relative_to(git.git_dir / "modules"):
        return False
    plain = replace(git.shared, filters={}, filters_seen="none", stuck=git.stuck)
    seen = replace(plain, git_dir=own, common_dir=own, work_tree=path)
    if seen.head() != recorded or seen.dirty() or foreign_repositories(seen):
        return False
    return not seen.refs("refs/stash") and not _local_commits(seen)


def _local_commits(git: Git) -> int:
    return int(git.text("rev-list", "--count", "HEAD", "--branches", "--not", "--remotes", "--tags"))
