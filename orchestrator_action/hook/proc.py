"""Processes as the kernel knows them: who descends from us, who pushes, who is left over.

Linux answers from /proc and through pidfds. Elsewhere (macOS) there is neither a subreaper nor /proc:
process groups and polling do what they can.
"""

import os
import select
import sys
import time

from orchestrator_action.hook.fast_git import SIGKILL

PR_SET_CHILD_SUBREAPER = 36
"""Source: linux/prctl.h."""
SIGHUP, SIGINT, SIGTERM = 1, 2, 15
"""The same on every POSIX system; `signal` would cost 6 ms."""
KNOWS_TREES = os.path.isdir("/proc/self/task")
"""Whether this system tells who descends from whom; otherwise process groups have to do."""
_DEPTH = 32


def become_subreaper() -> None:
    """From now on a descendant that loses its parent becomes our child, daemons included."""
    if sys.platform != "linux":
        return
    arguments = (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        # What ctypes does below, without the 5 ms its Python half takes; nobody promises these names.
        import _ctypes

        this_program = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # as ctypes itself calls it
        _ctypes.call_function(_ctypes.dlsym(this_program, "prctl"), arguments)
    except (ImportError, AttributeError, TypeError, OSError):
        import ctypes

        ctypes.CDLL(None).prctl(*arguments)


def _stat(pid: int) -> tuple[str, list[str]]:
    """The name of a process and the fields after it: state, parent, group, session, …"""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    head, _, tail = text.rpartition(")")
    return head.partition("(")[2], tail.split()


def ancestors(pid: int) -> list[tuple[int, str]]:
    """`pid` and what is above it, nearest first: PID and name of each; empty without /proc."""
    found: list[tuple[int, str]] = []
    while pid > 0 and len(found) < _DEPTH:
        try:
            name, fields = _stat(pid)
        except (OSError, IndexError):
            break
        found.append((pid, name))
        pid = int(fields[1])
    return found


def pushing() -> list[int]:
    """The processes whose death means that nobody waits for our verdict: up to the `git push` above us."""
    above = ancestors(os.getppid())
    for count, (_, name) in enumerate(above):
        if name == "git" or name.startswith("git-"):
            return [pid for pid, _ in above[: count + 1]]
    return [os.getppid()]


def identity(pid: int) -> bytes:
    """What no other process has had or will have: boot, PID and kernel start time; empty when it is gone."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
        return f"{boot} {pid} {_stat(pid)[1][19]}".encode()
    except (OSError, IndexError):
        return f"- {pid} -".encode()


def session_of(pid: int) -> int:
    """The session a process is in; 0 when it is gone."""
    try:
        return int(_stat(pid)[1][3])
    except (OSError, IndexError):
        return 0


def children(pid: int) -> list[int]:
    """The direct children of a process, zombies included."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as stream:
                found += [int(word) for word in stream.read().split()]
    except FileNotFoundError:
        return _children_by_scan(pid) if os.path.isdir(f"/proc/{pid}") else []
    except OSError:
        return found
    return found


def _children_by_scan(parent: int) -> list[int]:
    """For kernels without CONFIG_PROC_CHILDREN."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(_stat(int(entry))[1][1]) == parent:
                    found.append(int(entry))
            except (OSError, IndexError):
                continue
    return found


def descendants(pid: int) -> list[int]:
    """Everything below a process, nearest first."""
    found: list[int] = []
    level = children(pid)
    while level:
        found += level
        level = [below for child in level for below in children(child)]
    return found


def has_marker(pid: int, marker: bytes) -> bool:
    """Whether a process was started with a variable that begins like this (`NAME=value`)."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return any(entry.startswith(marker) for entry in stream.read().split(b"\0"))
    except OSError:
        return False


def send(pids: "list[int]", number: int) -> None:
    """Signal processes that are our own descendants; one that is gone is none of our business."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def kill_marked(marker: bytes) -> int:
    """End what a killed run of ours left behind, found by a random marker only it can carry."""
    if not os.path.isdir("/proc/self"):
        return 0
    mine = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    hit = [pid for pid in mine if pid != os.getpid() and has_marker(pid, marker)]
    send(hit, SIGKILL)
    return len(hit)


class Watch:
    """Tells when to stop: the control pipe ends, or a watched process does.

    The pipe's other end is held by the front process alone, so its end of file means that the front was
    told to stop or is dead, however it died.
    """

    def __init__(self, control: int, pids: "list[int]") -> None:
        self.poller = select.poll()
        self.asked = False
        self._pids = pids
        self._control = control
        self._fds: list[int] = []
        self.poller.register(control, select.POLLIN | select.POLLHUP)
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                self.asked = True
            except (AttributeError, OSError):
                continue
            else:
                self._fds.append(fd)
                self.poller.register(fd, select.POLLIN)
        self._exact = len(self._fds) == len(pids)

    @property
    def tick_s(self) -> float:
        """How long one wait may last: without pidfds the dead are found by looking."""
        return 1.0 if self._exact else 0.1

    def wait(self, timeout_s: float) -> "list[int]":
        """Wait for something to happen; the descriptors that are ready, except our own."""
        ready = [fd for fd, _ in self.poller.poll(max(0.0, min(timeout_s, self.tick_s)) * 1000)]
        if self._control in ready or any(fd in ready for fd in self._fds):
            self.asked = True
        if not self._exact:
            self.asked = self.asked or not all(map(_alive, self._pids))
        return [fd for fd in ready if fd != self._control and fd not in self._fds]

    def gone(self) -> bool:
        """Whether to stop, asked without waiting."""
        self.wait(0.0)
        return self.asked


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def reap(ended: "dict[int, int]") -> None:
    """Collect every child that has ended: PID -> wait status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = status


def end_groups(leaders: "list[int]", ended: "dict[int, int]", *, grace_s: float) -> None:
    """For systems without /proc: end the process groups of leaders that have not been reaped."""
    for number in (SIGTERM, SIGKILL):
        until = time.monotonic() + grace_s
        for pid in leaders:
            if pid not in ended:
                try:
                    os.killpg(pid, number)
                except (ProcessLookupError, PermissionError):
                    continue
        while time.monotonic() < until and not set(leaders) <= set(ended):
            time.sleep(0.01)
            reap(ended)


def end_all(ended: "dict[int, int]", *, grace_s: float) -> None:
    """End every descendant of this process: asked first, killed after `grace_s`; nothing survives."""
    me = os.getpid()
    left = descendants(me)
    if left:
        send(left, SIGTERM)
    asked_at = time.monotonic()
    while left and time.monotonic() - asked_at < 5.0:
        reap(ended)
        left = descendants(me)
        if left and time.monotonic() - asked_at >= grace_s:
            send(left, SIGKILL)
        if left:
            time.sleep(0.005)
    reap(ended)
