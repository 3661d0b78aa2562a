"""The only starter of agents: run one program, hold it to its limits, and leave nothing of it behind.

Each attempt has a guard, a small process of its own (see `guard` and `guard_main`), which measures and ends;
this side hands over the order, reads the log as it grows, passes on a cancellation, and believes the
guard's report. Should the guard itself be killed or fall silent, what it guarded is ended from above
and the attempt is `lost`: an infrastructure failure, never a success.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator_action.process import table as procs
from orchestrator_action.process.cancel import Cancel, wait_readable
from orchestrator_action.process.launch import NO_WALLS
from orchestrator_action.process.recovery import end_attempt, load_record
from orchestrator_action.process.spawner import ROOM, SPAWNER, SpawnerLost
from orchestrator_action.process.tail import Tail
from orchestrator_action.protocol.attempt import Command, Ending, Limits, Mark, Outcome
from orchestrator_action.sandbox.policy import TRUSTED, Policy
from orchestrator_action.sandbox.start import prepare

__all__ = ["MARKER", "Cancel", "spawner", "supervise"]

MARKER = "ORCHESTRATOR_ATTEMPT"
"""Environment variable by which an attempt's processes are found again after a crash."""
ANSWER_PATIENCE_S = 10.0
"""Beyond every limit, for a guard to report the end."""
START_PATIENCE_S = 60.0
"""For a guard to start the program or to say why it cannot; a slow disk may take its time."""
QUICKEST_LOOK_S, SLOWEST_LOOK_S = 0.05, 0.25
"""How often a growing, and a resting, log is read."""
HURRY_LOOK_S = 0.05
"""While a cancelled attempt has its grace, how often we look whether the grace is over."""
FEED_AFTER_CANCEL_S = 0.2
"""How long a cancelled attempt's remaining output is still read."""

STARTS = 5
"""How often a spawner that was killed under our hands is started anew."""

Feed = Callable[[bytes], Mark | None]


@contextmanager
def spawner() -> Iterator[None]:
    """Keep the process that forks guards for the length of a run instead of starting it per attempt."""
    with SPAWNER.held():
        yield


def supervise(
    command: Command,
    *,
    log: Path,
    limits: Limits,
    cancel: Cancel,
    policy: Policy = TRUSTED,
    feed: Feed | None = None,
    on_start: Callable[[int, int], None] | None = None,
    expects_start: bool = False,
    record: Path | None = None,
    append: bool = False,
) -> Outcome:
    """Run `command` to its end and return how it ended; blocks, and may be called from many threads.

    `log` receives stdout and stderr, byte for byte. `feed` sees every complete line, without its newline
    and cut at 1 MiB, and says what it means. `on_start` gets PID and start time as soon as the program
    runs. With `expects_start`, `limits.start_s` counts until the first Mark.STARTED. `record` is a file
    that names the processes while they run and the outcome afterwards, on disk before this returns.

    What cannot be started is an Outcome, not an exception. When `feed` or `on_start` raises, the attempt is
    ended first. When this returns, no descendant is alive, or `survivors` says how many are.
    """
    once = partial(
        _supervise_once, command, log=log, limits=limits, cancel=cancel, policy=policy, feed=feed, on_start=on_start,
        expects_start=expects_start, record=record, append=append,
    )  # fmt: skip
    outcome = once()
    if outcome.ending is Ending.SPAWN_FAILED and outcome.error.startswith(NO_WALLS):
        return once()  # a file that the walls hide may have gone while they were built
    return outcome


