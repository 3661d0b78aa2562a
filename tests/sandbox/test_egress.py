"""The way out of a sandbox without a network: what is named is reached, by a proxy; nothing else is, by any way."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator_action.protocol.attempt import Outcome
from orchestrator_action.sandbox.egress import Destination, Egress
from orchestrator_action.sandbox.hints import hint_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level, Role
from tests.sandbox.conftest import REPOSITORY, WalledStage

ASK = "import urllib.request as u; print(u.urlopen(u.Request('{0}', {1})).read().decode(), flush=True)"
"""As any program asks that knows HTTP_PROXY."""


@dataclass
class World:
    """A server on loopback that remembers what it was asked; it answers for a proxy, too."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(f"{self.command} {self.path} {self.headers['Host']}")
            made.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"world")

        do_POST = do_GET  # noqa: N815 - http.server's name

        def do_CONNECT(self) -> None:
            made.asked.append(f"CONNECT {self.path} {self.headers['Proxy-Authorization']}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"tunnel")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@dataclass
class Within:
    """Runs programs as an agent whose model is at `hosts`."""

    stage: WalledStage
    walls: Isolation
    env: dict[str, str] = field(default_factory=dict)
    """Of the machine: its proxies."""
    refused: str = ""

    def run(self, *argv: str, hosts: tuple[str, ...] = (), egress: tuple[str, ...] = ()) -> Outcome:
        walls = replace(self.walls, egress=egress)
        policy = walls.policy(
            Role.AGENT, write=[self.stage.root], read=[REPOSITORY], scratch=self.stage.root / "s"
        )
        with walls.reaching(policy, hosts, self.env) as (policy, refused):
            outcome = self.stage.run(self.stage.command(*argv), policy=policy, limits={"wall_s": 60.0})
            self.refused = refused()
        return outcome

    def python(self, code: str, *, hosts: tuple[str, ...] = (), egress: tuple[str, ...] = ()) -> str:
        """What this code printed."""
        self.run("/usr/bin/python3", "-c", code, hosts=hosts, egress=egress)
        return self.stage.log.read_text()


@pytest.fixture
def within(stage: WalledStage, walls: Isolation) -> Within:
    return Within(stage, walls)


def test_a_model_on_loopback_is_found_where_it_is(within: Within, world: World):
    """At the same address as outside, without any proxy; what the program starts for itself is beside it."""
    code = ASK.format(f"http://127.0.0.1:{world.port}/v1", "b'x' * 1000000")

    said = within.python(code, hosts=(f"127.0.0.1:{world.port}",))

    assert ("world\n", [1000000]) == (said, [len(body) for body in world.bodies])
    assert "" == within.refused


def test_a_host_that_is_named_is_reached_by_the_proxy(within: Within, world: World):
    """Its name is resolved outside; here by the machine's own proxy, which is asked with its password."""
    within.env = {
        "http_proxy": f"http://127.0.0.1:{world.port}",
        "HTTPS_PROXY": f"http://me:p%40ss@127.0.0.1:{world.port}",
    }
    secure = (
        "c=socket.create_connection(('127.0.0.1', 3128)); "
        "c.sendall(b'CONNECT a.pypi.test:443 HTTP/1.1\\r\\n\\r\\n')"
    )

    said = within.python(ASK.format("http://api.test/a?b=c", None), hosts=("api.test",))
    tunnel = within.python(
        f"import socket; {secure}; print(c.makefile('rb').read())", egress=("*.pypi.test",)
    )

    assert "world\n" == said
    assert "200" in tunnel and tunnel.rstrip().endswith("tunnel'")
    assert ["GET http://api.test/a?b=c api.test", "CONNECT a.pypi.test:443 Basic bWU6cEBzcw=="] == world.asked


def test_a_host_that_is_not_named_is_refused_and_said(within: Within, world: World):
    """To the program by the proxy's answer, to people by name and count."""
    asks = "\n".join(
        f"try: u.urlopen('{address}')\nexcept Exception as e: print(e)"
        for address in (
            f"http://evil.test:{world.port}/",
            "http://evil.test:81/",
            "https://api.test.evil.test/",
        )
    )

    said = within.python(f"import urllib.request as u\n{asks}\n" * 2, hosts=("api.test", "*.api.test"))

    assert 6 == said.count("403")
    assert (
        f"the sandbox refused evil.test:{world.port} (2×), evil.test:81 (2×), api.test.evil.test (2×)"
        in within.refused
    )
    assert "egress" in within.refused
    assert [] == world.asked


WAYS = r"""
import socket, struct, sys
port, name = int(sys.argv[1]), sys.argv[2]
def tcp(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3); s.connect(address); return True
def udp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1); s.sendto(b"x", address); s.recv(10); return True
def raw():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0)); return True
def vsock():
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        s.settimeout(1); s.connect((2, 1024)); return True
for what, way in {
    "loopback": lambda: tcp(socket.AF_INET, ("127.0.0.1", port)),
    "abstract": lambda: tcp(socket.AF_UNIX, "\0" + name),
    "metadata": lambda: tcp(socket.AF_INET, ("169.254.169.254", 80)),
    "an address": lambda: tcp(socket.AF_INET, ("192.0.2.1", 443)),
    "names": lambda: socket.getaddrinfo("example.com", 443),
    "udp": lambda: udp(("127.0.0.1", port)),
    "dns": lambda: udp(("192.0.2.53", 53)),
    "raw": raw,
}.items():
    try: way(); print("REACHED", what)
    except OSError as e: print("held", what, e)
"""


def test_what_uses_no_proxy_reaches_nothing(within: Within, world: World):
    """Loopback, an abstract socket, a cloud's metadata, an address, names, UDP."""
    name = f"oa-egress-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen(4)
        within.run("/usr/bin/python3", "-c", WAYS, str(world.port), name, hosts=("api.test",))

    said = within.stage.log.read_text()
    assert "REACHED" not in said
    assert 8 == said.count("held"), said
    assert "HTTP_PROXY" in hint_of("Could not resolve host: example.com", _by_proxy(within.stage), os.environ)


def _by_proxy(stage: WalledStage):
    from orchestrator_action.sandbox.policy import WayOut

    return replace(stage.policy, network=False, way_out=WayOut(socket="/tmp/s"))


def test_the_socket_file_itself_opens_no_more(within: Within, world: World):
    """Somebody who goes round what listens within meets the same rules."""
    code = (
        "import glob, socket; c=socket.socket(socket.AF_UNIX); c.connect(glob.glob('/tmp/oa-*/way-out')[0])\n"
        f"c.sendall(b'CONNECT localhost:{world.port} HTTP/1.1\\r\\n\\r\\n'); print(c.recv(100))"
    )

    assert "403" in within.python(code, hosts=("api.test",))
    assert [] == world.asked


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1"])
def test_a_name_that_leads_back_to_this_machine_is_not_followed(world: World, spelling: str):
    """A host that is let through and turns out to be loopback; only loopback's own name opens that."""
    with Egress([f"{spelling}:{world.port}"], {}) as out, _asking(out) as ask:
        assert b"502" in ask(f"CONNECT {spelling}:{world.port} HTTP/1.1\r\n\r\n")
    with Egress([f"localhost:{world.port}"], {}) as out, _asking(out) as ask:
        assert b"200" in ask(f"CONNECT 127.0.0.1:{world.port} HTTP/1.1\r\n\r\n")


@contextmanager
def _asking(out: Egress) -> Iterator[Callable[[str], bytes]]:
    def ask(request: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(out.path)
            client.sendall(request.encode("latin-1"))
            return client.recv(1000)

    yield ask


SMUGGLED = (
    "CONNECT api.test:443@evil.test:443 HTTP/1.1", "CONNECT evil.test:443#api.test:443 HTTP/1.1",
    "CONNECT api.test.evil.test:443 HTTP/1.1", "CONNECT evilapi.test:443 HTTP/1.1", "CONNECT api.test:22 HTTP/1.1",
    "GET http://api.test@evil.test/ HTTP/1.1", "GET http://evil.test/?http://api.test/ HTTP/1.1",
    "GET ftp://api.test/ HTTP/1.1", "GET / HTTP/1.1", "CONNECT api.test HTTP/1.1", "CONNECT api.test:99999 HTTP/1.1",
    "CONNECT [::1]:443 HTTP/1.1", "GET http://api.test\\@evil.test/ HTTP/1.1", "\x00\x00", "CONNECT",
    "CONNECT :443 HTTP/1.1",
)  # fmt: skip


@pytest.mark.parametrize("request_line", SMUGGLED)
def test_no_spelling_smuggles_another_host_through(world: World, request_line: str):
    """Whatever is asked, nobody but `api.test` on the web's ports is connected to."""
    proxy = {"HTTP_PROXY": f"http://127.0.0.1:{world.port}", "HTTPS_PROXY": f"http://127.0.0.1:{world.port}"}
    with Egress(["api.test"], proxy) as out, _asking(out) as ask:
        answer = ask(f"{request_line}\r\nHost: api.test\r\n\r\n")

    assert b" 200 " not in answer
    assert [] == world.asked


def test_the_host_field_of_a_plain_request_is_that_of_its_address(world: World):
    """A server that answers for several names is asked for the one that was let through."""
    with Egress([f"localhost:{world.port}"], {}) as out, _asking(out) as ask:
        answer = ask(
            f"GET http://localhost:{world.port}/x HTTP/1.1\r\nHost: evil.test\r\nConnection: keep-alive\r\n\r\n"
        )

    assert b"200" in answer
    assert [f"GET /x localhost:{world.port}"] == world.asked


def test_it_ends_with_everything_that_goes_through_it(world: World):
    """No thread, no socket file, no connection is left of a way out that was in use."""
    before = threading.active_count()
    with Egress([f"localhost:{world.port}"], {}) as out:
        client = socket.socket(socket.AF_UNIX)
        client.connect(out.path)
        client.sendall(f"CONNECT localhost:{world.port} HTTP/1.1\r\n\r\n".encode())
        assert b"200" in client.recv(100)
    with client:
        assert b"" == client.recv(100)
    for thread in threading.enumerate():
        if thread.name.startswith("egress"):
            thread.join(10)
    assert before >= sum(not t.name.startswith("Thread-") for t in threading.enumerate())
    assert not Path(out.path).parent.exists()


@pytest.mark.parametrize(
    ("text", "host", "port", "means"),
    [
        ("API.Example.com.", "api.example.com", 443, True),
        ("api.example.com", "api.example.com", 8443, False),
        ("api.example.com:8443", "api.example.com", 8443, True),
        ("*.example.com", "a.b.example.com", 80, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("[::1]:80", "localhost", 80, True),
    ],
)
def test_what_a_destination_means(text: str, host: str, port: int, means: bool):
    assert means is Destination.of(text).means(host, port)


@pytest.mark.parametrize("text", ["", "https://a", "a/b", "a b", "*", "a.*.b", "u@a", "a:x"])
def test_what_is_no_host_is_refused(text: str):
    with pytest.raises(ValueError, match=r"host|Port|port"):
        Destination.of(text)


def test_where_the_walls_cannot_filter_it_is_said(walls: Isolation):
    """In the line at the head of a run, and in the report."""
    asked = Isolation(level=Level.CONFINED, egress=("pypi.org",))

    assert "egress is not held at this level" in asked.sentence()
    assert (
        "agents reach their model, pypi.org, nothing else" in replace(walls, egress=("pypi.org",)).sentence()
    )
    assert "agents reach their model, nothing else" in replace(walls, network=frozenset({"tests"})).sentence()
    assert ["pypi.org"] == json.loads(json.dumps(asked.json()))["egress"]
