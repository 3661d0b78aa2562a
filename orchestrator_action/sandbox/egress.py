"""The way out of a sandbox without a network: an HTTP proxy on a socket file, which lets named hosts through.

The walls take the network away (`bubblewrap.py`), `forward.py` within listens where HTTP_PROXY points and
passes every connection to this socket. The proxy resolves names and connects, so nothing within needs DNS, and
what cannot use a proxy reaches nothing. It sees names and ports, never what is inside of TLS: who may reach a host
may tell it anything, and a server that answers for several names answers for all of them.

One `Egress` is for one process, lives in a `with` block, and remembers what it refused.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from orchestrator_action.sandbox.forward import answer_of, join

WEB_PORTS = frozenset({80, 443})
"""What a host without a port may be asked on."""
MOST_CONNECTIONS = 128
"""At once; further ones wait in the listen queue."""
EGRESS_HINT = "`egress` in the configuration lets hosts through"
_HEAD_BYTES = 32 * 1024
_HEAD_WITHIN_S, _CONNECT_S = 30.0, 30.0
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Destination:
    """A host that may be reached: a name, an address, or `*.` and a name for all below it."""

    host: str
    port: int = 0
    """0 for the ports of the web."""

    @classmethod
    def of(cls, text: str) -> Destination:
        """Read `host`, `*.host`, `host:port` or `[address]:port`. Raises ValueError for anything else."""
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or 0
        bad = parts.path or parts.query or parts.fragment or parts.username is not None
        if not host or bad or any(c.isspace() for c in text) or "*" in host.removeprefix("*."):
            raise ValueError(f"{text!r} is no host: write `api.example.com`, `*.example.com` or `host:port`")
        return cls(_plain(host), port)

    def means(self, host: str, port: int) -> bool:
        """Whether this is about a host and port, both as a client names them."""
        name = _plain(host)
        below = self.host.startswith("*.") and name.endswith(self.host[1:])
        here = self.is_of_this_machine and Destination(name).is_of_this_machine
        return (below or here or name == self.host) and (
            port == self.port if self.port else port in WEB_PORTS
        )

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it is a server on loopback, which within the walls is somewhere else."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


def _plain(host: str) -> str:
    """A host's name in the one spelling that is compared."""
    name = host.lower().rstrip(".")
    with contextlib.suppress(UnicodeError):
        return name if name.isascii() else name.encode("idna").decode("ascii")
    return name


