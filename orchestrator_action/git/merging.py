"""Merges in memory: a tree and a commit, and no checkout, index or branch. The same parents give the same commit.

Source: git-scm.com, git-merge-tree(1), `--write-tree`, since git 2.38.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator_action.errors import GitError
from orchestrator_action.git.process import identity_env, last_line
from orchestrator_action.git.repo import Git

_AUTHOR = identity_env("orchestrator-action", "orchestrator-action@users.noreply.github.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of two commits."""

    tree: str
    """With conflict markers where there are `clashes`."""
    clashes: tuple[str, ...] = ()
    """Paths on which the two do not go together."""


def merge(git: Git, ours: str, theirs: str) -> Merged:
    """Merge two commits. Raises GitError when git cannot try it at all."""
    done = git.run(
        "merge-tree", "--write-tree", "--name-only", "--no-messages", "--allow-unrelated-histories", "-z", ours, theirs,
        check=False, write=True,
    )  # fmt: skip
    if done.code not in {0, 1}:
        raise GitError(
            f"{ours[:12]} and {theirs[:12]} cannot be merged: {last_line(done.err)}",
            hint="merge them yourself",
        )
    tree, *clashes = [os.fsdecode(part) for part in done.out.split(b"\0") if part]
    return Merged(tree=tree, clashes=tuple(dict.fromkeys(clashes)))


def merge_commit(git: Git, tree: str, parents: Sequence[str]) -> str:
    """The commit that joins `parents`, dated like the newest of them."""
    when = max(int(git.text("show", "--no-patch", "--format=%ct", p)) for p in parents)
    date = {"GIT_AUTHOR_DATE": f"{when} +0000", "GIT_COMMITTER_DATE": f"{when} +0000"}
    args = [word for parent in parents for word in ("-p", parent)]
    done = git.run(
        "commit-tree", tree, *args, stdin=b"Merge what this grows from\n", env={**_AUTHOR, **date}, write=True
    )
    return done.text
