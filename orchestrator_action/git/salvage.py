"""Work that would be lost, kept as commits on `refs/orchestrator/salvage/<task-id>`.

A salvage commit has the files as they were found; its first parent is the commit they were changed
from, further parents are a differing index and the salvage before it, so that one ref keeps it all.
To take it up again: `git checkout refs/orchestrator/salvage/<task-id> -- .`
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.git.private import bring, hand_over, make_window
from orchestrator_action.git.process import identity_env
from orchestrator_action.git.repo import Git
from orchestrator_action.git.task_tree import TaskTree
from orchestrator_action.git.tree_view import broken, is_folder, pipe_in
from orchestrator_action.process.files import walk

PREFIX = "refs/orchestrator/salvage/"
KEPT_REFS = ("refs/remotes/*", "refs/tags/*", "refs/orchestrator/*")
"""A commit that one of these contains is not lost with its tree."""
_AUTHOR = identity_env("orchestrator-action", "orchestrator-action@users.noreply.github.com")


def ref(task_id: str) -> str:
    """Where the work of a task is kept."""
    return f"{PREFIX}{task_id}"


def save_tree(private: Git, user: Git, tree: TaskTree, task_id: str) -> str | None:
    """Save what a task's tree has uncommitted and untracked, also of one whose `.git` is broken or gone."""
    slot = tree.slot
    whole = not broken(slot.path, slot.mark)
    head = ""
    with contextlib.suppress(GitError):
        head = tree.git.head() if whole else ""
    whole = whole and bool(head)
    head = head or private.rev_parse(f"refs/heads/{tree.branch}") or tree.base_sha
    window = make_window(slot.window, slot.path / ".git" / "objects", private)
    there = is_folder(slot.path) and bool(slot.mark)
    seen = replace(
        window,
        git_dir=slot.path / ".git" if whole else window.git_dir,
        work_tree=slot.path if there else None,
        stuck=partial(pipe_in, slot.path),
    )
    return save(seen, private, user, slot.path / ".git" / "index", head, task_id)


def save(seen: Git, private: Git, user: Git, index: Path, head: str, task_id: str) -> str | None:
    """Save what differs from `head` in a tree, and `head` itself when no branch has it.

    `seen` is git on the tree, without a work tree when its files are gone; what it writes stays in a bare
    repository of ours, from which it is taken into `private`, and from there into the `user`'s repository.
    `index` is the tree's own index file; a temporary one is used in its place. Returns the commit, or None
    when there is nothing to save.
    """
    base = private.tree(head)
    tree = _tree_of_files(seen, seen.work_tree, head) if seen.work_tree else base
    staged = _tree_of_index(seen, index)
    git = replace(seen, git_dir=seen.common_dir, work_tree=None)
    parents = [head]
    if staged not in {"", base, tree}:
        parents.append(_commit(git, staged, [head], f"index of {task_id}"))
    if tree == base and len(parents) == 1:
        lost = private.unreachable(head, ("refs/heads/*", *KEPT_REFS)) and is_lost(user, head, KEPT_REFS)
        return keep_commit(private, user, head, task_id) if lost else None
    return _store(git, private, user, tree, parents, task_id, f"uncommitted work of {task_id}")


def is_lost(git: Git, commit: str, kept: Sequence[str]) -> bool:
    """Whether a repository does not have `commit`, or has it below none of the ref patterns `kept`."""
    return not git.rev_parse(commit) or bool(git.unreachable(commit, kept))


def keep_commit(private: Git, user: Git, commit: str, task_id: str) -> str:
    """Keep an existing commit and all it contains."""
    before = user.rev_parse(ref(task_id))
    if before and private.is_ancestor(commit, before):
        return before
    if not before:
        hand_over(private, user, commit, ref(task_id))
        return commit
    return _store(private, private, user, private.tree(commit), [commit], task_id, f"commits of {task_id}")


def _store(
    git: Git, private: Git, user: Git, tree: str, parents: list[str], task_id: str, message: str
) -> str:
    """Make the commit where `git` writes, and name it in the user's repository."""
    before = user.rev_parse(ref(task_id))
    if before and git.tree(before) == tree and git.is_ancestor(parents[0], before):
        return before
    if before and not any(git.is_ancestor(before, p) for p in parents):
        parents = [*parents, before]
    commit = _commit(git, tree, parents, message)
    if git.common_dir != private.common_dir:
        bring(git, private, commit)
    hand_over(private, user, commit, ref(task_id))
    return commit


def _commit(git: Git, tree: str, parents: list[str], message: str) -> str:
    args = [arg for parent in parents for arg in ("-p", parent)]
    done = git.run("commit-tree", tree, *args, stdin=f"{message}\n".encode(), env=_AUTHOR, write=True)
    return done.text


def _tree_of_files(git: Git, work_tree: Path, head: str) -> str:
    """The tree of everything in the worktree that is not ignored; its own index is not touched."""
    with tempfile.TemporaryDirectory(prefix="oa-index-") as private:
        copy, own = Path(private, "index"), git.git_dir / "index"
        env = {"GIT_INDEX_FILE": str(copy)}
        if git.git_dir == git.common_dir or not own.is_file() or not _copy_index(git, own, copy):
            git.run("read-tree", head, env=env, write=True)
        done = git.run(
            "add", "--all", "--ignore-errors", "--sparse", "--", ".", env=env, check=False, write=True
        )
        if done.code:
            # A repository without a commit inside the worktree stops `add`; leave such folders out.
            inner = _unborn(work_tree)
            skip = [f":(exclude,literal){name}" for name in inner]
            git.run(
                "add",
                "--all",
                "--ignore-errors",
                "--sparse",
                "--",
                ".",
                *skip,
                env=env,
                check=False,
                write=True,
            )
        return git.run("write-tree", env=env, write=True).text


def _copy_index(git: Git, own: Path, copy: Path) -> bool:
    """Copy the index, what it hides laid open; False when it is damaged."""
    try:
        if not git.unmask_index(copy):
            shutil.copyfile(own, copy)
    except GitError:
        copy.unlink(missing_ok=True)
        return False
    return True


def _tree_of_index(git: Git, index: Path) -> str:
    """The tree of what is staged; empty when there is none or it has conflicts."""
    if not index.is_file():
        return ""
    with tempfile.TemporaryDirectory(prefix="oa-index-") as private:
        copy = Path(private, "index")
        copy.write_bytes(index.read_bytes())
        done = git.run("write-tree", env={"GIT_INDEX_FILE": str(copy)}, check=False, write=True)
        return done.text if done.code == 0 else ""


def _unborn(work_tree: Path) -> list[str]:
    found = []
    for folder, names, _ in walk(work_tree):
        if folder != str(work_tree) and ".git" in names:
            found.append(os.path.relpath(folder, work_tree))
            names.clear()
    return found
