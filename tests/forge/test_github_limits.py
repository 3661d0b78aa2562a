"""What GitHub takes: lengths, batches, lines of a diff, and what is done where it takes less."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.forge.github.pulls import lines_of_patch
from orchestrator_action.process.pace import Pace
from orchestrator_action.protocol.forge_values import Annotation, Conclusion, ReviewFinding
from tests.kit.github_server import GitHubServer
from tests.text.page import shown

Connect = Callable[..., GitHubForge]
CHECK: dict[str, Any] = {"name": "o", "external_id": "r", "title": "t", "summary": "s"}


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


@pytest.mark.parametrize(("count", "sent"), [(0, 1), (50, 1), (51, 2), (120, 3)])
def test_a_check_nobody_saw_in_progress_is_completed_as_it_is_made(
    connect: Connect, github: GitHubServer, head: str, count: int, sent: int
) -> None:
    """One request for every fifty annotations; completed again by another process, none is there twice."""
    marks = [Annotation(path="a.py", line=i, message=f"m{i}") for i in range(count)]
    given = dict(CHECK, head_sha=head)
    forge = connect()
    forge.open_pull(branch="topic", base="main", title="T", body="b")  # no check of ours can be there yet
    before = github.count()

    forge.post_check(**given, conclusion=Conclusion.FAILURE, annotations=marks)
    made = github.count() - before
    connect().post_check(**given, conclusion=Conclusion.SUCCESS, annotations=marks)

    [run] = github.state.checks.values()
    assert (sent, [f"m{i}" for i in range(count)]) == (made, [a["message"] for a in run.annotations])
    assert ("completed", "success") == (run.status, run.conclusion)


@pytest.mark.parametrize("begun", [False, True])
def test_annotations_that_github_refuses_are_left_out_and_the_check_stands(
    forge: GitHubForge, github: GitHubServer, head: str, begun: bool
) -> None:
    given = dict(CHECK, head_sha=head)
    if begun:
        forge.start_check(**given)
    github.fail("422", "PATCH" if begun else "POST", "/check-runs")

    forge.post_check(
        **given, conclusion=Conclusion.FAILURE, annotations=[Annotation(path="../x", line=1, message="m")]
    )

    [run] = github.state.checks.values()
    assert ("completed", "failure", []) == (run.status, run.conclusion, run.annotations)
    assert any("annotations" in w for w in forge.warnings)


def test_a_check_begun_and_completed_at_the_same_time_is_one(
    forge: GitHubForge, github: GitHubServer, head: str
) -> None:
    """Progress is told from a thread of its own, which may come late."""
    given = dict(CHECK, head_sha=head)
    forge.open_pull(branch="topic", base="main", title="T", body="b")

    with ThreadPoolExecutor(8) as pool:
        acts = [pool.submit(forge.start_check, **given) for _ in range(7)]
        acts.append(pool.submit(lambda: forge.post_check(**given, conclusion=Conclusion.SUCCESS)))
    for act in acts:
        act.result()

    assert ["success"] == [c.conclusion for c in github.state.checks.values()]


def test_a_completion_that_got_lost_is_not_taken_for_one_with_another_conclusion(
    connect: Connect, github: GitHubServer, head: str
) -> None:
    given = dict(CHECK, head_sha=head)
    connect().post_check(**given, conclusion=Conclusion.CANCELLED)
    github.fail("502", "PATCH", "/check-runs/")

    connect().post_check(**given, conclusion=Conclusion.SUCCESS)

    assert ["success"] == [c.conclusion for c in github.state.checks.values()]


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


@pytest.mark.parametrize(
    "path",
    ["x` @octocat fixes #1 `y", "``\n@octocat", "<!-- m -->", "a|b @octocat", "](http://evil) @octocat"],
)
def test_a_path_of_a_reviewers_making_calls_nobody(
    forge: GitHubForge, github: GitHubServer, head: str, path: str
) -> None:
    """It is shown as code, whatever backticks it holds; a line no file has is no line."""
    pull = forge.open_pull(branch="topic", base="main", title="T", body="b")
    finding = ReviewFinding(id="f1", path=path, line=10**30, severity="note", text="t")
    marks = [Annotation(path="a.py", line=10**30, message="m")]

    forge.review(pull.number, head_sha=head, body="seen", findings=[finding], marker="r")
    forge.post_check(**dict(CHECK, head_sha=head), conclusion=Conclusion.FAILURE, annotations=marks)

    made = github.state.issues[pull.number].pull
    assert made
    [review] = made.reviews
    page = shown(review.body.partition("\n")[2])
    assert not any("@octocat" in node or "#1" in node for node in page.prose), review.body
    assert [2**31 - 1] == [a["end_line"] for c in github.state.checks.values() for a in c.annotations]


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

    assert {1, 2, 3, 4, 11, 12} == lines_of_patch(patch)


def test_writes_wait_for_the_pace_and_reads_do_not(
    connect: Connect, github: GitHubServer, tmp_path: Path
) -> None:
    """Five a minute by a moved clock: the sixth write waits until a minute is over."""
    now = [1e9]

    def move(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(tmp_path / "writes", ((5, 60.0),), clock=lambda: now[0], sleep=move)
    forge = connect(pace=pace.take)
    number = github.state.add_issue("n", "b", user="octo").number

    for n in range(5):
        forge.comment(number, marker=f"n {n}", body="word")
        list(forge.comments(number))
    before = now[0]
    forge.issue(number)
    forge.comment(number, marker="n 6", body="word")

    assert (1e9, 60.0) == (before, pytest.approx(now[0] - before))
    assert 6 == len(github.state.comments_on(number))
