"""A server on loopback that keeps what it is sent, and answers as it was told to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Sent:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, in order. `answers` are used up one by one; the last one stays."""

    answers: Sequence[int] = (200,)
    url: str = ""
    sent: list[Sent] = field(default_factory=list)

    def answer(self) -> int:
        return self.answers[min(len(self.sent), len(self.answers)) - 1]


@contextlib.contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    """A receiver that listens while the block runs."""
    kept = Receiver(answers or (200,))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept.sent.append(Sent(self.path, dict(self.headers), body))
            self.send_response(kept.answer())
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing: a test looks at what was sent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def spans_of(body: bytes) -> tuple[dict[str, str], list[Any]]:
    """The resource's attributes and the spans of what a collector of traces was sent."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    [about] = ExportTraceServiceRequest.FromString(body).resource_spans
    resource = {a.key: a.value.string_value for a in about.resource.attributes}
    return resource, [s for scope in about.scope_spans for s in scope.spans]
