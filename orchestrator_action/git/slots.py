"""What is known of each tree, kept where no agent writes: `.git/orchestrator/trees/<run>/<name>/`.

A slot says who works in the tree and where it is, so that any process of this repository finds it again,
whatever folder for trees that process would choose itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.borrow import put_file
from orchestrator_action.git.repo import Git
from orchestrator_action.process import owner

OWNER_FILE = "owner"
_RECORD = "tree.json"
_TRIES = 100
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

TASK, MEASURE, REVIEW, GONE = "task", "measure", "review", "gone"
"""A task's tree, the two kinds of clean checkouts, and what was given up and is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSlot:
    """One tree's record. `mark` stands in its `.git` folder too; empty while the tree is being made."""

    folder: Path
    kind: str
    run_id: str
    task_id: str
    path: Path
    branch: str = ""
    base_sha: str = ""
    mark: str = ""

    @property
    def owner_file(self) -> Path:
        """The file that names the process which works in the tree."""
        return self.folder / OWNER_FILE

    @property
    def live_owner(self) -> int:
        """The PID of another living process that works in the tree; 0 when there is none."""
        pid = owner.live_owner(self.owner_file)
        return pid if pid != os.getpid() else 0

    @property
    def window(self) -> Path:
        """The bare repository through which the tree's objects are read."""
        return self.folder / "window.git"

    def take(self) -> None:
        """Say that this process works in the tree."""
        make_folder(self.folder)
        owner.write_owner(self.owner_file)

    def write(self) -> None:
        """Write the record down."""
        body = {
            "kind": self.kind, "run": self.run_id, "task": self.task_id, "path": str(self.path),
            "branch": self.branch, "base_sha": self.base_sha, "mark": self.mark,
        }  # fmt: skip
        put_file(self.folder / _RECORD, json.dumps(body).encode("utf-8", "surrogateescape") + b"\n")

    def drop(self) -> None:
        """Forget the tree; the record goes first, and a name says what is left when we are killed meanwhile."""
        folder = self.folder
        with contextlib.suppress(OSError):
            (folder / _RECORD).unlink()
            if not folder.name.startswith(f"{GONE}-"):
                folder = folder.rename(folder.with_name(f"{GONE}-{os.urandom(4).hex()}"))
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
            self.folder.parent.parent.rmdir()


def check_id(task_id: str) -> None:
    """Raise WorktreeError for a task id that is no name of a folder."""
    if not _SAFE_ID.fullmatch(task_id) or ".." in task_id or task_id.endswith((".lock", ".")):
        raise WorktreeError(
            f"task id {task_id!r} cannot name a directory", hint="use letters, digits, - and _"
        )


def slots_dir(user: Git) -> Path:
    """Where the records of a repository's trees are."""
    return user.common_dir / "orchestrator" / "trees"


def read_slot(folder: Path) -> TreeSlot | None:
    """The record in `folder`; None when there is none, or it is damaged."""
    try:
        body = json.loads((folder / _RECORD).read_text(encoding="utf-8", errors="surrogateescape"))
        slot = TreeSlot(
            folder=folder, kind=str(body["kind"]), run_id=str(body["run"]), task_id=str(body["task"]),
            path=Path(body["path"]), branch=str(body["branch"]), base_sha=str(body["base_sha"]),
            mark=str(body["mark"]),
        )  # fmt: skip
        # A record may only speak of a folder named like it: what it names is deleted some day.
        return slot if slot.path.parts[-3:-1] == folder.parts[-2:] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def slots(user: Git) -> Iterator[TreeSlot]:
    """Every tree of ours that this repository knows, of all runs."""
    for run in _entries(slots_dir(user)):
        for folder in _entries(run):
            if slot := read_slot(folder):
                yield slot


def drop_unfinished(user: Git, run_id: str) -> None:
    """Drop what is left of trees that were never whole, or are half deleted.

    These are the folders of run `run_id` and of processes that are gone, unless a living process owns them.
    """
    for run in _entries(slots_dir(user)):
        for folder in _entries(run):
            slot = read_slot(folder)
            owned = folder / OWNER_FILE
            alive = owner.live_owner(owned)
            ours = owned.is_file() or run.name == run_id or folder.name.startswith(f"{GONE}-")
            if ours and not alive and (slot is None or (slot.kind != TASK and not slot.path.exists())):
                shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            run.rmdir()
    with contextlib.suppress(OSError):
        slots_dir(user).rmdir()


def _entries(folder: Path) -> list[Path]:
    """What is in a folder that others may remove meanwhile."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []


def make_folder(path: Path) -> None:
    """Make a folder, also while others remove the empty ones above it."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            path.mkdir(parents=True, exist_ok=True)
            return
    path.mkdir(parents=True, exist_ok=True)
