"""A forge's LFS server on loopback: the batch API, and a storage elsewhere that has a key of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.git.server import TOKEN

OWN = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
KEY = "RemoteAuth one-time-key-of-the-storage"


@dataclass
class LfsServer:
    """`url` is the API of one repository; contents go to another port, as to a cloud's storage."""

    url: str = ""
    storage: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """What was asked, and with which authorization."""
    verified: list[str] = field(default_factory=list)
    fail_next: list[int] = field(default_factory=list)


def _handler(server: LfsServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _body(self) -> bytes:
            server.seen.append((f"{self.command} {self.path}", self.headers.get("Authorization", "")))
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _say(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.git-lfs+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            body = json.loads(self._body())
            if server.fail_next:
                self._say(server.fail_next.pop(0), {"message": "This repository is over its data quota."})
            elif self.headers.get("Authorization") != OWN:
                self._say(401, {"message": "who are you?"})
            elif self.path.endswith("/verify"):
                server.verified.append(body["oid"])
                self._say(200, {})
            else:
                self._say(
                    200,
                    {
                        "transfer": "basic",
                        "objects": [self._offer(body["operation"], o) for o in body["objects"]],
                    },
                )

        def _offer(self, operation: str, wanted: dict[str, object]) -> dict[str, object]:
            oid = str(wanted["oid"])
            there = {"href": f"{server.storage}/{oid}", "header": {"Authorization": KEY}}
            if operation == "download":
                return {**wanted, "actions": {"download": there}}
            if oid in server.objects:
                return wanted
            return {**wanted, "actions": {"upload": there, "verify": {"href": f"{server.url}/verify"}}}

        def do_PUT(self) -> None:
            body, oid = self._body(), self.path.rpartition("/")[2]
            good = self.headers.get("Authorization") == KEY and hashlib.sha256(body).hexdigest() == oid
            if good:
                server.objects[oid] = body
            self._say(200 if good else 403, {})

        def do_GET(self) -> None:
            self._body()
            found = server.objects.get(self.path.rpartition("/")[2], b"")
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

    return Handler


@contextmanager
def serve_lfs() -> Iterator[LfsServer]:
    """The API and the storage, for the time of the block."""
    made = LfsServer()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(made)) for _ in range(2)]
    threads = [threading.Thread(target=s.serve_forever, args=(0.02,)) for s in servers]
    made.url = f"http://127.0.0.1:{servers[0].server_address[1]}/remote.git/info/lfs"
    made.storage = f"http://127.0.0.1:{servers[1].server_address[1]}/bucket"
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
