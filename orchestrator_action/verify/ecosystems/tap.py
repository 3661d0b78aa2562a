"""The Test Anything Protocol, which Perl, Bats, node-tap, ava and many scripts print. Pure.

Source: testanything.org, "TAP 14 specification".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.verify.ecosystems.base import CaseOutcome, CaseResult
from orchestrator_action.verify.ecosystems.counts import Counts

_PLAN = re.compile(r"1\.\.\d+(?: .*)?")
_POINT = re.compile(r"(not )?ok\b(?: (\d+))?(?:\s+-)?\s*(.*)")
_DIRECTIVE = re.compile(r"(?<!\\)#\s*(skip|todo)\b", re.IGNORECASE)


def tap_points(lines: list[str]) -> list[CaseResult]:
    """The points of every plan in plain lines, in order; a point without a name has its number.

    The lines have lost their indentation, so the point that ends a subtest is known by its `# Subtest:` line.
    """
    if not any(_PLAN.fullmatch(line) for line in lines):
        return []
    found: list[CaseResult] = []
    open_: list[str] = []
    for line in lines:
        if match := re.fullmatch(r"# Subtest: (.*)", line):
            open_.append(match[1])
        elif match := _POINT.fullmatch(line):
            said, skipped = match[3], _DIRECTIVE.search(match[3])
            name = re.sub(r"\s*#\s*time=.*", "", said[: skipped.start()] if skipped else said)
            name = re.sub(r"\s*\{\s*$", "", name).strip() or f"{match[2] or len(found) + 1}"
            if open_ and name == open_[-1]:
                open_.pop()
                continue  # its own points were counted
            outcome: CaseOutcome = "skipped" if skipped else "failed" if match[1] else "passed"
            found.append(CaseResult(id=" > ".join([*open_, name]), outcome=outcome))
    return found


def tap_counts(lines: list[str]) -> Iterable[Counts]:
    """TAP as bats and many others print it: `1..N`, then `ok` and `not ok` lines; subtests counted once."""
    if not any(_PLAN.fullmatch(line) for line in lines):
        return
    outcomes = [point.outcome for point in tap_points(lines)]
    yield Counts(
        passed=outcomes.count("passed"),
        failed=outcomes.count("failed"),
        skipped=outcomes.count("skipped"),
        source="tap",
    )
