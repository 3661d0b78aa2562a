"""`.worktreeinclude`: ignored files of the user's checkout that a fresh worktree needs, and nothing else.

Only what is both ignored by git and named by a pattern of the base commit's `.worktreeinclude` is copied: a
worktree stays clean, and no `.env` travels that nobody asked for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import is_safe, matches

INCLUDE_FILE = ".worktreeinclude"
MAX_FILES = 5_000


def patterns_at(git: Git, commit: str) -> tuple[str, ...]:
    """The patterns of a commit's `.worktreeinclude`, without comments and blank lines."""
    text = (git.file(commit, INCLUDE_FILE) or b"").decode("utf-8", "replace")
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def copy_included(git: Git, checkout: Path | None, patterns: Sequence[str], to: Path) -> tuple[str, ...]:
    """Copy the ignored files of `checkout` that match into the worktree `to`; returns their paths.

    Links are copied as links only when they stay inside, and nothing is written through one. At most 5,000 files
    are copied.
    """
    if checkout is None or not patterns:
        return ()
    out = git.run("ls-files", "--others", "--ignored", "--exclude-standard", "-z").out
    ignored = (os.fsdecode(p) for p in out.split(b"\0") if p)
    wanted = [p for p in ignored if is_safe(p) and matches(p, patterns) and not p.startswith(".worktrees/")]
    copied = []
    for path in wanted[:MAX_FILES]:
        source, target = checkout / path, to / path
        if not source.is_file() or not source.resolve().is_relative_to(checkout.resolve()):
            continue
        if target.is_symlink() or not target.parent.resolve().is_relative_to(to.resolve()):
            continue  # a link of the commit's, and an agent may have made that
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
        copied.append(path)
    return tuple(copied)
