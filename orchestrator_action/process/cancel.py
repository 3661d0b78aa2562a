"""One switch that ends many waits, thrown by a signal handler, a thread or another process's order.

No lock is taken, so a handler may throw it while the thread it interrupted stands anywhere, also
inside a wait on the same switch. Waiters poll a descriptor that is written and never read; a switch
that nobody waits on has none, so a backlog of thousands of tasks costs no open files.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from orchestrator_action.errors import Interrupted


class _Flag:
    """A descriptor that stays readable once set: an eventfd, or a pipe where there is none."""

    __slots__ = ("__weakref__", "_writer", "fd")

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.fd = self._writer = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self.fd, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
        weakref.finalize(self, _close, {self.fd, self._writer})

    def set(self) -> None:
        with suppress(BlockingIOError):  # set very often: readable all the same
            os.write(self._writer, (1).to_bytes(8, sys.byteorder))


def _close(fds: set[int]) -> None:
    for fd in fds:
        os.close(fd)


class Cancel:
    """Asks supervised processes to end; a second throw, `hurry`, ends them at once.

    With a `parent`, this one is also set when the parent is: one run, many tasks.
    """

    def __init__(self, parent: Cancel | None = None) -> None:
        self._parent = parent
        self._flags: dict[str, _Flag] = {}  # at most one: a dict, as its `setdefault` is atomic
        self._is_set = self._is_hurried = False
        self._reason = ""
        self._since = self._hurried_since = float("inf")
        self._interrupts = False

    def set(self, reason: str = "") -> None:
        """Ask for the end; the first reason stands. Safe in a signal handler."""
        if not self._is_set:
            self._reason = reason
            self._since = time.monotonic()
            self._is_set = True
            for flag in list(self._flags.values()):
                flag.set()

    def hurry(self) -> None:
        """Grace is over: kill at once. Safe in a signal handler."""
        if not self._is_hurried:
            self._hurried_since = time.monotonic()
            self._is_hurried = True
        self.set("hurried")

    def on_signal(self, signum: int, frame: object) -> None:  # noqa: ARG002 - the shape of a signal handler
        """A handler for signal.signal: the first signal asks, the second kills."""
        if self._is_set:
            self.hurry()
        else:
            self.set(f"cancelled by {signal.Signals(signum).name}")
        if self._interrupts:
            raise Interrupted(f"ended by signal {signum} before any task was started")

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """While nothing is under way that must be ended first, a signal raises Interrupted at once."""
        self._interrupts = True
        try:
            if self._is_set:
                raise Interrupted("ended before any task was started")
            yield
        finally:
            self._interrupts = False

    def is_set(self) -> bool:
        """Whether the end was asked for, here or at a parent."""
        return self._is_set or (self._parent is not None and self._parent.is_set())

    def is_hurried(self) -> bool:
        """Whether everything shall be killed at once."""
        return self._is_hurried or (self._parent is not None and self._parent.is_hurried())

    @property
    def since(self) -> float:
        """When the end was first asked for, here or above; monotonic seconds, infinity while it was not."""
        return min(self._since, self._parent.since if self._parent is not None else self._since)

    @property
    def hurried_since(self) -> float:
        """When everything was first told to be killed at once; infinity while it was not."""
        above = self._parent.hurried_since if self._parent is not None else self._hurried_since
        return min(self._hurried_since, above)

    @property
    def reason(self) -> str:
        """Why, in the words of whoever asked first; empty while nobody did."""
        if self._is_set or self._parent is None:
            return self._reason
        return self._parent.reason

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds; the main thread handles signals meanwhile."""
        wait_readable(self.fds(), timeout)
        return self.is_set()

    def fds(self) -> tuple[int, ...]:
        """Descriptors that become, and stay, readable when it is set; never read them."""
        flag = self._flags.get("") or self._flags.setdefault("", _Flag())
        if self._is_set:  # by whoever asked before there was a flag, or while it was made
            flag.set()
        return (flag.fd, *(self._parent.fds() if self._parent is not None else ()))


def wait_readable(fds: tuple[int, ...], timeout: float | None) -> frozenset[int]:
    """Those of `fds` that can be read, as soon as there is one; empty after `timeout` seconds."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = poll.poll(None if left is None else left * 1000)
        if ready or left == 0.0:
            return frozenset(fd for fd, _ in ready)


@contextmanager
def on_signals() -> Iterator[Cancel]:
    """A switch that the first INT, TERM or HUP throws; the second of them kills at once."""
    cancel = Cancel()
    before = {s: signal.signal(s, cancel.on_signal) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
