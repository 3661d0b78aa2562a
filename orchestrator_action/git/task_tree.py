"""One tree of ours: where it is, git on it, and what whoever works in it reads and writes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_action.git.repo import Git
from orchestrator_action.git.slots import TreeSlot


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTree:
    """A tree of ours. `branch` is empty for a clean checkout."""

    path: Path
    branch: str
    base_sha: str
    git: Git = field(repr=False)
    """HEAD, index and files as the tree has them; commits, settings and other refs from our private repository."""
    slot: TreeSlot = field(repr=False)
    readable: tuple[Path, ...] = ()
    """Folders outside the tree that git in it reads: the objects it borrows, and files of git-lfs."""
    note: str = ""
    """What was found and kept when it was made; for people."""

    def drop_stale_locks(self) -> None:
        """Remove what a killed git left in the tree. Only when nothing that could hold these locks is alive."""
        for lock in ("index.lock", "HEAD.lock", f"refs/heads/{self.branch}.lock"):
            with contextlib.suppress(OSError):
                (self.path / ".git" / lock).unlink()

    @property
    def writable(self) -> tuple[Path, ...]:
        """What whoever works in the tree has to be able to write: nothing but the tree."""
        return (self.path,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A tree of ours that is still there. `kept_because` is empty when it could go."""

    path: Path
    task_id: str
    branch: str
    head_sha: str
    kept_because: str
