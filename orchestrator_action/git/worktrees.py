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
import math
import os
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git import agent_view as gitview
from orchestrator_action.git import checkout as replica
from orchestrator_action.git import fingerprint, keeping, salvage
from orchestrator_action.git import worktree_list as worktrees
from orchestrator_action.git.repo import Git
from orchestrator_action.git.tamper import Shared
from orchestrator_action.git.worktree_list import (
    Entry,
    add_error,
    delete,
    drop_empty,
    is_folder,
    restore_link,
    set_writable,
)
from orchestrator_action.process import owner
from orchestrator_action.protocol.paths import listed

FOLDER = ".worktrees"
OWNER_FILE = "orchestrator-owner"
LOCK_REASON = "orchestrator-action: in use"
_ADD_TRIES = 5
_REF_LOCK_MS = 1000
"""A ref that is locked for longer than this, five times, is locked by a file somebody left."""
_GONE = ".gone-"
"""A worktree that was given up and is being deleted."""
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_BUSY = ("File exists", "cannot lock ref", "could not lock", "Unable to create")


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
        self.main = worktrees.main_checkout(git)
        self.root = (self.main or git.common_dir) / FOLDER
        self._shared = Shared(git)
        self._prepared = False
        self._handed_out: dict[Path, float] = {}
        self._accepted: dict[Path, fingerprint.Fingerprint] = {}
        self._empty: dict[str, str] = {}
        """Branches of removed worktrees, and the commits at which nothing was committed on them."""

    def locked(self) -> AbstractContextManager[int]:
        """Hold the lock; gives its descriptor, for children that must keep it while they live."""
        return worktrees.locked(self.git.common_dir)

    # -- making --------------------------------------------------------------------------------

    def create(self, task_id: str, branch: str, base_sha: str, *, at: str = "") -> Worktree:
        """A fresh worktree for a task, on a new `branch` at `base_sha`, or at a commit that grew from it.

        What an earlier attempt left under this id or branch is saved and made way; the result's `note`
        says where it is. Raises WorktreeError when something foreign or alive is in the way.
        """
        path = self._path("task", task_id)
        with self.locked() as fd:
            self._prepare()
            note = self._make_way(path, task_id, branch)
            note = "; ".join(n for n in (note, self._free_branch(task_id, branch, base_sha)) if n)
            admin = self._add(path, ["-b", branch], at or base_sha, fd)
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
            registered = worktrees.branch_at(self.git, path) is not None
            if registered:
                self._refuse_if_owned(path)
                admin = self._admin(path)
                if not is_folder(path):
                    self._forget(path)
                    registered = False
                elif not (admin / "index").exists():
                    return self._populate(path, admin, branch, base_sha)
            if not registered:
                if not self.git.rev_parse(f"refs/heads/{branch}") or path.exists():
                    return None
                self._prepare()
                self._refuse_elsewhere(branch, path, self._entries())
                return self._populate(path, self._add(path, [], branch, fd), branch, base_sha)
        found = self._worktree(path, self._admin(path), branch, base_sha)
        if (path / ".git").is_dir():
            raise WorktreeError(f"{path} has become another repository", hint="look at it, then move it away")
        restore_link(path, found.admin)
        if found.git.branch() != branch:
            on = found.git.branch() or f"no branch (at {found.git.head()[:12]})"
            raise WorktreeError(
                f"worktree {path} is on {on}, not on {branch!r}",
                hint=f"check out {branch} there, or remove it",
            )
        return self._hand_out(found)

    def measure(self, task_id: str, commit: str) -> Worktree:
        """A checkout of exactly `commit`, holding nothing else, re-used from one call to the next.

        A replica: what runs in it can change neither the repository nor its configuration."""
        return self._detached("measure", task_id, commit)

    def review(self, task_id: str, commit: str) -> Worktree:
        """A replica at `commit` for a reviewer, its files without write permission."""
        made = self._detached("review", task_id, commit)
        set_writable(made.path, False)
        return made

    def _detached(self, kind: str, task_id: str, commit: str) -> Worktree:
        path = self._path(kind, task_id)
        sha = self.git.rev_parse(commit)
        if not sha:
            raise WorktreeError(f"there is no commit {commit!r} to check out", hint="fetch it first")
        with self.locked():
            self._prepare()
        git = replica.make(self.git, path, sha)
        owner.write_owner(git.git_dir / OWNER_FILE)
        return Worktree(path=path, admin=git.git_dir, branch="", base_sha=sha, git=git)

    def _prepare(self) -> None:
        """Make `.worktrees`, outside of anybody's `git status`."""
        if self.root.is_symlink() or (self.root.exists() and not self.root.is_dir()):
            raise WorktreeError(f"{self.root} is not a directory", hint="move it away")
        self.root.mkdir(parents=True, exist_ok=True)
        for gone in self.root.glob(f"{_GONE}*"):
            delete(gone)
        (self.git.common_dir / "orchestrator").mkdir(exist_ok=True)
        if self.main is None:
            return
        if worktrees.exclude(self.git.common_dir, f"/{FOLDER}/") or not self._prepared:
            self._prepared = True  # another run may have written it since we looked
            self._shared.accept("file:info/exclude")

    def _make_way(self, path: Path, task_id: str, branch: str) -> str:
        """Let `path` and `branch` be free for a new worktree; says what was kept, and where."""
        entries = self._entries()
        self._refuse_elsewhere(branch, path, entries)
        entry = next((e for e in entries if e.path == path), None)
        if entry is None:
            self._refuse_unknown(path)
            return ""
        self._refuse_if_owned(path)
        left = self._worktree(path, self._admin(path), entry.branch, entry.head)
        inner = keeping.foreign_repositories(left.git)
        if inner:
            raise WorktreeError(
                f"worktree {path} was left over and holds other repositories: {listed(inner)}",
                hint="move them away, then run again",
            )
        saved = self.salvage(left, task_id)
        delete(self._forget(path))
        return f"uncommitted work of an earlier attempt is kept at {salvage.ref(task_id)}" if saved else ""

    def _free_branch(self, task_id: str, branch: str, base_sha: str) -> str:
        """Let the name `branch` be free; its commits go to a kept ref unless they are on a remote."""
        tip = self.git.rev_parse(f"refs/heads/{branch}")
        if not tip:
            return ""
        note = ""
        if not self.git.is_ancestor(tip, base_sha) and self.git.unreachable(tip, keeping.KEPT_REFS):
            salvage.keep(self.git, tip, task_id)
            note = f"commits of an earlier attempt are kept at {salvage.ref(task_id)}"
        self.git.delete_ref(f"refs/heads/{branch}", tip)
        return note

    def _add(self, path: Path, how: list[str], start: str, fd: int) -> Path:
        """`git worktree add` without the checkout; the lock outlives us in git itself."""
        args = [
            "-c",
            f"core.filesRefLockTimeout={_REF_LOCK_MS}",
            "worktree",
            "add",
            "--quiet",
            "--no-checkout",
        ]
        args += ["--lock", "--reason", LOCK_REASON]
        if how[:1] == ["-b"]:
            args.append("--no-track")
        for tried in range(_ADD_TRIES):
            done = self.git.run(*args, *how, str(path), start, check=False, write=True, keep_fds=[fd])
            if done.code == 0:
                admin = self._admin(path)
                owner.write_owner(admin / OWNER_FILE)  # under the lock: nobody finds it without its owner
                return admin
            worktrees.undo_add(self.git, path, how, start)
            if tried + 1 == _ADD_TRIES or not any(sign in done.err for sign in _BUSY):
                raise add_error(path, done.err)
            time.sleep(random.uniform(0.02, 0.1) * 2**tried)  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    def _populate(self, path: Path, admin: Path, branch: str, base_sha: str) -> Worktree:
        """Check the files out. Git writes the index last, so an index says that this was finished."""
        made = self._worktree(path, admin, branch, base_sha)
        made.git.run("reset", "--hard", "--quiet", write=True)
        return self._hand_out(made)

    def _hand_out(self, made: Worktree) -> Worktree:
        """Give the worktree its own view of the git directory, and our name as its owner's."""
        for stale in ("index.lock", "HEAD.lock"):
            (made.admin / stale).unlink(missing_ok=True)
        owner.write_owner(made.admin / OWNER_FILE)
        (made.admin / "locked").write_text(f"{LOCK_REASON}\n", encoding="utf-8")
        gitview.make_view(self.git.common_dir, made.view, self.git.env, branch=made.branch)
        gitview.use_view(made.admin, made.view, self.git.common_dir)
        self._accepted.pop(made.path, None)
        self._handed_out[made.path] = time.time()
        return replace(made, baseline=fingerprint.take(made.view, self.git.env))

    # -- looking -------------------------------------------------------------------------------

    def accept(self, worktree: Worktree) -> None:
        """Take the worktree's settings and hooks as they are now for given: the repository's own setup
        commands may install some (husky does), before any agent starts."""
        self._accepted[worktree.path] = fingerprint.take(worktree.view, self.git.env)

    def protect(self, worktree: Worktree) -> tuple[str, ...]:
        """What an agent did to its worktree that it must not do, one plain sentence each."""
        found = worktrees.broken(worktree.path, worktree.admin, worktree.view, worktree.branch, worktree.git)
        if worktree.branch and not self.git.rev_parse(f"refs/heads/{worktree.branch}"):
            found.append(f"the task branch {worktree.branch} was deleted")
        if worktree.view.is_dir():
            given = self._accepted.get(worktree.path, worktree.baseline)
            found += fingerprint.compare(given, fingerprint.take(worktree.view, self.git.env))
            found += [
                f"{ref} was to be moved, which is not the task's own"
                for ref in gitview.refused(worktree.view)
            ]
        return (*found, *self._shared.changed(self._handed_out.get(worktree.path, 0.0)))

    def put_back(self) -> None:
        """Undo what was changed of the user's configuration and hooks, now that no agent is at work."""
        self._shared.changed(math.inf)

    def leftovers(self) -> tuple[Leftover, ...]:
        """Everything that is still there below our folder, with the reason why it must stay, if any."""
        ours = [e for e in self._entries() if e.path.parent == self.root]
        known = {e.path for e in ours}
        found = [left for e in ours if (left := self._leftover(e))]
        folders = self._folders()
        others = [p for p in folders if p not in known and not p.name.startswith(_GONE)]
        return (
            *found,
            *(Leftover(path=p, branch="", head_sha="", kept_because=self._reason_unknown(p)) for p in others),
        )

    def _folders(self) -> list[Path]:
        if self.root.is_symlink():
            return []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(self.root.iterdir())
        return []

    def _leftover(self, entry: Entry) -> Leftover | None:
        """What is left of a worktree; None when somebody removed it since git listed it."""
        try:
            why = self._reason_to_keep(entry.path, entry.branch)
        except (WorktreeError, FileNotFoundError):
            if not entry.path.exists():
                return None
            raise
        return Leftover(path=entry.path, branch=entry.branch, head_sha=entry.head, kept_because=why)

    def _reason_to_keep(self, path: Path, branch: str) -> str:
        if path.parent != self.root or not path.name.startswith("task-"):
            return "it is not one of ours"
        admin = self._admin(path)
        pid = owner.live_owner(admin / OWNER_FILE)
        if pid and pid != os.getpid():
            return f"process {pid} works in it"
        return keeping.reason_to_keep(self.git.at_worktree(path, admin), branch)

    # -- ending --------------------------------------------------------------------------------

    def remove(self, worktree: Worktree | Path, *, delete: bool = True) -> str:
        """Remove a worktree when nothing is lost with it; otherwise the reason why it was kept.

        A kept worktree becomes an ordinary one again, which people can use and remove by themselves.
        Without `delete` its files are only moved aside for `discard`, its branch left to `drop_branches`.
        """
        path = worktree if isinstance(worktree, Path) else worktree.path
        known = self._found(path) if self._is_mine(path) else None
        with self.locked():
            registered, kept = known or self._found(path)
            if kept:
                if registered and "process" not in kept:
                    self._release(path)
                return kept
            gone = self._forget(path) if registered else replica.remove(self.git, path)
            if isinstance(worktree, Worktree) and worktree.branch:
                self._empty[f"refs/heads/{worktree.branch}"] = worktree.base_sha
        if delete:
            self.drop_branches()
            self._discard([gone])
        return ""

    def drop_branches(self) -> None:
        """Remove the branches of removed worktrees on which nothing was committed, all by one git."""
        given, self._empty = self._empty, {}
        drop_empty(self.git, given)

    def discard(self) -> None:
        """Delete the files of worktrees that were given up and could not be deleted then."""
        self._discard(self.root.glob(f"{_GONE}*"))

    def _discard(self, folders: Iterable[Path]) -> None:
        for gone in folders:
            delete(gone)
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def _is_mine(self, path: Path) -> bool:
        """Whether this process owns the worktree at `path`: then nobody else touches it, lock or not."""
        with contextlib.suppress(WorktreeError):
            return owner.live_owner(self._admin(path) / OWNER_FILE) == os.getpid()
        return False

    def _found(self, path: Path) -> tuple[bool, str]:
        """Whether git knows a worktree at `path`, and why what is there must stay, if it must."""
        branch = worktrees.branch_at(self.git, path)
        if branch is None:
            return False, self._reason_unknown(path)
        return True, self._reason_to_keep(path, branch)

    def _reason_unknown(self, path: Path) -> str:
        """Why something git does not know as a worktree must stay; replicas and empty folders need not."""
        own = replica.home(self.git, path)
        if own.is_dir():
            pid = owner.live_owner(own / OWNER_FILE)
            return f"process {pid} works in it" if pid and pid != os.getpid() else ""
        if not path.is_symlink() and (not path.exists() or (path.is_dir() and not any(path.iterdir()))):
            return ""
        return "it is not registered as a worktree"

    def salvage(self, worktree: Worktree, task_id: str) -> str | None:
        """Save uncommitted and untracked work as a commit on `refs/orchestrator/salvage/<task_id>`.

        Index, branch and files of the worktree stay as they are. None when there was nothing to save.
        """
        head = worktree.git.head()
        registered = bool(head)
        head = head or self.git.rev_parse(f"refs/heads/{worktree.branch}") or worktree.base_sha
        finished = (worktree.admin / "index").exists() or not registered
        seen = replace(
            worktree.git,
            git_dir=worktree.admin if registered else self.git.common_dir,
            work_tree=worktree.path if is_folder(worktree.path) and finished else None,
        )
        return salvage.save(seen, worktree.admin / "index", head, task_id)

    def _release(self, path: Path) -> None:
        admin = self._admin(path)
        gitview.use_view(admin, None, self.git.common_dir)
        gitview.drop_view(admin / "common")
        (admin / OWNER_FILE).unlink(missing_ok=True)
        (admin / "locked").unlink(missing_ok=True)

    def _forget(self, path: Path) -> Path:
        """Take a worktree whose contents are of no value, or saved, off git's list.

        Its directory is moved aside, which is quick; `delete` what is returned once the lock is free.
        """
        admin = self._admin(path)
        gone = self.root / f"{_GONE}{path.name}-{os.urandom(4).hex()}"
        if is_folder(path):
            path.rename(gone)
        elif path.is_symlink():
            path.unlink()
        worktrees.forget(self.git.common_dir, admin)
        return gone

    # -- the list ------------------------------------------------------------------------------

    def _path(self, kind: str, task_id: str) -> Path:
        if not _SAFE_ID.fullmatch(task_id) or ".." in task_id or task_id.endswith((".lock", ".")):
            raise WorktreeError(
                f"task id {task_id!r} cannot name a directory", hint="use letters, digits, - and _"
            )
        return self.root / f"{kind}-{task_id}"

    def _entries(self) -> list[Entry]:
        return worktrees.entries(self.git)

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

    def _refuse_elsewhere(self, branch: str, path: Path, entries: Sequence[Entry]) -> None:
        for entry in entries:
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
