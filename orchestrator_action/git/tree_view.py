"""A task's tree as we look at it: its HEAD, index and files; all else from our private repository.

git is given the tree's own directory as GIT_DIR and the private repository as GIT_COMMON_DIR. So it takes
HEAD, the index and the branches from the tree, and objects, settings, attributes, what is ignored and where
history is cut from where no agent writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from orchestrator_action.errors import BundleError, GitError, WorktreeError
from orchestrator_action.git import lfs_objects, private
from orchestrator_action.git.cache import SHA, branch_of, is_known_commit
from orchestrator_action.git.parse import read_line
from orchestrator_action.git.process import TIMEOUT_S, Done
from orchestrator_action.git.repo import Git
from orchestrator_action.git.slots import TreeSlot
from orchestrator_action.git.tree_size import weigh_trees
from orchestrator_action.process.files import walk
from orchestrator_action.sandbox.start import run_to_end

MARK = "orchestrator"
"""File in a tree's `.git` that says it is the one we made."""

READ_IN_EACH_FOLDER = (".gitignore", ".gitattributes")
"""What git opens in a tree's folders without looking at what it is."""


class _Taken:
    """What was last taken of a task's branch, and one taking at a time."""

    def __init__(self) -> None:
        self.sha, self.lock = "", threading.RLock()
        self.weighed: set[str] = set()


@dataclass(frozen=True)
class TreeView(Git):
    """git on a tree of ours. `head()` takes what was committed into the private repository first."""

    private: Git | None = field(default=None, repr=False)
    window: Path = Path()
    task_branch: str = ""
    mark: str = ""
    taken: _Taken = field(default_factory=_Taken, repr=False, compare=False)

    @classmethod
    def of(cls, git: Git, own: Path, path: Path, *, window: Path, branch: str, mark: str) -> TreeView:
        """The view of the tree at `path`, whose git directory is `own`."""
        made = cls(
            git_dir=own, common_dir=git.common_dir, work_tree=path, object_format=git.object_format, env=git.env,
            lazy_fetch=git.lazy_fetch, filters=git.filters, filters_seen=git.filters_seen, private=git,
            window=window, task_branch=branch, mark=mark, stuck=partial(pipe_in, path),
        )  # fmt: skip
        if branch:
            made.taken.sha = git.rev_parse(f"refs/heads/{branch}")
            made.taken.weighed.add(made.taken.sha)
        return made

    @property
    def shared(self) -> Git:
        """The private repository."""
        assert self.private is not None
        return self.private

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        check: bool = True,
        env: Mapping[str, str] | None = None,
        write: bool = False,
        timeout_s: float = TIMEOUT_S,
        keep_fds: Sequence[int] = (),
    ) -> Done:
        """One hardened git; it writes only while the tree's git directory is the one we made."""
        if write and self.work_tree and (problems := broken(self.work_tree, self.mark)):
            raise WorktreeError(problems[0], hint=f"look at {self.work_tree}")
        return super().run(
            *args, stdin=stdin, check=check, env=env, write=write, timeout_s=timeout_s, keep_fds=keep_fds
        )

    def head(self) -> str:
        """The commit HEAD is at, which is then in the private repository; empty on an unborn branch.

        Raises WorktreeError when the tree is not the one we made any more, an object is missing or forged, or
        our own record of the branch was moved.
        """
        if self.work_tree and (problems := broken(self.work_tree, self.mark)):
            raise WorktreeError(problems[0], hint=f"look at {self.work_tree}")
        with self.taken.lock:
            tip = self._tip()
            if tip and not self.shared.rev_parse(tip):
                window = replace(self.shared, git_dir=self.window, common_dir=self.window, stuck=self.stuck)
                private.bring(window, self.shared, tip)
                lfs_objects.take(self.git_dir, self.common_dir, [private.user_dir(self.shared)])
            self._weigh(tip)
            if tip and self.task_branch and tip != self.taken.sha and self.branch() == self.task_branch:
                self._record(tip)
            return tip

    def dirty(self) -> tuple[str, ...]:
        """Paths that differ from HEAD or are untracked and not ignored."""
        self.head()
        return super().dirty()

    def moved(self) -> bool:
        """Whether somebody else moved our record of the task's branch."""
        return bool(self.task_branch) and self.shared.rev_parse(self._ref) != self.taken.sha

    def problems(self) -> tuple[str, ...]:
        """What was done to the tree that must not be done, one plain sentence each."""
        if found := broken(self.work_tree or Path(), self.mark):
            return tuple(found)
        try:
            head = self.head()
        except GitError as exc:
            return (exc.message,)
        on = self.branch()
        if on != self.task_branch:
            found.append(f"HEAD is on {on or 'no branch'}, not on the task branch {self.task_branch}")
        elif not head:
            found.append(f"the task branch {self.task_branch} was deleted")
        if self.moved():
            found.append(f"the task branch {self.task_branch} was moved outside its tree")
        return tuple(found)

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self.task_branch}"

    def _record(self, tip: str) -> None:
        try:
            self.shared.update_ref(self._ref, tip, self.taken.sha)
        except GitError:
            if not self.moved():
                raise
            raise WorktreeError(
                f"the task branch {self.task_branch} was moved outside its tree",
                hint="our private repository is nobody else's to write",
            ) from None
        self.taken.sha = tip

    def _weigh(self, tip: str) -> None:
        """Raise WorktreeError where a commit names more paths than any disk holds: nobody may look at it as files."""
        if not tip or not self.taken.sha or tip in self.taken.weighed:
            return
        try:
            weigh_trees(self.shared, self.taken.sha, tip)
        except BundleError as exc:
            raise WorktreeError(
                f"the commits up to {tip[:12]} are not taken: {exc.message}", hint="commit fewer files"
            ) from None
        self.taken.weighed.add(tip)

    def _tip(self) -> str:
        branch = branch_of(self.git_dir)
        if branch is not None:
            line = read_line(self.git_dir / (f"refs/heads/{branch}" if branch else "HEAD"))
            if SHA.fullmatch(line) and is_known_commit(self.common_dir, line):
                return line
        seen = replace(self.shared, git_dir=self.git_dir, common_dir=self.window, stuck=self.stuck)
        done = seen.run("rev-parse", "--verify", "--quiet", "HEAD", check=False)
        return done.text if done.code == 0 and SHA.fullmatch(done.text) else ""


