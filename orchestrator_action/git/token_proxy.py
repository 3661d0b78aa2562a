"""A loopback HTTP server inside this process, through which one git or git-lfs reaches the forge.

No child ever holds the forge's token: the child talks plain HTTP to 127.0.0.1, this process adds the
`Authorization` header and passes both bodies on as they flow. One server lives for one operation, on a port
and below a path of its own, and an `Operation` says which requests belong to it; everything else is refused.
Where the system tells whose a connection is (Linux), only processes of the child's own session are served,
so the address is worth nothing to anybody who reads it from the child's command line.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol

from orchestrator_action.git.forge_access import ForgeAccess
from orchestrator_action.git.process import Done
from orchestrator_action.git.request_body import CHUNK_BYTES, BodyError, RequestBody
from orchestrator_action.process.socket_owner import session_holds

IDLE_S = 120.0
"""A child that neither sends nor reads for so long is gone."""
MAX_REQUESTS = 10_000
"""Of one operation; a fetch takes a few, a push of LFS objects two for each object."""
MAX_CONNECTIONS = 8
MAX_FORWARDED_BYTES = 64 << 30
MAX_REWRITTEN_BYTES = 8 << 20

_PASSED_ON = (
    "Accept", "Accept-Language", "Content-Type", "Content-Encoding", "Git-Protocol", "User-Agent", "Pragma",
)  # fmt: skip
_PASSED_BACK = (
    "Content-Type", "Content-Encoding", "Cache-Control", "Expires", "Pragma", "Retry-After",
)  # fmt: skip


class RefusedError(Exception):
    """A request that is none of this operation's."""

    def __init__(self, why: str, status: int = 403) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the child asks: `target` is path and query below the operation's own address."""

    method: str
    target: str
    headers: Message
    body: RequestBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """What the forge is asked in its place."""

    url: str
    body: Iterable[bytes] | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the child that are passed on."""
    drop: tuple[str, ...] = ()
    """Headers of the child that do not fit the body any more."""
    with_token: bool = True
    follow: bool = False
    """Whether a redirect within the forge's own server is followed."""
    rewrite: Callable[[bytes], bytes] | None = None
    """What becomes of a good answer, for one that is small."""
    moved: Callable[[str], None] | None = None
    """Called with the URL at which a followed redirect ended."""


class Operation(Protocol):
    """What one child may ask."""

    def admit(self, request: Request) -> Forward:
        """What to ask the forge. Raises RefusedError."""


