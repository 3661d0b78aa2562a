"""Clean, reused places to run gates in: locked, detached worktrees in the user's cache directory.

Why there: inside `.git` jest and others find no tests; inside the checkout tools pick up its uncommitted
configuration. Why reused: making a worktree of 20,000 files takes seconds, refreshing one milliseconds.

A reused slot tells no lies because nothing of the last run decides anything: an index of our own, which
no gate can reach through git, says what is tracked; everything else is removed; tracked files are
restored. Whatever goes wrong on the way, the slot is thrown away and made anew.
"""

import fcntl
import os
import time

from orchestrator_action.hook.fast_git import Place, git, read_file, run, write_file
from orchestrator_action.hook.gate_env import MARK, git_env
from orchestrator_action.hook.passes import short_digest
from orchestrator_action.hook.proc import Watch, ancestors, identity, kill_marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

REASON = "pre-push slot of orchestrator-action"
SLOTS = 4
"""More pushes at once than this wait for each other."""

NEUTRAL = tuple(
    part
    for setting in (
        "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false",
        "core.splitIndex=false", "index.sparse=false", "core.sparseCheckout=false", "gc.auto=0",
        "maintenance.auto=false", "submodule.recurse=false", "advice.detachedHead=false",
        "checkout.workers=1",
    )
    for part in ("-c", setting)
)  # fmt: skip
"""Settings for git in a slot: no hook fires, no daemon starts, every tracked file is there."""


class Stopped(Exception):  # noqa: N818 - it is an end, not a fault
    """Somebody or something ended the push."""


def slots_root(where: Place) -> str:
    """The directory of this repository's slots: in the cache, outside `.git` and every checkout of it."""
    name = short_digest(os.fsencode(os.path.realpath(where.common)), 6)
    home = os.environ.get("HOME", "")
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = f"{home}/.cache" if os.path.isabs(home) else ""
    shared = f"/var/tmp/orchestrator-action-{os.getuid()}"  # noqa: S108 - made 0700, owner checked
    inside = [os.path.realpath(path) for path in (where.common, where.top) if path]
    real = os.path.realpath(cache) if cache else ""
    if not cache or any(real == path or real.startswith(f"{path}/") for path in inside):
        os.makedirs(shared, mode=0o700, exist_ok=True)
        if os.lstat(shared).st_uid != os.getuid():
            from orchestrator_action.errors import ConfigError

            raise ConfigError(f"{shared} belongs to somebody else", hint="set XDG_CACHE_HOME elsewhere")
        real = shared
    return os.path.join(real, "orchestrator-action", "pre-push", name)


def inside_gate(where: Place) -> bool:
    """Whether this very push was started by a gate of this repository: its runner is above us.

    A runner ends every process it started and adopts the daemons among them, so this cannot be lost on
    the way, as a variable could.
    """
    folder = os.path.join(where.state, "running")
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    running = {(read_file(os.path.join(folder, name)) or b"").partition(b" ")[2].strip() for name in names}
    above = ancestors(os.getppid())
    return any(identity(pid) in running for pid, _ in above) if above else MARK in os.environ


