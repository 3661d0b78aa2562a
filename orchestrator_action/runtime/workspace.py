"""One worktree per task, made and removed under one lock, and nothing of value ever deleted.

Parallel `git worktree add` fails more often than not, so everything that touches the list of worktrees
runs under one `flock` on the common git directory, across threads and processes; the checkout itself,
which takes the time, runs outside it. A worktree in use is locked in git's own sense too, so that a
prune by an agent passes it over.

A worktree goes only when it is clean, belongs to no living process, and every commit of it is on a
remote-tracking branch or a ref of ours; what is uncommitted can be saved as a commit first.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.core.paths import listed
from orchestrator_action.errors import GitError, WorktreeError
from orchestrator_action.runtime import fingerprint, gitview, owner, salvage, worktrees
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.worktrees import (
    Entry,
    add_error,
    inner_repositories,
    read_line,
    restore_link,
    set_writable,
)

FOLDER = ".worktrees"
OWNER_FILE = "orchestrator-owner"
LOCK_REASON = "orchestrator-action: in use"
KEPT_REFS = ("refs/remotes/*", "refs/tags/*", f"{salvage.PREFIX}*", "refs/orchestrator/kept/*")
"""A commit that one of these contains is not lost with its worktree."""

_ADD_TRIES = 5
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_BUSY = ("File exists", "cannot lock ref", "could not lock", "Unable to create")
_UNDER_WAY = {
    "rebase-merge": "a rebase", "rebase-apply": "a rebase", "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert", "BISECT_LOG": "a bisect",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A worktree of ours. `branch` is empty for a detached one. `admin` is git's directory for it."""

    path: Path
    admin: Path
    branch: str
    base_sha: str
    git: Git = field(repr=False)
    """git in this worktree, independent of what its `.git` file says."""
    baseline: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Configuration and hooks as the agent was given them."""
    note: str = ""
    """What was found and kept when it was made; for people."""

    @property
    def view(self) -> Path:
        """The git directory as seen from inside."""
        return self.admin / "common"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A worktree of ours that is still there. `kept_because` is empty when it could go."""

    path: Path
    branch: str
    head_sha: str
    kept_because: str


