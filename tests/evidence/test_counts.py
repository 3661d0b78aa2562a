"""Test counts, from the closing lines runners print and from JUnit XML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.verify.ecosystems.counts import Counts, total
from orchestrator_action.verify.ecosystems.junit import junit_counts
from orchestrator_action.verify.ecosystems.results import counts_in


def _samples() -> dict[str, tuple[str, tuple[int, ...]]]:
    text = (Path(__file__).parent / "closing_lines.txt").read_text(encoding="utf-8")
    found = {}
    for block in text.split("\n==== ")[1:]:
        head, _, body = block.partition("\n")
        name, _, counts = head.rpartition(": ")
        sample = body.replace("\\e", "\x1b").replace("\\r", "\r")
        found[name] = (sample, tuple(int(n) for n in counts.split()))
    return found


SAMPLES = _samples()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_runner_s_closing_lines_are_read(name: str):
    """Passed, failed, skipped."""
    text, wanted = SAMPLES[name]

    found = counts_in(text)

    assert found is not None
    assert wanted == (found.passed, found.failed, found.skipped)


@pytest.mark.parametrize(
    "text",
    [
        "", "make: Nothing to be done for 'check'.", "all good", "OK", "PASS", "0 errors, 0 warnings",
        "I ran 5 tests and 5 passed", "Tests: none of your business", "passed 5 of 5", "ok", "1 ok",
        "see how 3 passed in the street", "5 passed", "coverage: 93%", "Ran all the tests",
    ],
)  # fmt: skip
def test_other_words_are_no_count(text: str):
    """An unknown count is unknown, not zero and not a guess."""
    assert counts_in(text) is None


@given(st.text(max_size=400))
def test_no_output_breaks_the_reading(text: str):
    """Whatever a program prints; counts are never negative."""
    found = counts_in(text)

    assert found is None or min(found.passed, found.failed, found.skipped) >= 0


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.text(max_size=80))
def test_pytest_s_line_is_found_amid_anything(passed: int, failed: int, skipped: int, noise: str):
    """As long as it stands on a line of its own."""
    noise = noise.replace("1..", "")
    line = f"== {failed} failed, {passed} passed, {skipped} skipped in 3.21s =="

    found = counts_in(f"{noise!r}\n{line}\n{noise!r}")

    assert found is not None
    assert (passed, failed, skipped) == (found.passed, found.failed, found.skipped)


JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" tests="5" failures="1" errors="1" skipped="1">
<testcase name="a"/><testcase name="b"><failure message="x">no</failure></testcase>
<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase>
<testcase name="e"><system-out>out</system-out></testcase>
</testsuite></testsuites>"""


def test_junit_counts_its_cases():
    """Not the sums in its attributes, which runners fill differently."""
    assert junit_counts(JUNIT.encode()) == Counts(passed=2, failed=2, skipped=1, source="junit")
    assert junit_counts(b"<testsuite tests='0'/>") == Counts(source="junit")


@pytest.mark.parametrize(
    "xml",
    [
        b"", b"no xml", b"<html/>", b"<testsuite>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite>&a;</testsuite>",
        b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">]><testsuites/>',
    ],
)  # fmt: skip
def test_what_is_no_junit_report_counts_nothing(xml: bytes):
    """Entities are an attack, not a report."""
    assert junit_counts(xml) is None


def test_sums_name_their_sources():
    """So that a reader knows whose words a figure is."""
    both = total([Counts(passed=1, source="pytest"), Counts(failed=2, source="jest"), Counts(source="jest")])

    assert both == Counts(passed=1, failed=2, source="pytest + jest")
    assert total([]) is None


CASES_XML = (
    '<testsuite><testcase classname="a" name="x"/>'
    '<testcase name="y"><failure>{}</failure></testcase></testsuite>'
)


@pytest.mark.parametrize(
    "broken",
    [b"\x1b[31mred\x1b[0m", b"&#27;[31m", b"&#x1b;", b"caf\xe9", b"\x00", b"&#xFFFE;", b"\xef\xbb\xbf"],
    ids=repr,
)
def test_a_report_with_characters_xml_cannot_hold_is_read(broken: bytes):
    """They stand in what tests print; the cases around them are no less true."""
    xml = b'<?xml version="1.0" encoding="UTF-8"?>\n' + CASES_XML.encode().replace(b"{}", broken)

    assert Counts(passed=1, failed=1, source="junit") == junit_counts(xml)


def test_a_report_of_numbers_only_is_counted():
    """A suite inside another one is part of it, and counted once."""
    inner = b'<testsuite tests="5" failures="1" skipped="1"><testsuite tests="5"/></testsuite>'
    xml = b"<testsuites>" + inner + b"</testsuites>"

    assert Counts(passed=3, failed=1, skipped=1, source="junit") == junit_counts(xml)
