"""One process of an agent or a command: what is started, within which limits, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LONGEST_PAUSE_S = 600.0
"""A model's API that asks to wait longer bans us, and has no queue; nobody waits it out."""


class Ending(StrEnum):
    """Why a supervised process ended, seen from outside."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    NO_START = "no-start"
    CANCELLED = "cancelled"
    LOG_LIMIT = "log-limit"
    DISK_LIMIT = "disk-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    RESULT_GRACE = "result-grace"
    ABORTED = "aborted"
    """Stopped because its output showed that it cannot succeed (a reader's `abort`)."""
    SPAWN_FAILED = "spawn-failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one attempt may use. Passing any of them ends it; 0 switches a limit off."""

    wall_s: float = 2700.0
    """Wall-clock time from spawn to exit."""
    start_s: float = 60.0
    """Until the first event of an agent that announces its start."""
    stall_s: float = 900.0
    """Without output and without CPU use of any descendant."""
    result_grace_s: float = 10.0
    """Between the agent's result and its exit."""
    stop_grace_s: float = 3.0
    """INT → TERM → KILL: the whole ladder."""
    log_bytes: int = 2 * 1024**3
    disk_free_bytes: int = 256 * 1024**2
    """Free space below which the attempt is stopped."""
    rss_mib: int = 0
    """Memory of the whole process tree."""
    processes: int = 10_000
    """Of the whole tree, threads counted. Many more, and nobody on the machine can start one."""
    max_turns: int = 50
    max_budget_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start: an exact argv, never through a shell; `env` is the whole environment."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a process ended, seen from outside. Exactly one of `exit_code` and `signal` is set,
    unless nothing was started or its end could not be seen; then both are None."""

    ending: Ending
    exit_code: int | None = None
    signal: int | None = None
    pid: int = 0
    start_ticks: int = 0
    """Start time as the kernel counts it (clock ticks since boot), with the PID its identity."""
    started_at: float = 0.0
    """Seconds since the epoch."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """User and system time of the whole tree, reaped children included."""
    peak_rss_mib: float = 0.0
    read_bytes: int = 0
    """Read from storage by the whole tree."""
    write_bytes: int = 0
    """Written to storage by the whole tree."""
    curve: Mapping[str, Any] = field(default_factory=dict)
    """Over time, in steps of `step_s` seconds: `rss_mib`, resident memory of each process summed up, and `cores`,
    the CPU time used per time. Empty for what was too short."""
    log_bytes: int = 0
    leftovers: int = 0
    """Descendants that outlived the leader and were ended by us."""
    survivors: int = 0
    """Descendants that could not be ended. Anything but 0 is a defect worth a report."""
    error: str = ""
    """The measured figure or the system's words, when `ending` is not `exited`."""
    oom: bool = False
    """True when the kernel killed the program because memory ran out. May pass by itself."""


class Mark(StrEnum):
    """What a line of an agent's output means to its supervision."""

    STARTED = "started"
    ACTIVITY = "activity"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """What an agent's output said of itself, folded from its lines. Claims, all of it, except
    that `problems` lists every reason why the process must not count as having succeeded."""

    session_id: str = ""
    model: str = ""
    """The model that the agent names, in its output or else in its requests."""
    turns: int | None = None
    cost_usd: float | None = None
    """As the agent printed it; of a resumed session some agents print what all of it cost so far."""
    own_tokens: int = 0
    """Tokens that this process used, as far as it told."""
    cost_tokens: int = 0
    """Tokens that `cost_usd` counts; more than `own_tokens` when it counts earlier processes of the session."""
    text: str = ""
    """The agent's closing words."""
    problems: tuple[str, ...] = ()
    limit: str = ""
    """`max-turns` or `max-budget` when the agent stopped at that limit."""
    api_failed: bool = False
    """True when the session was at work and nothing but an error of the API ended it."""
    transient: bool = False
    """True when the failure may pass by itself (overloaded, rate-limited)."""
    retry_after_s: float = 0.0
