"""git over HTTP on loopback: git's own http-backend behind a small server that asks for a token."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ012345"
"""Invented for the tests."""


@dataclass
class GitServer:
    """Serves the bare repositories below `root`; counts what was asked and with which credentials."""

    root: Path
    url: str = ""
    authorized: list[str] = field(default_factory=list)
    refused: int = 0
    fail_next: list[int] = field(default_factory=list)
    """Statuses to answer with before serving again; 0 breaks the connection instead."""
    retry_after: str = ""
    """Sent with each such status."""
    words: str = ""
    """Sent with each such status, as text."""
    failed: int = 0
    redirect_to: str = ""
    torn: int = 0
    """Requests whose body broke off."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Old beginnings of paths, and where they redirect to."""


def _parts(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    """The body of a request as it comes."""
    if handler.headers.get("Transfer-Encoding", "") != "chunked":
        left = int(handler.headers.get("Content-Length") or 0)
        while left and (part := handler.rfile.read(min(left, 1 << 18))):
            left -= len(part)
            yield part
        return
    while size := int(handler.rfile.readline().strip() or b"torn", 16):
        yield handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()


def _start_backend(root: Path, handler: BaseHTTPRequestHandler) -> subprocess.Popen[bytes]:
    path, _, query = handler.path.partition("?")
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": handler.command, "PATH_INFO": path,
        "QUERY_STRING": query, "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "REMOTE_USER": "pusher", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""), "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    if length := handler.headers.get("Content-Length"):
        env["CONTENT_LENGTH"] = length
    return subprocess.Popen(
        ["git", "http-backend"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _feed(backend: subprocess.Popen[bytes], parts: Iterator[bytes]) -> None:
    assert backend.stdin is not None
    for part in parts:
        backend.stdin.write(part)
    backend.stdin.close()


def _headers(out: IO[bytes]) -> dict[str, str]:
    lines = iter(lambda: out.readline().decode().strip(), "")
    return dict(line.split(": ", 1) for line in lines)


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _say(self, status: int, headers: dict[str, str], text: str = "") -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def _answer(self) -> None:
            wanted = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
            moved = next((o for o in server.renamed if self.path.startswith(o)), "")
            if not (server.redirect_to or server.fail_next or moved) and wanted == self._given():
                self._serve()
                return
            for _ in _parts(self):
                pass
            if server.redirect_to:
                self._say(302, {"Location": server.redirect_to + self.path})
            elif moved:
                self._say(301, {"Location": server.renamed[moved] + self.path.removeprefix(moved)})
            elif server.fail_next:
                self._fail(server.fail_next.pop(0))
            else:
                server.refused += 1
                self._say(401, {"WWW-Authenticate": 'Basic realm="git"'})

        def _given(self) -> str:
            return ", ".join(self.headers.get_all("Authorization") or [])

        def _fail(self, status: int) -> None:
            server.failed += 1
            if not status:
                self.close_connection = True
                self.connection.close()
                return
            more = {"Retry-After": server.retry_after} if server.retry_after else {}
            self._say(status, {"Content-Type": "text/plain", **more}, server.words)

        def _serve(self) -> None:
            server.authorized.append(self.path)
            with _start_backend(server.root, self) as backend, suppress(BrokenPipeError):
                try:
                    _feed(backend, _parts(self))
                except ValueError:
                    backend.kill()
                    server.torn += 1
                    self.close_connection = True
                    return
                self._pass_back(backend.stdout)

        def _pass_back(self, out: Any) -> None:
            headers = _headers(out)
            self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                self.send_header(name, value)
            self.end_headers()
            while part := out.read1(1 << 18):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = _answer  # noqa: N815

    return Handler


@contextmanager
def serve(root: Path, *, tls: ssl.SSLContext | None = None) -> Iterator[GitServer]:
    """A server for the repositories below `root`, for the time of the block."""
    seen = GitServer(root)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen))
    http.daemon_threads = True
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    seen.url = f"http{'s' if tls else ''}://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
