"""The proxy that holds the token in place of git: whom it serves, what it lets pass, what it passes on."""

from __future__ import annotations

import gzip
import http.client
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator_action.git.process import spawn_git
from orchestrator_action.git.push_commands import PushOperation, ReadOperation
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from orchestrator_action.git.token_proxy import Operation, TokenProxy
from tests.git.conftest import REF
from tests.git.server import TOKEN, GitServer, serve
from tests.kit.repos import Repo, git
from tests.kit.runner import wait_for

ZERO = "0" * 40
OWN = os.getsid(0)
"""The tests' own session, for requests that no git would make; 0 when it was begun outside a container."""


@pytest.fixture
def remote(repo: Repo, server: GitServer, tmp_path: Path) -> Remote:
    found = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert found is not None
    return found


@contextmanager
def proxy_of(remote: Remote, operation: Operation, *, session: int | None = None) -> Iterator[TokenProxy]:
    with TokenProxy(remote.access[remote.url], operation, timeout_s=30) as proxy:
        if session is not None:
            proxy.serve_session(session)
        yield proxy


def by_git(remote: Remote, proxy: TokenProxy, *args: str) -> tuple[int, str]:
    """git in its own session, with the proxy's address in place of ADDRESS."""
    argv = [a.replace("ADDRESS", proxy.url) for a in args]
    done = spawn_git(argv, env=remote.env, cwd=remote.store, started=proxy.serve_session, timeout_s=30)
    return done.code, done.err + done.text


def ask(proxy: TokenProxy, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """One request as anybody could write it."""
    place = urlsplit(proxy.url)
    with_dashes = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        connection.request(
            method, place.path + target, body, with_dashes, encode_chunked=not isinstance(body, bytes)
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def commands(*lines: str) -> bytes:
    """pkt-lines and a flush, as git-receive-pack reads them."""
    with_caps = [f"{line}\0report-status" if not n else line for n, line in enumerate(lines)]
    return b"".join(b"%04x%b" % (len(x) + 4, x.encode()) for x in with_caps) + b"0000"


def empty_pack(repo: Repo) -> bytes:
    """For a push of what the forge has already."""
    argv = ["git", "pack-objects", "--stdout", "-q"]
    return subprocess.run(argv, input=b"", cwd=repo.path, capture_output=True, check=True).stdout


# -- whom it serves ----------------------------------------------------------------------------


def test_nobody_but_the_git_we_started_is_served(remote: Remote, server: GitServer):
    """Who reads the address from git's command line gets nothing for it, not even an answer."""
    with proxy_of(remote, ReadOperation(remote.url)) as proxy:
        code, said = by_git(remote, proxy, "ls-remote", "ADDRESS", "HEAD")
        asked = len(server.authorized)
        thief = subprocess.run(
            ["git", "ls-remote", proxy.url], capture_output=True, text=True, check=False, start_new_session=True
        )  # fmt: skip
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(proxy, "GET", "/info/refs?service=git-upload-pack")

    assert (0, True) == (code, "HEAD" in said), said
    assert 128 == thief.returncode and "unable to access" in thief.stderr, thief.stderr
    assert asked == len(server.authorized) > 0


def test_before_git_runs_and_after_it_has_ended_nobody_is_served(remote: Remote, server: GitServer):
    with proxy_of(remote, ReadOperation(remote.url)) as proxy:
        by_git(remote, proxy, "ls-remote", "ADDRESS", "HEAD")
    asked = len(server.authorized)

    with pytest.raises(OSError):
        ask(proxy, "GET", "/info/refs?service=git-upload-pack")

    assert asked == len(server.authorized)


# -- what it lets pass -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/info/refs?service=git-receive-pack"), ("POST", "/git-receive-pack"), ("GET", "/HEAD"),
        ("GET", "/../other.git/info/refs?service=git-upload-pack"), ("GET", "/objects/info/packs"),
        ("GET", "/info/refs"), ("PUT", "/info/refs?service=git-upload-pack"), ("POST", "/info/lfs/objects/batch"),
        ("GET", "/info/refs?service=git-upload-pack&service=git-receive-pack"), ("GET", "//evil.example/info/refs"),
    ],
)  # fmt: skip
def test_reading_lets_nothing_pass_but_reading_this_repository(
    remote: Remote, server: GitServer, method: str, target: str
):
    with proxy_of(remote, ReadOperation(remote.url), session=OWN) as proxy:
        status, _ = ask(proxy, method, target, b"" if method != "GET" else None)

    assert 403 == status
    assert [] == server.authorized and 0 == server.refused


def test_another_path_of_the_same_port_is_nothing(remote: Remote, server: GitServer):
    """The secret in the address is part of it."""
    with proxy_of(remote, ReadOperation(remote.url), session=OWN) as proxy:
        proxy.url = proxy.url.replace(urlsplit(proxy.url).path, "/x/repository.git")
        status, _ = ask(proxy, "GET", "/info/refs?service=git-upload-pack")

    assert 404 == status and [] == server.authorized


@pytest.mark.parametrize(
    "other", ["HEAD:refs/heads/main", "HEAD:refs/heads/orchestrator/issue-2", "HEAD~1:" + REF, ":" + REF]
)
def test_a_push_lets_no_other_ref_and_no_other_commit_pass(
    remote: Remote, repo: Repo, server: GitServer, other: str
):
    """A real git asks; what it is told says why."""
    old = repo.git("rev-parse", "HEAD")
    repo.git("push", "-q", str(repo.remote), f"HEAD:{REF}")
    sha = repo.commit({"x": "1"})
    operation = PushOperation(remote.push_url, {REF: (old, sha)})

    with proxy_of(remote, operation) as proxy:
        what = other.replace("HEAD~1", repo.commit({"x": "2"})).replace("HEAD", sha)
        code, said = by_git(remote, proxy, "push", "ADDRESS", f"+{what}")

    assert code and "is not part of this push" in str(proxy.said), said
    assert {old} == {repo.at_remote(REF), repo.at_remote("refs/heads/main")}


