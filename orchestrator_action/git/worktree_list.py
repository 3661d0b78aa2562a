"""git's list of worktrees: the lock around it, what stands in it, and the files that tie a worktree to it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import GitError, WorktreeError
from orchestrator_action.git.cache import branch_of
from orchestrator_action.git.parse import read_line
from orchestrator_action.git.process import hint_for, last_line
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import lock_file, replace_file

LOCK_TIMEOUT_S = 300.0
_LIST_TRIES = 20
_threads: dict[str, threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of `git worktree list --porcelain -z`."""

    path: Path
    branch: str
    head: str
    locked: str | None


def is_folder(path: Path) -> bool:
    """A real directory. A link in a worktree's place would lead us into somebody else's files."""
    return path.is_dir() and not path.is_symlink() and not path.parent.is_symlink()


@contextlib.contextmanager
def locked(common: Path) -> Iterator[int]:
    """Hold the lock on a common git directory; gives its descriptor.

    One `flock` across processes and one lock across threads. A child that is given the descriptor keeps
    the lock while it lives, so a killed orchestrator does not leave git at work unguarded.
    """
    inside = _threads.setdefault(str(common), threading.Lock())
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    if not inside.acquire(timeout=LOCK_TIMEOUT_S):
        raise _lock_error(common)
    try:
        fd = os.open(common, os.O_RDONLY)
        try:
            if not lock_file(fd, wait_s=deadline - time.monotonic()):
                raise _lock_error(common)
            yield fd
        finally:
            os.close(fd)
    finally:
        inside.release()


def main_checkout(git: Git) -> Path | None:
    """The top of the main checkout; None for a bare repository."""
    if git.git_dir == git.common_dir:
        return git.work_tree
    shared = ("--file", str(git.common_dir / "config"))
    if git.run_config(*shared, "--type=bool", "--get", "core.bare").text == "true":
        return None
    if configured := git.run_config(*shared, "--get", "core.worktree").text:
        return (git.common_dir / configured).resolve()
    return git.common_dir.parent if git.common_dir.name == ".git" else None


def exclude(common: Path, line: str) -> bool:
    """Keep what `line` matches out of `git status`; True when that had to be written."""
    file = common / "info" / "exclude"
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        text = ""
    if line in text.splitlines():
        return False
    file.parent.mkdir(exist_ok=True)
    text = text if not text or text.endswith("\n") else text + "\n"
    replace_file(file, f"{text}{line}\n".encode("utf-8", "surrogateescape"))
    return True


def entries(git: Git) -> list[Entry]:
    """Every worktree git knows of, the main checkout first."""
    out = _list(git)
    return [_parse_entry(os.fsdecode(r)) for r in out.split(b"\0\0") if r.strip(b"\0")]


def _list(git: Git) -> bytes:
    """git's list. It gives up on a worktree that is made or removed while it reads, so it is asked again."""
    for _ in range(_LIST_TRIES):
        done = git.run("worktree", "list", "--porcelain", "-z", check=False)
        if done.code == 0:
            return done.out
        time.sleep(random.uniform(0.005, 0.02))  # noqa: S311 - jitter
    return git.run("worktree", "list", "--porcelain", "-z").out


def branch_at(git: Git, path: Path) -> str | None:
    """The branch of the worktree at `path`, empty when it is detached; None when git knows no such worktree.

    Read from git's files, and asked of git only when they do not say.
    """
    with contextlib.suppress(WorktreeError):
        branch = branch_of(admin_of(git.common_dir, path))
        if branch is not None:
            return branch
    return next((e.branch for e in entries(git) if e.path == path), None)


def forget(common: Path, admin: Path) -> None:
    """Take the worktree of `admin` off git's list, as `git worktree remove` does when its files are gone.

    What names the worktree goes first: git passes over the rest, should we be killed on the way.
    """
    if admin.is_symlink():
        admin.unlink()
    with contextlib.suppress(OSError):
        (admin / "gitdir").unlink()
    shutil.rmtree(admin, ignore_errors=True)
    with contextlib.suppress(OSError):
        (common / "worktrees").rmdir()


