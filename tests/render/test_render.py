"""What is written to a forge and given to an agent: true, complete, within limits, and harmless."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import Fact, PhaseState, PhaseVerdict, Status
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.publish.report import comments as render
from orchestrator_action.publish.report import document
from orchestrator_action.text.limits import CHECK_SUMMARY_LIMIT, COMMENT_LIMIT, marker
from orchestrator_action.work.prompt import task_prompt
from tests.render.values import (
    ALL_PROVEN,
    CONFLICTS,
    EVIL,
    FINDINGS,
    HELD,
    HOSTILE,
    PULL,
    REFUTED,
    RUN,
    TASK,
    TOKEN,
    WAIVED,
    report,
    result,
)
from tests.text.page import shown

SCHEMA = json.loads((Path(document.__file__).with_name("report.schema.json")).read_text(encoding="utf-8"))


def texts_of(hostile: bool) -> dict[str, str]:
    """Every text that goes to a forge."""
    task = HOSTILE if hostile else result()
    check = render.check_texts(
        task.phases,
        conclusion=task.conclusion,
        status=task.status,
        head_sha="a" * 40,
        run=RUN,
        error=task.error,
        pull=PULL,
        findings=FINDINGS,
        secrets=[HELD],
    )
    return {
        "issue comment": render.issue_comment(task, run=RUN, secrets=[HELD]),
        "running comment": render.issue_comment(
            task, run=RUN, running=True, note=EVIL if hostile else "", secrets=[HELD]
        ),
        "pull comment": render.pull_comment(
            task,
            run=RUN,
            ci="not-started",
            findings=FINDINGS,
            answers={"f1": f"declined: {EVIL}"},
            conflicts=CONFLICTS,
            secrets=[HELD],
        ),
        "pull body": render.pull_body(TASK, issue=None, text=EVIL, run_id="r", secrets=[HELD]),
        "review": render.review_body(FINDINGS, "a" * 40, secrets=[HELD])
        + "\n\n".join(f.text for f in render.defanged(FINDINGS, [HELD])),
        "check summary": check.summary,
        "check text": check.text,
    }


@pytest.mark.parametrize("name", texts_of(hostile=True))
def test_hostile_words_have_no_power_in_any_text_of_ours(name):
    """Not a mention, reference, element, image, marker, secret or command survives, wherever it was put."""
    text = texts_of(hostile=True)[name]
    body = text.split("\n", 1)[1] if text.startswith("<!-- orchestrator-action:") else text
    page = shown(body)

    assert not {"script", "img", "comment", "iframe"} & page.tags
    for node in page.prose:
        assert not re.search(r"(?<![A-Za-z0-9])@octocat", node), node
        assert not re.search(r"(?<![\w&])#12\b", node), node
    assert "orchestrator-action:task:issue-1" not in body
    assert "javascript:" not in page.targets
    assert "evil/x.png" not in page.targets or "<img" not in body
    assert HELD not in text
    assert TOKEN not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)
    assert not re.search(r"(?m)^/lgtm", text)
    assert len(text.encode()) <= COMMENT_LIMIT


def test_hostile_words_stay_in_their_cells():
    """A table of ours has the rows and columns we gave it."""
    body = render.issue_comment(HOSTILE, run=RUN)
    rows = [line for line in body.splitlines() if line.startswith("| ") and re.match(r"\| \d+ \|", line)]

    assert len(PHASES) == len(rows)
    assert all(5 == len(re.findall(r"(?<!\\)\|", row)) for row in rows)


def test_a_waiver_is_shown_as_a_waiver_and_never_as_done():
    """In the check's title, the comments and the evidence."""
    check = render.check_texts(WAIVED, conclusion=Conclusion.SUCCESS, head_sha="a" * 40, run=RUN)
    comment = render.issue_comment(result(phases=WAIVED), run=RUN)

    assert "10 of 11 phases proven; 1 waived (Documentation)" == check.title
    assert "1 waived (Documentation)" in comment
    assert "| 7 | Documentation | 🟡 waived | no user-visible change |" in comment
    assert "waived, not done" in check.text


@pytest.mark.parametrize(
    ("phases", "status", "says"),
    [
        (ALL_PROVEN, Status.SUCCESS, "11 of 11 phases proven"),
        (ALL_PROVEN[:4], None, "4 of 11 phases proven so far"),
        ((), Status.CANCELLED, "cancelled; 0 of 11 phases proven"),
    ],
)
def test_the_headline_counts_what_was_proven(phases, status, says):
    """Nothing is rounded up."""
    assert says == render.headline(phases, status=status)