class Slot:
    """One slot, held by this process. `tree` is the worktree."""

    def __init__(self, home: str, where: Place, lock: int) -> None:
        self.home = home
        self.where = where
        self.tree = os.path.join(home, _name_of(where))
        self.token = os.urandom(8).hex()
        self._index = os.path.join(home, "index")
        self._lock = lock
        self._env = git_env(os.environ, GIT_INDEX_FILE=self._index)

    def claim(self) -> None:
        """Put our mark on it, after ending what a killed run may have left running."""
        left = read_file(self._record)
        if left:
            kill_marked(f"{MARK}=".encode() + left.split()[0])
        write_file(self._record, self.token.encode() + b" " + identity(os.getpid()))

    @property
    def _record(self) -> str:
        """Says which process runs gates here, in the repository's own state, wherever the cache is."""
        name = short_digest(os.fsencode(self.home), 6)
        return os.path.join(self.where.state, "running", name)

    def release(self) -> None:
        """Let go of it; the kernel does the same should we die."""
        _unlink(self._record)
        os.close(self._lock)

    def refresh(self, commit: str) -> None:
        """Make the worktree exactly `commit`, nothing more and nothing less.

        Raises GitError when that cannot be done even in a slot made anew.
        """
        if self._try_refresh(commit):
            return
        self.rebuild(commit)
        if not self._try_refresh(commit):
            from orchestrator_action.errors import GitError

            words = (read_file(self._log) or b"").decode("utf-8", "replace").strip()
            last = words.splitlines()[-1] if words else "git gave no reason"
            raise GitError(f"commit {commit[:12]} cannot be checked out: {last}", hint=f"see {self._log}")

    @property
    def config(self) -> str:
        """The repository's configuration, which a slot shares with the checkout."""
        return os.path.join(self.where.common, "config")

    def put_back(self, config: bytes | None) -> list[str]:
        """Undo what gates did to the repository's configuration; says so when there was something.

        What they made of it is kept, in case somebody else changed it at the same time.
        """
        now = read_file(self.config)
        if config is None or now == config:
            return []
        kept = os.path.join(self.where.state, f"config-changed-{time.strftime('%Y%m%d-%H%M%S')}")
        write_file(kept, now or b"")
        mode = os.stat(self.config).st_mode
        write_file(self.config, config)
        os.chmod(self.config, mode & 0o777)
        return [f"the repository's .git/config (put back; the other is {kept})"]

    @property
    def _submodules(self) -> str:
        return os.path.join(self.home, "submodules")

    @property
    def _log(self) -> str:
        return os.path.join(self.home, "git.log")

    def _git(self, *args: str) -> bool:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            return git(*NEUTRAL, "-C", self.tree, *args, env=self._env, stderr=log)[0] == 0
        finally:
            os.close(log)

    def _try_refresh(self, commit: str) -> bool:
        admin = self._admin()
        if not admin:
            return False
        for stale in (f"{self._index}.lock", f"{admin}/index.lock", f"{admin}/HEAD.lock", self._log):
            _unlink(stale)
        self._empty_submodules()
        if not self._git("clean", "-ffdxq") or not self._git("checkout", "-q", "-f", "--detach", commit):
            return False
        if os.path.lexists(os.path.join(self.tree, ".gitmodules")):
            write_file(self._submodules, b"")
        index = read_file(self._index)
        if index is None:
            return False
        write_file(f"{admin}/index", index)
        return True

    def _admin(self) -> str:
        """The directory git keeps about this worktree; empty when either side does not know the other."""
        pointer = (read_file(os.path.join(self.tree, ".git")) or b"").decode("utf-8", "surrogateescape")
        admin = pointer.removeprefix("gitdir: ").rstrip("\n")
        back = os.fsdecode(read_file(f"{admin}/gitdir") or b"").rstrip("\n")
        ours = os.path.realpath(os.path.dirname(os.path.dirname(admin))) == os.path.realpath(
            self.where.common
        )
        return admin if ours and back == os.path.join(self.tree, ".git") else ""

    def _empty_submodules(self) -> None:
        """What the last gates put into a submodule's directory; git clean leaves it alone."""
        if not os.path.exists(self._submodules):
            return
        _, out = git(*NEUTRAL, "-C", self.tree, "ls-files", "-s", "-z", env=self._env)
        for row in os.fsdecode(out).split("\0"):
            if row.startswith("160000 "):
                path = os.path.join(self.tree, row.partition("\t")[2])
                if os.path.isdir(path) and os.listdir(path):
                    remove_tree(path)
                    os.mkdir(path)
        os.unlink(self._submodules)

    def rebuild(self, commit: str) -> None:
        """Throw the worktree away and make it anew, under the lock all worktree changes take."""
        remove_tree(self.tree)
        _unlink(self._index)
        _unlink(f"{self._index}.lock")
        if os.path.lexists(self.tree):
            # Something of another user is in there; leave it, and go beside it.
            self.tree = f"{self.tree}-{self.token}"
        with worktree_lock(self.where):
            drop_strays(self.where)
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                git(
                    *NEUTRAL, "--git-dir", self.where.common, "worktree", "add", "-f", "-f", "--detach",
                    "--lock", "--reason", REASON, "--no-checkout", self.tree, commit,
                    env=git_env(os.environ), stderr=log,
                )  # fmt: skip
            finally:
                os.close(log)

    def changed(self, commit: str) -> list[str]:
        """Tracked files that are no longer as in `commit`, by our own index; HEAD is put back."""
        options = ("--no-ext-diff", "--ignore-submodules=all", "--name-only", "-z")
        code, out = git(*NEUTRAL, "-C", self.tree, "diff", *options, env=self._env)
        admin = self._admin()
        if code or not admin:
            return [".git"]
        if (read_file(f"{admin}/HEAD") or b"").decode().strip() != commit:
            self._git("update-ref", "--no-deref", "HEAD", commit)
        return [os.fsdecode(path) for path in out.split(b"\0") if path]


