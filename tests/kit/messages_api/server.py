"""A loopback server that speaks the Messages API, and the dialects of other agents, from a script.

Source: docs.anthropic.com, "Messages" and "Streaming Messages" (message_start, content_block_start,
content_block_delta, content_block_stop, message_delta, message_stop; errors as `{"type": "error"}`).
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.kit.messages_api.dialects import Dialect, dialect_of
from tests.kit.messages_api.script import Json, Request, Say, Script, answer


@dataclass
class Fault:
    """Something that goes wrong on a model request. `kind`: status, hang, cut or reset."""

    kind: str = "status"
    status: int = 500
    times: int = 10**9
    """How many requests it hits."""
    after: int = 0
    """How many go well before."""
    type: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)


ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
"""Source: docs.anthropic.com, "Errors"."""


class MessagesApi:
    """The server. `requests` are the model requests of sessions, `side_requests` the CLI's own;
    `errors` is what went wrong in a script, which the CLI only sees as a 400."""

    def __init__(self, script: Script, *, faults: Sequence[Fault] = (), port: int = 0) -> None:
        self.script = script
        self.faults = list(faults)
        self.requests: list[Request] = []
        self.side_requests: list[Request] = []
        self.refused: list[Fault] = []
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._seen = 0
        api = self

        class Handler(_Handler):
            owner = api

        self._server = _Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, letting go of every request that hangs."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault_for_next(self) -> Fault | None:
        """The fault that hits the next model request, counted."""
        with self.lock:
            number, self._seen = self._seen, self._seen + 1
            for fault in self.faults:
                if fault.times > 0 and number >= fault.after:
                    fault.times -= 1
                    self.refused.append(fault)
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30.0
    owner: MessagesApi

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""

    def do_HEAD(self) -> None:
        self._plain(200, b"", head=True)

    def do_GET(self) -> None:
        self._plain(404, _error(404, "nothing here"))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        dialect = dialect_of(self.path)
        if not dialect and "/v1/messages" not in self.path:
            return self._plain(200, b"{}")
        if "count_tokens" in self.path:
            return self._plain(200, b'{"input_tokens": 100}')
        told = json.loads(raw)
        request = Request(self.path, dict(self.headers.items()), dialect.read(told) if dialect else told)
        if request.is_side_request:
            with self.owner.lock:
                self.owner.side_requests.append(request)
            return self._say(request, Say('{"title": "scripted"}'))
        with self.owner.lock:
            self.owner.requests.append(request)
        fault = self.owner.fault_for_next()
        if fault:
            return self._fail(fault, request)
        try:
            said = answer(self.owner.script, request)
        except Exception as error:  # noqa: BLE001 - told to the client and raised at the end
            self.owner.errors.append(error)
            return self._plain(400, _error(400, f"the script failed: {error!r}"))
        return self._say(request, said)

    def _fail(self, fault: Fault, request: Request) -> None:
        if fault.kind == "hang":
            self.owner.closing.wait()
            self.close_connection = True
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.close_connection = True
            self.connection.close()
        elif fault.kind == "cut":
            self._say(request, answer(self.owner.script, request), cut=True)
        else:
            words = fault.message or "scripted fault"
            body = _error(fault.status, words, fault.type)
            if dialect := dialect_of(request.path):
                body = json.dumps(dialect.error(fault.status, words)).encode()
            self._plain(fault.status, body, headers=fault.headers)

    def _plain(
        self, status: int, body: bytes, *, head: bool = False, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(body)

    def _say(self, request: Request, said: Say, *, cut: bool = False) -> None:
        if said.wait_s:
            self.owner.closing.wait(said.wait_s)
        if not request.body.get("stream"):
            dialect = dialect_of(request.path)
            whole = dialect.whole if dialect and dialect.whole else _message
            return self._plain(200, json.dumps(whole(request, said)).encode())
        events = list(_lines(dialect_of(request.path), request, said))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events[: len(events) // 2] if cut else events:
            self.wfile.write(event.encode())
        self.wfile.flush()
        return None


def _lines(dialect: Dialect | None, request: Request, said: Say) -> Iterator[str]:
    if dialect:
        yield from dialect.events(request, said)
        return
    for event in _events(request, said):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _error(status: int, message: str, kind: str = "") -> bytes:
    inner = {"type": kind or ERROR_TYPES.get(status, "api_error"), "message": message}
    return json.dumps({"type": "error", "error": inner, "request_id": "req_scripted"}).encode()


def _message(request: Request, said: Say) -> Json:
    seed = hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).hexdigest()[:16]
    content: list[Json] = [{"type": "text", "text": said.text}] if said.text or not said.calls else []
    for index, (name, arguments) in enumerate(said.calls):
        content.append(
            {"type": "tool_use", "id": f"toolu_{seed}{index:02d}", "name": name, "input": arguments}
        )
    return {
        "id": f"msg_{seed}",
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model", "scripted"),
        "content": content,
        "stop_reason": said.stop_reason or ("tool_use" if said.calls else "end_turn"),
        "stop_sequence": None,
        "usage": dict(said.usage),
    }


def _events(request: Request, said: Say) -> Iterator[Json]:
    message = _message(request, said)
    usage = message["usage"]
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
    }
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
        "usage": {"output_tokens": usage.get("output_tokens", 1)},
    }
    yield {"type": "message_stop"}


@contextmanager
def messages_api(script: Script, *, faults: Sequence[Fault] = ()) -> Iterator[MessagesApi]:
    """A server for the time of the block."""
    api = MessagesApi(script, faults=faults)
    try:
        yield api
    finally:
        api.close()
    if api.errors:
        raise api.errors[0]


def refusing_url() -> str:
    """A loopback URL where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
