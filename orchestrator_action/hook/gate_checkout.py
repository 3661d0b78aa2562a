"""Clean, reused places to run gates in: a tree at exactly one commit, with a repository of its own.

Why there: inside `.git` jest and others find no tests; inside the checkout tools pick up its uncommitted
configuration; below a dot folder file servers and watchers refuse to work. Why reused: writing 20,000
files takes seconds, refreshing them milliseconds.

A reused tree tells no lies because nothing of the last run decides anything: an index of our own, outside
the tree, says what is tracked; everything else is removed; tracked files are restored. Our git reads the
user's repository, with its settings and filters, as the user's own checkout would, and writes nothing to
it; gates find another repository (see `gate_repository`).
"""

import os
import time

from orchestrator_action.hook.fast_git import (
    PushSite,
    git,
    read_file,
    run_program,
    tell_user,
    write_file,
)
from orchestrator_action.hook.gate_env import GATE_MARK, git_env
from orchestrator_action.hook.gate_places import all_places
from orchestrator_action.hook.gate_repository import GATES_MARK, make_repository
from orchestrator_action.hook.gate_submodules import fill_submodules, links_to_commits
from orchestrator_action.hook.passes import Listing, is_lock_file, short_digest
from orchestrator_action.hook.push_watch import PushWatch, Stopped, ancestors, process_name, run_watched
from orchestrator_action.process import table as procs
from orchestrator_action.process.files import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TREES_AT_ONCE = 4
"""More pushes at once than this wait for each other."""
_ROOM_BYTES = 1024**2
_OLD_REASON = "pre-push slot of orchestrator-action"
"""By which the version before locked its slots, which were worktrees of the user's repository."""

NEUTRAL = tuple(
    part
    for setting in (
        "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false",
        "core.splitIndex=false", "index.sparse=false", "core.sparseCheckout=false", "gc.auto=0",
        "maintenance.auto=false", "submodule.recurse=false", "advice.detachedHead=false",
        "checkout.workers=1", "core.ignoreStat=false", "core.trustctime=true", "core.checkStat=default",
        "core.fileMode=true",
    )
    for part in ("-c", setting)
)  # fmt: skip
"""Settings for our git: no hook fires, no daemon starts, every tracked file is there, no change is passed over."""


def inside_gate(site: PushSite, root: str) -> bool:
    """Whether this very push was started by a gate of this repository: its runner is above us.

    `root` is the folder of the repository's trees.
    A runner ends every process it started and adopts the daemons among them, so this cannot be lost on
    the way, as a variable could. Where processes cannot be looked at, the variable has to name a tree in use here.
    """
    if os.path.exists(os.path.join(site.common, GATES_MARK)):
        return True
    owners = (read_file(os.path.join(root, str(n), "owner")) or b"" for n in range(1, TREES_AT_ONCE + 1))
    in_use = [owner.strip().partition(b" ") for owner in owners if owner]
    above = ancestors(os.getppid()) if in_use else []
    if above:
        return any(process_name(pid) == runner for pid, _ in above for _, _, runner in in_use)
    return any(os.fsencode(os.environ.get(GATE_MARK, "")) == mark for mark, _, _ in in_use)


