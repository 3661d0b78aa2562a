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
    open_: list[tuple[str, int]] = []
    for line in lines:
        if match := re.fullmatch(r"# Subtest: (.*)", line):
            open_.append((match[1], len(found)))
        elif line == "}" and open_:
            open_.pop()
        elif match := _POINT.fullmatch(line):
            point = _point(match, [name for name, _ in open_], len(found) + 1)
            if match[3].endswith("{"):  # its points follow, as vitest and old node-tap print them
                open_.append((point.id.rpartition(" > ")[2], len(found)))
            elif open_ and point.id.endswith(f"{open_[-1][0]} > {open_[-1][0]}"):
                _, start = open_.pop()
                inside = found[start:]
                tells = any(case.outcome == "failed" for case in inside) or point.outcome != "failed"
                if not inside or not tells:
                    found.append(_point(match, [n for n, _ in open_], len(found) + 1))
            else:
                found.append(point)
    return found


def _point(match: re.Match[str], inside: list[str], number: int) -> CaseResult:
    said, skipped = match[3], _DIRECTIVE.search(match[3])
    name = re.sub(r"\s*#\s*time=.*", "", said[: skipped.start()] if skipped else said)
    name = re.sub(r"\s*\{\s*$", "", name).strip() or f"{match[2] or number}"
    outcome: CaseOutcome = "skipped" if skipped else "failed" if match[1] else "passed"
    return CaseResult(id=" > ".join([*inside, name]), outcome=outcome)


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