def test_no_change_says_why():
    """The agent's reason, as its claim."""
    phases = (PhaseVerdict(phase="implementation", state=PhaseState.PROVEN, reason="already fixed in main"),)

    assert render.headline(phases, status=Status.NO_CHANGE).startswith(
        "no change needed: already fixed in main; "
    )


def test_the_check_names_what_is_open():
    """By phase and state, in its title; the measured figures in its text."""
    check = render.check_texts(
        REFUTED, conclusion=Conclusion.FAILURE, head_sha="a" * 40, run=RUN, findings=FINDINGS
    )

    assert "open: Testing (refuted)" in check.title
    assert len(check.title) <= 255
    assert "command `pytest -q | tee x`" in check.text
    assert "exit code 1" in check.text
    assert "passed 8" in check.text
    assert [("src/a.py", 3, "failure")] == [(a.path, a.line, a.level) for a in check.annotations]


@pytest.mark.parametrize(
    ("ci", "says", "does_not_say"),
    [
        ("not-started", "CI has not run on this pull", "was asked to run"),
        ("skipped", "leave workflows out", "Approve workflows"),
        ("dispatched", "was asked to run", "CI has not run"),
        ("started", "orchestrator", "GITHUB_TOKEN"),
        ("unknown", "orchestrator", "GITHUB_TOKEN"),
    ],
)
def test_ci_that_did_not_start_is_never_called_green(ci, says, does_not_say):
    """Runs on what `GITHUB_TOKEN` pushes wait for a person: the comment says so first, then two ways without."""
    body = render.pull_comment(result(), run=RUN, ci=ci)

    assert says in body
    assert does_not_say not in body
    if ci == "not-started":
        assert "GitHub App" in body
        assert "Approve workflows to run" in body
        assert "workflow_dispatch" in body


def test_the_pull_comment_has_ledger_evidence_findings_resources_conflicts_and_the_run():
    """All that issue and reviewer need, in one place; conflicts of other tasks stay out."""
    body = render.pull_comment(
        replace(result(), phases=REFUTED),
        run=RUN,
        findings=FINDINGS,
        answers={"f1": "fixed in abcdef123456"},
        conflicts=CONFLICTS,
    )

    for part in (
        "| 6 | Testing | ❌ refuted |",
        "fixed in abcdef123456",
        "**not answered**",
        "611 MiB",
        "4 min 12 s",
        "$0.42",
        "with `issue-8` (both touch the same paths)",
        "https://github.com/o/r/actions/runs/1",
    ):
        assert part in body, part
    assert "issue-9" not in body


def test_a_huge_result_fits_its_limits():
    """The details of the evidence go first, and the cut is said."""
    big = PhaseVerdict(
        phase="testing",
        state=PhaseState.PROVEN,
        facts=(replace(REFUTED[5].facts[0], message="é" * 500, detail={"tail": "x\n" * 9000}),) * 80,
    )
    phases = tuple(big if v.phase == "testing" else v for v in ALL_PROVEN)
    check = render.check_texts(phases, conclusion=Conclusion.SUCCESS, head_sha="a" * 40, run=RUN)
    comment = render.pull_comment(result(phases=phases), run=RUN)
    body = render.pull_body(TASK, issue=7, text="```\n" + "é" * 90_000, run_id="r")

    assert len(check.text.encode()) <= CHECK_SUMMARY_LIMIT
    assert len(comment.encode()) <= COMMENT_LIMIT
    assert len(body.encode()) <= COMMENT_LIMIT
    assert "Closes #7" in shown(body).text
    assert "cut here" in check.text
    assert body.startswith(marker("pull", "r.issue-7"))


def test_only_we_close_the_issue():
    """The footer's keyword is the one that counts; the agent's are without power."""
    body = render.pull_body(TASK, issue=7, text="Fixes #99, closes o/r#98", run_id="r")

    assert ["Closes #7"] == re.findall(r"(?i)(?:close|fixe|resolve)[sd]? \S*(?<!&)#\d+", body)


@pytest.mark.parametrize("words", ["", "\n\n", "# Fix\n\nbody", "<!-- x -->", "x" * 500, "@all #1"])
def test_a_pulls_title_is_one_line(words):
    """Never empty, never a heading, never too long."""
    made = render.pull_title(words)

    assert made
    assert "\n" not in made
    assert not made.startswith("#")
    assert len(made) <= 120