def _supervise_once(
    command: Command,
    *,
    log: Path,
    limits: Limits,
    cancel: Cancel,
    policy: Policy,
    feed: Feed | None,
    on_start: Callable[[int, int], None] | None,
    expects_start: bool,
    record: Path | None,
    append: bool,
) -> Outcome:
    if cancel.is_set():
        return Outcome(ending=Ending.CANCELLED, error=cancel.reason or "cancelled before it started")
    ready = prepare(command, policy)
    env = dict(ready.env)
    marker = f"{MARKER}={env.setdefault(MARKER, str(uuid.uuid4()))}" if record is not None else ""
    order = _json_line(
        {
            "argv": [_text(a) for a in ready.argv],
            "prefix": [_text(a) for a in ready.prefix],
            "env": {_text(k): _text(v) for k, v in env.items()},
            "cwd": _text(str(Path(ready.cwd).absolute())),
            "log": str(log.absolute()),
            "append": append,
            "limits": dataclasses.asdict(limits),
            "expects_start": expects_start,
            "record": str(record.absolute()) if record else "",
            "marker": marker,
            "owner": os.getpid(),
            "owner_ticks": procs.start_ticks(os.getpid()) if record else 0,
        }
    )
    with spawner(), ROOM.taken(cancel) as room:
        if not room:
            return Outcome(ending=Ending.CANCELLED, error=cancel.reason or "cancelled before it started")
        for _ in range(STARTS):
            offset = log.stat().st_size if append and log.is_file() else 0
            attempt = _Attempt(limits, cancel, feed, on_start, Tail(log, offset=offset))
            try:
                control, spawner_pid = SPAWNER.guard()
                with control:
                    attempt.run(control, order, spawner_pid)
            except SpawnerLost as exc:
                return Outcome(ending=Ending.SPAWN_FAILED, error=str(exc))
            if attempt.ended and not attempt.reported:
                end_attempt(attempt.identity(marker, record))
            if attempt.heard:
                return attempt.outcome()
            SPAWNER.drop(spawner_pid)
            if not attempt.ended:
                break
        return Outcome(ending=Ending.SPAWN_FAILED, error="the process that starts agents does not answer")


def _text(value: str) -> str:
    """Any bytes of the system as a string that JSON can carry."""
    return os.fsencode(value).decode("latin-1")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A guard's message; None for the torn last words of one that was killed."""
    try:
        message: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return message


def _json_line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode("ascii") + b"\n"


