"""Run several programs at the same time, each under its guard, for a caller that has no time to lose.

The same guards as `supervisor` uses, spoken to directly: what `git push` waits for cannot pay for the
supervisor's imports (48 ms of CPU) nor for a second interpreter (20 ms), so the spawner is forked here and
not executed. It ends everything its guards watch when this process goes, however it went.

Standard library only, and of that little.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_action.process import guard_main
from orchestrator_action.process import table as procs

SPAWNER_PATIENCE_S = 8.0
"""The spawner sweeps for five seconds at most before it goes."""
NO_LIMITS: Mapping[str, float] = {
    "wall_s": 0.0,
    "start_s": 0.0,
    "result_grace_s": 0.0,
    "stop_grace_s": 0.4,
    "stall_s": 0.0,
    "rss_mib": 0,
    "processes": 10_000,
    "log_bytes": 0,
    "disk_free_bytes": 0,
}
"""As protocol.attempt.Limits has them; a test keeps the names equal. Nobody may fill the machine with processes."""


class Supervised:
    """One program under its guard. `outcome` has the guard's report once the program and all it left is gone."""

    def __init__(self, name: str, control: socket.socket) -> None:
        self.name = name
        self.control = control
        self.started_at = time.monotonic()
        self.outcome: dict[str, Any] = {}
        self._inbox = b""

    def hear(self) -> bool:
        """Read what the guard says; True when that was its last word."""
        try:
            chunk = self.control.recv(1 << 16)
        except OSError:
            chunk = b""
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        for line in filter(None, lines):
            try:
                message = json.loads(line)
            except ValueError:
                continue  # the torn last words of a guard that was killed
            if message["event"] == "end":
                self.outcome = message
            elif message["event"] in ("fail", "bug", "lost"):
                ending = "spawn-failed" if message["event"] == "fail" else "lost"
                self.outcome = {"ending": ending, "error": "its guard was killed", **message}
        if not chunk and not self.outcome:
            self.outcome = {"ending": "lost", "error": "its guard was killed"}
        return bool(self.outcome)

    def tell(self, **message: object) -> None:
        """Send an order; a guard that is gone needs none."""
        try:
            self.control.sendall(json.dumps(message).encode("ascii") + b"\n")
        except OSError:
            return


class GuardedPrograms:
    """Everything that runs together. A context manager; when it is left, nothing of it is alive."""

    def __init__(self, *, held: Sequence[int] = ()) -> None:
        """`held` are descriptors, such as a lock, that stay open until the last guard is gone."""
        procs.become_subreaper()
        self.running: list[Supervised] = []
        self._requests, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.setsid()
                _let_go({theirs.fileno(), *held})
                guard_main.main(theirs.detach())
            finally:
                os._exit(70)
        theirs.close()

    def __enter__(self) -> GuardedPrograms:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.running:
            one.control.close()  # to its guard, we have ended
        self._requests.close()
        self._wait_for_spawner()
        procs.kill_all(lambda: procs.descendants(os.getpid()))  # only after a double fault is there any

    def _wait_for_spawner(self) -> None:
        until = time.monotonic() + SPAWNER_PATIENCE_S
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(self._pid, 9)
                os.waitpid(self._pid, 0)
                return
            time.sleep(0.001)

    def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, log: str,
        limits: Mapping[str, float], prefix: Sequence[str] = (),
    ) -> Supervised:  # fmt: skip
        """Start one program; its output goes to the file `log`. What cannot be started is an outcome.

        `prefix` builds the walls it runs within, as `sandbox.prepare` gives it.
        """
        ours, theirs = socket.socketpair()
        one = Supervised(name, ours)
        with theirs:
            try:
                socket.send_fds(self._requests, [b"+"], [theirs.fileno()])
            except OSError as exc:
                one.outcome = {"ending": "lost", "error": f"the process that starts programs is gone: {exc}"}
        one.tell(
            argv=[_carried(word) for word in argv],
            prefix=[_carried(word) for word in prefix],
            env={_carried(key): _carried(value) for key, value in env.items()},
            cwd=_carried(cwd),
            log=log,
            append=False,
            limits={**NO_LIMITS, **limits},
            expects_start=False,
            record="",
            marker="",
            owner=os.getpid(),
            owner_ticks=0,
        )
        self.running.append(one)
        return one

    def wait(self, timeout_s: float, *, also: Iterable[int] = ()) -> list[Supervised]:
        """Wait until a program has ended or a descriptor of `also` is readable; the programs that ended."""
        poller = select.poll()
        for fd in also:
            poller.register(fd, select.POLLIN)
        for one in self.running:
            poller.register(one.control, select.POLLIN)
        ready = {fd for fd, _ in poller.poll(max(0.0, timeout_s) * 1000)}
        ended = [one for one in self.running if one.outcome or (one.control.fileno() in ready and one.hear())]
        for one in ended:
            self.running.remove(one)
            one.control.close()
        return ended

    def stop(self, why: str, *, patience_s: float, at_once: bool = False) -> None:
        """Ask every guard to end its program and wait until they have."""
        for one in self.running:
            one.tell(order="kill" if at_once else "stop", ending="cancelled", error=why)
        until = time.monotonic() + patience_s
        while self.running and time.monotonic() < until:
            self.wait(until - time.monotonic())


def _carried(value: str) -> str:
    """Any bytes of the system as a string that JSON can carry."""
    return os.fsencode(value).decode("latin-1")


def _let_go(keep: set[int]) -> None:
    """In the spawner: hold nothing of the caller's, above all no pipe that somebody reads to its end."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(folder):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:
                continue
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in keep:
        os.set_inheritable(fd, False)
