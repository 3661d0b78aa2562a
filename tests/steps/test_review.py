"""A reviewer on a machine where no agent worked: then review and answers are facts, and not what work reports."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.steps import Split, elsewhere
from tests.kit.whole import GOOD, LIBRARY, THERE

NOTHING = json.dumps({"findings": []})
FOUND = json.dumps(
    {"findings": [{"path": "more.py", "line": 1, "severity": "warning", "text": "x says nothing"}]}
)


def reviewer(split: Split, tmp_path: Path) -> Path:
    """Configure a reviewer that says what stands in a file, which is returned."""
    folder = tmp_path / "reviewer"
    folder.mkdir()
    says, script = folder / "says", folder / "review.py"
    script.write_text(f"print(open({str(says)!r}).read())\n")
    split.home.configure(
        f"{LIBRARY['.github/orchestrator.yml']}sandbox: {{read: [{folder}]}}\n"
        f"reviewers: [command]\nagent-command:\n  argv: [{sys.executable}, {script}]\n"
    )
    return says


def test_what_was_reviewed_elsewhere_is_proven_and_no_longer_reported_by_work(split: Split, tmp_path: Path):
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")

    reviewed = split.review("issue-1")
    ran = split.publish()

    assert 0 == reviewed.code, reviewed.err
    assert "success" == ran.task("issue-1")["status"], ran.err
    assert ("proven", "proven", "reported") == tuple(
        ran.state("issue-1", phase) for phase in ("review", "review-response", "initial-setup")
    )
    check = split.home.forge / "checks" / ran.task("issue-1")["head_sha"] / "orchestrator.json"
    assert "1 reported by work" in json.loads(check.read_text())["title"]


@pytest.mark.slow
def test_a_finding_that_no_agent_was_shown_waits_for_a_person_and_is_posted(split: Split, tmp_path: Path):
    """Nobody calls it answered, and nobody calls the agent a liar."""
    says = reviewer(split, tmp_path)
    says.write_text(NOTHING)
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")
    says.write_text(FOUND)

    reviewed = split.review("issue-1")
    ran = split.publish()

    assert 1 == reviewed.code, reviewed.err
    assert ("incomplete", "proven", "unproven") == (
        ran.task("issue-1")["status"], ran.state("issue-1", "review"), ran.state("issue-1", "review-response"),
    ), ran.err  # fmt: skip
    posted = "".join(p.read_text() for p in (split.home.forge / "pulls").rglob("*.md"))
    assert "x says nothing" in posted


@pytest.mark.slow
def test_a_finding_that_the_agent_declined_is_not_found_anew(split: Split, tmp_path: Path):
    reviewer(split, tmp_path).write_text(FOUND)
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")

    reviewed = split.review("issue-1")

    assert 0 == reviewed.code, reviewed.err
    ran = split.publish()
    assert ("success", "proven") == (
        ran.task("issue-1")["status"], ran.state("issue-1", "review-response"),
    ), ran.err  # fmt: skip


@pytest.mark.slow
def test_a_reviewer_that_says_nothing_readable_proves_nothing(split: Split, tmp_path: Path):
    says = reviewer(split, tmp_path)
    says.write_text(NOTHING)
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")
    says.write_text("fine")

    reviewed = split.review("issue-1")
    ran = split.publish()

    assert 1 == reviewed.code and "no review took place" in reviewed.out, reviewed.err
    assert ("incomplete", "unproven") == (ran.task("issue-1")["status"], ran.state("issue-1", "review"))


@pytest.mark.slow
def test_a_reviewer_elsewhere_is_asked_whether_the_task_is_met_already(split: Split, tmp_path: Path):
    split.home.issue(1, "Be there", THERE)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")

    reviewed = split.review("issue-1")
    ran = split.publish()

    assert 0 == reviewed.code and "already-met: holds" in reviewed.out, reviewed.err
    assert ("no-change", "proven") == (ran.task("issue-1")["status"], ran.state("issue-1", "implementation"))


@pytest.mark.slow
def test_a_review_from_the_machine_of_the_agent_counts_for_nothing(split: Split):
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work()
    split.verify("issue-1")
    split.review("issue-1")

    ran = split.publish()

    assert "it comes from the machine where the agent worked" in ran.err
    assert ("success", "reported") == (ran.task("issue-1")["status"], ran.state("issue-1", "review"))


UNFIT: list[tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = [
    (lambda r: {**r, "plan_digest": "0" * 64}, "made for another plan"),
    (lambda r: {**r, "commit": "0" * 40, "facts": []}, "speaks of another commit"),
    (lambda r: {**r, "schema": 7}, "its schema is 7"),
    (lambda r: {**r, "facts": [{**r["facts"][0], "phase": "testing"}]}, "facts that are not a review's"),
    (lambda _: {"findings": []}, "it is no review"),
]


def test_a_review_that_does_not_fit_is_refused_by_name(split: Split, tmp_path: Path):
    """Each time on a machine that knows nothing of the ones before."""
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    split.work(before=elsewhere(tmp_path))
    split.verify("issue-1")
    split.review("issue-1")
    file = split.files / "reviews" / "issue-1.json"
    review = json.loads(file.read_text())
    for number, (change, words) in enumerate(UNFIT):
        file.write_text(json.dumps(change(review)))

        ran = split.publish(clone=f"publish-{number}")

        assert words in ran.err, (words, ran.err)
        assert ("success", "reported") == (ran.task("issue-1")["status"], ran.state("issue-1", "review"))


@pytest.mark.slow
def test_of_two_reviews_of_one_bundle_neither_counts_and_a_digest_has_to_be_accepted(
    split: Split, tmp_path: Path
):
    split.home.issue(1, "Add more", GOOD)
    split.plan()
    [bundle] = split.work(before=elsewhere(tmp_path))["bundles"]
    split.verify("issue-1")
    split.review("issue-1")
    again = split.files / "reviews" / "again.json"
    os.link(split.files / "reviews" / "issue-1.json", again)

    linked = split.publish(clone="linked")
    again.unlink()
    again.write_bytes((split.files / "reviews" / "issue-1.json").read_bytes())
    twice = split.publish(clone="twice")

    assert "hard-link" in linked.err and "two reviews came about bundle" in twice.err
    refused = split.publish("--accept", bundle["sha256"], clone="refused")
    assert "a review is refused" in refused.err and "not among those that are accepted" in refused.err
