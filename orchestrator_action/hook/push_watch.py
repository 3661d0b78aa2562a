"""Who waits for our verdict: the processes up to the `git push` above us, watched until one of them ends.

A gate that runs on for a push that was given up would be nobody's. Linux answers through pidfds; elsewhere
(macOS) the dead are found by looking.
"""

import os
import select
import time

from orchestrator_action.hook.fast_git import SIGKILL, SIGPIPE
from orchestrator_action.process import table as procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_DEPTH = 32


def ancestors(pid: int) -> list[tuple[int, str]]:
    """`pid` and what is above it, nearest first: PID and name of each; empty without /proc."""
    found: list[tuple[int, str]] = []
    while procs.HAS_PROC and pid > 0 and len(found) < _DEPTH:
        process = procs.read(pid)
        if process is None:
            break
        name = procs.slurp(f"/proc/{pid}/comm").decode("utf-8", "replace").rstrip("\n")
        found.append((pid, name))
        pid = process.ppid
    return found


def pushing() -> list[int]:
    """The processes whose death means that nobody waits for our verdict: up to the `git push` above us."""
    above = ancestors(os.getppid())
    for count, (_, name) in enumerate(above):
        if name == "git" or name.startswith("git-"):
            return [pid for pid, _ in above[: count + 1]]
    return [os.getppid()]


def process_name(pid: int) -> bytes:
    """What no other process has had or will have: boot, PID and kernel start time."""
    return f"{procs.boot_id()} {pid} {procs.start_ticks(pid)}".encode()


class Stopped(Exception):  # noqa: N818 - it is an end, not a fault
    """Somebody or something ended the push."""


class PushWatch:
    """Tells when the push is over. `fds` become readable when a watched process ends."""

    def __init__(self, pids: "list[int]") -> None:
        self.fds: list[int] = []
        self._pids = pids
        self._gone = False
        for pid in pids:
            try:
                self.fds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                self._gone = True
            except (AttributeError, OSError):
                continue

    @property
    def tick_s(self) -> float:
        """How long one wait may last: without pidfds the dead are found by looking."""
        return 1.0 if len(self.fds) == len(self._pids) else 0.1

    def gone(self) -> bool:
        """Whether a watched process has ended."""
        if not self._gone and self.fds:
            poller = select.poll()
            for fd in self.fds:
                poller.register(fd, select.POLLIN)
            self._gone = bool(poller.poll(0))
        if not self._gone and len(self.fds) < len(self._pids):
            self._gone = not all(map(_lives, self._pids))
        return self._gone


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run_watched(argv: "tuple[str, ...]", env: "Mapping[str, str]", *, stderr: int, watch: PushWatch) -> int:
    """Run a program of ours that may take long; its exit code.

    Raises Stopped, with nothing of it left, when the push ends before it.
    """
    pid = os.posix_spawnp(
        argv[0], argv, env, setsigdef=(SIGPIPE,),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, stderr, 2),
        ],
    )  # fmt: skip
    try:
        status = _wait_for(pid, watch)
    except BaseException:
        _end_child(pid)
        raise
    return os.waitstatus_to_exitcode(status)


def _wait_for(pid: int, watch: PushWatch) -> int:
    try:
        own = os.pidfd_open(pid)
    except (AttributeError, OSError):
        own = -1
    poller = select.poll()
    for fd in (own, *watch.fds):
        if fd >= 0:
            poller.register(fd, select.POLLIN)
    try:
        while True:
            ready = {fd for fd, _ in poller.poll(1000 * (watch.tick_s if own >= 0 else 0.01))}
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return status
            if ready - {own} or watch.gone():
                raise Stopped
    finally:
        if own >= 0:
            os.close(own)


def _end_child(pid: int) -> None:
    """Ask git to end, which takes its lock files and filters along; kill it when it does not."""
    for number, patience_s in ((15, 0.4), (SIGKILL, 5.0)):
        os.kill(pid, number)
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
