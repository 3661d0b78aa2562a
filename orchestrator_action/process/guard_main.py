"""The spawner: one small process that forks a guard for each attempt and reaps it.

Started once per orchestrator as `python -I -S -E …/guard_main.py FD` with an empty environment, so that no
token of the orchestrator can be read from it or from the guards. Forking from here costs a
millisecond; starting an interpreter per attempt would cost twenty.

It is the subreaper above the guards: when one of them is killed, what it guarded becomes our child.
Whatever is our child and no guard is therefore an orphan of a dead guard, and is ended. Only then the
last descriptor of that guard's control socket is closed here, and the orchestrator sees its end.

FD is a socket on which the orchestrator sends one control socket per attempt; its end of file means
that no more will come. Standard library only.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from contextlib import suppress

if __name__ == "__main__":  # -I -S leave the package unknown; last place, so nothing shadows the stdlib
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from orchestrator_action.process import table as procs
from orchestrator_action.process.guard import Guard
from orchestrator_action.process.keyring import leave_session_keyring
from orchestrator_action.process.launch import ignore_broadcast_signals
from orchestrator_action.process.wakeup import drain, wakeup

SWEEP_PATIENCE_S = 5.0
SWEEP_ROUND_S = 0.02


class Spawner:
    """Forks guards, reaps them, and ends what a dead one left."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._open = True
        self._guards: dict[int, int] = {}
        self._lost: list[int] = []
        self._sweeping_since: float | None = None
        self._wake = wakeup()
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)

    def run(self) -> None:
        """Serve until the orchestrator is gone and every guard with it."""
        while self._open or self._guards or self._sweeping_since is not None:
            for fd, _ in self._poll.poll(None if self._sweeping_since is None else SWEEP_ROUND_S * 1000):
                if fd == self._requests.fileno():
                    self._take()
                else:
                    drain(self._wake)
            self._reap()
            if self._sweeping_since is not None:
                self._sweep()

    def _take(self) -> None:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        try:
            data, fds, _, _ = socket.recv_fds(self._requests, 1, 1, flags)
        except OSError:
            data, fds = b"", []
        if not data:
            self._open = False
            self._poll.unregister(self._requests)
        for fd in fds:
            self._fork(fd)

    def _fork(self, control: int) -> None:
        try:
            pid = os.fork()
        except OSError as exc:
            _say(control, event="fail", error=f"no process can be started: {os.strerror(exc.errno or 0)}")
            os.close(control)
            return
        if pid:
            self._guards[pid] = control
            return
        code = 70
        try:
            self._guard(control)
            code = 0
        except BaseException as exc:  # noqa: BLE001 - told to the orchestrator, which has a place for it
            _say(control, event="bug", error=f"its guard failed: {_where(exc)}")
        finally:
            os._exit(code)

    def _guard(self, control: int) -> None:
        """Be a guard from here on: hold nothing of the spawner's, above all no other control socket."""
        for fd in [*self._guards.values(), *self._lost, self._requests.fileno(), self._wake]:
            os.close(fd)
        os.setsid()
        os.set_inheritable(control, False)
        Guard(socket.socket(fileno=control), wakeup(), adopts=procs.become_subreaper()).run()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            control = self._guards.pop(pid, None)
            if control is None:
                continue
            if status == 0:
                os.close(control)
                continue
            self._lost.append(control)
            self._sweeping_since = time.monotonic()

    def _sweep(self) -> None:
        since = self._sweeping_since or 0.0
        procs.kill_all(self._orphans)
        self._reap()
        left = self._orphans()
        if left and time.monotonic() - since < SWEEP_PATIENCE_S:
            return
        self._sweeping_since = None
        for control in self._lost:
            _say(control, event="lost", survivors=len(left))
            os.close(control)
        self._lost = []

    def _orphans(self) -> list[procs.Process]:
        below = procs.descendants(os.getpid(), skip=self._guards, exact=True)
        return [p for p in below if not p.ended]


def _where(exc: BaseException) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace is not None else "?"
    return f"{type(exc).__name__}: {exc} ({place})"


def _say(fd: int, **message: object) -> None:
    with suppress(OSError):
        os.write(fd, b"\n" + json.dumps(message).encode("ascii") + b"\n")


def main(fd: int) -> None:
    """Be the spawner for the orchestrator at the other end of the socket `fd`."""
    import gc

    ignore_broadcast_signals()
    os.set_inheritable(fd, False)
    procs.become_subreaper()
    leave_session_keyring()
    procs.boot_id()
    gc.collect()
    gc.freeze()  # the guards share these pages
    gc.disable()
    Spawner(socket.socket(fileno=fd)).run()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
