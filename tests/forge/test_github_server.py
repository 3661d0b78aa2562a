"""The loopback GitHub is as strict as GitHub, and says so when it is not spoken to properly."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need
from tests.kit.github_server import APP, PAT, TOKEN, GitHubServer
from tests.kit.github_server.routes import ROUTES
from tests.kit.repos import Repo, clean_env, git
from tests.npm import trim_openapi

ROOT = Path(__file__).parents[2]
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask(github: GitHubServer) -> Ask:
    """A request as curl would send it: status and JSON."""

    def _ask(method: str, path: str, body: Any = None, *, token: str = TOKEN) -> tuple[int, Any]:
        return fetch(f"{github.url}{path}", method, body, token)

    return _ask


def fetch(url: str, method: str = "GET", body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method), timeout=20
        ) as got:
            text = got.read()
            return got.status, json.loads(text) if text else None
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.loads(exc.read())


# the description


def test_the_trimmed_description_is_what_trimming_gives() -> None:
    """Nothing was changed by hand to let a test pass."""
    need(trim_openapi.SOURCE, "@octokit/openapi")
    whole = json.loads(trim_openapi.SOURCE.read_text(encoding="utf-8"))

    assert trim_openapi.TRIMMED.read_text(encoding="utf-8") == trim_openapi.render(trim_openapi.trim(whole))


@pytest.mark.usefixtures("graphql")
def test_the_trimmed_graphql_schema_is_what_trimming_gives() -> None:
    from tests.npm import trim_graphql

    need(trim_graphql.SOURCE, "@octokit/graphql-schema")

    made = trim_graphql.trim(trim_graphql.SOURCE.read_text(encoding="utf-8"))

    assert trim_graphql.TRIMMED.read_text(encoding="utf-8") == made


def test_the_trimmed_description_is_small_and_whole() -> None:
    text = trim_openapi.TRIMMED.read_text(encoding="utf-8")
    spec = json.loads(text)
    refs = {part.split('"')[0] for part in text.split('"$ref":"')[1:]}

    assert len(text) < 1024**2
    assert refs
    assert [] == [r for r in refs if r.split("/")[3] not in spec["components"][r.split("/")[2]]]


def test_every_described_operation_is_served() -> None:
    described = {(m.upper(), p) for p, methods in trim_openapi.OPERATIONS.items() for m in methods}

    assert described == {(r.method, r.template) for r in ROUTES}


def test_a_request_github_would_not_take_fails_the_test(topic: Repo) -> None:
    with (
        pytest.raises(AssertionError, match=r"request POST /repos/\{owner\}/\{repo\}/issues"),
        GitHubServer(topic.remote) as github,
    ):
        fetch(f"{github.url}/repos/octo/demo/issues", "POST", {"title": "t", "assignees": "not a list"})


def test_a_query_github_does_not_know_fails_the_test(topic: Repo) -> None:
    with pytest.raises(AssertionError, match="request GET"), GitHubServer(topic.remote) as github:
        fetch(f"{github.url}/repos/octo/demo/issues?state=sometimes")


def test_an_operation_github_does_not_have_fails_the_test(topic: Repo) -> None:
    with pytest.raises(AssertionError, match="no such operation"), GitHubServer(topic.remote) as github:
        assert 404 == fetch(f"{github.url}/repos/octo/demo/issues/1/labelz", "POST", {"labels": []})[0]


@pytest.mark.usefixtures("graphql")
@pytest.mark.parametrize(
    "query",
    [
        "query{viewer{login}",
        "query{viewer{secret}}",
        'mutation{addComment(input:{subjectId:"I_1"}){clientMutationId}}',
        "mutation($a:String!){addLabelsToLabelable(input:{labelableId:$a,labelIds:$a}){clientMutationId}}",
    ],
)
def test_a_graphql_document_the_schema_does_not_allow_fails_the_test(topic: Repo, query: str) -> None:
    with pytest.raises(AssertionError, match="graphql: "), GitHubServer(topic.remote) as github:
        assert "data" not in fetch(f"{github.url}/graphql", "POST", {"query": query})[1]


def test_an_answer_github_would_not_give_fails_the_test(topic: Repo) -> None:
    with pytest.raises(AssertionError, match="answer 200"), GitHubServer(topic.remote) as github:
        github.state.add_issue("t", "b", user="octo").title = 7  # type: ignore[assignment]
        fetch(f"{github.url}/repos/octo/demo/issues")


# strictness


@pytest.mark.parametrize("token", ["", "ghs_wrong"])
def test_without_the_token_nothing_is_told(ask: Ask, token: str) -> None:
    for path in ("/repos/octo/demo", "/repos/octo/demo/issues", "/user", "/nowhere"):
        assert 401 == ask("GET", path, token=token)[0]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/issues", {"title": " "}, "missing_field"),
        ("/issues", {"title": "t" * 257}, "too long"),
        ("/issues", {"title": "t", "body": "b" * 65_537}, "too long"),
        ("/issues/1/comments", {"body": "b" * 65_537}, "too long"),
        ("/issues/1/comments", {"body": " "}, "missing_field"),
        ("/issues/1/labels", {"labels": ["l" * 51]}, "invalid"),
        ("/labels", {"name": "known"}, "already_exists"),
        ("/pulls", {"title": "t", "head": "topic", "base": "main"}, "already exists"),
        ("/pulls", {"title": "t", "head": "nowhere", "base": "main"}, "invalid"),
        ("/pulls", {"title": "t", "head": "topic", "base": "nowhere"}, "invalid"),
        ("/pulls", {"title": "t", "head": "main", "base": "topic"}, "No commits between"),
        ("/pulls/2/reviews", {"event": "COMMENT"}, "blank"),
        ("/pulls/2/reviews", {"event": "COMMENT", "body": "b", "commit_id": "0" * 40}, "not part"),
        (
            "/pulls/2/reviews",
            {"event": "COMMENT", "body": "b", "comments": [{"path": "a.py", "line": 1, "body": "c"}]},
            "Line could not",
        ),
        (
            "/pulls/2/reviews",
            {"event": "COMMENT", "body": "b", "comments": [{"path": "x.py", "line": 1, "body": "c"}]},
            "Path could not",
        ),
        ("/check-runs", {"name": "n", "head_sha": "0" * 40}, "No commit found"),
        ("/statuses/" + "0" * 40, {"state": "success"}, "No commit found"),
    ],
)
def test_what_github_refuses_is_refused(
    ask: Ask, github: GitHubServer, path: str, body: dict[str, Any], words: str
) -> None:
    github.state.add_issue("one", "b", user="octo", labels=("known",))
    assert 201 == ask("POST", "/repos/octo/demo/pulls", {"title": "t", "head": "topic", "base": "main"})[0]

    status, answer = ask("POST", f"/repos/octo/demo{path}", body)

    assert 422 == status
    assert words in json.dumps(answer)


def test_a_check_takes_fifty_annotations_and_so_many_characters(
    ask: Ask, github: GitHubServer, topic: Repo
) -> None:
    """The description says so too, so the test would fail for asking."""
    head = topic.at_remote("refs/heads/topic")
    mark = {"path": "a.py", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
    cases = [
        {"title": "t", "summary": "s", "annotations": [mark] * 51},
        {"title": "t", "summary": "s" * 65_536},
        {"title": "t", "summary": "s", "text": "s" * 65_536},
    ]

    statuses = [
        ask("POST", "/repos/octo/demo/check-runs", {"name": "n", "head_sha": head, "output": o})[0]
        for o in cases
    ]

    assert [422, 422, 422] == statuses
    assert 3 == len(github.invalid)
    github.invalid.clear()


def test_each_token_may_what_its_kind_may(ask: Ask, topic: Repo) -> None:
    head = topic.at_remote("refs/heads/topic")
    check = {"name": "n", "head_sha": head}

    assert 403 == ask("POST", "/repos/octo/demo/check-runs", check, token=PAT)[0]
    assert 201 == ask("POST", "/repos/octo/demo/check-runs", check, token=TOKEN)[0]
    assert 403 == ask("GET", "/user", token=TOKEN)[0]
    assert "octo" == ask("GET", "/user", token=PAT)[1]["login"]


def test_one_app_cannot_change_anothers_check(ask: Ask, topic: Repo) -> None:
    head = topic.at_remote("refs/heads/topic")
    _, made = ask("POST", "/repos/octo/demo/check-runs", {"name": "n", "head_sha": head})

    status, _ = ask(
        "PATCH",
        f"/repos/octo/demo/check-runs/{made['id']}",
        {"status": "completed", "conclusion": "success"},
        token=APP,
    )

    assert 403 == status


def test_pages_are_linked(ask: Ask, github: GitHubServer) -> None:
    for i in range(25):
        github.state.add_issue(f"t{i}", "b", user="octo")

    pages = [ask("GET", f"/repos/octo/demo/issues?per_page=10&page={n}")[1] for n in (1, 2, 3, 4)]
    with urllib.request.urlopen(
        urllib.request.Request(
            f"{github.url}/repos/octo/demo/issues?per_page=10&page=2",
            headers={"Authorization": f"token {TOKEN}"},
        ),
        timeout=20,
    ) as got:
        links = got.headers["Link"]

    assert [10, 10, 5, 0] == [len(p) for p in pages]
    assert ["prev", "next", "last", "first"] == [
        part.split('rel="')[1].strip('"') for part in links.split(", ")
    ]


# git


def clone(github: GitHubServer, at: Path, token: str, *, check: bool = True) -> str:
    header = f"http.{github.url}/.extraheader"
    value = "Authorization: basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    env = clean_env(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=header, GIT_CONFIG_VALUE_0=value if token else "")
    return git(at.parent, "clone", "-q", github.clone_url, str(at), env=env, check=check)


def pusher(github: GitHubServer, token: str) -> dict[str, str]:
    value = "Authorization: basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    header = f"http.{github.url}/.extraheader"
    return clean_env(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0=header, GIT_CONFIG_VALUE_0=value)


def test_git_clones_and_pushes_with_the_token(github: GitHubServer, topic: Repo, tmp_path: Path) -> None:
    clone(github, tmp_path / "c", TOKEN)
    (tmp_path / "c" / "f.bin").write_bytes(os.urandom(3 * 1024**2))  # too large for one piece
    git(tmp_path / "c", "checkout", "-q", "-b", "orchestrator/x")
    git(tmp_path / "c", "add", "-A")
    git(tmp_path / "c", "commit", "-q", "-m", "c")
    git(tmp_path / "c", "push", "-q", "origin", "HEAD", env=pusher(github, TOKEN))

    assert git(tmp_path / "c", "rev-parse", "HEAD") == topic.at_remote("refs/heads/orchestrator/x")


def test_git_gets_nothing_without_the_token(github: GitHubServer, tmp_path: Path) -> None:
    clone(github, tmp_path / "c", "", check=False)

    assert not (tmp_path / "c").exists()
    assert 401 == github.git_requests[-1].status


def test_a_push_that_touches_workflows_is_rejected_as_a_whole(
    github: GitHubServer, topic: Repo, tmp_path: Path
) -> None:
    """Unless the token has that scope."""
    clone(github, tmp_path / "c", TOKEN)
    (tmp_path / "c" / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / "c" / ".github" / "workflows" / "x.yml").write_text("on: push\n")
    for args in (("checkout", "-q", "-b", "w"), ("add", "-A"), ("commit", "-q", "-m", "w")):
        git(tmp_path / "c", *args)

    git(tmp_path / "c", "push", "-q", "origin", "w", env=pusher(github, TOKEN), check=False)
    refused = topic.at_remote("refs/heads/w")
    git(tmp_path / "c", "push", "-q", "origin", "w", env=pusher(github, PAT))

    assert ("", git(tmp_path / "c", "rev-parse", "HEAD")) == (refused, topic.at_remote("refs/heads/w"))


# a process of its own


def test_it_runs_as_a_process_of_its_own(topic: Repo) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kit.github_server", "--port", "0", "--git-dir", str(topic.remote)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    started = json.loads(process.stdout.readline())
    made = fetch(f"{started['url']}/_kit/issues", "POST", {"title": "t", "labels": ["orchestrate"]})
    listed = fetch(f"{started['url']}/repos/octo/demo/issues?labels=orchestrate", token=started["token"])
    log = fetch(f"{started['url']}/_kit/requests")
    process.send_signal(signal.SIGTERM)

    assert (201, {"number": 1}) == made
    assert [1] == [i["number"] for i in listed[1]]
    assert ["GET"] == [r["method"] for r in log[1]]
    assert 0 == process.wait(10)
    process.stdout.close()