def test_the_prompt_holds_the_task_as_data_and_all_eleven_phases():
    """With the command of each claim; what nobody saw in the issue is not in it."""
    prompt = task_prompt(
        TASK, boundary="5f0c1d2e3a4b", base_branch="main", base_sha="d" * 40, test_commands=["make t"]
    )
    head, data = prompt.split("\n<task-text boundary=5f0c1d2e3a4b>\n")

    for phase in PHASES:
        assert phase.title in head
        assert phase.claim in head
    assert "`make t`" in head
    assert "<!--" not in prompt
    assert "<script" not in prompt
    assert "alert" not in prompt
    assert "Please" in data
    assert data.rstrip().endswith("</task-text boundary=5f0c1d2e3a4b>")


def test_a_prompt_file_is_its_authors_own():
    """Only what nobody can see goes; comments stay."""
    task = replace(TASK, issue=None, text="Do it <!-- see below -->\u200b\n")

    assert "Do it <!-- see below -->\n" in task_prompt(task, boundary="5f0c1d2e3a4b")


def test_a_resumed_agent_is_told_where_it_is():
    """The list of open phases."""
    assert "Open: testing" in task_prompt(TASK, boundary="5f0c1d2e3a4b", message="Open: testing")


@pytest.mark.parametrize(
    "made",
    [
        report(),
        report(result()),
        report(*(result(f"issue-{n}", status) for n, status in enumerate(Status))),
        report(HOSTILE),
        report(result(pull=None, issue=None, exit_code=None, turns=None, cost_usd=None, phases=())),
    ],
    ids=["empty", "one", "every status", "hostile", "nothing known"],
)
def test_the_published_report_keeps_its_schema(made):
    """And its counts add up to what was asked for."""
    body = render.report_json(made)

    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(body, SCHEMA)
    assert body["requested"] == sum(body["counts"].values())
    assert {s.value for s in Status} == set(body["counts"])


def test_the_published_report_holds_no_secret():
    """A test that prints its environment must not publish it."""
    body = render.report_json(report(HOSTILE), secrets=[HELD])

    assert HELD not in json.dumps(body)
    assert TOKEN not in json.dumps(body)
    jsonschema.validate(body, SCHEMA)


def test_the_schema_refuses_what_the_contract_does_not_name():
    """A schema that takes anything proves nothing."""
    body = render.report_json(report(result()))
    for wrong in (
        {**body, "extra": 1},
        {k: v for k, v in body.items() if k != "speedup"},
        {**body, "counts": {"success": 1}},
        {**body, "tasks": [{**body["tasks"][0], "status": "done"}]},
        {**body, "tasks": [{**body["tasks"][0], "pull": {"number": "9"}}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


def test_a_fact_is_published_with_its_commit_and_figures():
    """So that anyone can check it again."""
    [task] = render.report_json(report(result(phases=REFUTED)))["tasks"]
    [fact] = task["phases"][5]["facts"]

    assert ("suite", "b" * 40, False, 2) == (
        fact["rule"],
        fact["commit"],
        fact["holds"],
        fact["detail"]["failed"],
    )
    assert {"number": 9, "url": PULL.url} == task["pull"]


def test_a_success_with_exceptions_says_so_first_and_names_each_test():
    """What a person has to read comes before what was measured; never a plain success."""
    named = {"id": "tests/test_a.py::test_b", "what": "skipped", "reason": f"the issue asks for it {EVIL}"}
    fact = Fact(
        phase="testing",
        rule="nothing-lost",
        commit="a" * 40,
        holds=True,
        message="1 named",
        detail={"exceptions": [named]},
    )
    phases = tuple(replace(p, facts=(fact,)) if p.phase == "testing" else p for p in ALL_PROVEN)
    task = result(phases=phases, conclusion=Conclusion.NEUTRAL)

    check = render.check_texts(
        phases, conclusion=Conclusion.NEUTRAL, status=Status.SUCCESS, head_sha="a" * 40, run=RUN
    )
    pages = [render.pull_comment(task, run=RUN), render.issue_comment(task, run=RUN), check.summary]

    assert check.title.startswith("Verified except 1 test: read this")
    for page in pages:
        assert (
            page.index("Verified except 1 test: read this")
            < page.index("`tests/test_a.py::test_b`")
            < page.index("| # |")
        )
        assert "✅ done" not in page
    assert 1 == document.task_json(task)["needs_person"]
