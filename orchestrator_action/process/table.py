"""Processes as the kernel knows them: who they are, who descends from whom, what they use.

A PID alone is no identity: it comes back. Boot id, PID and the kernel's start time together are one,
and a signal goes through a pidfd whose identity was checked after it was opened. Standard library
only and quick to import, because the guard imports it. Without /proc (macOS) one call of `ps` answers, and
`missing()` says what such a system cannot do.

Source: proc(5), `/proc/pid/stat`; pidfd_open(2); prctl(2).
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

HAS_PROC = os.path.exists("/proc/self/stat")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1024**2
_FREEZE_ROUNDS = 8

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


class Process(NamedTuple):
    """One process at one instant. CPU times in seconds, `start_ticks` in clock ticks since boot."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    state: str
    start_ticks: int
    cpu_s: float
    """User and system time of the process and of the children it has waited for."""
    rss_bytes: int
    threads: int = 1

    @property
    def ended(self) -> bool:
        """True for a zombie, which only waits to be reaped.
        A process whose main thread has ended looks like one while its other threads run on."""
        return self.state in "ZXx" and self.threads <= 1


class Identity(NamedTuple):
    """A process that is not mistaken for another, across reboots and PID reuse."""

    boot: str
    pid: int
    start_ticks: int


@functools.cache
def boot_id() -> str:
    """This boot of this machine, and the PID namespace we see; an empty string when unknown."""
    if not HAS_PROC:
        return _run("sysctl", "-n", "kern.bootsessionuuid")[1].strip()
    try:
        boot = slurp("/proc/sys/kernel/random/boot_id").decode("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def read(pid: int) -> Process | None:
    """The process `pid` as it is now, or None when there is none."""
    if not HAS_PROC:
        return next((p for p in read_ps() if p.pid == pid), None)
    raw = slurp(f"/proc/{pid}/stat")
    return parse_stat(pid, raw) if raw else None


def parse_stat(pid: int, raw: bytes) -> Process | None:
    """What `/proc/PID/stat` says. None of a process reaped meanwhile: its parent is 0 then, its group -1."""
    f = raw[raw.rindex(b")") + 2 :].split()
    if f[2] == b"-1":
        return None
    return Process(
        pid=pid,
        ppid=int(f[1]),
        pgid=int(f[2]),
        sid=int(f[3]),
        state=f[0].decode("ascii"),
        start_ticks=int(f[19]),
        cpu_s=(int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])) / TICKS_PER_S,
        rss_bytes=int(f[21]) * PAGE_BYTES,
        threads=int(f[17]),
    )


def start_ticks(pid: int) -> int:
    """Start time of `pid` in clock ticks since boot, 0 when there is no such process."""
    found = read(pid)
    return found.start_ticks if found else 0


def identity(pid: int) -> Identity | None:
    """Who `pid` is now, or None when there is no such process."""
    found = read(pid)
    return found and Identity(boot=boot_id(), pid=pid, start_ticks=found.start_ticks)


def is_alive(who: Identity) -> bool:
    """True while exactly this process runs; a zombie and a stranger with its PID do not count."""
    if who.boot != boot_id() or who.start_ticks <= 0:
        return False
    found = read(who.pid)
    return found is not None and found.start_ticks == who.start_ticks and not found.ended


