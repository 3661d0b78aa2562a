"""What one child process may touch, and by which means it is held to that.

A policy is a value. Whoever knows the task makes it; `start` turns it into a process. The level is what
the probe found on this machine, never what a configuration hopes for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Role(StrEnum):
    """What a child process is to us."""

    AGENT = "agent"
    REVIEWER = "reviewer"
    SETUP = "setup"
    TEARDOWN = "teardown"
    TESTS = "tests"
    GATE = "gate"
    ON_FINISH = "on-finish"
    """Tells others how a run ended: it keeps the network, which it is there for."""
    TRUSTED = "trusted"
    """A program of ours, or git on a repository of ours. No walls at any level."""


class Level(IntEnum):
    """How far an untrusted process is walled in. A higher level stops all that a lower one stops."""

    OPEN = 0
    """A clean environment; the orchestrator cannot be looked into. Stops accidents."""
    CONFINED = 1
    """The kernel's Landlock: it writes below its own paths only, and reaches no process outside."""
    SANDBOXED = 2
    """bubblewrap: own namespaces, private HOME, /tmp and /run, a read-only system."""
    SPLIT = 3
    """Verified on a machine on which no agent worked. No process is started at this level: it is said of a verdict."""

    @property
    def word(self) -> str:
        """As `doctor`, the report and the check say it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """How a process without a network reaches the hosts that it is let through to."""

    socket: str
    """The socket file of the proxy that decides."""
    ports: tuple[int, ...] = ()
    """Ports of loopback on which it finds servers of the machine outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one child process may touch. Paths are absolute; of two, the longer one decides."""

    role: Role
    level: Level = Level.OPEN
    program: str = ""
    """What builds the walls, by absolute path, where a program does: `bwrap`."""
    write: tuple[str, ...] = ()
    """Folders and files it may change: its own tree, its scratch."""
    read: tuple[str, ...] = ()
    """What it may read although it lies below a masked folder."""
    mask: tuple[str, ...] = ()
    """Files that read as empty, and folders that are empty and private."""
    scratch: str = ""
    """A folder on disk that becomes its HOME and its /tmp; empty: both end with the process."""
    network: bool = True
    way_out: WayOut | None = None
    """Where the network is taken: what is left of it."""
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables laid over the command's own."""

    @property
    def walled(self) -> bool:
        """Whether anything holds the process to this policy."""
        return self.level > Level.OPEN and self.role is not Role.TRUSTED


TRUSTED = Policy(role=Role.TRUSTED)
