"""Worktrees that a version before this one left in `.worktrees` of the checkout: named, taken up, cleaned away.

That version made each task a linked worktree of the user's repository with a local branch. Nothing makes
such worktrees any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator_action.git import keeping, salvage
from orchestrator_action.git.parse import read_line
from orchestrator_action.git.repo import Git
from orchestrator_action.git.tree_view import delete, is_folder
from orchestrator_action.process import owner

OLD_TREES = ".worktrees"
_OWNER_FILE = "orchestrator-owner"


def leftovers(user: Git, main: Path | None) -> Iterator[dict[str, Any]]:
    """Each of them, as the fields of a Leftover."""
    for path in _folders(user, main):
        admin = _admin(user, path)
        kept = _reason(user, path, admin)
        git = user.at_worktree(path, admin) if admin else None
        yield {
            "path": path, "task_id": path.name.partition("-")[2], "branch": git.branch() if git else "",
            "head_sha": git.head() if git else "", "kept_because": kept,
        }  # fmt: skip


def remove_earlier(user: Git, main: Path | None, path: Path) -> str:
    """Remove one when nothing is lost with it; otherwise the reason why it was kept."""
    if path not in _folders(user, main):
        return "" if not path.exists() else "it is no tree of ours"
    admin = _admin(user, path)
    _release(user, admin)
    if kept := _reason(user, path, admin):
        return kept
    _forget(user, path, admin)
    return ""


def put_away(user: Git, main: Path | None, task_id: str) -> str:
    """Save what the worktree of a task holds that no commit has, and remove it; says where that is.

    Its branch stays where it is.
    """
    root = _root(user, main)
    path = root / f"task-{task_id}"
    admin = _admin(user, path)
    if admin is None:
        return ""
    _release(user, admin)
    (admin / "index.lock").unlink(missing_ok=True)
    seen = user.at_worktree(path, admin)
    head = seen.head()
    saved = (
        salvage.save(seen, user.shared, user, admin / "index", head, task_id)
        if head and is_folder(path)
        else ""
    )
    _forget(user, path, admin)
    return f"uncommitted work of an earlier attempt is kept at {salvage.ref(task_id)}" if saved else ""


def _root(user: Git, main: Path | None) -> Path:
    return (main or user.common_dir) / OLD_TREES


def _folders(user: Git, main: Path | None) -> list[Path]:
    root = _root(user, main)
    return sorted(p for p in root.iterdir() if p.is_dir()) if is_folder(root) else []


def _admin(user: Git, path: Path) -> Path | None:
    """git's directory for the worktree at `path`, found by its `gitdir` file."""
    wanted = str(path / ".git")
    folder = user.common_dir / "worktrees"
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return next((admin for admin in found if read_line(admin / "gitdir") == wanted), None)


def _replica(user: Git, path: Path) -> Path:
    return user.common_dir / "orchestrator" / "replicas" / f"{path.name}.git"


def _reason(user: Git, path: Path, admin: Path | None) -> str:
    if admin is None:
        replica = _replica(user, path).is_dir() or path.name.startswith(".gone-") or not any(path.iterdir())
        return "" if replica else "it is not registered as a worktree"
    if not path.name.startswith("task-"):
        return "it is not one of ours"
    pid = owner.live_owner(admin / _OWNER_FILE)
    if pid and pid != os.getpid():
        return f"process {pid} works in it"
    git = user.at_worktree(path, admin)
    return keeping.reason_to_keep(git, git.branch(), user)


def _release(user: Git, admin: Path | None) -> None:
    """Let git find the refs again: that version gave each worktree a view of the git directory."""
    if admin is None or owner.live_owner(admin / _OWNER_FILE) not in {0, os.getpid()}:
        return
    shared = os.path.relpath(user.common_dir, admin)
    if read_line(admin / "commondir") != shared:
        (admin / "commondir").write_text(f"{shared}\n", encoding="utf-8", errors="surrogateescape")
        shutil.rmtree(admin / "common", ignore_errors=True)
    (admin / "locked").unlink(missing_ok=True)


def _forget(user: Git, path: Path, admin: Path | None) -> None:
    """Delete a worktree and take it off git's list. What names it goes first."""
    if admin is not None:
        with contextlib.suppress(OSError):
            (admin / "gitdir").unlink()
        shutil.rmtree(admin, ignore_errors=True)
        with contextlib.suppress(OSError):
            admin.parent.rmdir()
    delete(path)
    shutil.rmtree(_replica(user, path), ignore_errors=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
