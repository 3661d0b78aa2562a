"""How many tests ran: the count, and JUnit XML as its first source. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Tests by how they ended. `source` names the runner whose words these are."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    source: str = ""

    @property
    def ran(self) -> int:
        """Tests that did run; a skipped one did not."""
        return self.passed + self.failed

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        names = dict.fromkeys(n for n in (*self.source.split(" + "), *other.source.split(" + ")) if n)
        return Counts(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            source=" + ".join(names),
        )


def total(found: Iterable[Counts]) -> Counts | None:
    """The sum, or None when there is nothing to sum."""
    summed: Counts | None = None
    for counts in found:
        summed = counts if summed is None else summed.plus(counts)
    return summed


def from_junit(xml: bytes) -> Counts | None:
    """Counts of one JUnit XML report, from its test cases; None when it is no such report.

    A document type definition is refused: test reports have none, and entities are an attack.
    """
    if b"<!DOCTYPE" in xml[:4096] or b"<!ENTITY" in xml[:4096]:
        return None
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - no document type, so no entities
    except ElementTree.ParseError:
        return None
    if root.tag not in {"testsuites", "testsuite"}:
        return None
    passed = failed = skipped = 0
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds or case.get("status") in {"notrun", "disabled", "skipped"}:
            skipped += 1
        else:
            passed += 1
    return Counts(passed=passed, failed=failed, skipped=skipped, source="junit")
