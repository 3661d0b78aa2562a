"""GitHub fails, or the line to it: every write ends in one effect, or in an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator_action.core.model import Annotation, Conclusion, ReviewFinding
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import GitHubForge
from tests.forge.conftest import Waits
from tests.kit.github_server import AFTER, APP, BEFORE, PAT, GitHubServer
from tests.kit.repos import Repo

UNCLEAR = [
    ("500", BEFORE),
    ("500", AFTER),
    ("502", BEFORE),
    ("502", AFTER),
    ("504", AFTER),
    ("html", AFTER),
    ("reset", BEFORE),
    ("reset", AFTER),
    ("truncated", AFTER),
    ("cut-json", AFTER),
]
REFUSED = [("secondary", BEFORE), ("429", BEFORE)]
MANY = [Annotation(path="a.py", line=i, message=f"m{i}") for i in range(1, 121)]


class Scene:
    """A forge with an issue, a pull and a check, and how often each kind of thing is there."""

    def __init__(self, forge: GitHubForge, github: GitHubServer, repo: Repo) -> None:
        self.forge, self.github, self.head = forge, github, repo.at_remote("refs/heads/topic")
        self.number = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",)).number

    def check(self) -> Any:
        return self.forge.start_check(
            head_sha=self.head, name="orchestrator", external_id="r", title="t", summary="s"
        )

    def pull(self) -> Any:
        return self.forge.open_pull(branch="topic", base="main", title="T", body="b")

    def effects(self) -> dict[str, int]:
        state = self.github.state
        pulls = [i for i in state.issues.values() if i.pull]
        return {
            "comments": len(state.comments),
            "pulls": len(pulls),
            "issues": len(state.issues) - len(pulls) - 1,
            "reviews": sum(len(i.pull.reviews) for i in pulls if i.pull),
            "replies": sum(
                "in_reply_to_id" in c for i in pulls if i.pull for r in i.pull.reviews for c in r.comments
            ),
            "checks": len(state.checks),
            "annotations": sum(len(c.annotations) for c in state.checks.values()),
            "done": sum(c.conclusion == "failure" for c in state.checks.values()),
            "running": sum("orchestrate:running" in i.labels for i in state.issues.values()),
            "waiting": sum("orchestrate" in i.labels for i in state.issues.values()),
        }


def comment(s: Scene) -> None:
    s.forge.comment(s.number, marker="m", body="hello")


def create_issue(s: Scene) -> None:
    s.forge.create_issue("T", "b", marker="m")


def open_pull(s: Scene) -> None:
    assert s.pull().head_sha == s.head


def review(s: Scene) -> None:
    finding = ReviewFinding(id="f1", path="a.py", line=10, severity="high", text="wrong")
    s.forge.review(s.pull().number, head_sha=s.head, body="r", findings=[finding], marker="m")


def answer(s: Scene) -> None:
    review(s)
    s.forge.answer(s.pull().number, {"f1": "fixed in abc", "f9": "no such finding"})


def start_check(s: Scene) -> None:
    s.check()


def start_check_on_new_pull(s: Scene) -> None:
    """Where no check can be yet, none is looked for; after a failure it is."""
    s.pull()
    s.check()


def finish_check(s: Scene) -> None:
    done = s.forge.finish_check(
        s.check(), conclusion=Conclusion.FAILURE, title="t", summary="s", annotations=MANY
    )
    assert done.conclusion is Conclusion.FAILURE


def add_label(s: Scene) -> None:
    s.forge.set_labels(s.number, add=["orchestrate:running"])


def take_label(s: Scene) -> None:
    assert s.forge.take_label(s.number, "orchestrate") is True


WRITES: list[tuple[Callable[[Scene], None], str, str, dict[str, int]]] = [
    (comment, "POST", "/comments$", {"comments": 1}),
    (create_issue, "POST", "/issues$", {"issues": 1}),
    (open_pull, "POST", "/pulls$", {"pulls": 1}),
    (review, "POST", "/reviews$", {"pulls": 1, "reviews": 1}),
    (answer, "POST", "/replies$", {"pulls": 1, "reviews": 1, "replies": 1}),
    (start_check, "POST", "/check-runs$", {"checks": 1}),
    (start_check_on_new_pull, "POST", "/check-runs$", {"pulls": 1, "checks": 1}),
    (finish_check, "PATCH", "/check-runs/", {"checks": 1, "annotations": 120, "done": 1}),
    (add_label, "POST", "/labels$", {"running": 1}),
    (take_label, "DELETE", "/labels/", {"waiting": 0}),
]


@pytest.mark.parametrize(("kind", "when"), UNCLEAR, ids=lambda v: v)
@pytest.mark.parametrize(
    ("write", "method", "path", "wanted"), WRITES, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_write_that_fails_once_has_its_effect_once(
    forge: GitHubForge,
    github: GitHubServer,
    topic: Repo,
    write: Callable[[Scene], None],
    method: str,
    path: str,
    wanted: dict[str, int],
    kind: str,
    when: str,
) -> None:
    """Carried out before the failure or not: nothing is posted twice, nothing is missing."""
    scene = Scene(forge, github, topic)
    fault = github.fail(kind, method, path, when=when)

    write(scene)

    assert 1 == fault.struck
    untouched = {**dict.fromkeys(scene.effects(), 0), "waiting": 1}
    assert untouched | wanted == scene.effects()


@pytest.mark.parametrize(
    ("write", "method", "path", "wanted"), WRITES, ids=lambda v: getattr(v, "__name__", "")
)
@pytest.mark.parametrize(("kind", "when"), REFUSED, ids=lambda v: v)
def test_a_write_waits_as_long_as_it_is_asked_to(
    forge: GitHubForge,
    github: GitHubServer,
    topic: Repo,
    waits: Waits,
    write: Callable[[Scene], None],
    method: str,
    path: str,
    wanted: dict[str, int],
    kind: str,
    when: str,
) -> None:
    scene = Scene(forge, github, topic)
    github.fail(kind, method, path, when=when, wait_s=17, times=2)

    write(scene)

    assert [17.0, 17.0] == waits.seconds
    untouched = {**dict.fromkeys(scene.effects(), 0), "waiting": 1}
    assert untouched | wanted == scene.effects()


READS: list[Callable[[Scene], object]] = [
    lambda s: list(s.forge.issues("orchestrate")),
    lambda s: s.forge.issue(s.number),
    lambda s: list(s.forge.comments(s.number)),
    lambda s: s.forge.find_pull("topic"),
    lambda s: s.forge.checks(s.head),
    lambda s: s.forge.default_branch(),
    lambda s: s.forge.permission("octo"),
]


@pytest.mark.parametrize("kind", ["500", "503", "504", "html", "reset", "truncated", "cut-json"])
@pytest.mark.parametrize("read", READS)
def test_a_read_that_fails_twice_is_asked_again(
    forge: GitHubForge, github: GitHubServer, topic: Repo, read: Callable[[Scene], object], kind: str
) -> None:
    scene = Scene(forge, github, topic)
    expected = read(scene)
    fault = github.fail(kind, "GET", times=2)
    fresh = GitHubForge(github.repository, github.token, base_url=github.url, sleep=lambda _: None)
    scene.forge = fresh

    assert expected == read(scene)
    assert 2 == fault.struck
    fresh.close()


@pytest.mark.parametrize(
    ("kind", "words"), [("500", "500"), ("reset", "no answer"), ("cut-json", "cut short")]
)
def test_what_keeps_failing_is_given_up_in_plain_words(
    forge: GitHubForge, github: GitHubServer, topic: Repo, waits: Waits, kind: str, words: str
) -> None:
    scene = Scene(forge, github, topic)
    fault = github.fail(kind, when=BEFORE, times=99)

    for call in (lambda: forge.issue(scene.number), lambda: comment(scene)):
        with pytest.raises(ForgeError, match=words) as caught:
            call()
        assert (4, True) == (caught.value.exit_code, bool(caught.value.hint))

    assert fault.struck <= 12
    assert sum(waits.seconds) < 120


@pytest.mark.parametrize(
    ("write", "method", "path", "wanted"), WRITES[:7], ids=lambda v: getattr(v, "__name__", "")
)
def test_what_was_given_up_and_yet_carried_out_is_found_the_next_time(
    connect: Callable[..., GitHubForge],
    github: GitHubServer,
    topic: Repo,
    write: Callable[[Scene], None],
    method: str,
    path: str,
    wanted: dict[str, int],
) -> None:
    """The first call ends in an error after GitHub had done it; the caller simply tries again."""
    scene = Scene(connect(tries=1), github, topic)
    scene.forge.issue(scene.number)
    github.fail("500", method, path, when=AFTER)

    with pytest.raises(ForgeError, match="500"):
        write(scene)
    write(scene)

    untouched = {**dict.fromkeys(scene.effects(), 0), "waiting": 1}
    assert untouched | wanted == scene.effects()


def test_a_server_that_hangs_is_left_after_the_timeout(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    scene = Scene(connect(timeout_s=1), github, topic)
    fault = github.fail("hang", "POST", "/comments$", when=AFTER)

    comment(scene)

    assert (1, 1) == (fault.struck, scene.effects()["comments"])


def test_a_server_that_is_not_there_is_named(waits: Waits) -> None:
    forge = GitHubForge("octo/demo", "t", base_url="http://127.0.0.1:9", sleep=waits)

    with pytest.raises(ForgeError, match=r"127\.0\.0\.1:9.*refused") as caught:
        forge.issue(1)

    assert "0x" not in caught.value.message
    forge.close()


# rate limits


def test_a_primary_limit_is_waited_for(
    forge: GitHubForge, github: GitHubServer, topic: Repo, waits: Waits
) -> None:
    scene = Scene(forge, github, topic)
    github.fail("primary", wait_s=30)

    forge.issue(scene.number)

    assert [True] == [25 < s < 40 for s in waits.seconds]


@pytest.mark.parametrize("kind", ["primary", "secondary", "429"])
def test_no_wait_is_longer_than_allowed(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo, waits: Waits, kind: str
) -> None:
    scene = Scene(connect(max_wait_s=60.0), github, topic)
    github.fail(kind, wait_s=3000, times=9)

    with pytest.raises(ForgeError, match="rate limit") as caught:
        comment(scene)

    assert caught.value.status in {403, 429}
    assert [] == waits.seconds


def test_short_waits_add_up_to_no_more_than_allowed(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo, waits: Waits
) -> None:
    scene = Scene(connect(max_wait_s=60.0), github, topic)
    github.fail("secondary", wait_s=25, times=9)

    with pytest.raises(ForgeError, match="rate limit"):
        comment(scene)

    assert [25.0, 25.0] == waits.seconds


@pytest.mark.parametrize("kind", ["secondary", "429"])
def test_a_limit_without_a_figure_is_a_minute(
    forge: GitHubForge, github: GitHubServer, topic: Repo, waits: Waits, kind: str
) -> None:
    scene = Scene(forge, github, topic)
    github.fail(kind)

    comment(scene)

    assert [60.0] == waits.seconds
    assert 1 == scene.effects()["comments"]


def test_repetitions_are_told_and_counted(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    told: list[tuple[str, str, float]] = []
    scene = Scene(connect(on_retry=lambda *a: told.append(a)), github, topic)
    github.fail("secondary", wait_s=3)
    github.fail("502", after=1)

    scene.forge.issue(scene.number)
    scene.forge.issue(scene.number)

    assert 2 == len(told)
    assert 3.0 == told[0][2]
    assert github.count() == scene.forge.requests_made


# refusals


def test_an_expired_token_is_named_and_not_tried_again(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    scene = Scene(forge, github, topic)
    fault = github.fail("401", times=99)

    with pytest.raises(ForgeError) as caught:
        comment(scene)

    assert (401, 1) == (caught.value.status, fault.struck)
    assert "token" in caught.value.hint


def test_a_wrong_token_appears_in_no_message(github: GitHubServer) -> None:
    forge = GitHubForge(github.repository, "ghp_wrongSecretValue", base_url=github.url)

    with pytest.raises(ForgeError) as caught:
        forge.issue(1)

    assert 401 == caught.value.status
    assert "wrongSecret" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"
    forge.close()


@pytest.mark.parametrize("kind", ["404", "410"])
def test_an_issue_deleted_meanwhile_is_a_404(
    forge: GitHubForge, github: GitHubServer, topic: Repo, kind: str
) -> None:
    scene = Scene(forge, github, topic)
    github.fail(kind, "GET", r"/issues/\d+$")

    with pytest.raises(ForgeError, match=f"#{scene.number} ") as caught:
        forge.issue(scene.number)

    assert 404 == caught.value.status


def test_a_refusal_for_lack_of_rights_is_not_retried(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    github.state.tokens[APP].permissions = {"issues": "read"}
    scene = Scene(connect(APP), github, topic)

    with pytest.raises(ForgeError, match="Resource not accessible") as caught:
        comment(scene)

    assert 403 == caught.value.status
    assert "permission" in caught.value.hint
    assert 1 == github.count("POST")


def test_a_link_to_another_host_is_not_followed(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    Scene(forge, github, topic)
    github.fail("other-host", "GET", "/issues$")

    with pytest.raises(ForgeError, match="another host"):
        list(forge.issues("orchestrate"))


def test_a_renamed_repository_is_said_to_have_moved(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    scene = Scene(forge, github, topic)
    github.fail("307", times=2)

    for call in (lambda: forge.issue(scene.number), lambda: comment(scene)):
        with pytest.raises(ForgeError, match="moved"):
            call()


def test_an_answer_without_the_asked_for_label_is_not_believed(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    """PyGithub drops the query when it follows a redirect; what GitHub then lists is everything."""
    scene = Scene(forge, github, topic)
    github.state.add_issue("not labelled", "b", user="octo")
    github.state.add_issue("closed", "b", user="octo", labels=("orchestrate",)).state = "closed"
    github.fail("301", "GET", "/issues$")

    assert [scene.number] == [i.number for i in forge.issues("Orchestrate")]


def test_somebody_in_a_hurry_gives_up_at_once(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo, waits: Waits
) -> None:
    scene = Scene(connect(timeout_s=1, tries=1, max_wait_s=0.0), github, topic)
    faults = [github.fail("secondary", wait_s=1), github.fail("502"), github.fail("hang")]

    for _ in faults:
        with pytest.raises(ForgeError):
            comment(scene)

    assert [1, 1, 1] == [f.struck for f in faults]
    assert [] == waits.seconds


def test_a_pull_that_appears_meanwhile_is_taken(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    """422 "already exists" on the first try is no error."""
    other = Scene(connect(), github, topic)
    number = other.pull().number

    mine = connect().open_pull(branch="topic", base="main", title="Mine", body="c")

    assert (number, "Mine") == (mine.number, mine.title)
    assert 1 == other.effects()["pulls"]


def test_other_422s_are_told_in_githubs_words(forge: GitHubForge, github: GitHubServer) -> None:
    with pytest.raises(ForgeError, match=r"No commits between|head") as caught:
        forge.open_pull(branch="main", base="main", title="T", body="b")

    assert 422 == caught.value.status


def test_without_drafts_a_plain_pull_is_opened_and_said(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    github.state.drafts = False

    pull = forge.open_pull(branch="topic", base="main", title="T", body="b")

    assert not pull.draft
    assert any("draft" in w for w in forge.warnings)


def test_a_status_takes_the_place_of_a_check_run_where_those_are_refused(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    """A personal token cannot make check runs."""
    scene = Scene(connect(PAT), github, topic)

    check = scene.check()
    done = scene.forge.finish_check(check, conclusion=Conclusion.FAILURE, title="3 of 11" * 40, summary="s")
    again = scene.forge.start_check(
        head_sha=scene.head, name="orchestrator", external_id="r2", title="t", summary="s"
    )

    assert ("status", "status", Conclusion.FAILURE) == (check.kind, done.kind, done.conclusion)
    assert ["pending", "failure", "pending"] == [s.state for s in github.state.statuses]
    assert again.kind == "status"
    assert 1 == len(scene.forge.warnings)
    assert ["orchestrator"] == [c.name for c in connect(PAT).checks(scene.head)]


def test_a_dispatch_is_never_sent_twice(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.workflows.add("ci.yml")
    github.fail("502", "POST", "dispatches", when=AFTER)

    with pytest.raises(ForgeError, match="502"):
        forge.dispatch("ci.yml", ref="main", inputs={"a": "b"})

    assert [{"workflow": "ci.yml", "ref": "main", "inputs": {"a": "b"}}] == github.state.dispatched
