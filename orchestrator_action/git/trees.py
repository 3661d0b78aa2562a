"""The trees of a run: one clone of its own for each task, and clean checkouts to measure and to review in.

A clone borrows the user's objects and has its own refs, settings and hooks, so that whatever an agent does
to git reaches nobody else, and making one needs no lock. What the agent committed is taken into our private
repository, with object checks, and is judged there (see `private`).

A tree goes only when it is clean, belongs to no living process, and its commits are on a remote or a ref
of ours; what is uncommitted can be saved as a commit first.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError, WorktreeError
from orchestrator_action.git import borrow, earlier, keeping, lfs_objects, place, private, salvage, submodules
from orchestrator_action.git.cache import commit_of
from orchestrator_action.git.file_formats import object_folders
from orchestrator_action.git.repo import Git
from orchestrator_action.git.roots import SHARED_TEMP, make_root
from orchestrator_action.git.slots import (
    GONE,
    MEASURE,
    REVIEW,
    TASK,
    TreeSlot,
    check_id,
    drop_unfinished,
    make_folder,
    read_slot,
    slots,
    slots_dir,
)
from orchestrator_action.git.task_tree import Leftover, TaskTree
from orchestrator_action.git.tree_view import (
    MARK,
    TreeView,
    broken,
    delete_tree,
    is_folder,
    set_writable,
    undone_unless_made,
)
from orchestrator_action.process import owner
from orchestrator_action.protocol.paths import listed

FetchObjects = Callable[[Sequence[str]], None]


class Trees:
    """The trees of one run, and what is left of others in the same repository."""

    def __init__(
        self,
        user: Git,
        *,
        run_id: str,
        root: Path,
        walled: bool = False,
        fetch_objects: FetchObjects | None = None,
    ) -> None:
        """`user` as opened on the main checkout, a linked worktree or a bare repository.

        `walled` says that no agent can write what trees borrow; without, clean checkouts compute it anew.
        `fetch_objects` brings what a partial clone has not; without it git does, by the user's own transport.
        """
        self._walled, self._fetch_objects = walled, fetch_objects
        self.user, self.run_id, self.root = user, run_id, root
        self.main = place.main_checkout(user)
        self._lent: set[Path] = set()
        """Folders of objects of the user's submodules, as far as trees borrow them."""
        self._name = place.repository_name(user)

    @functools.cached_property
    def _template(self) -> borrow.Template:
        return borrow.picture(self.user)

    @functools.cached_property
    def private(self) -> Git:
        """Our private repository; opened when it is first asked for."""
        return private.open_private(self.user, self._template)

    # -- making --------------------------------------------------------------------------------

    def create(self, task_id: str, branch: str, base_sha: str, *, at: str = "") -> TaskTree:
        """A fresh tree for a task, on `branch` at `base_sha`, or at a commit that grew from it.

        What an earlier attempt left in its place is saved and made way; the result's `note` says where it is.
        Raises WorktreeError when something foreign or alive is in the way.
        """
        slot = self._slot(TASK, task_id, branch=branch, base_sha=base_sha)
        start = self._commit(at or base_sha)
        note = self._make_way(slot)
        slot.take()
        slot.write()
        with undone_unless_made(slot):
            note = "; ".join(n for n in (note, self._free_branch(task_id, branch, start)) if n)
            self._keep_base(base_sha)
            made = self._populate(slot, f"refs/heads/{branch}", start)
        return replace(made, note=note)

    def adopt(self, task_id: str, branch: str, base_sha: str) -> TaskTree | None:
        """The tree an earlier process left for this task of this run; None when there is none.

        Nothing in it is touched. A tree whose folder is gone, or was never finished, is made again from what
        was taken of its branch. Raises WorktreeError when a living process works in it or it is on another
        branch.
        """
        slot = read_slot(self._slot(TASK, task_id).folder)
        if slot is None or slot.kind != TASK:
            return self._adopt_earlier(task_id, branch, base_sha)
        self._refuse_if_owned(slot)
        slot.take()
        if not slot.mark or not is_folder(slot.path):
            return self._make_again(slot, branch, base_sha)
        found = self._tree(replace(slot, branch=branch, base_sha=base_sha))
        found.drop_stale_locks()
        if problems := broken(slot.path, slot.mark):
            raise WorktreeError(f"{slot.path}: {problems[0]}", hint="look at it, then move it away")
        if found.git.branch() != branch:
            on = found.git.branch() or f"no branch (at {found.git.head()[:12]})"
            raise WorktreeError(
                f"the tree {slot.path} is on {on}, not on {branch!r}",
                hint=f"check out {branch} there, or remove it",
            )
        if not (slot.path / ".git" / "index").exists():
            found.git.run("reset", "--quiet", write=True)
        return found

    def _make_again(self, slot: TreeSlot, branch: str, base_sha: str) -> TaskTree:
        tip = self.private.rev_parse(f"refs/heads/{branch}") or base_sha
        self._discard_tree(slot)
        fresh = self._slot(TASK, slot.task_id, branch=branch, base_sha=base_sha)
        return self._populate(fresh, f"refs/heads/{branch}", tip)

    def _adopt_earlier(self, task_id: str, branch: str, base_sha: str) -> TaskTree | None:
        """Go on with what a version before this one left as a linked worktree and a local branch."""
        tip = self.user.rev_parse(f"refs/heads/{branch}")
        if not tip:
            return None
        note = earlier.put_away(self.user, self.main, task_id)
        made = self.create(task_id, branch, base_sha, at=tip)
        return replace(made, note=note)

    def measure(self, task_id: str, commit: str) -> TaskTree:
        """A clean checkout of exactly `commit` on a fresh path; what runs in it can change nothing else."""
        return self._checkout(MEASURE, task_id, commit)

    def review(self, task_id: str, commit: str) -> TaskTree:
        """A clean checkout of `commit` for a reviewer, its files without write permission."""
        made = self._checkout(REVIEW, task_id, commit)
        set_writable(made.path, False)
        return made

    def _checkout(self, kind: str, task_id: str, commit: str) -> TaskTree:
        slot = self._slot(kind, task_id, base_sha=self._commit(commit))
        slot.take()
        slot.write()
        with undone_unless_made(slot):
            return self._populate(slot, slot.base_sha, slot.base_sha)

    def _commit(self, name: str) -> str:
        sha = self.private.rev_parse(name)
        if not sha:
            raise WorktreeError(f"there is no commit {name!r} to check out", hint="fetch it first")
        if (
            self._fetch_objects
            and self._template.sparse is None
            and (missing := private.missing(self.private, sha))
        ):
            self._fetch_objects(missing)
        return sha

    def _slot(self, kind: str, task_id: str, *, branch: str = "", base_sha: str = "") -> TreeSlot:
        check_id(task_id)
        name = task_id if kind == TASK else f"{task_id}.{kind}-{os.urandom(4).hex()}"
        return TreeSlot(
            folder=slots_dir(self.user) / self.run_id / name, kind=kind, run_id=self.run_id, task_id=task_id,
            path=self.root / self.run_id / name / self._name, branch=branch, base_sha=base_sha,
        )  # fmt: skip

    def _make_way(self, slot: TreeSlot) -> str:
        """Let the place of `slot` be free for a new tree; says what was kept, and where."""
        left = read_slot(slot.folder)
        if left is None:
            if slot.path.is_symlink() or (
                slot.path.exists() and (not slot.path.is_dir() or any(slot.path.iterdir()))
            ):
                raise WorktreeError(f"{slot.path} is in the way and is no tree of ours", hint="move it away")
            return ""
        self._refuse_if_owned(left)
        saved = None
        if left.kind == TASK and left.mark:
            inner = keeping.foreign_repositories(self._tree(left).git)
            if inner:
                raise WorktreeError(
                    f"the tree {left.path} was left over and holds other repositories: {listed(inner)}",
                    hint="move them away, then run again",
                )
            saved = self.salvage(self._tree(left), left.task_id)
        self._discard_tree(left)
        return (
            f"uncommitted work of an earlier attempt is kept at {salvage.ref(left.task_id)}" if saved else ""
        )

    def _keep_base(self, base_sha: str) -> None:
        """Hold on to what the tree is going to borrow."""
        ref = f"{private.BASE_REFS}{base_sha}"
        if commit_of(self.private.common_dir, ref) != base_sha:
            self.private.update_ref(ref, base_sha)
        private.hand_over(self.private, self.user, base_sha, ref)

    def _free_branch(self, task_id: str, branch: str, start: str) -> str:
        """Let `branch` of our private repository begin at `start`; commits that are nowhere else are kept."""
        ref = f"refs/heads/{branch}"
        tip = self.private.rev_parse(ref)
        note = ""
        if (
            tip
            and not self.private.is_ancestor(tip, start)
            and self.private.unreachable(tip, salvage.KEPT_REFS)
        ):
            salvage.keep_commit(self.private, self.user, tip, task_id)
            note = f"commits of an earlier attempt are kept at {salvage.ref(task_id)}"
        self.private.update_ref(ref, start)
        return note

    def _populate(self, slot: TreeSlot, head: str, start: str) -> TaskTree:
        """Make the clone and check its files out. The record of a tree that is whole has its mark."""
        make_root(str(self.root))
        make_folder(slot.path)
        lenders = [self.user] if slot.kind == TASK else [self.private, self.user]
        objects = [lender.common_dir / "objects" for lender in lenders]
        own = slot.path / ".git"
        refs = {head: start} if head.startswith("refs/") else {}
        refs |= private.remote_refs(self.private)
        borrow.make_git_dir(
            self._template, own, head=head, objects=objects, refs=refs, hooks=slot.kind == TASK
        )
        whole = replace(slot, mark=os.urandom(8).hex())
        (own / MARK).write_text(f"{whole.mark}\n", encoding="ascii")
        private.make_window(slot.window, own / "objects", self.private)
        made = self._tree(whole)
        anew = slot.kind != TASK and not self._walled and not self.user.lazy_fetch
        git = private.compute_anew(self.private, own, start) if anew else made.git
        git.run("reset", "--hard", "--quiet", start, write=True)
        lfs_objects.drop_links(own)
        self._lent.update(submodules.check_out_submodules(self.user, self.private, slot.path, own, start))
        whole.write()
        return self._tree(whole)

    def _tree(self, slot: TreeSlot) -> TaskTree:
        own = slot.path / ".git"
        view = TreeView.of(
            self.private, own, slot.path, window=slot.window, branch=slot.branch, mark=slot.mark
        )
        return TaskTree(
            path=slot.path, branch=slot.branch, base_sha=slot.base_sha, git=view, slot=slot,
            readable=self.readable[:-1] if slot.kind == TASK else self.readable,
        )  # fmt: skip

    @property
    def readable(self) -> tuple[Path, ...]:
        """What a clean checkout borrows: a task's tree does without the last, what agents committed."""
        common = self.user.common_dir
        objects = map(Path, object_folders(str(common / "objects")))
        return *objects, common / "lfs", *sorted(self._lent), self.private.common_dir

    def _refuse_if_owned(self, slot: TreeSlot) -> None:
        if pid := slot.live_owner:
            raise WorktreeError(
                f"the tree {slot.path} is in use by process {pid}", hint="wait for that run, or cancel it"
            )

    def path_of(self, task_id: str) -> Path:
        """Where the tree of a task of this run is, or would be."""
        slot = self._slot(TASK, task_id)
        return (read_slot(slot.folder) or slot).path

    def absent(self, task_id: str, branch: str, base_sha: str) -> TaskTree:
        """A task's tree of which nothing is needed any more but what it is called; nothing is made."""
        slot = self._slot(TASK, task_id, branch=branch, base_sha=base_sha)
        return TaskTree(path=slot.path, branch=branch, base_sha=base_sha, git=self.private, slot=slot)

    # -- looking -------------------------------------------------------------------------------

    def problems(self, tree: TaskTree) -> tuple[str, ...]:
        """What an agent did to its tree that it must not do, one plain sentence each."""
        return tree.git.problems() if isinstance(tree.git, TreeView) else ()

    def leftovers(self) -> tuple[Leftover, ...]:
        """Every tree of ours that is still there, with the reason why it must stay, if any."""
        found = [left for slot in slots(self.user) if slot.kind != GONE and (left := self._leftover(slot))]
        old = earlier.leftovers(self.user, self.main)
        return (*found, *(Leftover(**left) for left in old))

    def _leftover(self, slot: TreeSlot) -> Leftover | None:
        """What is left of a tree; None when it is gone, also when somebody removes it just now."""
        with contextlib.suppress(FileNotFoundError):
            kept = self._reason_to_keep(slot)
            if slot.path.exists():
                head = self.private.rev_parse(f"refs/heads/{slot.branch}") if slot.branch else slot.base_sha
                return Leftover(
                    path=slot.path, task_id=slot.task_id, branch=slot.branch, head_sha=head, kept_because=kept
                )
        return None

    def _reason_to_keep(self, slot: TreeSlot) -> str:
        if pid := slot.live_owner:
            return f"process {pid} works in it"
        if slot.kind != TASK or not slot.mark or not is_folder(slot.path):
            return ""
        if problems := broken(slot.path, slot.mark):
            return problems[0] if any(slot.path.iterdir()) else ""
        return keeping.reason_to_keep(self._tree(slot).git, slot.branch, self.user)

    # -- ending --------------------------------------------------------------------------------

    def remove(self, tree: TaskTree | Path, *, delete: bool = True) -> str:
        """Remove a tree when nothing is lost with it; otherwise the reason why it was kept.

        Without `delete` its files are only moved aside, for `discard`.
        """
        path = tree if isinstance(tree, Path) else tree.path
        slot = next((s for s in slots(self.user) if s.path == path), None)
        if slot is None:
            return earlier.remove_earlier(self.user, self.main, path)
        if kept := self._reason_to_keep(slot):
            if not slot.live_owner:
                slot.owner_file.unlink(missing_ok=True)
            return kept
        self._discard_tree(slot, delete_now=delete)
        return ""

    def discard(self) -> None:
        """Delete the files of trees that were given up and could not be deleted then."""
        for slot in (s for s in slots(self.user) if s.kind == GONE):
            delete_tree(slot)
        drop_unfinished(self.user, self.run_id)

    def discard_dead(self) -> None:
        """Delete the clean checkouts, and what was given up, of processes that are gone. A task's tree stays."""
        for slot in slots(self.user):
            if slot.kind != TASK and not owner.live_owner(slot.owner_file):
                delete_tree(slot)
        drop_unfinished(self.user, self.run_id)

    def drop_bases(self) -> None:
        """Let go of the base commits that no tree borrows from any more."""
        used = {s.base_sha for s in slots(self.user) if s.kind == TASK}
        for ref, sha in self.user.refs(private.BASE_REFS).items():
            if sha not in used:
                with contextlib.suppress(GitError):
                    self.user.delete_ref(ref, sha)

    def _discard_tree(self, slot: TreeSlot, *, delete_now: bool = True) -> None:
        """Take a tree whose contents are of no value, or saved, out of its place, and delete it."""
        if slot.kind == TASK and slot.branch:
            with contextlib.suppress(GitError):  # refused when something was committed on it
                self.private.delete_ref(f"refs/heads/{slot.branch}", slot.base_sha)
        gone = slot.path.parent.with_name(f"{GONE}-{os.urandom(4).hex()}")
        moved = slot
        with contextlib.suppress(OSError):
            slot.path.parent.rename(gone)
            moved = replace(
                slot, kind=GONE, path=gone / slot.path.name, folder=slot.folder.with_name(gone.name)
            )
            slot.folder.rename(moved.folder)
            moved.write()
        if delete_now:
            delete_tree(moved)

    def salvage(self, tree: TaskTree, task_id: str) -> str | None:
        """Save uncommitted and untracked work as a commit on `refs/orchestrator/salvage/<task_id>`.

        Index, branch and files of the tree stay as they are. None when there was nothing to save.
        """
        return salvage.save_tree(self.private, self.user, tree, task_id)

    def keep_branch(self, tree: TaskTree, task_id: str) -> str:
        """Name what the task committed in the user's repository; the ref, or nothing when it committed nothing."""
        head = self.private.rev_parse(f"refs/heads/{tree.branch}")
        if not head or head == tree.base_sha:
            return ""
        ref = f"{private.BRANCHES}{task_id}"
        before = self.user.rev_parse(ref)
        if before and not self.private.is_ancestor(before, head):
            salvage.keep_commit(self.private, self.user, before, task_id)
        private.hand_over(self.private, self.user, head, ref)
        return ref


def known_trees(user: Git) -> Trees:
    """The trees of all runs of a repository, to look at and to remove; none can be made with these."""
    return Trees(user, run_id="", root=Path(SHARED_TEMP))
