"""Swift: XCTest and Swift Testing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    CaseOutcome,
    CaseResult,
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import of

_XCTEST = re.compile(r"Executed (\d+) tests?, with (?:(\d+) tests? skipped and )?(\d+) failures?.*")
_TESTING = re.compile(
    r".*Test run with (\d+) tests?(?: in \d+ suites?)? (passed|failed) after .*?(?: with (\d+) issues?)?\.?"
)
_CASE = re.compile(
    r"Test Case '(?:-\[)?([\w.]+)[ .](\w+)\]?' (passed|failed|skipped) \(([\d.]+) seconds\)\.?"
)


def _detect(files: Files) -> Detected | None:
    return Detected(("swift test",), "Swift: Package.swift") if "Package.swift" in files.paths else None


def _setup(files: Files) -> SetupStep | None:
    if "Package.resolved" not in files.paths:
        return None
    return SetupStep(
        how="Swift: swift package resolve", commands=("swift package resolve",), tools=("swift",)
    )


def _counts(lines: list[str]) -> Iterable[Counts]:
    """swift test: XCTest's outermost `Executed 3 tests, with 1 failure` and Swift Testing's own line."""
    outermost: Counts | None = None
    for line in lines:
        if match := _XCTEST.fullmatch(line):
            ran, skipped, failed = (int(n or 0) for n in match.groups())
            outermost = of("swift test", ran, failed, skipped)
        elif match := _TESTING.fullmatch(line):
            failed = (int(match.group(3) or 1)) if match.group(2) == "failed" else 0
            yield Counts(passed=max(0, int(match.group(1)) - failed), failed=failed, source="swift test")
    if outermost is not None:
        yield outermost


def _printed(lines: list[str]) -> list[CaseResult]:
    outcomes: dict[str, CaseOutcome] = {"passed": "passed", "failed": "failed", "skipped": "skipped"}
    return [
        CaseResult(id=f"{m[1]}/{m[2]}", outcome=outcomes[m[3]], duration_s=float(m[4]))
        for line in lines
        if (m := _CASE.fullmatch(line))
    ]


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    wanted = [m[1] if (m := re.fullmatch(r"(?:.*/)?(\w+)\.swift", n)) else n for n in names]
    if not is_simple(command):
        return None
    return command + "".join(f" --filter {shlex.quote(w)}" for w in wanted)


ECOSYSTEM = Ecosystem(
    name="Swift",
    manifests=("Package.swift",),
    detect=_detect,
    setup=_setup,
    counts=(_counts,),
    runners=(
        Runner(
            name="swift test",
            command=r"^swift\s+test\b",
            printed=_printed,
            only=_only,
            sources=("swift test",),
        ),
    ),
    test_files=("*Tests.swift", "*Test.swift"),
    source=Source(
        endings=("swift",),
        tests=r"func\s+(test\w*)\s*\(|@Test\b[^{;]*?func\s+(\w+)",
        skips=r"XCTSkip|\.disabled\(",
        hollow=r"func\s+(test\w*)\s*\([^)]*\)[^{};]*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=(r"XCTestConfigurationFilePath|NSClassFromString\(\"XCTest"),
    ),
)
