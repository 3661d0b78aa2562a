"""What bounds an attempt: its deadlines, and what it uses of log, disk, CPU time and memory while it runs.

Each `look` returns the ending a passed limit brings, with the measured figure in words, or None. Runs
in the guard; standard library only. All times are of the monotonic clock, so nobody's setting of the
wall clock moves a limit.
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Callable

from orchestrator_action.process import table as procs

LOG_LOOK_S = 0.25
"""How often log and disk are looked at when nothing presses."""
SAMPLE_S = 1.0 if procs.HAS_PROC else 5.0
"""How often the tree is sampled in the long run; more often while it is young."""
BUSY_SHARE = 0.005
"""CPU use below this share of one core is a process that only waits."""
PSS_SHARE = 0.02
"""Share of one core that measuring shared memory may take."""

SMALL_DISK_SHARE = 16
"""The floor of a small disk is this part of it."""
CROWD_SHARE = 0.2
"""Share of one core that counting may take while there are very many processes."""

Passed = tuple[str, str]


class Deadlines:
    """The fixed points in time of an attempt that began at `start`. A limit of 0 is none."""

    def __init__(self, limits: dict[str, float], start: float, *, expects_start: bool) -> None:
        self._limits, self._start = limits, start
        self._awaits_start = expects_start
        self._result_at: float | None = None

    def has_started(self) -> None:
        """The program showed a sign of its start."""
        self._awaits_start = False

    def has_result(self) -> None:
        """The program told its result: it should end by itself now."""
        self._result_at = time.monotonic()

    def _all(self) -> list[tuple[float, str, str]]:
        """Each with the ending it brings and its words."""
        wall_s, start_s = self._limits["wall_s"], self._limits["start_s"]
        grace_s, found = self._limits["result_grace_s"], []
        if wall_s:
            found.append((self._start + wall_s, "timeout", f"still running after {wall_s:g} s"))
        if self._awaits_start and start_s:
            found.append((self._start + start_s, "no-start", f"no sign of a start within {start_s:g} s"))
        if self._result_at is not None and grace_s:
            words = f"still running {grace_s:g} s after its result"
            found.append((self._result_at + grace_s, "result-grace", words))
        return found

    @property
    def next_look(self) -> float:
        """When the next of them comes."""
        return min((when for when, _, _ in self._all()), default=math.inf)

    def look(self, now: float) -> Passed | None:
        """The first that has passed, in the order in which they count."""
        return next(((ending, words) for when, ending, words in self._all() if now >= when), None)


class TreeDisk:
    """The disk that a program works on, where that is another one than its log's. It may be a small one."""

    def __init__(self, folder: bytes, *, log: int, floor: int) -> None:
        self._fd, self._floor = -1, 0
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return  # what is wrong with it is said when the program is started
        if floor and os.fstat(fd).st_dev != os.fstat(log).st_dev:
            disk = os.fstatvfs(fd)
            self._fd, self._floor = fd, min(floor, disk.f_blocks * disk.f_frsize // SMALL_DISK_SHARE)
        else:
            os.close(fd)

    def look(self) -> Passed | None:
        """Measure what is free."""
        if self._fd < 0:
            return None
        disk = os.fstatvfs(self._fd)
        free = disk.f_bavail * disk.f_frsize
        if free >= self._floor:
            return None
        return (
            "disk-limit",
            f"{free / procs.MIB:.1f} MiB free on the disk of its tree, the floor is {self._floor / procs.MIB:.1f}",
        )


class Log:
    """The file a program writes to, which nobody else writes meanwhile. `tree` is the folder that it works in."""

    def __init__(self, path: str, *, append: bool, limits: dict[str, float], tree: bytes) -> None:
        flags = (
            os.O_WRONLY
            | os.O_CREAT
            | os.O_APPEND
            | os.O_CLOEXEC
            | os.O_NOFOLLOW
            | (0 if append else os.O_TRUNC)
        )
        self.fd = os.open(path, flags, 0o600)
        self._base = os.fstat(self.fd).st_size
        self._size = self._base
        self._cap = int(limits["log_bytes"])
        self._floor = int(limits["disk_free_bytes"])
        self._tree = TreeDisk(tree, log=self.fd, floor=self._floor)
        self._looked_at = self.grew_at = time.monotonic()
        self.next_look = self._looked_at + LOG_LOOK_S / 10

    def look(self, now: float) -> Passed | None:
        """Measure the log and the disk it is on."""
        size = os.fstat(self.fd).st_size
        grown, elapsed = size - self._size, max(now - self._looked_at, 1e-6)
        if grown:
            self.grew_at = now
        self._base = min(self._base, size)  # the program itself may have cut it: `> /dev/stdout`
        self._size, self._looked_at = size, now
        free = self._free()
        if passed := self.too_long() or self._tree.look():
            return passed
        if self._floor and free < self._floor:
            return "disk-limit", f"{free >> 20} MiB of disk free, the floor is {self._floor >> 20}"
        room = min(
            self._cap - self.written() if self._cap else free,
            free - self._floor,
        )
        self.next_look = now + min(
            LOG_LOOK_S, max(0.01, 0.5 * room * elapsed / grown if grown > 0 else LOG_LOOK_S)
        )
        return None

    def too_long(self) -> Passed | None:
        """Whether it is longer than the limit, also when nobody writes any more: a hole is made in no time."""
        if self._cap and self.written() > self._cap:
            return "log-limit", f"{self.written()} bytes of output, the limit is {self._cap}"
        return None

    def _free(self) -> int:
        disk = os.fstatvfs(self.fd)
        return disk.f_bavail * disk.f_frsize

    def written(self) -> int:
        """Bytes this program has written so far."""
        return os.fstat(self.fd).st_size - self._base

    def kept(self) -> int:
        """Bytes that stay of an attempt that was stopped: never more than the limit."""
        return min(self._cap, self.written()) if self._cap else self.written()


class Curve:
    """Memory and CPU over time, in at most `MOST` steps: when these are full, each becomes twice as long."""

    MOST = 48

    def __init__(self, step_s: float = 0.25) -> None:
        self._step_s = step_s
        self._steps: dict[int, tuple[int, float]] = {}
        """By number: the most memory that was seen in it, and the CPU seconds used until its last sample."""

    def add(self, at_s: float, rss_bytes: int, cpu_s: float) -> None:
        """Take a sample, `at_s` seconds after the start."""
        while at_s >= self._step_s * self.MOST:
            self._step_s *= 2
            steps, self._steps = self._steps, {}
            for number, (rss, cpu) in steps.items():
                self._put(number // 2, rss, cpu)
        self._put(int(at_s / self._step_s), rss_bytes, cpu_s)

    def _put(self, number: int, rss: int, cpu: float) -> None:
        before = self._steps.get(number, (0, 0.0))
        self._steps[number] = (max(before[0], rss), max(before[1], cpu))

    def json(self) -> dict[str, object]:
        """The steps' length, resident MiB (of each process its own, summed up) and cores; empty below three steps."""
        if len(self._steps) < 3:
            return {}
        memory: list[float] = []
        cores: list[float] = []
        used, since = 0.0, -1
        for number, (rss, cpu) in sorted(self._steps.items()):
            steps = number - since  # what was not sampled has the memory of before, and its share of the CPU
            rate = max(0.0, cpu - used) / (steps * self._step_s)
            cores += [round(rate, 2)] * steps
            memory += [memory[-1] if memory else round(rss / procs.MIB, 1)] * (steps - 1)
            memory.append(round(rss / procs.MIB, 1))
            used, since = max(used, cpu), number
        return {"step_s": self._step_s, "rss_mib": memory, "cores": cores}


class Usage:
    """CPU time, memory and I/O of a family of processes, most of them below this one."""

    def __init__(self, family: Callable[[], list[procs.Process]], limits: dict[str, float]) -> None:
        self._family = family
        self._limits = limits
        self._started = time.monotonic()
        self._cpu_own = _children_cpu_s()
        self._io_own = _io()
        self._oom_own = _oom_count()
        self._own_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
        self._cpu_mark = 0.0
        self._busy_at = self._started
        self._peak = 0
        self._pss_after = 0.0
        self._interval = 0.1
        self._looked_at, self._took_s = self._started, 0.0
        self._curve = Curve()
        self.tree: list[procs.Process] = []
        self.aside: frozenset[int] = frozenset()
        """Processes of ours in the family; their memory is not the program's."""
        self.next_look = self._started + self._interval

    def hurry(self) -> None:
        """Look sooner when the machine has more processes than this tree may have: they may be its own."""
        if self._limits["processes"] and procs.how_many() > self._limits["processes"]:
            self.next_look = min(self.next_look, self._looked_at + self._took_s / CROWD_SHARE)

    def look(self, now: float, output_at: float) -> Passed | None:
        """Sample the tree once. `output_at` is when the program last wrote something."""
        self.tree = tree = self._family()
        self._looked_at = time.monotonic()
        self._took_s = self._looked_at - now
        if passed := self._too_many(tree):
            return passed
        self._cpu(now, tree)
        memory = self._memory(now, tree)
        self._interval = min(self._longest_interval(), self._interval * 1.5)
        self.next_look = now + max(self._interval, 50 * (time.monotonic() - now))
        if memory:
            return memory
        quiet = now - max(self._busy_at, output_at)
        if self._limits["stall_s"] and quiet >= self._limits["stall_s"]:
            return "stalled", f"no output and no CPU use for {quiet:.1f} s"
        return None

    def _longest_interval(self) -> float:
        stall = self._limits["stall_s"]
        limit = SAMPLE_S / 4 if self._limits["rss_mib"] else SAMPLE_S
        return min(limit, max(0.05, stall / 8)) if stall else limit

    def _cpu(self, now: float, tree: list[procs.Process]) -> None:
        used = sum(p.cpu_s for p in tree) + _children_cpu_s() - self._cpu_own
        if used - self._cpu_mark >= max(1 / procs.TICKS_PER_S, BUSY_SHARE * (now - self._busy_at)):
            self._cpu_mark, self._busy_at = used, now
        self._cpu_mark = min(self._cpu_mark, used)  # a parent that ignores SIGCHLD makes time vanish
        resident = sum(p.rss_bytes for p in tree if p.pid not in self.aside)
        self._curve.add(now - self._started, resident, used)

    def _too_many(self, tree: list[procs.Process]) -> Passed | None:
        most = int(self._limits["processes"])
        count = sum(p.threads for p in tree if p.pid not in self.aside)
        if most and count > most:
            return "process-limit", f"{count} processes and threads, the limit is {most}"
        return None

    def _memory(self, now: float, tree: list[procs.Process]) -> Passed | None:
        allowed = int(self._limits["rss_mib"]) * procs.MIB
        tree = [p for p in tree if p.pid not in self.aside]
        resident = sum(p.rss_bytes for p in tree)
        pressing = bool(allowed) and resident > allowed
        if not pressing and (resident <= self._peak or now < self._pss_after):
            return None
        used = procs.pss_bytes(tree)
        self._pss_after = now + (time.monotonic() - now) / PSS_SHARE
        self._peak = max(self._peak, used)
        if pressing and used > allowed:
            return (
                "memory-limit",
                f"{used / procs.MIB:.0f} MiB of memory in use, the limit is {allowed // procs.MIB}",
            )
        return None

    def final(self) -> dict[str, object]:
        """The whole bill, now that every descendant was reaped."""
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _MAXRSS_UNIT
        if self._peak and largest <= self._own_rss + procs.MIB:
            largest = 0  # a program inherits the figure of the process that started it
        read, written = (after - before for after, before in zip(_io(), self._io_own, strict=True))
        return {
            "cpu_s": _children_cpu_s() - self._cpu_own,
            "peak_rss_mib": max(self._peak, largest) / procs.MIB,
            "read_bytes": read,
            "write_bytes": written,
            "curve": self._curve.json(),
        }

    def oom_killed(self) -> bool:
        """True when the kernel killed something for want of memory since we began."""
        return _oom_count() > self._oom_own


_MAXRSS_UNIT = 1024 if procs.HAS_PROC else 1


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _io() -> tuple[int, int]:
    """Bytes read from and written to storage by this process and the children it has waited for."""
    fields = dict(line.split(b": ") for line in procs.slurp("/proc/self/io").splitlines())
    return int(fields.get(b"read_bytes", 0)), int(fields.get(b"write_bytes", 0))


def _oom_count() -> int:
    for line in procs.slurp("/proc/vmstat").splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0
