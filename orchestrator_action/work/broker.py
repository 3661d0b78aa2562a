"""The socket the agent asks. It knows tokens, sizes and time; what an answer says is the handler's.

One Unix socket per run in a short private directory (paths end at 107 bytes), one connection per
request, one line each way. Whoever is malformed, oversized or dribbles is answered or cut off; nobody
can stop the broker for the others.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from orchestrator_action.errors import BrokerError, OrchestratorError
from orchestrator_action.protocol.wire import (
    MAX_REQUEST_BYTES,
    PhaseAnswer,
    PhaseRequest,
    decode_request,
    encode_answer,
)

log = logging.getLogger(__name__)

Handler = Callable[[PhaseRequest], PhaseAnswer]
REQUEST_WITHIN_S = 10.0
"""From connecting to the newline."""
CONNECTIONS = 256
"""At once, over all tasks; further ones wait in the listen queue."""


class Broker:
    """Listens while the `with` block runs."""

    def __init__(self, *, request_within_s: float = REQUEST_WITHIN_S) -> None:
        self._within = request_within_s
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self.directory = Path()
        self.path = Path()

    def __enter__(self) -> Broker:
        # /tmp and not TMPDIR: macOS and CI runners have temp paths longer than a socket path may be.
        self.directory = Path(tempfile.mkdtemp(prefix="oa-", dir="/tmp"))
        self.path = self.directory / "s"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self.path))
        self.path.chmod(0o600)
        self._socket.listen(1024)
        self._thread = threading.Thread(target=self._accept, name="broker", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=5)
        shutil.rmtree(self.directory, ignore_errors=True)

    _stopping = False

    def register(self, handler: Handler) -> str:
        """A fresh capability token whose requests go to `handler`."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._handlers[token] = handler
        return token

    def revoke(self, token: str) -> None:
        """From now on the token opens nothing."""
        with self._lock:
            self._handlers.pop(token, None)

    def _accept(self) -> None:
        while not self._stopping:
            self._room.acquire()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                self._room.release()
                if self._stopping:
                    return
                time.sleep(0.05)  # out of descriptors: the next moment may have one
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                answer = self._answer(connection)
                connection.settimeout(self._within)
                connection.sendall(encode_answer(answer))
        except OSError as exc:
            log.debug("a client went away: %s", exc)
        finally:
            self._room.release()

    def _answer(self, connection: socket.socket) -> PhaseAnswer:
        try:
            request = decode_request(self._line(connection))
            return self._handler(request.token)(request)
        except OrchestratorError as exc:
            return PhaseAnswer(ok=False, message=exc.message + (f" ({exc.hint})" if exc.hint else ""))
        except OSError:
            raise
        except Exception:
            log.exception("broker: a request could not be answered")
            return PhaseAnswer(
                ok=False, message="the orchestrator failed to answer; this is a bug of ours, ask again"
            )

    def _line(self, connection: socket.socket) -> bytes:
        deadline = time.monotonic() + self._within
        received = bytearray()
        while b"\n" not in received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BrokerError(f"the request was not complete after {self._within:g} s")
            connection.settimeout(left)
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                continue
            if not piece:
                raise BrokerError("the request ended before its newline")
            received += piece
            if len(received) > MAX_REQUEST_BYTES:
                raise BrokerError(f"the request is larger than {MAX_REQUEST_BYTES} bytes")
        return bytes(received.partition(b"\n")[0])

    def _handler(self, token: str) -> Handler:
        with self._lock:
            known = list(self._handlers.items())
        for mine, handler in known:
            if hmac.compare_digest(mine.encode(), token.encode("utf-8", "replace")):
                return handler
        raise BrokerError(
            "this capability token opens no task", hint="use the environment you were started with"
        )
