"""The token's own way to the forge honours what git is set up with: certificates, proxies, and patience."""

from __future__ import annotations

import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.git.patience import Patience
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from tests.conftest import need
from tests.git.conftest import REF
from tests.git.server import TOKEN, GitServer, serve
from tests.kit.repos import Repo, clean_env, git


def opened(repo: Repo, tmp_path: Path, **more: str) -> Remote:
    found = open_remote(
        Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN, env={**clean_env(), **more}
    )
    assert found is not None
    return replace(found, patience=Patience(for_s=5.0, sleep=lambda _: None))


# -- certificates ------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    need(shutil.which("openssl"), "openssl")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(argv, check=True, capture_output=True)
    return cert, key


@pytest.fixture
def cert(tmp_path: Path) -> Path:
    return certificate(tmp_path, "server")[0]


@pytest.fixture
def tls(cert: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, cert.with_suffix(".key"))
    return context


@pytest.fixture
def secure(repo: Repo, tls: ssl.SSLContext) -> Iterator[GitServer]:
    git(repo.remote, "config", "http.receivepack", "true")
    with serve(repo.remote.parent, tls=tls) as running:
        repo.git("remote", "set-url", "origin", f"{running.url}/remote.git")
        yield running


def test_an_unknown_certificate_is_refused_at_once(repo: Repo, secure: GitServer, tmp_path: Path):
    """No waiting mends it; the token was not sent."""
    slept: list[float] = []
    remote = replace(opened(repo, tmp_path), patience=Patience(sleep=slept.append))

    with pytest.raises(GitError, match="certificate") as caught:
        remote.default_branch()

    assert "sslCAInfo" in caught.value.hint
    assert [] == slept and [] == secure.authorized


@pytest.mark.parametrize("scope", ["http", "http.{url}/", "env"])
def test_the_users_certificates_count(repo: Repo, secure: GitServer, tmp_path: Path, cert: Path, scope: str):
    """For all servers, for one, and from the environment; fetches and pushes."""
    if scope != "env":
        repo.git("config", f"{scope.format(url=secure.url)}.sslCAInfo", str(cert))
    remote = opened(repo, tmp_path, **({"GIT_SSL_CAINFO": str(cert)} if scope == "env" else {}))
    sha = repo.commit({"x": "1"})

    assert "main" == remote.default_branch()
    assert sha == remote.push(sha, REF, known="")


def test_verification_can_be_switched_off_for_a_server(repo: Repo, secure: GitServer, tmp_path: Path):
    """As git does it; and for that server only."""
    repo.git("config", "http.https://127.0.0.1:1/.sslVerify", "false")
    with pytest.raises(GitError, match="certificate"):
        opened(repo, tmp_path).default_branch()

    repo.git("config", f"http.{secure.url}/.sslVerify", "false")

    assert "main" == opened(repo, tmp_path).default_branch()


def test_a_certificate_of_our_own_is_shown(
    repo: Repo, secure: GitServer, tmp_path: Path, cert: Path, tls: ssl.SSLContext
):
    """To a server that asks for one."""
    mine, key = certificate(tmp_path, "client")
    tls.load_verify_locations(mine)
    tls.verify_mode = ssl.CERT_REQUIRED
    repo.git("config", "http.sslCAInfo", str(cert))
    with pytest.raises(GitError):
        opened(repo, tmp_path).default_branch()
    repo.git("config", "http.sslCert", str(mine))
    repo.git("config", "http.sslKey", str(key))

    assert "main" == opened(repo, tmp_path).default_branch()


def test_a_certificate_that_is_not_there_is_named(repo: Repo, secure: GitServer, tmp_path: Path):
    repo.git("config", "http.sslCAInfo", str(tmp_path / "gone.pem"))

    with pytest.raises(GitError, match="certificate of git's settings") as caught:
        opened(repo, tmp_path)

    assert "git config" in caught.value.hint


# -- proxies -----------------------------------------------------------------------------------


class Forwarder(http.server.BaseHTTPRequestHandler):
    """A small HTTP proxy: tunnels for https; for http it only writes down that it was asked."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path} {self.headers.get('Proxy-Authorization', '')}".strip())
        self.send_error(418)

    def do_CONNECT(self) -> None:
        self.asked.append(f"CONNECT {self.headers.get('Proxy-Authorization', '')}".strip())
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            pump = threading.Thread(target=copy, args=(there, self.connection), daemon=True)
            pump.start()
            copy(self.connection, there)
            pump.join(5)


def copy(one: socket.socket, other: socket.socket) -> None:
    try:
        while part := one.recv(65536):
            other.sendall(part)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def forwarder() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Here", (Forwarder,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()
        thread.join()


def test_a_tunnel_through_the_users_proxy(
    repo: Repo, secure: GitServer, tmp_path: Path, cert: Path, forwarder: tuple[str, list[str]]
):
    """With the proxy's own password; the token goes through it unseen, and our own address never."""
    url, asked = forwarder
    repo.git("config", "http.sslCAInfo", str(cert))
    repo.git("config", "http.proxy", url.replace("//", "//me:pass%20word@"))
    sha = repo.commit({"x": "1"})

    assert sha == opened(repo, tmp_path).push(sha, REF, known="")
    assert {"CONNECT Basic bWU6cGFzcyB3b3Jk"} == set(asked)