class GateTree:
    """One tree, held by this process. `tree` is the folder gates run in, `git_dir` the repository they see."""

    def __init__(self, home: str, site: PushSite, lock: int, watch: PushWatch) -> None:
        self.home = home
        self.site = site
        self.lock = lock
        self._watch = watch
        self.tree = os.path.join(home, "checkout", _name_of(site))
        self.git_dir = os.path.join(home, "repository.git")
        self.token = os.urandom(8).hex()
        self._index = os.path.join(home, "index")
        self._env = git_env(
            os.environ, GIT_DIR=site.common, GIT_WORK_TREE=self.tree, GIT_INDEX_FILE=self._index
        )

    def claim(self) -> None:
        """Put our mark on it, after ending what a killed run may have left running."""
        left = read_file(self._owner)
        if left:
            marker = f"{GATE_MARK}=".encode() + left.split()[0]
            procs.kill_all(lambda: [p for p in procs.everyone() if procs.carries(p.pid, marker)])
        write_file(self._owner, self.token.encode() + b" " + process_name(os.getpid()))

    @property
    def _owner(self) -> str:
        """Says which process runs gates here."""
        return os.path.join(self.home, "owner")

    def release(self) -> None:
        """Let go of it; the kernel does the same should we die."""
        _unlink(self._owner)
        os.close(self.lock)

    def refresh(self, commit: str, *, clean: bool = True) -> None:
        """Make the tree exactly `commit`, nothing more and nothing less, and its repository new.

        Without `clean`, what git ignores stays as the last gates left it, as long as the lock files are the same.

        Raises GitError when that cannot be done even in a tree made anew.
        """
        self._clean = ("clean", "-ffdxq") if clean or self._locks_differ(commit) else ("clean", "-ffdq")
        if not self._try_refresh(commit):
            self._rebuild()
            if not self._try_refresh(commit):
                from orchestrator_action.errors import GitError

                words = (read_file(self._log) or b"").decode("utf-8", "replace").strip()
                last = words.splitlines()[-1] if words else "git gave no reason"
                full = "No space left" in words or _is_full(self.home)
                hint = (
                    "free some disk space, or name a folder on another disk: `trees`, or RUNNER_TEMP"
                    if full
                    else ""
                )
                raise GitError(
                    f"commit {commit[:12]} cannot be checked out: {last}"
                    + (f"; No space left in {self.home}" if full else ""),
                    hint=hint or f"see {self._log}",
                )
        remove_tree(self.git_dir)
        remove_tree(os.path.join(self.home, "scratch"))
        make_repository(
            self.git_dir, site=self.site, commit=commit, tree=self.tree,
            index=read_file(self._index) or b"", env=git_env(os.environ),
        )  # fmt: skip
        self._before = self._differing()

    @property
    def _log(self) -> str:
        return os.path.join(self.home, "git.log")

    @property
    def _submodules(self) -> str:
        return os.path.join(self.home, "submodules")

    def _git(self, *args: str) -> bool:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            words = ("git", *NEUTRAL, "-C", self.tree, *args)
            return run_watched(words, self._env, stderr=log, watch=self._watch) == 0
        finally:
            os.close(log)

    def _try_refresh(self, commit: str) -> bool:
        if not os.path.isdir(self.tree) or os.path.islink(self.tree):
            return False
        for stale in (f"{self._index}.lock", self._log):
            _unlink(stale)
        self._empty_submodules()
        if not self._git(*self._clean) or not self._git("read-tree", "--reset", "-u", commit):
            return False
        if os.path.lexists(os.path.join(self.tree, ".gitmodules")):
            write_file(self._submodules, b"")
            fill_submodules(self.site.common, self.tree, index=self._index, env=self._env)
        return True

    def _locks_differ(self, commit: str) -> bool:
        """Whether the lock files are others than at the last commit that was here."""
        kept = os.path.join(self.home, "lock-files")
        locks = [row for row in Listing().of(commit) if is_lock_file(row[1])]
        digest = short_digest(os.fsencode("".join(f"{meta} {path}\n" for meta, path in locks)), 20).encode()
        same = read_file(kept) == digest
        write_file(kept, digest)
        return not same

    def _empty_submodules(self) -> None:
        """What the last gates put into a submodule's directory; git clean leaves it alone."""
        if not os.path.exists(self._submodules):
            return
        for path, _ in links_to_commits(self._env, self.tree):
            if os.path.isdir(path) and not os.path.islink(path):
                remove_tree(path)
                os.mkdir(path)
        os.unlink(self._submodules)

    def _rebuild(self) -> None:
        """Throw the tree away; what cannot be removed (root's files, left by a container) is named."""
        remove_tree(self.tree)
        if os.path.lexists(self.tree):
            aside = os.path.join(self.home, f"left-{self.token}")
            os.rename(self.tree, aside)
            tell_user(
                f"orchestrator: a gate left files that only another user may remove: sudo rm -rf '{aside}'"
            )
        for path in (self._index, f"{self._index}.lock", self._submodules):
            _unlink(path)
        os.makedirs(self.tree, exist_ok=True)

    def _differing(self) -> dict[str, bytes]:
        """Tracked files that git takes for changed, by our own index, with what is in each.

        Raises GitError when git cannot tell: then no gate can be said to have left the files alone.
        """
        options = ("--no-ext-diff", "--ignore-submodules=all", "--name-only", "-z", "-O/dev/null")
        code, out = git(*NEUTRAL, "-C", self.tree, "diff", *options, env=self._env)
        if code:
            from orchestrator_action.errors import GitError

            raise GitError(
                f"git cannot tell which files gates changed (exit code {code})",
                hint="run git diff in your checkout: its settings may be broken",
            )
        names = [os.fsdecode(path) for path in out.split(b"\0") if path]
        return {name: _fingerprint(os.path.join(self.tree, name)) for name in names}

    def changed(self) -> list[str]:
        """Tracked files that the gates changed: those that differ now and did not before, or otherwise."""
        return [name for name, what in self._differing().items() if self._before.get(name) != what]


