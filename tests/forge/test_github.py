"""What only GitHub has: pages, permissions, identities, limits, and a budget of requests."""

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

from orchestrator_action.core.model import Annotation, Conclusion, ReviewFinding
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import ACTIONS_LOGIN, GitHubForge
from orchestrator_action.forge.github_api import Api
from orchestrator_action.forge.github_pulls import lines_of
from tests.kit.github_server import APP, PAT, TOKEN, GitHubServer
from tests.kit.repos import Repo

Connect = Callable[..., GitHubForge]


@pytest.fixture
def head(topic: Repo) -> str:
    return topic.at_remote("refs/heads/topic")


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


# limits of GitHub


@pytest.mark.parametrize("letter", ["x", "ü", "🎉", "\u0301"])
def test_texts_are_cut_to_githubs_limits_and_say_so(
    forge: GitHubForge, github: GitHubServer, head: str, letter: str
) -> None:
    number = github.state.add_issue("one", "b", user="octo").number
    long = letter * 70_000

    forge.comment(number, marker="m", body=long)
    forge.open_pull(branch="topic", base="main", title=long, body=long)
    check = started = forge.start_check(head_sha=head, name="o", external_id="r", title=long, summary=long)
    forge.finish_check(check, conclusion=Conclusion.SUCCESS, title="t", summary=long, text=long)

    [comment] = github.state.comments.values()
    [run] = github.state.checks.values()
    for text in (comment.body, run.output["summary"], run.output["text"]):
        assert 60_000 < len(text.encode()) <= 65_535
        assert "cut here" in text[-80:]
        assert "\ufffd" not in text
    assert 1 == len(run.output["title"].splitlines())
    assert ["…", "…"] == [
        next(i.title for i in github.state.issues.values() if i.pull)[-1],
        started.title[-1],
    ]


def test_a_cut_closes_the_code_block_it_falls_into(forge: GitHubForge, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="octo").number

    body = forge.comment(number, marker="m", body="~~~~\n" + "log line\n" * 9000).body

    assert body.rpartition("\n\n")[0].endswith("\n~~~~")


@pytest.mark.parametrize(("count", "sent"), [(0, 1), (50, 1), (51, 2), (120, 3)])
def test_annotations_go_fifty_at_a_time(
    forge: GitHubForge, github: GitHubServer, head: str, count: int, sent: int
) -> None:
    check = forge.start_check(head_sha=head, name="o", external_id="r", title="t", summary="s")
    marks = [
        Annotation(path="a.py", line=i, message=f"m{i}", title="t", level="failure") for i in range(count)
    ]

    forge.finish_check(check, conclusion=Conclusion.FAILURE, title="t", summary="s", annotations=marks)

    [run] = github.state.checks.values()
    assert [f"m{i}" for i in range(count)] == [a["message"] for a in run.annotations]
    assert sent == github.count("PATCH", "check-runs")


def test_an_empty_summary_is_no_error(forge: GitHubForge, head: str) -> None:
    check = forge.start_check(head_sha=head, name="o", external_id="r", title="", summary="")

    done = forge.finish_check(check, conclusion=Conclusion.NEUTRAL, title="", summary="")

    assert done.conclusion is Conclusion.NEUTRAL


def test_a_check_on_a_commit_github_does_not_have_is_refused(forge: GitHubForge) -> None:
    with pytest.raises(ForgeError) as caught:
        forge.start_check(head_sha="0" * 40, name="o", external_id="r", title="t", summary="s")

    assert 422 == caught.value.status


# reviews


def test_findings_outside_the_diff_go_into_the_body(
    forge: GitHubForge, github: GitHubServer, head: str
) -> None:
    pull = forge.open_pull(branch="topic", base="main", title="T", body="b")
    findings = [
        ReviewFinding(id="f1", path="a.py", line=10, severity="high", text="in the diff"),
        ReviewFinding(id="f2", path="a.py", line=1, severity="low", text="outside the hunk"),
        ReviewFinding(id="f3", path="missing.py", line=1, severity="low", text="no such file"),
        ReviewFinding(id="f4", path="", line=0, severity="low", text="about nothing in particular"),
    ]

    forge.review(pull.number, head_sha=head, body="seen", findings=findings, marker="m")

    made = github.state.issues[pull.number].pull
    assert made
    [review] = made.reviews
    assert [("a.py", 10)] == [(c["path"], c["line"]) for c in review.comments]
    assert [True, True, True] == [
        t in review.body for t in ("outside the hunk", "no such file", "particular")
    ]
    assert "in the diff" not in review.body
    assert ("COMMENT", head) == (review.event, review.commit_id)


def test_when_line_comments_are_refused_all_go_into_the_body(
    forge: GitHubForge, github: GitHubServer, head: str
) -> None:
    pull = forge.open_pull(branch="topic", base="main", title="T", body="b")
    finding = ReviewFinding(id="f1", path="a.py", line=10, severity="high", text="wrong")
    github.fail("422", "POST", "/reviews$", times=2)

    forge.review(pull.number, head_sha=head, body="seen", findings=[finding], marker="m")

    made = github.state.issues[pull.number].pull
    assert made
    assert [([], True)] == [(r.comments, "wrong" in r.body) for r in made.reviews]


