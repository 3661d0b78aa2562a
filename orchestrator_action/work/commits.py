"""What an agent commits is taken while it works: no commit goes with a tree whose `.git` the agent deletes.

Only what lies in the tree is looked at, without reading it: a commit moves the branch, and that is seen in the times
of its files. What is taken is checked object by object, as at any claim.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.repo import Git

EVERY_S = 1.0


@contextlib.contextmanager
def taking_commits(git: Git, branch: str, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Take what is committed on `branch` of a task's tree into our repository, as long as the `with` block runs."""
    ended = threading.Event()

    def watch() -> None:
        seen = _state(git.git_dir, branch)
        while not ended.wait(every_s):
            if (now := _state(git.git_dir, branch)) != seen:
                seen = now
                with contextlib.suppress(OrchestratorError, OSError):
                    git.head()

    thread = threading.Thread(target=watch, name="commits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _state(own: Path, branch: str) -> tuple[tuple[int, int], ...]:
    """Inode and time of the files that a commit writes; zeros where one is missing."""
    found = []
    for name in ("HEAD", f"refs/heads/{branch}", "packed-refs"):
        try:
            there = (own / name).lstat()
            found.append((there.st_ino, there.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)
