"""A verdict as SARIF and as JUnit XML: what others' tools read, whatever the texts hold."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import jsonschema
import pytest

from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import Fact, PhaseState, PhaseVerdict, Status, TaskResult
from orchestrator_action.publish.report.junit import junit
from orchestrator_action.publish.report.sarif import sarif
from orchestrator_action.publish.report.verdict import document_of
from orchestrator_action.verify.ecosystems.junit import junit_counts
from tests.conftest import NPM, need

SHA = "a" * 40
FACTS = (
    Fact(phase="testing", rule="suite", commit=SHA, holds=True, message="12 passed"),
    Fact(
        phase="testing", rule="no-special-case", commit=SHA, holds=False, message="src/ä b.py:3 looks\x1b[1m",
        detail={"lines": [{"path": "src/ä b.py", "line": 3, "what": "w", "text": "t"}, {"path": "/etc/x", "line": 1}]},
    ),
    Fact(phase="review", rule="reviewed", commit=SHA, holds=False, message="no review", detail={"unproven": True}),
)  # fmt: skip
DOCUMENT = VerdictDocument(
    commit=SHA, name="orchestrator/issue-7", base="b" * 40, conclusion="failure", facts=FACTS
)


def test_sarif_has_a_result_for_each_fact_that_does_not_hold() -> None:
    """With its rule, its level and the lines of the repository; a path outside of it is none."""
    [run] = sarif([DOCUMENT])["runs"]

    found = [(r["ruleId"], r["level"], r["locations"][0]["physicalLocation"]) for r in run["results"]]

    root = {"artifactLocation": {"uri": ".", "uriBaseId": "%SRCROOT%"}}
    line = {
        "artifactLocation": {"uri": "src/%C3%A4%20b.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3},
    }
    assert [("testing/no-special-case", "error", line), ("review/reviewed", "warning", root)] == found
    touched = replace(FACTS[1], rule="protected-untouched", detail={"paths": [".github/a.yml"]})
    [result] = sarif([replace(DOCUMENT, facts=(touched,))])["runs"][0]["results"]
    assert ".github/a.yml" == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert "review/reviewed" in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert json.loads(json.dumps(run)) == run


@pytest.mark.npm
def test_sarif_is_valid_by_its_published_schema() -> None:
    """SARIF 2.1.0-rtm.5 as Microsoft's SDK ships it (npm @microsoft/jest-sarif)."""
    file = need(NPM / "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json", "@microsoft/jest-sarif")
    schema = json.loads(file.read_text(encoding="utf-8"))
    check = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    log = sarif([DOCUMENT, replace(DOCUMENT, facts=())])

    assert [] == [e.message for e in check.iter_errors(log)]
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert 1 == len(list(check.iter_errors(log))), "the schema finds nothing"


def test_no_secret_leaves_by_an_export() -> None:
    """Neither one we hold nor one that is known by its shape."""
    shaped = "ghp_" + "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"
    facts = (
        Fact(phase="testing", rule="suite", commit=SHA, holds=False, message=f"hunter22-secret {shaped}"),
    )
    document = VerdictDocument(commit=SHA, name="b", base="", conclusion="failure", facts=facts)

    for text in (json.dumps(sarif([document], ["hunter22-secret"])), junit([document], ["hunter22-secret"])):
        assert not re.search("hunter22-secret|ghp_0a1B", text)


def test_junit_is_read_by_our_own_reader() -> None:
    """One passed, one failed, one that could not be proven; control characters are left out."""
    text = junit([DOCUMENT])

    counts = junit_counts(text.encode())
    assert counts is not None
    assert (1, 2) == (counts.passed, counts.failed)
    assert "\x1b" not in text
    assert ["suite", "no-special-case", "reviewed"] == [
        c.get("name") for c in ET.fromstring(text).iter("testcase")
    ]


def test_a_results_document_names_what_was_let_pass() -> None:
    """Each exception once, with its reason."""
    named = {"exceptions": [{"test": "tests/test_a.py::test_x", "reason": "the issue asks for it"}]}
    facts = tuple(
        Fact(phase="testing", rule=r, commit=SHA, holds=True, message="m", detail=named) for r in ("a", "b")
    )
    verdict = PhaseVerdict(phase="testing", state=PhaseState.PROVEN, facts=facts)
    result = TaskResult(
        task_id="issue-7", status=Status.SUCCESS, conclusion=Conclusion.NEUTRAL, branch="b", head_sha=SHA,
        phases=(verdict,),
    )  # fmt: skip

    document = document_of(result, isolation="sandboxed", git_version="2.39.5", now=0.0)

    assert ("tests/test_a.py::test_x: the issue asks for it",) == document.exceptions
    assert ("1970-01-01T00:00:00Z", "2.39.5") == (document.measured_at, document.environment["git"])