class _Attempt:
    """Our side of one attempt, from the order to the outcome."""

    def __init__(
        self,
        limits: Limits,
        cancel: Cancel,
        feed: Feed | None,
        on_start: Callable[[int, int], None] | None,
        tail: Tail,
    ) -> None:
        self._limits = limits
        self._cancel = cancel
        self._feed = feed
        self._on_start = on_start
        self._tail = tail
        self._inbox = b""
        self._open = True
        self.heard = False
        """Whether a guard ever spoke."""
        self.ended = False
        """Whether the last of those who could speak has gone; unheard and ended, nothing was started."""
        self._start: dict[str, Any] = {}
        self._started_at = time.time()
        self._t0 = time.monotonic()
        self._end: dict[str, Any] = {}
        self._asked_at: float | None = None
        self._hurried = False
        self._look_s = QUICKEST_LOOK_S
        self._reported: set[Mark] = set()

    def run(self, control: socket.socket, order: bytes, spawner_pid: int) -> None:
        """Hand over the order and stay until the guard is gone."""
        self._control = control
        self._spawner_pid = spawner_pid
        try:
            self._hand_over(order)
            while self._open:
                self._step()
            self._read_rest()
        except BaseException:
            self._abandon()
            raise

    def _hand_over(self, order: bytes) -> None:
        """The guard reads at once; when it cannot, its end of file says so soon enough."""
        self._control.settimeout(START_PATIENCE_S)
        with suppress(OSError):
            self._control.sendall(order)
        self._control.settimeout(None)

    def _step(self) -> None:
        ready = wait_readable((self._control.fileno(), *self._cancel_fds()), self._timeout())
        if self._control.fileno() in ready:
            self._hear()
        if self._cancel.is_hurried() and not self._hurried:
            self._hurried = True
            self._ask("kill")
        elif self._cancel.is_set() and self._asked_at is None:
            self._ask("stop")
        if self._feed is not None:
            self._read()
        if time.monotonic() > self._patience_ends():
            self._kill_guard()

    def _cancel_fds(self) -> tuple[int, ...]:
        return self._cancel.fds() if self._asked_at is None else ()

    def _timeout(self) -> float | None:
        if self._tail.behind:
            return 0.0
        patience = max(0.0, self._patience_ends() - time.monotonic())
        if self._asked_at is not None and not self._hurried:
            return min(HURRY_LOOK_S, patience)
        if self._feed is not None and self._start:
            return min(self._look_s, patience)
        return min(patience, 3600.0)

    def _patience_ends(self) -> float:
        """When a guard that works would long have reported the end."""
        grace = self._limits.stop_grace_s + ANSWER_PATIENCE_S
        if not self.heard:
            return self._t0 + START_PATIENCE_S
        if self._asked_at is not None:
            return self._asked_at + grace
        return self._t0 + self._limits.wall_s + grace if self._limits.wall_s else float("inf")

    @property
    def reported(self) -> bool:
        """False when guard and spawner both went without a word about how it ended."""
        return bool(self._end)

    def identity(self, marker: str, record: Path | None) -> dict[str, Any]:
        """Who belonged to this attempt, as a record says it."""
        escaped = load_record(record) if record is not None else None
        return {
            "boot": procs.boot_id(),
            "pid": 0,
            "start_ticks": 0,
            "shim": 0,
            "shim_ticks": 0,
            "marker": marker,
            "escaped": (escaped or {}).get("escaped", ()),
            **self._start,
        }

    # -- the guard's messages

    def _hear(self) -> None:
        try:
            chunk = self._control.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            self._open = False
            self.ended = True
            return
        *lines, self._inbox = (self._inbox + chunk).split(b"\n")
        for message in filter(None, map(_parsed, lines)):
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        self.heard = True
        match message.pop("event"):
            case "start":
                self._start = message
                if self._on_start is not None:
                    self._on_start(message["pid"], message["start_ticks"])
            case "end":
                self._end = message
                self._open = False  # everything it guarded is gone; it goes by itself
            case "fail":
                self._end = {"ending": Ending.SPAWN_FAILED, **message}
                self._open = False
            case "bug" | "lost":
                self._end = {"ending": Ending.LOST, "error": "its guard was killed", **self._end, **message}

    def _tell(self, **message: str) -> None:
        with suppress(OSError):
            self._control.sendall(_json_line(message))

    def _ask(self, order: str) -> None:
        self._asked_at = self._asked_at or time.monotonic()
        self._tell(order=order, ending=Ending.CANCELLED, error=self._cancel.reason or "cancelled")

    def _kill_guard(self) -> None:
        """A guard that was stopped or hangs protects nobody; what it guarded is then ended from above."""
        if self._start:
            procs.send_signal(self._start["shim"], self._start["shim_ticks"], signal.SIGKILL)
            self._end = {"ending": Ending.LOST, "error": "its guard did not answer"}
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)  # a guard that comes too late must not start anything
        if not wait_readable((self._control.fileno(),), ANSWER_PATIENCE_S):
            SPAWNER.drop(self._spawner_pid)
            self._open = False

    def _abandon(self) -> None:
        """Something of ours failed: end the attempt before that is reported."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)  # to the guard, the orchestrator has ended
        deadline = time.monotonic() + self._limits.stop_grace_s + ANSWER_PATIENCE_S
        while self._open and time.monotonic() < deadline:
            if wait_readable((self._control.fileno(),), 0.1):
                with suppress(Exception):
                    self._on_start = None
                    self._hear()

    # -- the program's output

    def _read(self) -> None:
        before = self._tail.read_bytes
        self._pass_on(self._tail.lines())
        resting = self._tail.read_bytes == 0 and before == 0
        self._look_s = min(SLOWEST_LOOK_S, self._look_s * 1.3) if resting else QUICKEST_LOOK_S

    def _cut(self) -> None:
        """A stopped attempt's log keeps its first bytes, up to the limit; what it flooded after that goes."""
        most = self._tail.begun_at + self._limits.log_bytes
        if self._limits.log_bytes and self._end.get("ending") not in {None, Ending.EXITED}:
            with suppress(OSError):
                if self._tail.path.stat().st_size > most:
                    os.truncate(self._tail.path, most)

    def _read_rest(self) -> None:
        self._tail.settled = True
        self._cut()
        if self._feed is None or not self._start:
            return
        self._tail.behind = True
        deadline = time.monotonic() + FEED_AFTER_CANCEL_S if self._cancel.is_set() else float("inf")
        while self._tail.behind and time.monotonic() < deadline:
            self._pass_on(self._tail.lines())
        last = self._tail.last()
        if last is not None and not self._tail.behind:
            self._pass_on([last])

    def _pass_on(self, lines: Iterable[bytes]) -> None:
        """Every line to whoever understands it; what a line means to the guard's deadlines, to the guard."""
        if self._feed is None:
            return
        for mark in map(self._feed, lines):
            if mark is not None:
                self._mark(mark)

    def _mark(self, mark: Mark) -> None:
        if mark is Mark.STARTED and mark not in self._reported:
            self._tell(order="started")
            self._reported.add(mark)
        elif mark is Mark.RESULT:
            self._tell(order="started")
            self._tell(order="result")

    # -- the outcome

    def outcome(self) -> Outcome:
        """What the guard reported, or what its silence means."""
        end = self._end or {"ending": Ending.LOST, "error": "its guard was killed"}
        known = {f.name for f in dataclasses.fields(Outcome)}
        values = {
            "started_at": self._started_at,
            "wall_s": time.monotonic() - self._t0,
            **self._start,
            **end,
        }
        values["ending"] = Ending(values["ending"])
        return Outcome(**{name: value for name, value in values.items() if name in known})