@pytest.mark.parametrize(
    "body",
    [
        commands(f"{ZERO} {'1' * 40} {REF}x"), commands(f"{ZERO} {'2' * 40} {REF}"),
        commands(f"{'1' * 40} {'1' * 40} {REF}"), commands(f"{'1' * 40} {ZERO} {REF}"), b"0000PACK",
        commands(f"{ZERO} {'1' * 40} {REF}", f"{ZERO} {'1' * 40} refs/heads/main"), b"zzzz", b"0003", b"00",
        commands(f"{ZERO} {'1' * 40} {REF}").replace(b"report-status", b"push-options "),
        commands("push-cert"), b"-004", b"fff0" + b"x" * 65516 + b"0000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_what_a_push_says_is_read_before_anything_of_it_is_sent(
    remote: Remote, server: GitServer, body: bytes, packed: bool
):
    """Also when it is packed, or comes in chunks; nothing reaches the forge when a line is not this push's."""
    operation = PushOperation(remote.push_url, {REF: ("", "1" * 40)})
    more = {"Content_Encoding": "gzip"} if packed else {}

    with proxy_of(remote, operation, session=OWN) as proxy:
        whole = gzip.compress(body) if packed else body
        status, _ = ask(proxy, "POST", "/git-receive-pack", whole, **more)
        chunked, _ = ask(
            proxy,
            "POST",
            "/git-receive-pack",
            iter([whole[:3], whole[3:]]),
            Transfer_Encoding="chunked",
            **more,
        )

    assert {status, chunked} <= {400, 403}
    assert [] == server.authorized


# -- how it passes it on -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["length", "chunks", "expect", "packed", "packed chunks"])
def test_a_body_arrives_as_it_was_however_it_is_sent(remote: Remote, repo: Repo, server: GitServer, how: str):
    """With a length, in chunks, after `Expect: 100-continue`, packed: the forge sees the same push."""
    sha = repo.git("rev-parse", "HEAD")
    lines = commands(f"{ZERO} {sha} {REF}")
    body = lines + empty_pack(repo)
    headers = {"Content_Type": "application/x-git-receive-pack-request"}
    if "packed" in how:
        body = gzip.compress(body)
        headers["Content_Encoding"] = "gzip"
    if how == "expect":
        headers["Expect"] = "100-continue"
    chunked = "chunks" in how
    given: Any = iter([body[:5], body[5:60], body[60:]]) if chunked else body
    headers |= {"Transfer_Encoding": "chunked"} if chunked else {}

    with proxy_of(remote, PushOperation(remote.push_url, {REF: ("", sha)}), session=OWN) as proxy:
        status, said = ask(proxy, "POST", "/git-receive-pack", given, **headers)

    assert (200, "unpack ok") == (status, said[4:13]), said
    assert sha == repo.at_remote(REF)


def test_a_push_of_many_megabytes_goes_through_in_chunks(remote: Remote, repo: Repo):
    """git sends what is longer than http.postBuffer in chunks, after asking with an empty push."""
    (repo.path / "big").write_bytes(os.urandom(12 << 20))
    repo.git("add", "big")
    repo.git("commit", "-q", "-m", "big")
    sha = repo.git("rev-parse", "HEAD")

    assert sha == remote.push(sha, REF, known="")
    assert sha == repo.at_remote(REF)


def test_a_renamed_repository_is_followed_on_its_own_server(remote: Remote, repo: Repo, server: GitServer):
    """For reading and for pushing, as git itself does after its first request."""
    server.renamed = {"/old.git": "/remote.git"}
    repo.git("remote", "set-url", "origin", f"{server.url}/old.git")
    moved = open_remote(Git.open(repo.path), private_dir=remote.store.parent, token=TOKEN)
    assert moved is not None
    sha = repo.commit({"x": "1"})

    assert "main" == moved.default_branch()
    assert sha == moved.push(sha, REF, known="")


def test_a_redirect_to_the_api_of_another_port_is_another_server(remote: Remote, server: GitServer):
    """Same host, other port: somebody else's program may listen there."""
    with serve(server.root) as other:
        server.redirect_to = other.url
        with proxy_of(remote, ReadOperation(remote.url), session=OWN) as proxy:
            status, said = ask(proxy, "GET", "/info/refs?service=git-upload-pack")

        assert 403 == status and "redirects to" in said
        assert [] == other.authorized and 0 == other.refused


def test_a_torn_upload_is_never_passed_on_as_whole(remote: Remote, repo: Repo, server: GitServer):
    """git killed in the middle of its push: the forge sees a broken request, and the ref stays."""
    sha = repo.git("rev-parse", "HEAD")
    whole = commands(f"{ZERO} {sha} {REF}") + empty_pack(repo)
    with proxy_of(remote, PushOperation(remote.push_url, {REF: ("", sha)}), session=OWN) as proxy:
        place = urlsplit(proxy.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        connection.putrequest("POST", place.path + "/git-receive-pack")
        connection.putheader("Content-Type", "application/x-git-receive-pack-request")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        # Not the last byte either: git's own server may move the ref as soon as it has the whole pack.
        connection.send(b"%x\r\n%b\r\n" % (len(whole) - 1, whole[:-1]))
        wait_for(lambda: server.authorized, "the push has begun")
        connection.close()
        wait_for(lambda: server.torn, "the forge saw it break")

    assert "" == git(repo.remote, "for-each-ref", REF)
