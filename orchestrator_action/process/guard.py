"""The guard of one attempt: starts its program, watches its limits, ends its whole tree, tells what happened.

Runs as the guard: one small process per attempt and the subreaper of everything the attempt starts, so
that "all gone" is a fact of the kernel: it has no child left. The control socket's end of file means
that the orchestrator died; the stop ladder then runs without it.

The ladder: INT to the program's process group, TERM to every descendant, then KILL to all of them; who
answers a death with a birth is frozen first in the next round. Standard library only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from orchestrator_action.process import record as record_file
from orchestrator_action.process import table as procs
from orchestrator_action.process.launch import LaunchError, decode_status, launch
from orchestrator_action.process.limits import Deadlines, Log, Usage
from orchestrator_action.process.wakeup import drain
from orchestrator_action.sandbox.outside import Outside

TERM_AT = 0.4
"""Share of the stop grace after which INT was not enough."""
LEFTOVER_GRACE_S = 0.4
"""Between TERM and KILL for what outlives the program itself."""
KILL_PATIENCE_S = 5.0
"""Until a process that does not even die of KILL counts as a survivor."""
KILL_ROUND_S = 0.02
WALLS_AFTER_ROUNDS = 3
EXACT_AFTER_ROUNDS = 4
"""The kernel's lists of children may skip one while another ends; then the whole table is read."""
FLOODS = ("log-limit", "disk-limit", "process-limit")
"""Endings that cannot wait for manners: each second of grace costs another gigabyte, or as many processes."""
ORPHANED = "the orchestrator ended"


