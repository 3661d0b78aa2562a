"""Who may start now: slots, and what the machine has left.

A number asked for is a number given, as long as memory is above its floor. `auto` also looks at cores,
load and pressure. Memory below the floor admits nobody, and the youngest at work is asked to come back
later: the work lost is least, and it is nobody's fault.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator_action.errors import AgentError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.table import MIB

MEMORY_FLOOR_MIB = 384
TASK_MIB = 512
"""What one agent and its tests may come to; claude alone was measured at 200 MiB."""
TASKS_PER_CORE = 2
"""Agents mostly wait for their API."""
MOST_AUTO = 32
FILES_PER_TASK = 8
SPARE_FILES = 64
LOAD_PER_CORE = 4.0
MEMORY_PRESSURE = 20.0
"""Per cent of the last ten seconds in which something waited for memory."""
CPU_PRESSURE = 95.0
LOAD_SETTLE_S = 5.0
"""An agent has not taken its memory yet when the next one asks."""
STARVED_S = 300.0
"""With nobody at work and no memory, waiting longer is no use."""
_LOOK_S = 0.2
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is at one instant. Pressures in per cent of ten seconds, 0.0 where unknown."""

    cores: int
    memory_mib: int
    """Available without swapping, within the limits of our control group."""
    load: float = 0.0
    memory_pressure: float = 0.0
    cpu_pressure: float = 0.0
    open_files: int = 1024