def send_signal(pid: int, ticks: int, signum: int) -> bool:
    """Signal the process `pid` that started at `ticks`; False when it is gone or somebody else.

    The identity is checked after the pidfd was opened, so a PID that comes back in between is never
    hit. Without pidfds the check stands right before the signal.
    Raises PermissionError when the process is not ours to signal.
    """
    if pid <= 0 or ticks <= 0:
        return False
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):
        return _send_checked(pid, ticks, signum)
    try:
        if start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(fd, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def _send_checked(pid: int, ticks: int, signum: int) -> bool:
    if start_ticks(pid) != ticks:
        return False
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def kill_all(find: Callable[[], list[Process]], *, freeze: bool = True) -> list[Process]:
    """Kill what `find` finds, once around; returns it.

    With `freeze` everything is stopped first, and looked for again until nothing new turns up: a process
    that is stopped cannot answer another's death with a birth. What runs as another user stays.
    """
    frozen: set[tuple[int, int]] = set()
    found = find()
    for _ in range(_FREEZE_ROUNDS if freeze else 0):
        fresh = [p for p in found if (p.pid, p.start_ticks) not in frozen]
        if not fresh:
            break
        for process in fresh:
            frozen.add((process.pid, process.start_ticks))
            _send_if_allowed(process, signal.SIGSTOP)
        found = find()
    for process in found:
        _send_if_allowed(process, signal.SIGKILL)
    return found


def _send_if_allowed(process: Process, signum: int) -> None:
    with contextlib.suppress(PermissionError):
        send_signal(process.pid, process.start_ticks, signum)


def everyone() -> list[Process]:
    """Every process of the machine that we can see."""
    if not HAS_PROC:
        return read_ps()
    found = (read(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return [p for p in found if p]


def how_many() -> int:
    """Processes and threads of the whole machine, in one read; 0 when that is not known."""
    fields = slurp("/proc/loadavg").split()
    return int(fields[3].partition(b"/")[2]) if len(fields) > 3 else 0


def descendants(root: int, *, skip: Collection[int] = (), exact: bool = False) -> list[Process]:
    """Every process below `root`, parents before children, zombies included; `root` itself is not.

    What is below a PID of `skip` is left out with it. The kernel's list of children may miss one
    while another ends; `exact` reads the whole process table instead, which is slower.
    """
    if exact or not _has_children_files():
        return below(root, everyone(), skip=skip)
    found: list[Process] = []
    todo = _children(root, threads=0)
    seen = {root, *skip}
    while todo:
        pid = todo.pop()
        if pid in seen:
            continue
        seen.add(pid)
        process = read(pid)
        if process is None:
            continue
        found.append(process)
        if not process.ended:
            todo.extend(_children(pid, threads=process.threads))
    return found


def below(root: int, table: Iterable[Process], *, skip: Collection[int] = ()) -> list[Process]:
    """The descendants of `root` among the processes of `table`."""
    children: dict[int, list[Process]] = {}
    for process in table:
        children.setdefault(process.ppid, []).append(process)
    found: list[Process] = []
    todo = [root]
    while todo:
        for process in children.pop(todo.pop(), []):
            if process.pid not in skip:
                found.append(process)
                todo.append(process.pid)
    return found


def _children(pid: int, *, threads: int) -> list[int]:
    """Children of all threads of `pid`; a process of one thread needs no listing of its threads."""
    if threads == 1:
        return [int(c) for c in slurp(f"/proc/{pid}/task/{pid}/children").split()]
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(c) for task in tasks for c in slurp(f"/proc/{pid}/task/{task}/children").split()]


@functools.cache
def _has_children_files() -> bool:
    return HAS_PROC and os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def relatives(root: int, *, leader: tuple[int, int], known: Mapping[int, int]) -> list[Process]:
    """What belongs to `root` on a system that has orphans adopted by init.

    These are its descendants, the process group and session of `leader` (PID and start time), what is
    `known` (PID → start time) from the last look, and everything below those. A daemon that left its
    parent and its session between two looks is not found.
    """
    table = {p.pid: p for p in everyone()}
    pid, ticks = leader
    group = pid if pid not in table or table[pid].start_ticks == ticks else -1
    found = {p.pid: p for p in below(root, table.values())}
    ours = [p for p in table.values() if group in (p.pgid, p.sid) or known.get(p.pid) == p.start_ticks]
    for process in ours:
        found[process.pid] = process
        found.update((p.pid, p) for p in below(process.pid, table.values()))
    found.pop(root, None)
    return list(found.values())


def pss_bytes(processes: Iterable[Process]) -> int:
    """Memory of these processes, each shared page counted once among them (PSS).

    Where the kernel does not tell the PSS of one of them, its resident memory is taken instead.
    """
    return sum(_pss(p) for p in processes)


def _pss(process: Process) -> int:
    for line in slurp(f"/proc/{process.pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return process.rss_bytes


def carries(pid: int, marker: bytes) -> bool:
    """True when the environment of `pid`, as it was when it started, has `marker` (`NAME=value`)."""
    return bool(marker) and marker in slurp(f"/proc/{pid}/environ").split(b"\0")


def become_subreaper() -> bool:
    """Adopt orphaned descendants instead of letting them go to init; False where there is no such thing."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Be a subreaper for the time of a block; a process that was one before stays one."""
    before = is_subreaper()
    become_subreaper()
    try:
        yield
    finally:
        if not before:
            _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def is_subreaper() -> bool:
    """Whether orphaned descendants of this process become its children."""
    import ctypes

    if not sys.platform.startswith("linux"):
        return False
    answer = ctypes.c_int(0)
    _libc().prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(answer), 0, 0, 0)
    return bool(answer.value)


def make_undumpable() -> bool:
    """Keep processes of the same user out of our memory and environment; False where that is impossible.

    It also closes our own `/proc/<pid>` files of mode 0400 to ourselves, unless we are root. Programs
    we start are not affected: the kernel resets it when they are executed.
    """
    return _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(_libc().prctl(option, value, 0, 0, 0) == 0)


@functools.cache
def _libc() -> Any:
    import ctypes  # 4 ms, and only here

    libc = ctypes.CDLL(None)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    return libc


def slurp(path: str) -> bytes:
    """A small file of /proc in as few calls as possible; empty when it is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        raw = os.read(fd, 65536)
        while len(raw) % 4096 == 0 and raw and (more := os.read(fd, 65536)):
            raw += more
    except OSError:
        return b""
    finally:
        os.close(fd)
    return raw


def read_ps() -> list[Process]:
    """The process table by way of ps(1), where there is no /proc."""
    found = []
    asked, table = _run("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,rss=,time=,lstart=")
    for line in table.splitlines():
        with contextlib.suppress(ValueError, IndexError):
            found.append(_parse_ps(line.split()))
    return [p for p in found if p.pid != asked]


def _parse_ps(f: list[str]) -> Process:
    """One line of ps(1). The start time is of one second's grain, as seconds since the epoch."""
    import time

    started = time.mktime(time.strptime(" ".join(f[6:11]), "%a %b %d %H:%M:%S %Y"))
    return Process(
        pid=int(f[0]), ppid=int(f[1]), pgid=int(f[2]), sid=int(f[2]), state=f[3][0], start_ticks=int(started),
        cpu_s=ps_seconds(f[5]), rss_bytes=int(f[4]) * 1024,
    )  # fmt: skip


def ps_seconds(text: str) -> float:
    """`[[days-]hours:]minutes:seconds` in seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86400 * int(days or 0)


def _run(*argv: str) -> tuple[int, str]:
    """PID of a system tool and what it said; (0, "") when it could not be run."""
    import subprocess  # 12 ms, and only where there is no /proc

    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
        ) as tool:
            return tool.pid, tool.communicate(timeout=10)[0]
    except (OSError, subprocess.SubprocessError):
        return 0, ""