class Guard:
    """Supervises one program from its start to the end of its last descendant."""

    def __init__(self, control: socket.socket, wake: int, *, adopts: bool) -> None:
        """`adopts` says that this process is a subreaper, so that every descendant ends up as its child."""
        self._adopts = adopts
        self._known: dict[int, int] = {}
        self._control = control
        self._wake = wake
        self._inbox = b""
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(wake, select.POLLIN)
        self._leader = self._ticks = 0
        self._outside: Outside | None = None
        self._walls: frozenset[int] = frozenset()
        """Who holds up the walls. Ended last of all: everybody within dies with them."""
        self._status: int | None = None
        self._childless = False
        self._ending = ""
        self._error = ""
        self._steps: list[tuple[float, Callable[[], None]]] = []
        self._killing_since: float | None = None
        self._kill_rounds = 0
        self._leftovers: set[tuple[int, int]] = set()
        self._gave_up = False
        self._survivors: list[procs.Process] = []

    def run(self) -> None:
        """Take the order from the control socket and see it through."""
        order = self._receive_order()
        if order is None:
            return
        self._guard_ticks = procs.start_ticks(os.getpid())
        self._limits: dict[str, float] = order["limits"]
        self._record_path: str = order["record"]
        try:
            self._log = Log(
                order["log"], append=order["append"], limits=self._limits, tree=order["cwd"].encode("latin-1")
            )
        except OSError as exc:
            self._tell(
                event="fail", error=f"log {order['log']} cannot be written: {os.strerror(exc.errno or 0)}"
            )
            return
        try:
            self._start(order)
        except LaunchError as exc:
            error = str(exc)
            self._write_record({"state": "ended", **self._identity, "ending": "spawn-failed", "error": error})
            self._tell(event="fail", error=error)
            return
        while not self._over():
            self._wait()
            self._reap()
            self._act()
        self._finish()

    def _receive_order(self) -> dict[str, Any] | None:
        """The first line, however long it takes; None when the orchestrator goes away before that."""
        while b"\n" not in self._inbox:
            chunk = self._control.recv(1 << 16)
            if not chunk:
                return None
            self._inbox += chunk
        line, _, self._inbox = self._inbox.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def _start(self, order: dict[str, Any]) -> None:
        def raw(text: str) -> bytes:
            return text.encode("latin-1")

        self._started_at = time.time()
        self._t0 = time.monotonic()
        self._deadlines = Deadlines(self._limits, self._t0, expects_start=order["expects_start"])
        self._usage = Usage(self._family, self._limits)
        self._identity = record_file.identify(order, self._guard_ticks, self._started_at)
        # Whoever takes the run up finds us by this, or finds nothing, and then we see that we are alone.
        self._write_record({"state": "starting", **self._identity}, sync=False)
        if self._is_alone():
            raise LaunchError(ORPHANED)
        started = launch(
            [raw(a) for a in order["argv"]],
            cwd=raw(order["cwd"]),
            env={raw(k): raw(v) for k, v in order["env"].items()},
            log=self._log.fd,
            prefix=[raw(a) for a in order.get("prefix", ())],
        )
        self._program, self._leader, self._outside = started
        if self._outside is not None:
            self._poll.register(self._outside, select.POLLIN)
            self._walls = frozenset({self._program.pid, self._outside.inside})
            self._usage.aside = self._walls
        self._ticks = procs.start_ticks(self._leader)
        self._program_ticks = procs.start_ticks(self._program.pid)
        self._identity |= {"pid": self._leader, "start_ticks": self._ticks}
        self._write_record({"state": "running", **self._identity})
        self._tell(
            event="start",
            pid=self._leader,
            start_ticks=self._ticks,
            shim=os.getpid(),
            shim_ticks=self._guard_ticks,
        )

    def _is_alone(self) -> bool:
        """Whether the orchestrator has gone already."""
        return any(event & select.POLLHUP for fd, event in self._poll.poll(0) if fd == self._control.fileno())

    # -- waiting and hearing

    def _wait(self) -> None:
        for fd, _ in self._poll.poll(max(0.0, self._next_due() - time.monotonic()) * 1000):
            if fd == self._wake:
                drain(self._wake)
            elif self._outside is not None and fd == self._outside.fileno():
                self._hear_from_within(self._outside)
            else:
                self._hear()

    def _next_due(self) -> float:
        """When something must be looked at even if nothing happens."""
        if self._killing_since is not None:
            return time.monotonic() + KILL_ROUND_S
        due = [when for when, _ in self._steps]
        if self._steps:
            due.append(self._log.next_look)
        if not self._ending and self._status is None:
            due += [self._deadlines.next_look, self._log.next_look, self._usage.next_look]
        return min(due, default=time.monotonic() + 1.0)

    def _hear(self) -> None:
        try:
            chunk = self._control.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            self._poll.unregister(self._control)
            self._stop("lost", ORPHANED)
            return
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _hear_from_within(self, outside: Outside) -> None:
        """The program has ended, or the walls fell: then whoever held them up is about to be reaped."""
        status = outside.status()
        if status is not None:
            self._leader_ended(status)
            outside.let_go()
        elif outside.over:
            self._poll.unregister(outside)

    def _obey(self, message: dict[str, Any]) -> None:
        match message["order"]:
            case "started":
                self._deadlines.has_started()
            case "result":
                self._deadlines.has_result()
            case "stop":
                self._stop(message["ending"], message["error"])
            case "kill":
                self._stop(message["ending"], message["error"])
                self._steps = [(time.monotonic(), self._begin_kill)]

    def _tell(self, **message: Any) -> None:
        try:
            self._control.sendall(json.dumps(message).encode("ascii") + b"\n")
        except OSError:
            return  # the orchestrator is gone; the record on disk tells the next one

    # -- limits

    def _check_limits(self) -> None:
        now = time.monotonic()
        self._stop_if(self._deadlines.look(now))
        if now >= self._log.next_look:
            self._stop_if(self._log.look(now))
            self._usage.hurry()
        if now >= self._usage.next_look:
            self._stop_if(self._usage.look(now, self._log.grew_at))
            self._note_escaped()

    def _note_escaped(self) -> None:
        """Name in the record what left the session: should everybody be killed, it is found again."""
        left = sorted(
            [p.pid, p.start_ticks]
            for p in self._usage.tree
            if p.sid != self._leader and not p.ended and p.pid not in self._walls
        )
        if left != self._identity["escaped"]:
            self._identity["escaped"] = left
            self._write_record({"state": "running", **self._identity}, sync=False)

    def _stop_if(self, passed: tuple[str, str] | None) -> None:
        if passed:
            self._stop(*passed)

    # -- the ladder

    def _stop(self, ending: str, error: str) -> None:
        """Begin the ladder; the first reason stands."""
        if self._ending or self._status is not None:
            return
        self._ending, self._error = ending, error
        now, grace = time.monotonic(), self._limits["stop_grace_s"]
        if ending in FLOODS:
            self._steps = [(now, self._begin_kill)]
            return
        self._steps = [
            (now, self._interrupt),
            (now + TERM_AT * grace, self._terminate),
            (now + grace, self._begin_kill),
        ]

    def _act(self) -> None:
        now = time.monotonic()
        if self._status is None and not self._ending:
            self._check_limits()
        elif self._steps and now >= self._log.next_look and self._log.look(now):
            self._steps = [(now, self._begin_kill)]
        while self._steps and self._steps[0][0] <= now:
            self._steps.pop(0)[1]()
        if self._killing_since is not None and not self._over():
            self._kill_round()

    def _interrupt(self) -> None:
        if self._status is None:  # un-reaped, so the group's number cannot be anybody else's
            for signum in (signal.SIGINT, signal.SIGCONT):
                try:
                    os.killpg(self._leader, signum)
                except OSError:
                    continue

    def _terminate(self) -> None:
        for process in self._tree():
            for signum in (signal.SIGTERM, signal.SIGCONT):
                _signal(process, signum)

    def _begin_kill(self) -> None:
        self._steps = []
        self._killing_since = time.monotonic()

    def _kill_round(self) -> None:
        for process in procs.kill_all(self._tree, freeze=self._kill_rounds > 0):
            self._count_leftover(process)
        self._kill_rounds += 1
        if self._walls and self._kill_rounds > WALLS_AFTER_ROUNDS:
            procs.send_signal(
                self._program.pid, self._program_ticks, signal.SIGKILL
            )  # the kernel ends all within
        self._reap()
        if self._killing_since is not None and time.monotonic() - self._killing_since > KILL_PATIENCE_S:
            self._gave_up = True
            self._survivors = self._tree()

    def _tree(self) -> list[procs.Process]:
        """Who is alive of this attempt, but for those who hold up its walls."""
        return [p for p in self._family() if not p.ended and p.pid not in self._walls]

    def _family(self) -> list[procs.Process]:
        """Everybody of this attempt, zombies included."""
        if self._adopts:
            return procs.descendants(os.getpid(), exact=self._kill_rounds > EXACT_AFTER_ROUNDS)
        found = procs.relatives(os.getpid(), leader=(self._leader, self._ticks), known=self._known)
        self._known = {p.pid: p.start_ticks for p in found}
        return found

    def _count_leftover(self, process: procs.Process) -> None:
        if process.pid != self._leader:
            self._leftovers.add((process.pid, process.start_ticks))

    # -- endings

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                self._childless = False
                return
            if pid == self._program.pid and self._status is None:
                self._leader_ended(self._status_of(status))

    def _status_of(self, status: int) -> int:
        """How the program ended when its walls, or itself without any, ended with `status`."""
        told = self._outside.status() if self._outside is not None else None
        return status if told is None else told

    def _leader_ended(self, status: int) -> None:
        """What it leaves behind is asked once, shortly, and then killed."""
        self._status = status
        self._wall_s = time.monotonic() - self._t0
        if self._killing_since is not None:
            return
        left = self._tree()
        if not self._ending:
            for process in left:
                self._count_leftover(process)
        now = time.monotonic()
        kill_at = min([when for when, _ in self._steps[-1:]] + [now + LEFTOVER_GRACE_S])
        self._steps = [(now, self._terminate), (kill_at, self._begin_kill)]

    def _over(self) -> bool:
        if self._gave_up:
            return True
        ended = self._status is not None and self._childless
        return ended and (self._adopts or not self._tree())

    def _finish(self) -> None:
        now = time.monotonic()
        if not self._ending:
            self._ending, self._error = self._log.too_long() or ("", self._error)
        ending = self._ending or "exited"
        error = self._error
        if self._survivors:
            names = ", ".join(str(p.pid) for p in self._survivors[:10])
            error = f"{error}; " * bool(error) + f"could not be ended: {names}"
        code, signum = decode_status(self._status)
        usage = self._usage.final()
        oom = self._usage.oom_killed() and 9 in (signum, (code or 0) - 128)
        if oom and not self._ending:
            error = "killed by the kernel because memory ran out"
        outcome = {
            "ending": ending,
            "exit_code": code,
            "signal": signum,
            "wall_s": self._wall_s if self._status is not None else now - self._t0,
            "log_bytes": self._log.kept() if self._ending else self._log.written(),
            "leftovers": len(self._leftovers),
            "survivors": len(self._survivors),
            "error": error,
            "oom": oom,
            **usage,
        }
        self._write_record({"state": "ended", **self._identity, **outcome})
        self._tell(event="end", started_at=self._started_at, **outcome)

    def _write_record(self, record: dict[str, Any], *, sync: bool = True) -> None:
        if not self._record_path:
            return
        try:
            record_file.write_record(self._record_path, record, sync=sync)
        except OSError as exc:
            self._tell(event="warn", error=f"the record cannot be written: {os.strerror(exc.errno or 0)}")


def _signal(process: procs.Process, signum: int) -> None:
    try:
        procs.send_signal(process.pid, process.start_ticks, signum)
    except PermissionError:
        return  # it runs as somebody else; it is counted as a survivor when it stays