class Workspace:
    """The worktrees of one repository."""

    def __init__(self, git: Git) -> None:
        """`git` as opened on the main checkout, a linked worktree or a bare repository."""
        self.git = git
        self.main = self._main_checkout()
        self.root = (self.main or git.common_dir) / FOLDER
        self.baseline = fingerprint.take(git.common_dir, git.env)
        self._accepted: dict[Path, fingerprint.Fingerprint] = {}

    def _main_checkout(self) -> Path | None:
        """The top of the main checkout; None for a bare repository."""
        git = self.git
        if git.git_dir == git.common_dir:
            return git.work_tree
        bare = git.run_config("--type=bool", "--get", "core.bare").text == "true"
        if bare:
            return None
        configured = git.run_config("--file", str(git.common_dir / "config"), "--get", "core.worktree").text
        if configured:
            return (git.common_dir / configured).resolve()
        return git.common_dir.parent if git.common_dir.name == ".git" else None

    def locked(self) -> AbstractContextManager[int]:
        """Hold the lock; gives its descriptor, for children that must keep it while they live."""
        return worktrees.locked(self.git.common_dir)

    # -- making --------------------------------------------------------------------------------

    def create(self, task_id: str, branch: str, base_sha: str) -> Worktree:
        """A fresh worktree for a task, on a new `branch` at `base_sha`.

        What an earlier attempt left under this id or branch is saved and made way; the result's `note`
        says where it is. Raises WorktreeError when something foreign or alive is in the way.
        """
        path = self._path("task", task_id)
        with self.locked() as fd:
            self._prepare()
            note = self._make_way(path, task_id, branch)
            note = "; ".join(n for n in (note, self._free_branch(task_id, branch, base_sha)) if n)
            admin = self._add(path, ["-b", branch], base_sha, fd)
        made = self._populate(path, admin, branch, base_sha)
        return replace(made, note=note)

    def adopt(self, task_id: str, branch: str, base_sha: str) -> Worktree | None:
        """The worktree an earlier attempt left for this task and branch; None when there is none.

        Nothing in it is touched, except that a checkout which was cut short is finished. A worktree
        whose directory is gone is made again from its branch. Raises WorktreeError when a living
        process works in it or it is on another branch.
        """
        path = self._path("task", task_id)
        with self.locked() as fd:
            entry = self._entry(path)
            if entry is not None:
                self._refuse_if_owned(entry.path)
                admin = self._admin(path)
                if not path.is_dir():
                    self._forget(path)
                    entry = None
                elif not (admin / "index").exists():
                    return self._populate(path, admin, branch, base_sha)
            if entry is None:
                if not self.git.rev_parse(f"refs/heads/{branch}") or path.exists():
                    return None
                self._prepare()
                self._refuse_elsewhere(branch, path)
                return self._populate(path, self._add(path, [], branch, fd), branch, base_sha)
        found = self._worktree(path, self._admin(path), branch, base_sha)
        if found.git.branch() != branch:
            on = found.git.branch() or f"no branch (at {found.git.head()[:12]})"
            raise WorktreeError(
                f"worktree {path} is on {on}, not on {branch!r}",
                hint=f"check out {branch} there, or remove it",
            )
        return self._hand_out(found)

    def measure(self, task_id: str, commit: str) -> Worktree:
        """A detached worktree at exactly `commit`, holding nothing else; made once per task and re-used."""
        return self._detached("measure", task_id, commit)

    def review(self, task_id: str, commit: str) -> Worktree:
        """A detached worktree at `commit` for a reviewer, its files without write permission."""
        made = self._detached("review", task_id, commit)
        set_writable(made.path, False)
        return made

    def _detached(self, kind: str, task_id: str, commit: str) -> Worktree:
        path = self._path(kind, task_id)
        sha = self.git.rev_parse(commit)
        if not sha:
            raise WorktreeError(f"there is no commit {commit!r} to check out", hint="fetch it first")
        with self.locked() as fd:
            self._prepare()
            entry = self._entry(path)
            if entry is not None and not path.is_dir():
                self._forget(path)
                entry = None
            if entry is None:
                self._refuse_unknown(path)
                admin = self._add(path, ["--detach"], sha, fd)
            else:
                admin = self._admin(path)
        set_writable(path, True)
        restore_link(path, admin)
        made = self._worktree(path, admin, "", sha)
        (admin / "index").unlink(missing_ok=True)
        made.git.run("update-ref", "--no-deref", "HEAD", sha, write=True)
        made.git.run("reset", "--hard", "--quiet", sha, write=True)
        made.git.run("clean", "-ffdxq", write=True)
        return self._hand_out(made)

    def _prepare(self) -> None:
        """Make `.worktrees`, outside of anybody's `git status`."""
        if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
            raise WorktreeError(f"{self.root} is not a directory", hint="move it away")
        self.root.mkdir(parents=True, exist_ok=True)
        (self.git.common_dir / "orchestrator").mkdir(exist_ok=True)
        if self.main is None:
            return
        exclude = self.git.common_dir / "info" / "exclude"
        line = f"/{FOLDER}/"
        try:
            text = exclude.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            text = ""
        if line in text.splitlines():
            return
        exclude.parent.mkdir(exist_ok=True)
        part = exclude.with_name("exclude.orchestrator")
        text = text if not text or text.endswith("\n") else text + "\n"
        part.write_text(f"{text}{line}\n", encoding="utf-8", errors="surrogateescape")
        part.replace(exclude)
        self.baseline = fingerprint.take(self.git.common_dir, self.git.env)

    def _make_way(self, path: Path, task_id: str, branch: str) -> str:
        """Let `path` and `branch` be free for a new worktree; says what was kept, and where."""
        entry = self._entry(path)
        if entry is None:
            self._refuse_unknown(path)
            self._refuse_elsewhere(branch, path)
            return ""
        self._refuse_if_owned(path)
        self._refuse_elsewhere(branch, path)
        left = self._worktree(path, self._admin(path), entry.branch, entry.head)
        inner = inner_repositories(path)
        if inner:
            raise WorktreeError(
                f"worktree {path} was left over and holds other repositories: {listed(inner)}",
                hint="move them away, then run again",
            )
        saved = self.salvage(left, task_id)
        self._forget(path)
        return f"uncommitted work of an earlier attempt is kept at {salvage.ref(task_id)}" if saved else ""

    def _free_branch(self, task_id: str, branch: str, base_sha: str) -> str:
        """Let the name `branch` be free; its commits go to a kept ref unless they are on a remote."""
        tip = self.git.rev_parse(f"refs/heads/{branch}")
        if not tip:
            return ""
        note = ""
        if not self.git.is_ancestor(tip, base_sha) and self.git.unreachable(tip, KEPT_REFS):
            salvage.keep(self.git, tip, task_id)
            note = f"commits of an earlier attempt are kept at {salvage.ref(task_id)}"
        self.git.delete_ref(f"refs/heads/{branch}", tip)
        return note

    def _add(self, path: Path, how: list[str], start: str, fd: int) -> Path:
        """`git worktree add` without the checkout; the lock outlives us in git itself."""
        args = ["worktree", "add", "--quiet", "--no-checkout", "--lock", "--reason", LOCK_REASON]
        if how[:1] == ["-b"]:
            args.append("--no-track")
        for tried in range(_ADD_TRIES):
            done = self.git.run(*args, *how, str(path), start, check=False, write=True, keep_fds=[fd])
            if done.code == 0:
                return self._admin(path)
            self._undo_add(path, how)
            if tried + 1 == _ADD_TRIES or not any(sign in done.err for sign in _BUSY):
                raise add_error(path, done.err)
            time.sleep(random.uniform(0.02, 0.1) * 2**tried)  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    def _undo_add(self, path: Path, how: list[str]) -> None:
        """Take back what a failed `worktree add` made: never a directory with anything in it."""
        with contextlib.suppress(OSError):
            path.rmdir()
        if how[:1] == ["-b"] and (tip := self.git.rev_parse(f"refs/heads/{how[1]}")):
            with contextlib.suppress(GitError):
                self.git.delete_ref(f"refs/heads/{how[1]}", tip)

    def _populate(self, path: Path, admin: Path, branch: str, base_sha: str) -> Worktree:
        """Check the files out. Git writes the index last, so an index says that this was finished."""
        made = self._worktree(path, admin, branch, base_sha)
        made.git.run("reset", "--hard", "--quiet", write=True)
        return self._hand_out(made)

    def _hand_out(self, made: Worktree) -> Worktree:
        """Give the worktree its own view of the git directory, and our name as its owner's."""
        owner.write_owner(made.admin / OWNER_FILE)
        (made.admin / "locked").write_text(f"{LOCK_REASON}\n", encoding="utf-8")
        gitview.make_view(self.git.common_dir, made.view, self.git.env)
        gitview.use_view(made.admin, made.view, self.git.common_dir)
        self._accepted.pop(made.path, None)
        return replace(made, baseline=fingerprint.take(made.view, self.git.env))

    # -- looking -------------------------------------------------------------------------------

    def accept(self, worktree: Worktree) -> None:
        """Take the worktree's settings and hooks as they are now for given: the repository's own setup
        commands may install some (husky does), before any agent starts."""
        self._accepted[worktree.path] = fingerprint.take(worktree.view, self.git.env)

    def protect(self, worktree: Worktree) -> tuple[str, ...]:
        """What an agent did to its worktree that it must not do, one plain sentence each."""
        found = []
        home = f"gitdir: {worktree.admin}"
        link = worktree.path / ".git"
        if not worktree.path.is_dir():
            found.append("the worktree was deleted")
        elif not link.is_file() or link.is_symlink() or read_line(link) != home:
            found.append("the worktree's .git file was removed or changed")
        if not (worktree.admin / "HEAD").is_file() or read_line(worktree.admin / "gitdir") != str(link):
            found.append("the worktree was removed from git's list of worktrees")
        elif worktree.branch and worktree.git.branch() != worktree.branch:
            on = worktree.git.branch() or "no branch"
            found.append(f"HEAD is on {on}, not on the task branch {worktree.branch}")
        if worktree.branch and not self.git.rev_parse(f"refs/heads/{worktree.branch}"):
            found.append(f"the task branch {worktree.branch} was deleted")
        if worktree.view.is_dir():
            given = self._accepted.get(worktree.path, worktree.baseline)
            found += fingerprint.compare(given, fingerprint.take(worktree.view, self.git.env))
        now = fingerprint.take(self.git.common_dir, self.git.env)
        found += [f"{s} in the shared git directory" for s in fingerprint.compare(self.baseline, now)]
        return tuple(found)

    def leftovers(self) -> tuple[Leftover, ...]:
        """Every worktree of ours that is still there, with the reason why it must stay, if any."""
        return tuple(
            Leftover(path=e.path, branch=e.branch, head_sha=e.head, kept_because=self._reason_to_keep(e))
            for e in self._entries()
            if e.path.parent == self.root
        )

    def _reason_to_keep(self, entry: Entry) -> str:
        path = entry.path
        if path.parent != self.root or not path.name.startswith(("task-", "measure-", "review-")):
            return "it is not one of ours"
        admin = self._admin(path)
        pid = owner.live_owner(admin / OWNER_FILE)
        if pid and pid != os.getpid():
            return f"process {pid} works in it"
        if not path.is_dir():
            return ""
        if path.name.startswith(("measure-", "review-")):
            return ""
        return self._reason_in_content(self._worktree(path, admin, entry.branch, entry.head))

    def _reason_in_content(self, worktree: Worktree) -> str:
        for name, what in _UNDER_WAY.items():
            if (worktree.admin / name).exists():
                return f"{what} is under way"
        if (worktree.admin / "index").exists():
            changed = worktree.git.dirty()
            if changed:
                return f"uncommitted changes: {listed(changed)}"
        inner = inner_repositories(worktree.path)
        if inner:
            return f"it holds other repositories: {listed(inner)}"
        head = worktree.git.head()
        if not head:
            return "its HEAD names no commit"
        lost = self.git.unreachable(head, KEPT_REFS)
        if not lost:
            return ""
        return f"{lost} commit{'s' if lost > 1 else ''} not on any remote: {worktree.branch or head[:12]}"

    # -- ending --------------------------------------------------------------------------------

    def remove(self, worktree: Worktree | Path) -> str:
        """Remove a worktree when nothing is lost with it; otherwise the reason why it was kept.

        A kept worktree becomes an ordinary one again, which people can use and remove by themselves.
        """
        path = worktree if isinstance(worktree, Path) else worktree.path
        with self.locked():
            entry = self._entry(path)
            if entry is None:
                return "" if not path.exists() else "it is not registered as a worktree"
            kept = self._reason_to_keep(entry)
            if kept:
                if "process" not in kept:
                    self._release(path)
                return kept
            self._forget(path)
            with contextlib.suppress(OSError):
                self.root.rmdir()
        return ""

    def salvage(self, worktree: Worktree, task_id: str) -> str | None:
        """Save uncommitted and untracked work as a commit on `refs/orchestrator/salvage/<task_id>`.

        Index, branch and files of the worktree stay as they are. None when there was nothing to save.
        """
        head = worktree.git.head() or self.git.rev_parse(f"refs/heads/{worktree.branch}") or worktree.base_sha
        registered = (worktree.admin / "HEAD").is_file()
        finished = (worktree.admin / "index").exists() or not registered
        seen = replace(
            worktree.git,
            git_dir=worktree.admin if registered else self.git.common_dir,
            work_tree=worktree.path if worktree.path.is_dir() and finished else None,
        )
        return salvage.save(seen, worktree.admin / "index", head, task_id)

    def _release(self, path: Path) -> None:
        admin = self._admin(path)
        gitview.use_view(admin, None, self.git.common_dir)
        gitview.drop_view(admin / "common")
        (admin / OWNER_FILE).unlink(missing_ok=True)
        (admin / "locked").unlink(missing_ok=True)

    def _forget(self, path: Path) -> None:
        """Remove a worktree whose contents were found to be of no value or saved."""
        self._release(path)
        if path.is_dir():
            set_writable(path, True)
            restore_link(path, self._admin(path))
        done = self.git.run("worktree", "remove", "--force", str(path), check=False, write=True)
        if done.code and path.is_dir():
            shutil.rmtree(path)
            self.git.run("worktree", "remove", "--force", str(path), write=True)

    # -- the list ------------------------------------------------------------------------------

    def _path(self, kind: str, task_id: str) -> Path:
        if not _SAFE_ID.fullmatch(task_id) or ".." in task_id or task_id.endswith((".lock", ".")):
            raise WorktreeError(
                f"task id {task_id!r} cannot name a directory", hint="use letters, digits, - and _"
            )
        return self.root / f"{kind}-{task_id}"

    def _entries(self) -> list[Entry]:
        return worktrees.entries(self.git)

    def _entry(self, path: Path) -> Entry | None:
        return next((e for e in self._entries() if e.path == path), None)

    def _admin(self, path: Path) -> Path:
        return worktrees.admin_of(self.git.common_dir, path)

    def _worktree(self, path: Path, admin: Path, branch: str, base_sha: str) -> Worktree:
        git = self.git.at_worktree(path, admin)
        return Worktree(path=path, admin=admin, branch=branch, base_sha=base_sha, git=git)

    def _refuse_if_owned(self, path: Path) -> None:
        pid = owner.live_owner(self._admin(path) / OWNER_FILE)
        if pid and pid != os.getpid():
            raise WorktreeError(
                f"worktree {path} is in use by process {pid}", hint="wait for that run, or cancel it"
            )

    def _refuse_elsewhere(self, branch: str, path: Path) -> None:
        for entry in self._entries():
            if entry.branch != branch or entry.path == path:
                continue
            if entry.path.is_dir():
                raise WorktreeError(
                    f"branch {branch!r} is checked out at {entry.path}",
                    hint="finish or remove that worktree: git worktree remove <path>",
                )
            self._forget(entry.path)

    def _refuse_unknown(self, path: Path) -> None:
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise WorktreeError(f"{path} is in the way and is no worktree of ours", hint="move it away")
