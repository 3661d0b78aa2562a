"""GitHub fails, or the line to it: every write ends in one effect, or in an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.forge import GitHubForge
from tests.forge.conftest import Waits
from tests.forge.scene import (
    Scene,
    add_label,
    answer,
    comment,
    create_issue,
    finish_check,
    open_pull,
    review,
    start_check,
    start_check_on_new_pull,
    take_label,
)
from tests.kit.github_server import AFTER, BEFORE, GitHubServer
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
