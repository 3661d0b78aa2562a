"""JUnit XML as runners really write it: cases, counts, and what is readable of a broken file. Pure.

Reports hold what tests printed, so raw escape bytes, `&#27;` and bytes of another encoding stand in them;
no XML parser takes these, and a report is not worth less for them.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from orchestrator_action.verify.ecosystems.base import CaseOutcome, CaseResult
from orchestrator_action.verify.ecosystems.counts import Counts

MAX_FAILURE_CHARS = 2_000
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]+)|(\d+));")


def parse_junit(xml: bytes) -> ElementTree.Element | None:
    """The root of a JUnit report, or None when it is none.

    A document type definition is refused: test reports have none, and entities are an attack.
    """
    if b"<!DOCTYPE" in xml[:4096] or b"<!ENTITY" in xml:
        return None
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - no document type, so no entities
    except (ElementTree.ParseError, ValueError, LookupError):
        try:
            root = ElementTree.fromstring(_mended(xml))  # noqa: S314 - as above
        except (ElementTree.ParseError, ValueError):
            return None
    return root if root.tag in {"testsuites", "testsuite"} else None


def _mended(xml: bytes) -> str:
    """The text without its declaration and without the characters that XML cannot hold."""
    try:
        text = xml.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = xml.decode("latin-1")
    text = re.sub(r"\A\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL)
    return _NO_XML.sub("\ufffd", _NO_REFERENCE.sub(_character, text))


def _character(match: re.Match[str]) -> str:
    number = int(match[1], 16) if match[1] else int(match[2])
    return match[0] if number <= 0x10FFFF and not _NO_XML.match(chr(number)) else "\ufffd"


def junit_counts(xml: bytes) -> Counts | None:
    """Counts of one report: from its cases, else from the numbers its suites name; None for no report."""
    root = parse_junit(xml)
    if root is None:
        return None
    cases = list(root.iter("testcase"))
    if not cases:
        return _named_numbers(root)
    outcomes = [_outcome(case) for case in cases]
    return Counts(
        passed=outcomes.count("passed"),
        failed=outcomes.count("failed") + outcomes.count("error"),
        skipped=outcomes.count("skipped"),
        source="junit",
    )


def _named_numbers(root: ElementTree.Element) -> Counts:
    """The outermost elements that name how many tests there were; a suite inside one is part of it."""
    if "tests" in root.attrib or root.tag == "testsuite":
        return _numbers(root)
    counts = Counts(source="junit")
    for suite in root.findall("testsuite"):
        counts = counts.plus(_numbers(suite))
    return counts


def _numbers(suite: ElementTree.Element) -> Counts:
    def number(name: str) -> int:
        said = suite.get(name, "0")
        return int(said) if said.isdecimal() else 0

    failed = number("failures") + number("errors")
    skipped = number("skipped") + number("disabled") + number("skip")
    return Counts(
        passed=max(0, number("tests") - failed - skipped), failed=failed, skipped=skipped, source="junit"
    )


def junit_cases(xml: bytes) -> list[CaseResult] | None:
    """The cases of one report, named `class::name`, in the order they stand; None when it is no report."""
    root = parse_junit(xml)
    if root is None:
        return None
    return [_case(case) for case in root.iter("testcase")]


def _case(case: ElementTree.Element) -> CaseResult:
    name, place = case.get("name", ""), case.get("classname", "") or case.get("class", "")
    seconds = case.get("time", "0").replace(",", "")
    return CaseResult(
        id=f"{place}::{name}" if place else name,
        outcome=_outcome(case),
        file=case.get("file", ""),
        duration_s=float(seconds) if re.fullmatch(r"\d+(?:\.\d+)?(?:e-?\d+)?", seconds) else 0.0,
        message=_message(case),
    )


def _outcome(case: ElementTree.Element) -> CaseOutcome:
    kinds = {child.tag for child in case}
    if "failure" in kinds:
        return "failed"
    if "error" in kinds:
        return "error"
    status = case.get("status", "") or case.get("result", "")
    if "skipped" in kinds or status in {"notrun", "disabled", "skipped", "suppressed"}:
        return "skipped"
    return "failed" if status in {"fail", "failed"} else "passed"


def _message(case: ElementTree.Element) -> str:
    for child in case:
        if child.tag in {"failure", "error"}:
            said = "\n".join(t for t in (child.get("message", ""), child.text or "") if t)
            return said[:MAX_FAILURE_CHARS]
    return ""