def test_the_lines_of_a_patch_are_those_of_the_new_file() -> None:
    patch = "@@ -1,3 +1,4 @@\n a\n-b\n+B\n+C\n d\n@@ -10 +11,2 @@ def f():\n-x\n+y\n+z\n\\ No newline"

    assert {1, 2, 3, 4, 11, 12} == lines_of(patch)


# labels and the queue


def test_our_labels_get_their_colours_once(connect: Connect, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="octo").number

    for _ in range(2):
        connect().set_labels(number, add=["orchestrate:running", "theirs"])

    assert {"orchestrate:running": "fbca04", "theirs": "ededed"} == {
        n.name: n.color for n in github.state.labels.values()
    }
    assert 1 == github.count("PATCH", "/labels/")


def test_a_label_with_any_characters_is_set_and_removed(forge: GitHubForge, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="octo").number
    for label in ("needs: review/now?", "ünï #1", "100%", "a+b & c"):
        forge.set_labels(number, add=[label])
        assert (label,) == forge.issue(number).labels
        assert forge.take_label(number, label)


def test_who_set_a_label_is_read_from_the_events(forge: GitHubForge, github: GitHubServer) -> None:
    number = github.state.add_issue("one", "b", user="stranger", labels=("orchestrate",)).number
    github.label(number, "again", actor="maintainer")
    github.state.happened(github.state.issues[number], "renamed", "stranger", rename=("one", "two"))

    events = forge.events(number)

    assert [
        ("labeled", "stranger", "orchestrate"),
        ("labeled", "maintainer", "again"),
        ("renamed", "stranger", ""),
    ] == [(e.kind, e.actor, e.label) for e in events]
    assert ("one", "two") == (events[2].before, events[2].after)
    assert all(e.id and e.at.endswith("Z") and e.actor_type == "User" for e in events)


def test_many_events_are_read_to_the_last(forge: GitHubForge, github: GitHubServer) -> None:
    issue = github.state.add_issue("one", "b", user="octo")
    for _ in range(130):
        github.state.set_label(issue, "x", actor="octo")
        github.state.drop_label(issue, "x", actor="octo")

    assert 260 == len(forge.events(issue.number))


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read", "none"])
def test_roles_are_told_apart(forge: GitHubForge, github: GitHubServer, role: str) -> None:
    github.state.user("somebody", role=role)

    assert role == forge.permission("somebody")


def test_a_custom_role_counts_as_the_permission_it_gives(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.user("somebody", role="security-champion")

    assert "read" == forge.permission("somebody")


def test_unknown_people_may_nothing(forge: GitHubForge) -> None:
    assert ("none", "") == (forge.permission("nobody-here"), forge.account_type("nobody-here"))


def test_bots_and_people_are_told_apart(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.user("renovate[bot]")

    assert ("Bot", "User") == (forge.account_type("renovate[bot]"), forge.account_type("octo"))


@pytest.mark.parametrize(
    ("status", "alive"), [("in_progress", True), ("queued", True), ("waiting", True), ("completed", False)]
)
def test_a_runs_life_is_asked_of_github(
    forge: GitHubForge, github: GitHubServer, status: str, alive: bool
) -> None:
    github.state.runs[77] = {"id": 77, "status": status, "conclusion": None}

    assert alive is forge.run_alive("77")
    assert forge.run_alive("78") is None


def test_a_workflow_is_dispatched_with_its_inputs(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.workflows.add("ci.yml")

    forge.dispatch("ci.yml", ref="topic", inputs={"why": "test"})

    assert [{"workflow": "ci.yml", "ref": "topic", "inputs": {"why": "test"}}] == github.state.dispatched


@pytest.mark.parametrize(("workflow", "ref", "status"), [("no.yml", "main", 404), ("ci.yml", "nowhere", 422)])
def test_a_dispatch_of_nothing_is_refused(
    forge: GitHubForge, github: GitHubServer, workflow: str, ref: str, status: int
) -> None:
    github.state.workflows.add("ci.yml")

    with pytest.raises(ForgeError) as caught:
        forge.dispatch(workflow, ref=ref)

    assert status == caught.value.status


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        (None, "pending"),
        (Conclusion.SUCCESS, "success"),
        (Conclusion.NEUTRAL, "success"),
        (Conclusion.FAILURE, "failure"),
        (Conclusion.TIMED_OUT, "failure"),
        (Conclusion.ACTION_REQUIRED, "failure"),
        (Conclusion.CANCELLED, "error"),
    ],
)
def test_a_conclusion_becomes_one_of_four_states(
    forge: GitHubForge, github: GitHubServer, head: str, conclusion: Conclusion | None, state: str
) -> None:
    forge.status(head_sha=head, context="c", conclusion=conclusion, description="d" * 300)

    assert [state] == [s.state for s in github.state.statuses]


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