def admin_of(common: Path, path: Path) -> Path:
    """git's directory for the worktree at `path`. Found by its `gitdir` file: the `.git` file of the
    worktree is the agent's to forge."""
    wanted = str(path / ".git")
    folder = common / "worktrees"
    first = folder / path.name
    if folder.is_dir():
        for admin in (first, *(p for p in sorted(folder.iterdir()) if p != first)):
            if read_line(admin / "gitdir") == wanted:
                return admin
    raise WorktreeError(f"{path} is not registered as a worktree", hint="git worktree list")


def _parse_entry(record: str) -> Entry:
    values = dict(line.partition(" ")[::2] for line in record.split("\0") if line)
    return Entry(
        path=Path(values.get("worktree", "")),
        branch=values.get("branch", "").removeprefix("refs/heads/"),
        head=values.get("HEAD", ""),
        locked=values.get("locked"),
    )


def _lock_error(common: Path) -> WorktreeError:
    return WorktreeError(
        f"the worktrees of {common} have been locked by another process for {LOCK_TIMEOUT_S:.0f} s",
        hint="wait for it, or end it",
    )


def add_error(path: Path, err: str) -> WorktreeError:
    """Why a worktree could not be made, in git's words."""
    return WorktreeError(f"worktree {path} could not be made: {last_line(err)}", hint=hint_for(err))


def restore_link(path: Path, admin: Path) -> None:
    """Make the worktree's `.git` file point home again, whatever became of it."""
    link = path / ".git"
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    if link.is_symlink() or read_line(link) != f"gitdir: {admin}":
        link.unlink(missing_ok=True)
        link.write_bytes(os.fsencode(f"gitdir: {admin}\n"))


def set_writable(path: Path, writable: bool) -> None:
    """Give or take the owner's write permission of everything below `path`; links are left alone."""
    for folder, _, files in os.walk(path):
        for name in ("", *files):
            with contextlib.suppress(OSError):
                item = Path(folder, name)
                if item.is_symlink():
                    continue
                mode = item.stat().st_mode & 0o7777
                item.chmod(
                    mode | 0o700 if writable and not name else mode | 0o200 if writable else mode & ~0o222
                )


def delete(gone: Path) -> None:
    """Delete what was given up; what cannot be deleted now is tried again with the next worktree."""
    if is_folder(gone):
        set_writable(gone, True)
        shutil.rmtree(gone, ignore_errors=True)


def drop_empty(git: Git, branches: Mapping[str, str]) -> None:
    """Remove those of `branches` (full name → commit) that are still at their commit, all by one git."""
    held = {ref: read_line(git.common_dir / ref) for ref in branches}
    empty = {ref: base for ref, base in branches.items() if held[ref] in {base, ""}}
    if not empty:
        return
    orders = os.fsencode("".join(f"delete {ref} {base}\n" for ref, base in empty.items()))
    if git.run("update-ref", "--stdin", stdin=orders, check=False, write=True).code == 0:
        return
    for ref, base in empty.items():
        with contextlib.suppress(GitError):
            git.delete_ref(ref, base)


def undo_add(git: Git, path: Path, how: Sequence[str], start: str) -> None:
    """Take back what a failed `worktree add` made: never a directory with anything in it."""
    with contextlib.suppress(OSError):
        path.rmdir()
    if how[:1] == ["-b"] and (tip := git.rev_parse(f"refs/heads/{how[1]}")) == start and tip:
        with contextlib.suppress(GitError):
            git.delete_ref(f"refs/heads/{how[1]}", tip)


def broken(path: Path, admin: Path, view: Path, branch: str, git: Git) -> list[str]:
    """What ties a worktree to its place and is not as we made it, one plain sentence each."""
    found = []
    link = path / ".git"
    if not is_folder(path):
        found.append("the worktree was deleted")
    elif not link.is_file() or link.is_symlink() or read_line(link) != f"gitdir: {admin}":
        found.append("the worktree's .git file was removed or changed")
    if not (admin / "HEAD").is_file() or read_line(admin / "gitdir") != str(link):
        found.append("the worktree was removed from git's list of worktrees")
    elif branch and git.branch() != branch:
        found.append(f"HEAD is on {git.branch() or 'no branch'}, not on the task branch {branch}")
    if view.is_dir() and read_line(admin / "commondir") != str(view):
        found.append("the worktree's git directory was changed")
    return found