def _is_full(folder: str) -> bool:
    """Whether a disk has no room for a single file more."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES or (disk.f_files > 0 and disk.f_favail == 0)


def _fingerprint(path: str) -> bytes:
    """What is in a tracked path: its kind, mode bit for execution, and contents."""
    try:
        found = os.lstat(path)
        body = os.fsencode(os.readlink(path)) if os.path.islink(path) else read_file(path) or b""
    except OSError:
        return b""
    return f"{found.st_mode & 0o170100:o} {short_digest(body, 20)}".encode()


def _name_of(site: PushSite) -> str:
    """The tree's folder name: the repository's, because some tools take it for the project's."""
    main = os.path.dirname(site.common) if os.path.basename(site.common) == ".git" else site.common
    name = os.path.basename(main).removesuffix(".git")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name).lstrip(".-")
    return plain or "tree"


def take_tree(site: PushSite, root: str, watch: PushWatch, *, until: float) -> GateTree:
    """A tree below `root` that nobody else uses. Waits when all are taken, until the monotonic time `until`.

    Raises Stopped when the push ends meanwhile, GitError when the time is up.
    """
    while True:
        for number in range(1, TREES_AT_ONCE + 1):
            home = os.path.join(root, str(number))
            lock = _try_lock(home)
            if lock is not None:
                taken = GateTree(home, site, lock, watch)
                taken.claim()
                return taken
        time.sleep(0.1)
        if watch.gone():
            raise Stopped
        if time.monotonic() > until:
            from orchestrator_action.errors import GitError

            raise GitError(
                f"all {TREES_AT_ONCE} trees in {root} are in use", hint="wait for the other pushes"
            )


def _try_lock(home: str) -> int | None:
    """The lock of a tree, as a descriptor; None when somebody else has it."""
    path = os.path.join(home, "lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        os.makedirs(home, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if lock_file(lock):
        return lock
    os.close(lock)
    return None


def remove_trees(site: PushSite) -> None:
    """Remove every gate tree of this repository, for uninstall. Raises GitError when a push is using one."""
    for root in all_places(site):
        if not remove_unused(root):
            from orchestrator_action.errors import GitError

            raise GitError(f"a push is running gates in {root}", hint="wait for it, or end it")
    _forget_old_slots(site)


def remove_unused(root: str) -> bool:
    """Remove one repository's gate trees; False, with nothing removed, when a push is using one of them."""
    locks = []
    try:
        for number in range(1, TREES_AT_ONCE + 1):
            if os.path.isdir(f"{root}/{number}"):
                lock = _try_lock(f"{root}/{number}")
                if lock is None:
                    return False
                locks.append(lock)
        remove_tree(root)
    finally:
        for lock in locks:
            os.close(lock)
    return True


def _forget_old_slots(site: PushSite) -> None:
    """Remove the locked worktrees that the version before kept in the user's repository."""
    for admin, tree in list(_old_slots(site)):
        remove_tree(tree)
        remove_tree(admin)


def _old_slots(site: PushSite) -> "Iterator[tuple[str, str]]":
    folder = os.path.join(site.common, "worktrees")
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        admin = os.path.join(folder, name)
        if (read_file(f"{admin}/locked") or b"").decode("utf-8", "replace").strip() == _OLD_REASON:
            yield admin, os.path.dirname(os.fsdecode(read_file(f"{admin}/gitdir") or b"").strip())


def remove_tree(path: str) -> None:
    """Remove a directory whatever modes a gate left in it. External programs: shutil costs 10 ms."""
    if not os.path.lexists(path):
        return
    if run_program(("rm", "-rf", "--", path))[0]:
        run_program(("chmod", "-R", "u+rwX", "--", path))
        run_program(("rm", "-rf", "--", path))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