class Egress:
    """Listens while the `with` block runs. `env` says by which proxy this machine itself reaches others."""

    def __init__(self, allowed: Iterable[str], env: Mapping[str, str]) -> None:
        """Raises ValueError for what is no host."""
        self.allowed = tuple(dict.fromkeys(map(Destination.of, allowed)))
        self.refused: dict[str, int] = {}
        """How often a host was asked for that is not allowed; the first ones only."""
        self.path = ""
        self._proxies = {
            name.lower(): value for name, value in env.items() if name.lower().endswith("_proxy")
        }
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def ports_within(self) -> tuple[int, ...]:
        """Ports of this machine's own servers that may be reached: within, they are found at the same address."""
        return tuple(d.port for d in self.allowed if d.is_of_this_machine and d.port)

    def __enter__(self) -> Egress:
        self._folder = tempfile.mkdtemp(prefix="oa-", dir="/tmp")  # a socket's path ends at 107 bytes
        self.path = str(Path(self._folder, "way-out"))
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(self.path)
        os.chmod(self.path, 0o600)
        self._server.listen(MOST_CONNECTIONS)
        self._thread = threading.Thread(target=self._accept, name="egress", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            ends = [self._server, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(timeout=5)
        shutil.rmtree(self._folder, ignore_errors=True)

    def words(self) -> str:
        """What was refused, for a person; empty when nothing was."""
        with self._lock:
            named = ", ".join(f"{host} ({count}×)" for host, count in self.refused.items())
        return f"the sandbox refused {named}; {EGRESS_HINT}" if named else ""

    def _accept(self) -> None:
        while True:
            self._room.acquire()
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="egress-way", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError, ValueError), self._kept(client):
                client.settimeout(_HEAD_WITHIN_S)
                self._answer(client)
        finally:
            self._room.release()

    @contextlib.contextmanager
    def _kept(self, end: socket.socket) -> Iterator[None]:
        """Close a connection at the end of the block, and have it shut down when everything ends."""
        with end:
            with self._lock:
                if self._closed:
                    raise OSError("it is over")
                self._open.add(end)
            try:
                yield
            finally:
                with self._lock:
                    self._open.discard(end)

    def _answer(self, client: socket.socket) -> None:
        head, rest = _read_head(client)
        method, target, version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        host, port = parts.hostname or "", parts.port or (0 if tunnel else 80)
        if not host or not port or (not tunnel and parts.scheme != "http"):
            client.sendall(_said(400, "this is a proxy: CONNECT host:port, or an http:// address"))
            return
        if not any(known.means(host, port) for known in self.allowed):
            self._note(host if port in WEB_PORTS else f"{host}:{port}")
            client.sendall(_said(403, f"the sandbox refuses {host}:{port}; {EGRESS_HINT}"))
            return
        try:
            server, by_proxy = self._connect(host, port, tunnel=tunnel)
        except OSError as exc:
            client.sendall(_said(502, f"{host}:{port} cannot be reached: {exc.strerror or exc}"))
            return
        with self._kept(server):
            if tunnel:
                client.sendall(f"{version} 200 Connection established\r\n\r\n".encode())
                server.sendall(rest)
            else:
                plain = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                server.sendall(_one_request(head, target if by_proxy else plain, parts.netloc) + rest)
            join(client, server)

    def _note(self, host: str) -> None:
        shown = "".join(c if c.isprintable() else "?" for c in host)[:120]
        with self._lock:
            if shown in self.refused or len(self.refused) < _MOST_NAMED:
                self.refused[shown] = self.refused.get(shown, 0) + 1

    def _connect(self, host: str, port: int, *, tunnel: bool) -> tuple[socket.socket, bool]:
        """A connection, and whether a proxy of this machine's is at its end that wants whole addresses.

        A name that leads back to this machine, or to what answers for it, is only followed where it says so.
        """
        here = Destination(_plain(host)).is_of_this_machine
        proxy = "" if here else self._proxy_for(host, port, "https" if tunnel else "http")
        if proxy:
            return _proxy_at(proxy, f"{host}:{port}" if tunnel else ""), not tunnel
        server = socket.create_connection((host, port), _CONNECT_S)
        address = ipaddress.ip_address(server.getpeername()[0].partition("%")[0])
        if (address.is_loopback or address.is_link_local) and not here and _plain(host) != str(address):
            server.close()
            raise OSError(
                f"it is {address}, an address of this machine's own, and only that address opens it"
            )
        return server, False

    def _proxy_for(self, host: str, port: int, scheme: str) -> str:
        """The proxy by which this machine reaches a host; empty for none. As Python's own library decides it."""
        proxies = {"no": self._proxies.get("no_proxy", "")}
        if proxy_bypass_environment(f"{host}:{port}", proxies):
            return ""
        return self._proxies.get(f"{scheme}_proxy") or self._proxies.get("all_proxy") or ""


def _proxy_at(proxy: str, target: str) -> socket.socket:
    """A connection to a proxy, which has opened a tunnel to `target` unless that is empty."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http":
        raise OSError(f"the proxy {parts.scheme}://{parts.hostname} is of a kind that is not spoken here")
    server = socket.create_connection((parts.hostname or "", parts.port or 80), _CONNECT_S)
    if not target:
        return server
    login = b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode()
    let_in = f"Proxy-Authorization: Basic {login}\r\n" if parts.username else ""
    server.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{let_in}\r\n".encode())
    said = answer_of(server)
    if said.split(b" ", 2)[1:2] != [b"200"]:
        server.close()
        first = said.partition(b"\r\n")[0].decode("latin-1")[:80]
        raise OSError(f"the proxy {parts.hostname} said {first or 'nothing'}")
    return server


def _read_head(stream: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message, and what came after it. Raises ValueError where there is none."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        chunk = stream.recv(_HEAD_BYTES)
        if not chunk or len(seen) > _HEAD_BYTES:
            raise ValueError("no head")
        seen += chunk
    head, _, rest = seen.partition(b"\r\n\r\n")
    return head, rest


def _one_request(head: bytes, target: str, host: str) -> bytes:
    """The head of a plain request as it goes on, the connection being for this one request only."""
    first, _, fields = head.partition(b"\r\n")
    method, _, version = first.split(b" ")
    dropped = (b"proxy-", b"connection:", b"keep-alive:", b"host:")
    kept = [line for line in fields.split(b"\r\n") if line and not line.lower().startswith(dropped)]
    start = b" ".join([method, target.encode("latin-1"), version])
    return b"\r\n".join([start, b"Host: " + host.encode("latin-1"), *kept, b"Connection: close", b"", b""])


def _said(status: int, words: str) -> bytes:
    body = f"orchestrator: {words}\n".encode("utf-8", "replace")
    reason = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