class TokenProxy:
    """One operation's server. `url` is where the child finds it; a context manager ends it."""

    def __init__(self, access: ForgeAccess, operation: Operation, *, timeout_s: float) -> None:
        self.access, self.operation = access, operation
        self.prefix = f"/{secrets.token_urlsafe(24)}/repository.git"
        self.said: list[str] = []
        """Refusals and faults, ours and the forge's, in words; what git shows of them is less."""
        self.retry_after_s = 0.0
        """What the forge asked us to wait, when it did."""
        self.until = time.monotonic() + timeout_s
        self._session, self._started = 0, threading.Event()
        self._left, self._lock = MAX_REQUESTS, threading.Lock()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}{self.prefix}"

    def __enter__(self) -> TokenProxy:
        threading.Thread(target=self._accept, name="token-proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._started.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, 1.0).close()  # wakes the thread that accepts
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def serve_session(self, pid: int) -> None:
        """From now on the session that the process `pid` leads is served; before, nobody was."""
        self._session = pid
        self._started.set()

    def in_the_forges_words(self, done: Done, url: str) -> Done:
        """What the child printed, with the forge's address in place of this one's."""
        return replace(
            done, out=done.out.replace(self.url.encode(), url.encode()), err=done.err.replace(self.url, url)
        )

    def take_request(self) -> None:
        """Count a request. Raises RefusedError when there were too many, or the operation's time is over."""
        with self._lock:
            self._left -= 1
        if self._left < 0 or time.monotonic() > self.until:
            raise RefusedError("this operation is over")

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            if self._closed or not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._converse, args=(connection, peer), daemon=True).start()

    def _converse(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            with connection, contextlib.suppress(OSError, BodyError):
                if self._is_child(peer):
                    _Handler(connection, peer, self)  # type: ignore[arg-type]
        finally:
            with self._lock:
                self._open.discard(connection)
            self._slots.release()

    def _is_child(self, peer: tuple[str, int]) -> bool:
        self._started.wait(IDLE_S)
        if self._closed:
            return False
        return session_holds(self._session, peer, self.address) is not False


class _Handler(BaseHTTPRequestHandler):
    """One connection of the child."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server: TokenProxy  # type: ignore[assignment]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_GET  # noqa: N815

    def _answer(self) -> None:
        proxy = self.server
        try:
            proxy.take_request()
            if not self.path.startswith(proxy.prefix):
                raise RefusedError("there is nothing here", 404)
            body = RequestBody(self.rfile, self.headers)
            target = self.path.removeprefix(proxy.prefix)
            request = Request(method=self.command, target=target, headers=self.headers, body=body)
            forward = proxy.operation.admit(request)
            self._forward(forward)
            body.drain()
        except (RefusedError, BodyError) as exc:
            self._refuse(str(exc), getattr(exc, "status", 400))

    def _refuse(self, why: str, status: int) -> None:
        """An answer of our own, as text: git shows it to its user."""
        self.server.said.append(why)
        self.close_connection = True
        text = f"{why}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def _forward(self, forward: Forward) -> None:
        sent = {n: v for n in _PASSED_ON if (v := self.headers.get(n)) and n not in forward.drop}
        if isinstance(forward.body, bytes):
            sent |= {"Content-Length": str(len(forward.body))} if self.command != "GET" else {}
        elif length := self.headers.get("Content-Length"):
            sent |= {} if "Content-Length" in forward.drop else {"Content-Length": length}
        try:
            answer = self._ask(forward, {**sent, **forward.headers})
        except self.server.access.faults as exc:
            self._refuse(self.server.access.fault_in_words(forward.url, exc), 502)
            return
        with contextlib.closing(answer):
            self._pass_back(answer, forward)

    def _ask(self, forward: Forward, headers: dict[str, str]) -> Any:
        access, url = self.server.access, forward.url
        for _ in range(5):
            answer = access.ask(self.command, url, headers, forward.body, with_token=forward.with_token)
            target = answer.headers.get("Location", "") if 300 < answer.status < 309 else ""
            if not target:
                if forward.moved and url != forward.url:
                    forward.moved(url)
                return answer
            answer.close()
            url = access.redirected(url, target)
            if not url or not forward.follow:
                raise RefusedError(
                    f"{access.server_of(forward.url)} redirects to {access.shown(target)}", 403
                )
        raise RefusedError(f"{access.server_of(forward.url)} redirects in a circle", 403)

    def _pass_back(self, answer: Any, forward: Forward) -> None:
        """The forge's answer as it flows, within bounds."""
        self.server.retry_after_s = self.server.access.retry_after_s(answer.headers)
        small = None
        if answer.status >= 400:
            small = answer.read(64 << 10, decode_content=False)
            self._note_refusal(answer, small)
        elif forward.rewrite:
            small = forward.rewrite(answer.read(MAX_REWRITTEN_BYTES, decode_content=True))
        length = str(len(small)) if small is not None else answer.headers.get("Content-Length")
        self.send_response(answer.status)
        for name in _PASSED_BACK:
            if (value := answer.headers.get(name)) and not (forward.rewrite and name == "Content-Encoding"):
                self.send_header(name, value)
        bare = answer.status in {204, 304}
        if not bare:
            self.send_header(
                *(("Transfer-Encoding", "chunked") if length is None else ("Content-Length", length))
            )
        if answer.status >= 400:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        parts = iter((small,)) if small is not None else self._parts(answer)
        self._write(parts, chunked=length is None and not bare)

    def _parts(self, answer: Any) -> Iterator[bytes]:
        left = MAX_FORWARDED_BYTES
        while part := answer.read1(CHUNK_BYTES, decode_content=False):
            left -= len(part)
            if left < 0 or time.monotonic() > self.server.until:
                self.server.said.append("the answer was too long, or came too slowly")
                raise BodyError("the operation is over")
            yield part

    def _write(self, parts: Iterator[bytes], *, chunked: bool) -> None:
        """To the child; a torn answer tears its connection, so that it is never taken for whole."""
        try:
            for part in parts:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked and part else part)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
        except self.server.access.faults as exc:
            self.server.said.append(f"the answer was torn: {exc}")
            raise BodyError("torn") from exc

    def _note_refusal(self, answer: Any, body: bytes) -> None:
        """What the forge said of it; pages for browsers are no words."""
        plain = str(answer.headers.get("Content-Type", "")).startswith("text/plain")
        words = " ".join(body.decode("utf-8", "replace").split())[:500] if plain else ""
        self.server.said.append(f"the server answered {answer.status}" + (f": {words}" if words else ""))
