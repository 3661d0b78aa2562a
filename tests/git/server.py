"""git over HTTP on loopback: git's own http-backend behind a small server that asks for a token."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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
    """Statuses to answer with before serving again."""
    redirect_to: str = ""


def _backend(root: Path, handler: BaseHTTPRequestHandler, body: bytes) -> bytes:
    path, _, query = handler.path.partition("?")
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": handler.command, "PATH_INFO": path,
        "QUERY_STRING": query, "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "pusher", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""), "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
    return done.stdout


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = b""
            while size := int(self.rfile.readline().strip(), 16):
                chunks += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return chunks

        def _answer(self) -> None:
            body = self._body()
            if server.redirect_to:
                self.send_response(302)
                self.send_header("Location", server.redirect_to + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if server.fail_next:
                self.send_error(server.fail_next.pop(0))
                return
            given = self.headers.get_all("Authorization") or []
            wanted = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
            if given != [wanted]:
                server.refused += 1
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            server.authorized.append(self.path)
            head, _, rest = _backend(server.root, self, body).partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
            for name, value in {**headers, "Content-Length": str(len(rest))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(rest)

        do_GET = do_POST = _answer  # noqa: N815

    return Handler


@contextmanager
def serve(root: Path) -> Iterator[GitServer]:
    """A server for the repositories below `root`, for the time of the block."""
    seen = GitServer(root)
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen))
    http.daemon_threads = True
    seen.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
