"""The orchestrator's end of the spawner: start it when it is first needed, ask it for guards, let it go.

It lives as long as anybody holds it, so that an idle orchestrator has no process of ours about. A run
holds it from begin to end, and pays for its start once.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.sandbox.spawn import spawn

SHIM = Path(__file__).with_name("guard_main.py")
CLOSE_PATIENCE_S = 8.0
"""The spawner sweeps for five seconds at most before it goes."""
_KEPT_ENV = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""What an interpreter may need to find its own library; never a token."""


OWN_FILES = 64
FILES_PER_ATTEMPT = 4


class SpawnerLost(Exception):  # noqa: N818 - it says what happened
    """The spawner could not be started or does not answer."""


class _Spawner:
    """The one spawner of this process; made anew when it died, or after a fork of ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._owner = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            self._holders += 1
            with contextlib.suppress(OSError):  # whoever needs it now is told
                self._connected()
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._close()

    def guard(self) -> tuple[socket.socket, int]:
        """Our end of a control socket whose other end a fresh guard reads, and the PID of its spawner."""
        with self._lock:
            for again in (True, False):
                try:
                    ours, theirs = socket.socketpair()
                except OSError as exc:
                    raise SpawnerLost(f"no agent can be started: {exc.strerror}") from exc
                with theirs:
                    try:
                        socket.send_fds(self._connected(), [b"+"], [theirs.fileno()])
                        return ours, self.pid
                    except OSError as exc:
                        ours.close()
                        self._close()
                        if not again:
                            raise SpawnerLost(f"the process that starts agents does not run: {exc}") from exc
        raise AssertionError

    def drop(self, pid: int) -> None:
        """Give up a spawner that does not answer; the next guard comes from a new one.

        Many may come to that conclusion at once: only the spawner they mean, `pid`, is given up.
        """
        with self._lock:
            if self._process is not None and self._process.pid == pid:
                self._process.kill()
                self._close()

    @property
    def pid(self) -> int:
        """PID of the running spawner, 0 when there is none."""
        return self._process.pid if self._process else 0

    def _connected(self) -> socket.socket:
        if self._socket is None or self._owner != os.getpid():
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = spawn(
                    [sys.executable, "-I", "-S", "-E", str(SHIM), str(theirs.fileno())],
                    keep_fds=[theirs.fileno()],
                    env={name: os.environ[name] for name in _KEPT_ENV if name in os.environ},
                    cwd="/",
                )
            self._socket, self._owner = ours, os.getpid()
        return self._socket

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None and self._owner == os.getpid():
            try:
                self._process.wait(CLOSE_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._socket = self._process = None


class _Room:
    """Attempts at the same time, as many as our open files allow; the others wait for one to end."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(self._places())

    @staticmethod
    def _places() -> int:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(1, min((soft - OWN_FILES) // FILES_PER_ATTEMPT, 4096))

    @contextlib.contextmanager
    def taken(self, cancel: Cancel) -> Iterator[bool]:
        """Hold a place for the length of the block; False when cancelled before there was one."""
        got = self._free.acquire(blocking=False)
        while not got and not cancel.is_set():
            got = self._free.acquire(timeout=0.1)
        try:
            yield got
        finally:
            if got:
                self._free.release()


SPAWNER = _Spawner()
ROOM = _Room()