@pytest.mark.parametrize(
    ("settings", "env", "used"),
    [
        ({}, {"http_proxy": "URL"}, True), ({}, {"all_proxy": "URL"}, True), ({}, {"HTTP_PROXY": "URL"}, False),
        ({}, {"http_proxy": "URL", "NO_PROXY": "127.0.0.1"}, False),
        ({}, {"http_proxy": "URL", "no_proxy": "*"}, False),
        ({"http.proxy": "URL"}, {}, True), ({"http.proxy": ""}, {"http_proxy": "URL"}, False),
        ({"http.proxy": "URL"}, {"no_proxy": "127.0.0.1"}, False), ({"remote.origin.proxy": "URL"}, {}, True),
        ({"http.http://127.0.0.1.proxy": "URL"}, {}, False), ({"http.http://other.example.proxy": "URL"}, {}, False),
    ],
)  # fmt: skip
def test_which_proxy_is_used_is_what_git_would_use(
    repo: Repo, server: GitServer, tmp_path: Path, forwarder: tuple[str, list[str]],
    settings: dict[str, str], env: dict[str, str], used: bool,
):  # fmt: skip
    """Settings before environment, NO_PROXY before both, `HTTP_PROXY` in capitals never (as curl has it)."""
    url, asked = forwarder
    for key, value in settings.items():
        repo.git("config", key, value.replace("URL", url))
    given = {name: value.replace("URL", url) for name, value in env.items()}
    theirs = subprocess.run(
        ["git", "ls-remote", "origin"], cwd=repo.path, env={**clean_env(), **given, "GIT_TERMINAL_PROMPT": "0"},
        capture_output=True, check=False,
    )  # fmt: skip
    by_git = bool(asked)
    asked.clear()

    remote = opened(repo, tmp_path, **given)
    if used:
        with pytest.raises(GitError, match="418"):
            remote.default_branch()
    else:
        assert "main" == remote.default_branch()

    assert theirs.returncode
    assert (used, used) == (by_git, bool(asked))


def test_a_kind_of_proxy_we_do_not_speak_is_named(repo: Repo, server: GitServer, tmp_path: Path):
    repo.git("config", "http.proxy", "socks5://me:secret@127.0.0.1:9")

    with pytest.raises(GitError, match=r"socks5://127\.0\.0\.1:9 is of a kind") as caught:
        opened(repo, tmp_path)

    assert "http.proxy" in caught.value.hint


# -- patience ----------------------------------------------------------------------------------


def test_a_server_that_is_busy_is_waited_for_as_long_as_it_asks(
    repo: Repo, server: GitServer, tmp_path: Path
):
    """`Retry-After` counts; a push goes through in the end, once."""
    slept: list[float] = []
    remote = replace(opened(repo, tmp_path), patience=Patience(sleep=slept.append))
    sha = repo.commit({"x": "1"})
    server.fail_next, server.retry_after = [429, 503], "17"

    assert sha == remote.push(sha, REF, known="")
    assert 2 == len(slept) and 17.0 <= min(slept) <= max(slept) < 20


def test_a_connection_that_breaks_in_a_push_is_made_again(repo: Repo, server: GitServer, tmp_path: Path):
    remote = opened(repo, tmp_path)
    sha = repo.commit({"x": "1"})
    server.fail_next = [0, 0, 500]

    assert sha == remote.push(sha, REF, known="")
    assert 3 == server.failed


def test_a_server_that_stays_busy_is_given_up_after_a_minute_and_more(
    repo: Repo, server: GitServer, tmp_path: Path
):
    """Its status and its words are told; the clock is a real one, the patience is not."""
    remote = replace(opened(repo, tmp_path), patience=Patience(for_s=0.5))
    server.fail_next, server.words = [503] * 1000, "Down for maintenance."

    with pytest.raises(GitError, match="503") as caught:
        remote.default_branch()

    assert "Down for maintenance." in caught.value.message
    assert 2 <= server.failed < 20
    assert Patience().for_s >= 60


def test_a_server_that_asks_for_an_hour_is_not_waited_for(repo: Repo, server: GitServer, tmp_path: Path):
    slept: list[float] = []
    remote = replace(opened(repo, tmp_path), patience=Patience(sleep=slept.append))
    server.fail_next, server.retry_after = [429] * 9, "3600"

    with pytest.raises(GitError, match="429"):
        remote.default_branch()

    assert [] == slept


@pytest.mark.parametrize("status", [403, 404, 413])
def test_a_refusal_is_told_at_once_in_the_forges_words(
    repo: Repo, server: GitServer, tmp_path: Path, status: int
):
    slept: list[float] = []
    remote = replace(opened(repo, tmp_path), patience=Patience(sleep=slept.append))
    server.fail_next, server.words = [status], "Write access to repository not granted."

    with pytest.raises(GitError, match="Write access to repository not granted") as caught:
        remote.default_branch()

    assert [] == slept and 1 == server.failed
    assert "127.0.0.1:" + remote.url.rpartition(":")[2].partition("/")[0] in caught.value.message
    assert "repository.git" not in caught.value.message, "the address that people know"


def test_a_server_that_was_there_is_waited_for_one_that_never_was_is_named(
    repo: Repo, server: GitServer, tmp_path: Path
):
    """A wrong address costs three tries; a restart of a server that answered before costs patience."""
    slept: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/remote.git"
    known = replace(opened(repo, tmp_path), patience=Patience(for_s=1.5, sleep=slept.append))
    assert "main" == known.default_branch()
    gone = replace(known, url=nobody, access={nobody: known.access[known.url]})
    with pytest.raises(GitError, match="failed to connect"):
        gone.default_branch()
    patient = len(slept)
    slept.clear()

    new = replace(gone, patience=Patience(sleep=slept.append))
    with pytest.raises(GitError, match="failed to connect"):
        new.default_branch()

    assert 2 == len(slept) < patient