def read_machine() -> Machine:
    """The machine as it is now."""
    import psutil  # 13 ms, and not needed by commands that start nothing

    available = psutil.virtual_memory().available
    limited = [room for room in (_cgroup2_room(), _cgroup1_room()) if room is not None]
    return Machine(
        cores=_cores(),
        memory_mib=min([available, *limited]) // MIB,
        load=os.getloadavg()[0],
        memory_pressure=_pressure("memory"),
        cpu_pressure=_pressure("cpu"),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def sensible_parallel(machine: Machine) -> int:
    """What `auto` means on this machine; at least 1."""
    by_memory = (machine.memory_mib - MEMORY_FLOOR_MIB) // TASK_MIB
    return max(1, min(TASKS_PER_CORE * machine.cores, by_memory, _by_files(machine), MOST_AUTO))


def _by_files(machine: Machine) -> int:
    return max(1, (machine.open_files - SPARE_FILES) // FILES_PER_TASK)


class Slot:
    """One place at work. `cancel` ends what runs in it; `shed` says that it should simply come again."""

    def __init__(self, parent: Cancel, since: float) -> None:
        self.cancel = Cancel(parent)
        self.since = since
        self.shed = False


class Slots:
    """A bounded number of places, given out while the machine can bear it."""

    def __init__(
        self,
        max_parallel: int | Literal["auto"],
        *,
        memory_floor_mib: int = MEMORY_FLOOR_MIB,
        machine: Callable[[], Machine] = read_machine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = machine
        self._clock = clock
        self._floor = memory_floor_mib
        self._auto = max_parallel == "auto"
        now = machine()
        wanted = sensible_parallel(now) if max_parallel == "auto" else max_parallel
        if wanted < 1:
            raise ValueError(f"at least one slot is needed, not {wanted}")
        self.limit = min(wanted, _by_files(now))
        self._working: list[Slot] = []
        self._changed = threading.Condition()
        self._shed_at = float("-inf")
        self.waiting_for = ""
        """Why nobody is let in just now, in words; empty when somebody could be."""

    @contextmanager
    def taken(self, cancel: Cancel) -> Iterator[Slot | None]:
        """Wait for a place and hold it; None when cancelled first.

        Raises AgentError when nobody is at work and memory has been below the floor for five minutes.
        """
        slot = self._take(cancel)
        try:
            yield slot
        finally:
            if slot is not None:
                with self._changed:
                    self._working.remove(slot)
                    self._changed.notify_all()

    def relieve(self) -> Slot | None:
        """Ask the youngest to come again when memory is below the floor; call it every second or so.

        The last one at work is never asked, and after one was, the memory gets time to come back.
        """
        with self._changed:
            now = self._clock()
            if len(self._working) < 2 or now - self._shed_at < LOAD_SETTLE_S:
                return None
            memory = self._machine().memory_mib
            if memory >= self._floor:
                return None
            youngest = max(self._working, key=lambda s: s.since)
            youngest.shed = True
            self._shed_at = now
        youngest.cancel.set(f"{memory} MiB of memory free, the floor is {self._floor}")
        return youngest

    @property
    def working(self) -> int:
        """How many are at work."""
        return len(self._working)

    def _take(self, cancel: Cancel) -> Slot | None:
        starving_since: float | None = None
        with self._changed:
            while not cancel.is_set():
                now = self._clock()
                if len(self._working) < self.limit:
                    self.waiting_for = self._refusal(now)
                    if not self.waiting_for:
                        slot = Slot(cancel, now)
                        self._working.append(slot)
                        return slot
                    starving_since = self._starve(now, starving_since)
                self._changed.wait(_LOOK_S)
        return None

    def _starve(self, now: float, since: float | None) -> float | None:
        if self._working:
            return None
        if since is not None and now - since > STARVED_S:
            raise AgentError(
                f"no agent can be started: {self.waiting_for}",
                hint="free some memory, or use a larger runner",
            )
        return now if since is None else since

    def _refusal(self, now: float) -> str:
        """Why nobody is let in; an empty string when nothing speaks against it."""
        machine = self._machine()
        young = sum(1 for s in self._working if now - s.since < LOAD_SETTLE_S)
        free = machine.memory_mib - young * (TASK_MIB if self._auto else 0)
        if free < self._floor:
            return f"{machine.memory_mib} MiB of memory free, the floor is {self._floor}"
        if not self._auto or not self._working:
            return ""
        if machine.memory_pressure > MEMORY_PRESSURE:
            return f"memory pressure {machine.memory_pressure:.0f} %"
        if machine.load > LOAD_PER_CORE * machine.cores:
            return f"load {machine.load:.1f} on {machine.cores} cores"
        if machine.cpu_pressure > CPU_PRESSURE:
            return f"CPU pressure {machine.cpu_pressure:.0f} %"
        return ""


def _cores() -> int:
    """Cores we may use: affinity, and the quota of our control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    for folder in _cgroup2_folders():
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def _pressure(what: str) -> float:
    """`some avg10` of PSI. Source: kernel.org, "PSI - Pressure Stall Information"."""
    for word in _text(Path("/proc/pressure") / what).split():
        name, _, value = word.partition("=")
        if name == "avg10":
            return float(value)
    return 0.0


def _cgroup2_folders() -> list[Path]:
    """Our control group and those above it, as far as they are mounted here."""
    own = next((ln[3:] for ln in _text(Path("/proc/self/cgroup")).splitlines() if ln.startswith("0::")), "")
    folder = _CGROUP / own.lstrip("/")
    return [f for f in (folder, *folder.parents) if f.is_relative_to(_CGROUP)] if own else []


def _cgroup2_room() -> int | None:
    """Bytes left below the tightest memory limit above us; cache that can be dropped counts as free."""
    rooms = []
    for folder in _cgroup2_folders():
        limit, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
        if limit.isdecimal() and used.isdecimal():
            rooms.append(int(limit) - int(used) + _reclaimable(folder, "inactive_file"))
    return min(rooms, default=None)


def _cgroup1_room() -> int | None:
    own = next((ln for ln in _text(Path("/proc/self/cgroup")).splitlines() if ":memory:" in ln), "")
    if not own:
        return None
    for folder in (_CGROUP / "memory" / own.split(":", 2)[2].lstrip("/"), _CGROUP / "memory"):
        limit, used = (_text(folder / f"memory.{n}_in_bytes").strip() for n in ("limit", "usage"))
        if limit.isdecimal() and used.isdecimal():
            return int(limit) - int(used) + _reclaimable(folder, "total_inactive_file")
    return None


def _reclaimable(folder: Path, field: str) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == field:
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
