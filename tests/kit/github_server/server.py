"""The loopback GitHub: state, operations, faults and git behind one HTTP server on 127.0.0.1."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import math
import re
import socket
import struct
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.kit.github_server import app, faults, githttp, pull_routes, routes, schema, setting_routes  # noqa: F401
from tests.kit.github_server.faults import Fault
from tests.kit.github_server.payloads import Payloads
from tests.kit.github_server.routes import Call, Refused, Reply
from tests.kit.github_server.state import ACTIONS_PERMISSIONS, PAT_PERMISSIONS, State, Viewer

TOKEN = "ghs_loopbackActionsToken"
PAT = "ghp_loopbackPersonalToken"
APP = "ghs_loopbackAppToken"


@dataclass(frozen=True)
class Request:
    """One request as it was logged. `carried_out` tells whether it had its effect."""

    method: str
    path: str
    query: str
    body: Any
    status: int
    fault: str = ""
    login: str = ""


class GitHubServer:
    """A GitHub with one repository, on a free port of 127.0.0.1. Use it as a context manager.

    `git_dir` is the bare repository behind it. Tokens: `TOKEN` (the Actions token), `PAT` (a person's,
    without checks), `APP` (another app's). Leaving the context raises AssertionError when any request
    or answer was not as GitHub's published description says.
    """

    def __init__(self, git_dir: Path, repository: str = "octo/demo", *, port: int = 0) -> None:
        owner, _, name = repository.partition("/")
        self.state = State(git_dir.resolve(), owner, name)
        self.state.git("config", "core.logAllRefUpdates", "always")  # `/activity` tells the pushes
        self.state.user(owner, role="admin")
        self.state.user("maintainer", role="maintain")
        self.state.user("stranger", role="read")
        self.state.tokens = {
            TOKEN: Viewer("github-actions[bot]", "actions", ACTIONS_PERMISSIONS),
            PAT: Viewer(owner, "user", PAT_PERMISSIONS),
            APP: Viewer("my-app[bot]", "app", ACTIONS_PERMISSIONS),
        }
        self.state.user("github-actions[bot]")
        self.state.user("my-app[bot]")
        self.token = TOKEN
        self.lock = threading.RLock()
        self.requests: list[Request] = []
        self.git_requests: list[Request] = []
        self.invalid: list[str] = []
        self.faults: list[Fault] = []
        self.meanwhile: list[tuple[Callable[[str, str, Any], bool], Callable[[], object]]] = []
        self.limit, self.remaining = 5000, 5000
        self.graphql = importlib.util.find_spec("graphql") is not None
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        self._tmp = tempfile.TemporaryDirectory(prefix="oa-github-")
        self.hooks = githttp.hooks_directory(Path(self._tmp.name) / "hooks")
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The API's base URL."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def repository(self) -> str:
        return self.state.full_name

    @property
    def clone_url(self) -> str:
        """Where git fetches from and pushes to, with the token as Basic password."""
        return f"{self.url}/{self.state.full_name}.git"

    def start(self) -> GitHubServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in tuple(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._tmp.cleanup()

    def __enter__(self) -> GitHubServer:
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not self.invalid, "not as GitHub describes:\n" + "\n".join(self.invalid)

    def fail(self, kind: str, method: str = "", path: str = "", **more: Any) -> Fault:
        """Let a coming request fail; see Fault."""
        fault = Fault(kind, method, path, **more)
        with self.lock:
            self.faults.append(fault)
        return fault

    def before(self, method: str, path: str, act: Callable[[], object], *, holding: str = "") -> None:
        """Let something happen just before the next such request is carried out, once; `holding` is a regular
        expression to be found in its body. A request that only asks about a permission is passed over."""

        def is_it(verb: str, at: str, body: Any) -> bool:
            asks = faults.asks_permission(verb, at, body)
            fits = verb == method and re.search(path, at) and re.search(holding, json.dumps(body))
            return bool(fits) and not asks

        with self.lock:
            self.meanwhile.append((is_it, act))

    def _happen(self, method: str, path: str, body: Any) -> None:
        with self.lock:
            due = [one for one in self.meanwhile if one[0](method, path, body)]
            self.meanwhile = [one for one in self.meanwhile if one not in due]
            for _, act in due:
                act()

    def viewer_of(self, authorization: str) -> Viewer | None:
        """Whose token it is; None for one nobody gave, or that is over."""
        token, told = githttp.token_of(authorization), self.state.app
        if told is not None and token.count(".") == 2 and told.signed(token):
            return app.ITSELF
        over = told is not None and told.ends.get(token, math.inf) < time.time()
        return None if over else self.state.tokens.get(token)

    def label(self, number: int, name: str, *, actor: str) -> None:
        """Somebody sets a label."""
        with self.lock:
            self.state.set_label(self.state.issues[number], name, actor=actor)

    def say(self, number: int, text: str, *, user: str) -> int:
        """Somebody comments on an issue or pull; the comment's id."""
        with self.lock:
            return self.state.add_comment(self.state.issues[number], text, user=user).id

    def edit(self, number: int, *, user: str, title: str | None = None, body: str | None = None) -> None:
        """Somebody edits an issue; only a new title leaves an event, as on GitHub."""
        with self.lock:
            issue = self.state.issues[number]
            if title is not None:
                old, issue.title = issue.title, title
                self.state.happened(issue, "renamed", user, rename=(old, title))
            if body is not None:
                issue.body = body
                issue.updated_at = issue.edited_at = self.state.now()

    def count(self, method: str = "", path: str = "") -> int:
        """How many API requests of that kind came in, as GitHub counts: those answered 304 are free."""
        return sum(
            method in {"", r.method} and bool(re.search(path, r.path)) and r.status != 304
            for r in self.requests
        )

    def split(self) -> tuple[int, int]:
        """All requests that came in, answers 304 and GraphQL's too: the run's own, and those of its tasks.

        A run's own are the lists of issues, the roles of people, what is asked about all issues or about the
        repository's labels in one request, and what it looks at before anything is paid.
        """
        own = [
            r
            for r in self.requests
            if (r.method == "GET" and re.search(r"/issues(/events)?$|/permission$", r.path))
            or (r.path == "/graphql" and str(r.body.get("query")).startswith("query"))
            or re.search(r"^/repos/[^/]+/[^/]+(/rules/branches/.*|/rulesets/\d+)?$", r.path)
            or faults.asks_permission(r.method, r.path, r.body)
        ]
        return len(own), len(self.requests) - len(own)

    def content_writes(self) -> int:
        """Requests that make or change what people read: comments, pulls, reviews, checks; labels are none."""
        written = re.compile(r"/(comments(/\d+)?|pulls|reviews|check-runs(/\d+)?|statuses/\w+)$")
        return sum(
            r.method in {"POST", "PATCH"}
            and not faults.asks_permission(r.method, r.path, r.body)
            and bool(written.search(r.path) or str((r.body or {}).get("query")).startswith("mutation"))
            for r in self.requests
        )

    def by_operation(self) -> Counter[str]:
        """Requests by method and path, numbers and SHAs replaced."""
        return Counter(
            f"{r.method} {re.sub(r'[0-9a-f]{40}|(?<=/)[0-9]+', 'N', r.path)}" for r in self.requests
        )


def _handler(github: GitHubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of = github

    return Handler


class _Gone(Exception):  # noqa: N818 - not an error
    """The connection was ended on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server_of: GitHubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet; `requests` has it all."""

    def handle(self) -> None:
        self.server_of.connections.add(self.connection)
        try:
            super().handle()
        except (_Gone, ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.server_of.connections.discard(self.connection)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _any(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        git = githttp.PATH.fullmatch(url.path)
        if git:
            self._git(git["owner"], git["repo"], git["rest"], url.query, body)
        elif url.path.startswith("/_kit/"):
            self._kit(url.path, body)
        else:
            prefix = "/api/v3" if url.path.startswith("/api/v3/") else ""
            self._api(prefix, url.path.removeprefix(prefix), url.query, body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815

    # the API

    def _api(self, prefix: str, path: str, query: str, body: bytes) -> None:
        github = self.server_of
        github._happen(self.command, path, _json(body))
        with github.lock:
            fault = next((f for f in github.faults if f.strikes(self.command, path, _json(body))), None)
        status, headers, data, login = 0, {}, None, ""
        if (
            fault is None
            or fault.when == faults.AFTER
            or fault.kind in {"truncated", "cut-json", "other-host"}
        ):
            with github.lock:
                status, headers, data, login = self._carry_out(prefix, path, query, body)
        if fault is not None and fault.kind not in {
            "reset",
            "hang",
            "truncated",
            "cut-json",
            "other-host",
            "html",
        }:
            moved = path.replace(f"/repos/{github.state.full_name}", "/repositories/1", 1)
            status, more, data = faults.answer(fault, f"{github.url}{moved}?{query}")
            headers = {**headers, **more}
            headers.pop("Link", None)
        with github.lock:
            shown = _json(body)
            github.requests.append(
                Request(self.command, path, query, shown, status, fault.kind if fault else "", login)
            )
        if fault is not None:
            self._strike(fault, status, headers, data)
        self._answer(status, headers, data)

    def _carry_out(
        self, prefix: str, path: str, query: str, body: bytes
    ) -> tuple[int, dict[str, str], Any, str]:
        github = self.server_of
        viewer = github.viewer_of(self.headers.get("Authorization", ""))
        limits = {"X-RateLimit-Limit": str(github.limit), "X-RateLimit-Reset": str(int(time.time()) + 3600)}
        if viewer is None:
            return (
                401,
                {},
                {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"},
                "",
            )
        if path == "/graphql":
            return self._graphql(viewer, _json(body))
        if github.remaining <= 0:
            data = {"message": "API rate limit exceeded for installation ID 1."}
            return 403, {**limits, "X-RateLimit-Remaining": "0"}, data, viewer.login
        github.remaining -= 1
        limits["X-RateLimit-Remaining"] = str(github.remaining)
        known = routes.find(self.command, path, github.state)
        if known is None:
            github.invalid.append(f"no such operation: {self.command} {path}")
        if known is None or known[1].get("owner", github.state.owner) != github.state.owner:
            return 404, limits, {"message": "Not Found"}, viewer.login
        if known[1].get("repo", github.state.name) != github.state.name:
            return 404, limits, {"message": "Not Found"}, viewer.login
        reply, headers = self._operate(known[0], known[1], viewer, prefix, path, query, body)
        return reply.status, {**limits, **headers}, reply.data, viewer.login

    def _operate(
        self,
        known: routes.Route,
        params: dict[str, str],
        viewer: Viewer,
        prefix: str,
        path: str,
        query: str,
        body: bytes,
    ) -> tuple[Reply, dict[str, str]]:
        github = self.server_of
        values = dict(parse_qsl(query))
        host = f"http://{self.headers.get('Host') or urlsplit(github.url).netloc}"
        api = f"{host}{prefix}"
        show = Payloads(github.state, api, host)
        limits = (github.limit, github.remaining)
        call = Call(github.state, show, viewer, known.template, params, values, _json(body), limits)
        headers: dict[str, str] = {}
        exchange = schema.Exchange(known.method, known.template, params, values, {}, body)
        github.invalid.extend(schema.faults_of_request(exchange))
        try:
            if not viewer.may(known.needs):
                kind = "personal access token" if viewer.kind == "user" else "integration"
                raise Refused(403, f"Resource not accessible by {kind}")
            reply = known.handler(call)
            if reply.items is not None:
                reply, headers = _page(reply, values, f"{api}{path}")
        except Refused as refused:
            reply = Reply(refused.status, refused.data)
        if reply.status != 204:
            answered = dataclasses.replace(exchange, status=reply.status, answer=reply.data)
            github.invalid.extend(schema.faults_of_answer(answered))
        if self.command == "GET" and reply.status == 200:
            headers["ETag"] = (
                f'W/"{hashlib.sha256(json.dumps([reply.data, viewer.login]).encode()).hexdigest()}"'
            )
            if self.headers.get("If-None-Match") == headers["ETag"]:
                github.remaining += 1  # GitHub does not count these
                return Reply(304), headers
        return reply, headers

    def _graphql(self, viewer: Viewer, body: Any) -> tuple[int, dict[str, str], Any, str]:
        github = self.server_of
        if not github.graphql:
            return 404, {}, {"message": "Not Found"}, viewer.login
        from tests.kit.github_server import graphql_routes

        host = f"http://{self.headers.get('Host') or urlsplit(github.url).netloc}"
        return (
            200,
            {},
            graphql_routes.answer(github.state, viewer, body, github.invalid, server=host),
            viewer.login,
        )

    def _strike(self, fault: Fault, status: int, headers: dict[str, str], data: Any) -> None:
        """Do what an answer cannot. Returns when the fault is an ordinary answer."""
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise _Gone
        if fault.kind == "hang":
            self._wait_for_the_client_to_go()
            raise _Gone
        if fault.kind == "html":
            self._send(
                502,
                {"Content-Type": "text/html", "Connection": "close"},
                b"<html><title>Unicorn!</title></html>",
            )
            raise _Gone
        whole = b"" if data is None else json.dumps(data).encode()
        if fault.kind in {"truncated", "cut-json"}:
            half = whole[: len(whole) // 2]
            more = {**headers, "Connection": "close"}
            self._send(status, more, half, length=len(whole) if fault.kind == "truncated" else len(half))
            raise _Gone
        if fault.kind == "other-host":
            self._answer(status, {**headers, "Link": '<http://example.invalid/x?page=2>; rel="next"'}, data)
            raise _Gone

    def _wait_for_the_client_to_go(self) -> None:
        self.connection.settimeout(0.1)
        while not self.server_of.closing.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _answer(self, status: int, headers: dict[str, str], data: Any) -> None:
        self._send(status, headers, b"" if data is None else json.dumps(data).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = None) -> None:
        self.send_response(status)
        if "Content-Type" not in headers:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        if length is not None and length != len(body):
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    # git and the kit itself

    def _git(self, owner: str, repo: str, rest: str, query: str, body: bytes) -> None:
        github = self.server_of
        viewer = github.viewer_of(self.headers.get("Authorization", ""))
        writes = "git-receive-pack" in (rest, dict(parse_qsl(query)).get("service"))
        status = 0
        if viewer is None and not writes and github.state.read_by_all and "Authorization" not in self.headers:
            viewer = Viewer("anybody", "user", {"contents": "read"})
        if viewer is None:
            status = 401
        elif (owner, repo) != (github.state.owner, github.state.name):
            status = 404
        elif not viewer.may("contents:write" if writes else "contents:read"):
            status = 403
        answer = githttp.GitAnswer(
            status, {"WWW-Authenticate": 'Basic realm="GitHub"'} if status == 401 else {}, b""
        )
        if viewer is not None and not status:
            answer = githttp.serve(
                github.state,
                rest,
                method=self.command,
                query=query,
                headers=dict(self.headers),
                body=body,
                hooks=None if viewer.may("workflows:write") else github.hooks,
            )
        with github.lock:
            login = viewer.login if viewer else ""
            github.git_requests.append(Request(self.command, rest, query, None, answer.status, "", login))
        self._send(answer.status, {"Content-Type": "text/plain", **answer.headers}, answer.body)

    def _kit(self, path: str, body: bytes) -> None:
        from tests.kit.github_server import kit

        with self.server_of.lock:
            status, data = kit.serve(self.server_of, self.command, path, _json(body))
        self._answer(status, {}, data)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else {}
    except ValueError:
        return {"not json": body.decode("latin-1")}


def _page(reply: Reply, query: dict[str, str], url: str) -> tuple[Reply, dict[str, str]]:
    """One page of a list, and the Link header to the others."""
    assert reply.items is not None
    size = max(1, min(100, int(query.get("per_page", "30"))))
    page = max(1, int(query.get("page", "1")))
    last = max(1, -(-len(reply.items) // size))
    items = [reply.show(item) for item in reply.items[(page - 1) * size : page * size]]
    data = {"total_count": len(reply.items), reply.key: items} if reply.key else items
    links = []
    targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    for name, number in targets.items():
        if (number < page if name in {"prev", "first"} else number > page) and 1 <= number <= last:
            links.append(f'<{url}?{urlencode({**query, "page": number})}>; rel="{name}"')
    return Reply(reply.status, data), {"Link": ", ".join(links)} if links else {}