def _name_of(where: Place) -> str:
    """The worktree's directory name: the repository's, because some tools take it for the project's."""
    name = os.path.basename(where.top or where.common.removesuffix(".git").rstrip("/"))
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name).lstrip(".-")
    return plain or "slot"


def take(where: Place, watch: Watch, *, until: float) -> Slot:
    """A slot nobody else uses. Waits when all are taken, until the monotonic time `until`.

    Raises Stopped when the push ends meanwhile, GitError when the time is up.
    """
    root = slots_root(where)
    while True:
        for number in range(1, SLOTS + 1):
            home = os.path.join(root, str(number))
            lock = _try_lock(home)
            if lock is not None:
                slot = Slot(home, where, lock)
                slot.claim()
                return slot
        watch.wait(0.1)
        if watch.asked:
            raise Stopped
        if time.monotonic() > until:
            from orchestrator_action.errors import GitError

            raise GitError(f"all {SLOTS} slots in {root} are in use", hint="wait for the other pushes")


def _try_lock(home: str) -> int | None:
    """The lock of a slot, as a descriptor; None when somebody else has it."""
    path = os.path.join(home, "lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        os.makedirs(home, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


class worktree_lock:  # noqa: N801 - reads as a function in a with statement
    """The lock on the common git directory that every change to its worktrees takes, ours and a run's."""

    def __init__(self, where: Place) -> None:
        self._fd = os.open(where.common, os.O_RDONLY)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _registered(where: Place) -> "Iterator[tuple[str, str]]":
    """Every slot git knows of in this repository: its directory under `worktrees`, and the worktree."""
    folder = os.path.join(where.common, "worktrees")
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        admin = os.path.join(folder, name)
        if (read_file(os.path.join(admin, "locked")) or b"").decode("utf-8", "replace").strip() == REASON:
            yield admin, os.path.dirname(os.fsdecode(read_file(os.path.join(admin, "gitdir")) or b"").strip())


def drop_strays(where: Place) -> None:
    """Forget slots whose worktree is gone or belongs to another repository (this one was moved or copied)."""
    for admin, tree in list(_registered(where)):
        pointer = os.fsdecode(read_file(os.path.join(tree, ".git")) or b"").removeprefix("gitdir: ").strip()
        if os.path.realpath(pointer) != os.path.realpath(admin):
            remove_tree(admin)


def remove_all(where: Place) -> None:
    """Remove every slot of this repository, for uninstall. Raises GitError when a push is using one."""
    root = slots_root(where)
    locks = []
    for number in range(1, SLOTS + 1):
        lock = _try_lock(os.path.join(root, str(number))) if os.path.isdir(f"{root}/{number}") else 0
        if lock is None:
            from orchestrator_action.errors import GitError

            raise GitError(f"a push is running gates in {root}/{number}", hint="wait for it, or end it")
        locks.append(lock)
    with worktree_lock(where):
        for admin, _ in list(_registered(where)):
            remove_tree(admin)
        remove_tree(root)
    for lock in filter(None, locks):
        os.close(lock)


def remove_tree(path: str) -> None:
    """Remove a directory whatever modes a gate left in it. External programs: shutil costs 10 ms."""
    if not os.path.lexists(path):
        return
    if run(("rm", "-rf", "--", path))[0]:
        run(("chmod", "-R", "u+rwX", "--", path))
        run(("rm", "-rf", "--", path))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
