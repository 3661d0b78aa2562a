"""Keeps the key of a model out of an agent's process: a loopback proxy in this one adds it to each request.

The process gets a stand-in of our own making and the proxy's address; both are worth nothing once its attempt has
ended, and nothing anywhere else. Requests go to the one host that the configuration of the machine names, or to the
vendor. No request is passed on once the budget is spent (see `meter`): so the limit is exceeded by no more than one.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from orchestrator_action.agents.meter import Meter, used_tokens
from orchestrator_action.git.request_body import BodyError, RequestBody

if TYPE_CHECKING:
    import requests

CONNECT_S, READ_S = 20.0, 600.0
ANSWER_IDLE_S = 900.0
"""A connection that an agent leaves open and does not use."""
MOST_BODY_BYTES = 128 << 20
_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_OF_THE_HOP = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "accept-encoding",
     "proxy-authorization", "proxy-connection", "trailer", "content-encoding", "cookie", "set-cookie"}
)  # fmt: skip
_MODEL_OF_PATH = re.compile(r"/models/([^/:?]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """How an agent finds its model: the variables of key and address, and the address where none is set."""

    key: str
    address: str
    vendor: str


@contextlib.contextmanager
def kept_keys(
    ways: Iterable[ModelRoute], env: Mapping[str, str], meter: Meter
) -> Iterator[Mapping[str, str]]:
    """`env` with stand-ins for the keys of these ways, each with the address where it is worth something."""
    used = [way for way in ways if env.get(way.key)]
    if not used:
        yield env
        return
    with _Server(used, env, meter) as server:
        yield {**env, **server.stand_ins()}


class _Server(ThreadingHTTPServer):
    """One attempt's proxy. Way N is below the path `/N`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, ways: Sequence[ModelRoute], env: Mapping[str, str], meter: Meter) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ways, self.meter = ways, meter
        self.keys = [env[way.key] for way in ways]
        self.vendors = [(env.get(way.address) or way.vendor).rstrip("/") for way in ways]
        self.stand_in = f"sk-stand-in-{secrets.token_urlsafe(24)}"
        by_kind = {
            kind: env.get(f"{kind}_proxy") or env.get(f"{kind.upper()}_PROXY") for kind in ("http", "https")
        }
        self.proxies = {kind: proxy for kind, proxy in by_kind.items() if proxy}
        self.no_proxy = env.get("no_proxy") or env.get("NO_PROXY") or ""
        authorities = (env.get(n) for n in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"))
        self.verify = next(filter(None, authorities), True)

    def __enter__(self) -> _Server:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def stand_ins(self) -> Mapping[str, str]:
        """The variables by which an agent finds this proxy."""
        at = f"http://127.0.0.1:{self.server_address[1]}"
        of_keys = {way.key: self.stand_in for way in self.ways}
        directly = ",".join(filter(None, (self.no_proxy, "127.0.0.1")))  # not by the proxy of a company
        if self.proxies:
            of_keys |= {"NO_PROXY": directly, "no_proxy": directly}
        return {**of_keys, **{way.address: f"{at}/{n}" for n, way in enumerate(self.ways)}}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that has gone in the middle of an answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = ANSWER_IDLE_S
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> None:
        server = self.server
        try:
            body = RequestBody(self.rfile, self.headers)
            sent = b"".join(_bounded(body.parts()))
        except BodyError as exc:
            self.close_connection = True
            return self._refuse(400, str(exc))
        way, _, rest = self.path[1:].partition("/")
        if not way.isdecimal() or int(way) >= len(server.ways):
            return self._refuse(404, "there is nothing here")
        found = self._with_key(int(way), rest)
        if found is None:
            return self._refuse(401, "this key is not the one that was given")
        model, turn = (
            _asked(sent, rest, plainly=server.meter.asks_plainly) if self.command == "POST" else ("", False)
        )
        if self.command == "POST" and (why := server.meter.admit(turn=turn)):
            return self._refuse(403, why)
        self._forward(*found, sent, model, turn=turn)
        return None

    def _with_key(self, way: int, rest: str) -> tuple[str, dict[str, str]] | None:
        """The vendor's URL and the headers, with the key where the stand-in was; None when it was nowhere."""
        stand_in, key = self.server.stand_in, self.server.keys[way]
        url = f"{self.server.vendors[way]}/{rest}"
        headers = {n: v for n, v in self.headers.items() if n.lower() not in _OF_THE_HOP}
        there = stand_in in url or any(
            stand_in in headers.get(n, "") for n in headers if n.lower() in _KEY_HEADERS
        )
        open_to_all = self.command == "HEAD"  # an agent asks whether anybody is there
        if not there and not open_to_all:
            return None
        return url.replace(stand_in, urllib.parse.quote(key)), {
            n: v.replace(stand_in, key) for n, v in headers.items()
        }

    def _forward(self, url: str, headers: dict[str, str], sent: bytes, model: str, *, turn: bool) -> None:
        import requests  # 15 ms, which commands that start no agent do not need; a run has it in memory

        server = self.server
        bypass = requests.utils.should_bypass_proxies(url, no_proxy=server.no_proxy or None)
        try:
            with requests.Session() as session:
                session.trust_env = False
                with session.request(
                    self.command, url, data=sent or None, headers={**headers, "Accept-Encoding": "identity"},
                    stream=True, timeout=(CONNECT_S, READ_S), allow_redirects=False, verify=server.verify,
                    proxies={} if bypass else server.proxies,
                ) as answer:  # fmt: skip
                    self._pass_back(answer, model, turn=turn)
        except requests.RequestException as exc:
            why = f"the vendor cannot be reached: {type(exc).__name__}"
            server.meter.lose(why, turn=turn)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self._refuse(502, why)

    def _pass_back(self, answer: requests.Response, model: str, *, turn: bool) -> None:
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in _OF_THE_HOP:
                self.send_header(name, value)
        has_body = self.command != "HEAD" and answer.status_code not in {204, 304}
        self.send_header(*(("Transfer-Encoding", "chunked") if has_body else ("Content-Length", "0")))
        self.end_headers()
        kept: list[bytes] = []
        try:
            for part in answer.raw.stream(64 << 10, decode_content=True) if has_body else ():
                kept.append(part)
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        finally:  # also of an agent that has gone: its vendor counts it, too
            if self.command == "POST":
                whole, meter = b"".join(kept), self.server.meter
                wait = answer.headers.get("Retry-After", "")
                meter.hear(answer.status_code, whole, wait, model=model, turn=turn)
                meter.count(model, used_tokens(whole))
        if has_body:  # only now does the agent know that it has all of it
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, why: str) -> None:
        """An error that every agent's client reads: the shapes of the vendors differ in little."""
        kind = "permission_error" if status == 403 else "invalid_request_error"
        body = json.dumps({"type": "error", "error": {"type": kind, "message": why, "code": status}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _bounded(parts: Iterable[bytes]) -> Iterator[bytes]:
    total = 0
    for part in parts:
        total += len(part)
        if total > MOST_BODY_BYTES:
            raise BodyError("the request is too long")
        yield part


def _asked(sent: bytes, path: str, *, plainly: bool) -> tuple[str, bool]:
    """The model that a request names, and whether it is a turn: it offers tools, or its program always asks `plainly`.

    What a program asks for beside its work, such as a title, offers none; a count of tokens is nobody's turn.
    """
    body: object = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(sent)
    told = body if isinstance(body, dict) else {}
    found = _MODEL_OF_PATH.search(path)
    model = urllib.parse.unquote(found[1]) if found else told.get("model")
    return (model if isinstance(model, str) else ""), (
        plainly or bool(told.get("tools"))
    ) and "count" not in path.lower()