def pipe_in(tree: Path) -> str:
    """What a git that reads a task's tree waits for, in words; empty when that is no pipe."""
    objects = (Path(at, name) for at, _, names in walk(tree / ".git" / "objects") for name in names)
    read = (Path(at, name) for at, _, names in walk(tree) for name in READ_IN_EACH_FOLDER if name in names)
    found = next((path for path in (*objects, *read) if _leads_to_a_pipe(path)), None)
    return f"{found} is a pipe, and git would wait for ever to read it" if found else ""


def broken(path: Path, mark: str) -> list[str]:
    """What makes a tree's git directory none that we could work with, in plain words; empty when it is ours."""
    own = path / ".git"
    if not is_folder(path):
        return ["the task's tree was deleted"]
    if own.is_symlink() or not own.is_dir() or not mark or read_line(own / MARK) != mark:
        return ["the tree's .git folder was removed or replaced"]
    if (own / "commondir").exists() or not (own / "HEAD").is_file() or _has_links(own):
        return ["the tree's .git folder leads somewhere else"]
    return []


def _has_links(own: Path) -> bool:
    """Whether a link stands where git would write through it, or a pipe where it would wait for ever."""
    with os.scandir(own) as entries:
        if any(entry.is_symlink() or _is_pipe(entry) for entry in entries):
            return True
    walked = (entry for name in ("refs", "logs", "info") for entry in walk(own / name))
    return any(_is_odd(Path(folder, name)) for folder, names, files in walked for name in (*names, *files))


def _is_pipe(entry: os.DirEntry[str]) -> bool:
    """Whether git, and we, would wait for what nobody writes. A socket, as git's own monitor has one, is not read."""
    return (
        not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False))
        and Path(entry.path).is_fifo()
    )


def _leads_to_a_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _is_odd(path: Path) -> bool:
    """Neither a file nor a folder; what is gone meanwhile is nothing."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def is_folder(path: Path) -> bool:
    """A real directory. A link in a tree's place would lead us into somebody else's files."""
    return path.is_dir() and not path.is_symlink() and not path.parent.is_symlink()


def set_writable(path: Path, writable: bool) -> None:
    """Give or take the owner's write permission of everything below `path`; links are left alone."""
    for folder, names, files in walk(path):
        if not writable and folder == str(path) and ".git" in names:
            names.remove(".git")
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
    """Delete what was given up; what cannot be deleted now is tried again later."""
    if is_folder(gone):
        _remove(gone)
        if gone.exists():  # a folder that nobody may write in
            set_writable(gone, True)
            _remove(gone)
    elif gone.is_symlink():
        gone.unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # before Python 3.13 it goes no deeper than 1,000 folders
        run_to_end(["rm", "-rf", "--", str(folder)], env={"PATH": os.defpath})


def delete_tree(slot: TreeSlot) -> None:
    """Delete a tree's files, then its record. What cannot be deleted now is tried again by `clean`."""
    delete(slot.path)
    folder = slot.path.parent
    _remove(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
    if not slot.path.exists():
        slot.drop()


@contextlib.contextmanager
def undone_unless_made(slot: TreeSlot) -> Iterator[None]:
    """Leave nothing of a tree that cannot be made. Raises WorktreeError for what the machine refuses."""
    try:
        yield
    except OSError as exc:
        delete_tree(slot)
        full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
        raise WorktreeError(
            f"the tree {slot.path} cannot be made: {exc.strerror or exc}",
            hint="free some disk space, or name a folder on another disk: `trees`, or RUNNER_TEMP"
            if full
            else "may this user write there?",
        ) from exc
    except GitError:
        delete_tree(slot)
        raise
