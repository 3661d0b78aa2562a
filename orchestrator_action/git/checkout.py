"""A clean checkout of one commit on a path of the caller's: a clone of its own that nobody keeps a record of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator_action.git import borrow
from orchestrator_action.git.repo import Git
from orchestrator_action.git.tree_view import delete


def make_checkout(git: Git, path: Path, commit: str) -> Git:
    """Check out exactly `commit` in the empty folder `path`; `git` in it.

    What runs there can change neither the repository it borrows from nor its settings.
    """
    lender = git.shared
    own = path / ".git"
    borrow.make_git_dir(borrow.picture(lender), own, head=commit, objects=[lender.common_dir / "objects"])
    made = replace(lender, git_dir=own, work_tree=path)
    made.run("reset", "--hard", "--quiet", commit, write=True)
    return made


def remove_checkout(path: Path) -> None:
    """Delete a checkout, of which nothing is of any value."""
    delete(path)
