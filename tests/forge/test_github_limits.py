"""What GitHub takes: lengths, batches, lines of a diff, and what is done where it takes less."""

from __future__ import annotations

import pytest

from orchestrator_action.core.model import Annotation, Conclusion, ReviewFinding
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import GitHubForge
from orchestrator_action.forge.github_pulls import lines_of
from tests.kit.github_server import GitHubServer


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
