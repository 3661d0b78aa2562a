"""What only GitHub has: pages, identities, addresses, and a budget of requests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import tracemalloc
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import ACTIONS_LOGIN
from orchestrator_action.forge.github.client import Api
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.protocol.forge_values import Conclusion
from tests.forge.conftest import Connect
from tests.kit.github_server import APP, PAT, TOKEN, GitHubServer
from tests.kit.repos import Repo

# listing


def post(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def test_ten_thousand_issues_are_listed_lazily_in_101_requests_and_flat_memory(repo: Repo) -> None:
    """30 MB of issue texts pass through; a few pages' worth is held at any time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.github_server", "--git-dir", str(repo.remote)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout
    url = json.loads(process.stdout.readline())["url"]
    post(
        f"{url}/_kit/issues", {"title": "t", "body": "x" * 3_000, "labels": ["orchestrate"], "count": 10_000}
    )
    forge = GitHubForge("octo/demo", TOKEN, base_url=url)
    listing = forge.issues("orchestrate")
    first = next(listing)
    lazily = forge.requests_made

    tracemalloc.start()
    count = 1 + sum(1 for _ in listing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    forge.close()
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    process.stdout.close()

    assert (1, 1, 10_000) == (first.number, lazily, count)
    assert forge.requests_made <= 101
    assert peak < 8 * 1024**2
    assert 0 == process.returncode


def test_a_comment_of_ours_is_found_on_the_last_of_many_pages(connect: Connect, github: GitHubServer) -> None:
    issue = github.state.add_issue("one", "", user="octo")
    for i in range(205):
        github.state.add_comment(issue, f"chat {i}", user="stranger")
    first = connect().comment(issue.number, marker="m", body="one")

    second = connect().comment(issue.number, marker="m", body="two")

    assert first.id == second.id
    assert 206 == len(github.state.comments)


def test_texts_typed_in_a_browser_lose_their_carriage_returns(
    forge: GitHubForge, github: GitHubServer
) -> None:
    """GitHub keeps CRLF; a diff in such an issue would not apply."""
    github.state.add_issue("one", "a\r\n\r\nb\ud800", user="octo", labels=("x",))

    assert ["a\n\nb?"] == [i.body for i in forge.issues("x")]


# the budget


def test_what_a_task_costs(connect: Connect, github: GitHubServer, head: str) -> None:
    """Each thing by itself, as it is done where GraphQL is not to be had; each is one request."""
    number = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",)).number
    github.state.label("orchestrate:running", description="known")
    github.state.label("orchestrate:done", description="known")
    forge = connect()
    github.graphql = False
    spent: dict[str, int] = {}

    def cost(what: str, act: Callable[[], Any]) -> Any:
        before = forge.requests_made
        made = act()
        spent[what] = forge.requests_made - before
        return made

    given: dict[str, Any] = {"head_sha": head, "name": "orchestrator", "title": "t", "summary": "s"}
    cost("issue", lambda: forge.issue(number))
    cost("claim", lambda: forge.set_labels(number, add=["orchestrate:running"], remove=["orchestrate", "x"]))
    cost("comment", lambda: forge.comment(number, marker="status", body="working"))
    pull = cost("pull", lambda: forge.open_pull(branch="topic", base="main", title="T", body="b")).number
    cost("pull again", lambda: forge.pull(pull))
    cost("and again", lambda: forge.pull(pull))
    cost("review", lambda: forge.review(pull, head_sha=head, body="fine", findings=[], marker="review"))
    cost("comment on pull", lambda: forge.comment(pull, marker="report", body="report"))
    check = cost("check", lambda: forge.start_check(**given, external_id="r"))
    cost(
        "check done", lambda: forge.finish_check(check, conclusion=Conclusion.SUCCESS, title="", summary="s")
    )
    cost("comment done", lambda: forge.comment(number, marker="status", body="done"))
    cost("labels", lambda: forge.set_labels(number, add=["orchestrate:done"], remove=["orchestrate:running"]))

    twice = {"claim": 2, "labels": 2, "and again": 0}
    assert {what: twice.get(what, 1) for what in spent} == spent
    assert github.count() == forge.requests_made


def test_nothing_is_asked_twice_that_cannot_have_changed(
    forge: GitHubForge, github: GitHubServer, head: str
) -> None:
    number = github.state.add_issue("one", "b", user="octo").number
    forge.comment(number, marker="m", body="x")
    forge.default_branch()
    before = forge.requests_made

    forge.default_branch()
    forge.comment(number, marker="m", body="y")
    forge.comment(number, marker="m", body="z")

    assert 2 == forge.requests_made - before


def test_reading_again_what_has_not_changed_is_free(forge: GitHubForge, github: GitHubServer) -> None:
    """GitHub does not count an answer of 304; what has changed is seen at once."""
    number = github.state.add_issue("one", "b", user="octo").number
    first = forge.issue(number)
    made = forge.requests_made

    assert [first, first] == [forge.issue(number), forge.issue(number)]
    assert (made, 1) == (forge.requests_made, github.count())

    github.state.issues[number].title = "two"
    assert ("two", made + 1) == (forge.issue(number).title, forge.requests_made)


# who we are


@pytest.mark.parametrize(
    ("token", "graphql", "login"),
    [
        (TOKEN, True, ACTIONS_LOGIN),
        (TOKEN, False, ACTIONS_LOGIN),
        (PAT, True, "octo"),
        (PAT, False, "octo"),
        (APP, True, "my-app[bot]"),
    ],
)
def test_each_kind_of_token_knows_its_own_comments_again(
    connect: Connect, github: GitHubServer, token: str, graphql: bool, login: str
) -> None:
    github.graphql = graphql
    issue = github.state.add_issue("one", "b", user="octo")
    first = connect(token).comment(issue.number, marker="m", body="one")
    github.state.add_comment(issue, "<!-- m -->\nnot ours", user="stranger")

    second = connect(token).comment(issue.number, marker="m", body="two")

    assert (login, first.id) == (second.author, second.id)


def test_another_apps_comment_with_our_marker_is_not_ours(connect: Connect, github: GitHubServer) -> None:
    issue = github.state.add_issue("one", "b", user="octo")
    theirs = connect(APP).comment(issue.number, marker="m", body="theirs")

    ours = connect(TOKEN).comment(issue.number, marker="m", body="ours")

    assert theirs.id != ours.id
    assert "theirs" in github.state.comments[theirs.id].body


# addresses


def test_an_enterprise_server_is_reached_below_its_prefix(connect: Connect, github: GitHubServer) -> None:
    for i in range(150):
        github.state.add_issue(f"t{i}", "b", user="octo", labels=("orchestrate",))
    forge = connect(base_url=f"{github.url}/api/v3/")

    assert 150 == len(list(forge.issues("orchestrate")))
    assert "main" == forge.default_branch()


@pytest.mark.parametrize(
    ("repository", "token", "url"),
    [
        ("octo", "t", "https://api.github.com"),
        ("octo/demo/x", "t", "https://api.github.com"),
        ("octo/demo", " ", "https://api.github.com"),
        ("octo/demo", "t", "ftp://api.github.com"),
        ("octo/demo", "t", "nonsense"),
        ("octo/demo", "t", "http://127.0.0.1:port"),
    ],
)
def test_what_cannot_be_a_repository_a_token_or_an_address_is_named(
    repository: str, token: str, url: str
) -> None:
    with pytest.raises(ForgeError) as caught:
        GitHubForge(repository, token, base_url=url)

    assert caught.value.hint


def test_a_repository_that_is_not_there_is_a_404_with_a_hint(github: GitHubServer) -> None:
    forge = GitHubForge("octo/other", TOKEN, base_url=github.url)

    with pytest.raises(ForgeError) as caught:
        forge.default_branch()

    assert 404 == caught.value.status
    forge.close()


class Echo(BaseHTTPRequestHandler):
    """Answers with the path it was asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_threads_do_not_get_each_others_answers() -> None:
    """PyGithub keeps the request to be sent on an object that all threads share; 3 in 1,000 got mixed up."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    api = Api("o/r", "t", base_url=f"http://127.0.0.1:{server.server_port}")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def ask(thread: int) -> list[str]:
        return [api.get(f"/{thread}/{i}", "an echo")["path"] for i in range(250)]

    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, range(8)))
    finally:
        sys.setswitchinterval(interval)
        api.close()
        server.shutdown()
        server.server_close()
        serving.join(10)

    assert [[f"/repos/o/r/{t}/{i}" for i in range(250)] for t in range(8)] == found
