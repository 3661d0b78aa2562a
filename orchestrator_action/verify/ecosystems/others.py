"""Test counts from what test runners print: one reader per runner, for its closing lines.

Each reader knows the lines as the runner's own source prints them. A run of several runners (a
workspace, `make check`) is the sum of all closing lines found. Zero is zero: a runner that collected
nothing says so, and that is not a pass. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.verify.ecosystems.closing_forms import (
    Reader,
    each,
    labelled,
    of,
    plain,
    stanza,
    strip_ansi,
)
from orchestrator_action.verify.ecosystems.counts import Counts, total

__all__ = ["by_runner", "from_output", "strip_ansi"]


def from_output(text: str) -> Counts | None:
    """Counts from a run's output; None when no runner's closing line is in it."""
    return total(by_runner(text))


def by_runner(text: str) -> list[Counts]:
    """The counts of every closing line found in a run's output.

    The last few formats are so plain that other runners print lines like theirs: they count only when
    nothing else was found.
    """
    lines = [plain(line) for line in re.split(r"\r\n|\n|\r", text)]
    found = [c for reader in _READERS for c in reader(lines)]
    return found or next((found for reader in _LAST if (found := list(reader(lines)))), [])


_PYTEST_WORD = re.compile(
    r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|subtests passed)\b"
)
_PYTEST_LINE = re.compile(
    r"(?:=+ )?((?:\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|"
    r"subtests passed)(?:, )?)+|no tests ran|no tests collected.*?) in "
    r"[\d.:]+ ?s(?:econds)?(?: \([^)]*\))?(?: =+)?"
)


def _pytest(lines: list[str]) -> Iterable[Counts]:
    """pytest's summary: `=== 3 passed, 1 skipped in 0.12s ===`, also with -q and as `no tests ran`."""
    for line in lines:
        if match := _PYTEST_LINE.fullmatch(line):
            words = {w: int(n) for n, w in _PYTEST_WORD.findall(match.group(1))}
            yield Counts(
                passed=words.get("passed", 0) + words.get("xpassed", 0),
                failed=words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0),
                skipped=words.get("skipped", 0) + words.get("xfailed", 0),  # as in its JUnit XML
                source="pytest",
            )


def _unittest(lines: list[str]) -> Iterable[Counts]:
    """unittest, nose2, Django, trial: `Ran 3 tests in 0.001s`, then `OK (skipped=1)` or `FAILED (…)`."""
    ran: int | None = None
    for line in lines:
        if match := re.fullmatch(r"Ran (\d+) tests? in [\d.]+ ?s(?:econds)?", line):
            if ran is not None:
                yield Counts(passed=ran, source="unittest")
            ran = int(match.group(1))
        elif ran is not None and (
            match := re.fullmatch(r"(?:OK|PASSED|FAILED|NO TESTS RAN)(?: \((.*)\))?", line)
        ):
            words = dict(re.findall(r"([a-z ]+)=(\d+)", match.group(1) or ""))
            words = {k.strip(): int(v) for k, v in words.items()}
            failed = words.get("failures", 0) + words.get("errors", 0) + words.get("unexpected successes", 0)
            skipped = words.get("skipped", 0) + words.get("skips", 0)
            yield of("unittest", ran, failed, skipped)
            ran = None
    if ran is not None:
        yield Counts(passed=ran, source="unittest")


_EMPTY = {
    "vitest": re.compile(r"No test files found, exiting with code \d"),
    "jest": re.compile(r"No tests found(?:, exiting with code \d| related to files changed.*)"),
    "mocha": re.compile(r"Error: No test files found.*"),
    "ava": re.compile(r".*Couldn.t find any files to test.*"),
}


def _nothing_found(lines: list[str]) -> Iterable[Counts]:
    """What JavaScript runners say when there is nothing to run."""
    for source, pattern in _EMPTY.items():
        if any(pattern.fullmatch(line) for line in lines):
            yield Counts(source=source)


def _mocha(lines: list[str]) -> Iterable[Counts]:
    """mocha's spec reporter: `3 passing (12ms)`, `1 failing`, `2 pending`, a line each."""
    yield from stanza(
        "mocha", lines, r"(\d+) passing(?: \([\d.]+ ?\w+\))?", r"(\d+) failing", r"(\d+) pending"
    )


def _ava(lines: list[str]) -> Iterable[Counts]:
    """ava: `3 tests passed`, `1 test failed`, `2 tests skipped`, a line each."""
    passed = r"[✔✓]? ?(\d+) tests? passed"
    failed = r"[✘✖]? ?(\d+) (?:tests? failed|uncaught exceptions?|unhandled rejections?)"
    yield from stanza("ava", lines, passed, failed, r"(\d+) tests? (?:skipped|todo)")


def _node(lines: list[str]) -> Iterable[Counts]:
    """`node --test`: `# pass 3` (TAP) or `ℹ pass 3` (spec), after `tests 4`; one block per run."""
    words: dict[str, int] = {}
    for line in lines:
        match = re.fullmatch(r"[#ℹ] (tests|pass|fail|cancelled|skipped|todo)\s+(\d+)", line)
        if not match:
            continue
        if match.group(1) == "tests" and words:
            yield _node_counts(words)
            words = {}
        words[match.group(1)] = int(match.group(2))
    if {"tests", "pass"} <= set(words):
        yield _node_counts(words)


def _node_counts(words: dict[str, int]) -> Counts:
    return Counts(
        passed=words.get("pass", 0),
        failed=words.get("fail", 0) + words.get("cancelled", 0),
        skipped=words.get("skipped", 0) + words.get("todo", 0),
        source="node --test",
    )


_GO_CASE = re.compile(r"--- (PASS|FAIL|SKIP): [^\s/]+ \([\d.]+s\)")
_GOTESTSUM = re.compile(
    r"DONE (\d+) tests?(?:, (\d+) skipped)?(?:, (\d+) failures?)?(?:, \d+ errors?)? in .*"
)
_GO_PACKAGE = re.compile(r"(ok|FAIL)\s+(\S+)\s+(?:[\d.]+s|\(cached\)|\[build failed\]|\[setup failed\])(.*)")
_GO_EMPTY = re.compile(r"(?:\?\s+\S+\s+\[no test files\])|(?:\S+\s+coverage: 0\.0% of statements)")
_GO_JSON = re.compile(r'\{"Time":"[^"]*","Action":"(pass|fail|skip)","Package":"[^"]+","Test":"[^"/]+"')


def _go(lines: list[str]) -> Iterable[Counts]:
    """go test: cases with -v or -json; without, a package that says `ok` counts as one test that ran.

    Plain `ok` does not say how many there were, only that there were some: a package without tests
    prints `[no test files]`, one whose tests were all filtered out `[no tests to run]`.
    """
    for line in lines:
        if match := _GOTESTSUM.fullmatch(line):
            ran, skipped, failed = (int(n or 0) for n in match.groups())
            passed = max(0, ran - failed - skipped)
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="gotestsum")
            return
    cases = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    packages = {"ok": 0, "FAIL": 0}
    seen = False
    for line in lines:
        if match := _GO_CASE.fullmatch(line):
            cases[match.group(1)] += 1
            seen = True
        elif match := _GO_JSON.match(line):
            cases[match.group(1).upper()] += 1
            seen = True
        elif match := _GO_PACKAGE.fullmatch(line):
            seen = True
            if "[no tests to run]" not in match.group(3):
                packages[match.group(1)] += 1
        elif _GO_EMPTY.fullmatch(line):
            seen = True
    if not seen:
        return
    if any(cases.values()):
        passed, failed, skipped = cases["PASS"], cases["FAIL"], cases["SKIP"]
        # Without -v only failures are listed; the packages that passed ran something too.
        passed = passed or packages["ok"]
        yield Counts(passed=passed, failed=failed, skipped=skipped, source="go test")
        return
    yield Counts(passed=packages["ok"], failed=packages["FAIL"], source="go test (packages)")


def _rspec(lines: list[str]) -> Iterable[Counts]:
    """RSpec: `3 examples, 1 failure, 1 pending, 1 error occurred outside of examples`."""
    pattern = re.compile(
        r"(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?"
        r"(?:, (\d+) errors? occurred outside of examples)?"
    )
    for line in lines:
        if match := pattern.fullmatch(line):
            ran, failed, pending, errors = (int(n or 0) for n in match.groups())
            yield Counts(
                passed=max(0, ran - failed - pending), failed=failed + errors, skipped=pending, source="rspec"
            )


def _phpunit(lines: list[str]) -> Iterable[Counts]:
    """PHPUnit: `OK (3 tests, 5 assertions)`, `Tests: 3, Assertions: 5, Failures: 1.`, `No tests executed!`"""
    for line in lines:
        if match := re.fullmatch(r"OK \((\d+) tests?, \d+ assertions?\)", line):
            yield Counts(passed=int(match.group(1)), source="phpunit")
        elif line == "No tests executed!":
            yield Counts(source="phpunit")
        elif match := re.fullmatch(r"Tests: (\d+), Assertions: \d+((?:, [A-Z][\w ]+: \d+)*)\.", line):
            words = {w: int(n) for w, n in re.findall(r"([A-Z][\w ]+): (\d+)", match.group(2))}
            failed = words.get("Failures", 0) + words.get("Errors", 0)
            skipped = words.get("Skipped", 0) + words.get("Incomplete", 0)
            ran = int(match.group(1))
            yield of("phpunit", ran, failed, skipped)


_MAVEN = re.compile(r"(?:\[\w+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(.*)")


def _maven(lines: list[str]) -> Iterable[Counts]:
    """Surefire: the totals after `Results:`, one per module; the line of a class has its time as well."""
    for line in lines:
        match = _MAVEN.fullmatch(line)
        if match and "Time elapsed" not in match.group(5):
            ran, failures, errors, skipped = (int(n) for n in match.groups()[:4])
            failed = failures + errors
            yield of("maven", ran, failed, skipped)


def _gradle(lines: list[str]) -> Iterable[Counts]:
    """Gradle: `12 tests completed, 1 failed, 2 skipped` (only printed when one failed)."""
    pattern = re.compile(r"(\d+) tests? completed(?:, (\d+) failed)?(?:, (\d+) skipped)?")
    for line in lines:
        if match := pattern.fullmatch(line):
            ran, failed, skipped = (int(n or 0) for n in match.groups())
            yield of("gradle", ran, failed, skipped)


def _ctest(lines: list[str]) -> Iterable[Counts]:
    """CTest: `100% tests passed, 0 tests failed out of 3`; `No tests were found!!!`"""
    for line in lines:
        if match := re.fullmatch(r"\d+% tests passed, (\d+) tests? failed out of (\d+)", line):
            failed, ran = int(match.group(1)), int(match.group(2))
            yield Counts(passed=ran - failed, failed=failed, source="ctest")
        elif line == "No tests were found!!!":
            yield Counts(source="ctest")


def _prove(lines: list[str]) -> Iterable[Counts]:
    """prove: `Files=2, Tests=7, 0 wallclock secs`, with `Result: PASS`, `FAIL` or `NOTESTS`."""
    for line in lines:
        if match := re.match(r"Files=\d+, Tests=(\d+),", line):
            failed = sum(
                len(m.group(1).split(","))
                for m in (re.match(r"Failed tests?:\s+([\d, -]+)", other) for other in lines)
                if m
            )
            yield Counts(passed=max(0, int(match.group(1)) - failed), failed=failed, source="prove")


def _tap(lines: list[str]) -> Iterable[Counts]:
    """TAP, as bats and many others print it: `1..N`, then `ok` and `not ok` lines."""
    if not any(re.fullmatch(r"1\.\.\d+(?: .*)?", line) for line in lines):
        return
    passed = failed = skipped = 0
    for line in lines:
        if not (match := re.match(r"(not )?ok\b(?: \d+)?(.*)", line)):
            continue
        if re.search(r"# *(skip|todo)", match.group(2), re.IGNORECASE):
            skipped += 1
        elif match.group(1):
            failed += 1
        else:
            passed += 1
    yield Counts(passed=passed, failed=failed, skipped=skipped, source="tap")


def _dotnet(lines: list[str]) -> Iterable[Counts]:
    """dotnet test: `Passed!  - Failed: 0, Passed: 3, Skipped: 0, …`, or `Total tests: 3` in parts."""
    line_form = re.compile(
        r"(?:Passed|Failed|Skipped)!\s+-\s+Failed:\s+(\d+), Passed:\s+(\d+), Skipped:\s+(\d+), Total:\s+\d+.*"
    )
    parts: dict[str, int] = {}
    for line in lines:
        if match := line_form.fullmatch(line):
            failed, passed, skipped = (int(n) for n in match.groups())
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="dotnet test")
        elif match := re.fullmatch(r"(Total tests|Passed|Failed|Skipped): (\d+)", line):
            parts[match.group(1)] = int(match.group(2))
        elif match := re.fullmatch(
            r"Test summary: total: (\d+), failed: (\d+), succeeded: (\d+), skipped: (\d+), duration: .*", line
        ):
            _, failed, passed, skipped = (int(n) for n in match.groups())
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="dotnet test")
    if "Total tests" in parts:
        yield Counts(
            passed=parts.get("Passed", 0),
            failed=parts.get("Failed", 0),
            skipped=parts.get("Skipped", 0),
            source="dotnet test",
        )


def _swift(lines: list[str]) -> Iterable[Counts]:
    """swift test: XCTest's outermost `Executed 3 tests, with 1 failure` and Swift Testing's own line."""
    xctest = re.compile(r"Executed (\d+) tests?, with (?:(\d+) tests? skipped and )?(\d+) failures?.*")
    testing = re.compile(
        r".*Test run with (\d+) tests?(?: in \d+ suites?)? (passed|failed) after "
        r".*?(?: with (\d+) issues?)?\.?"
    )
    outermost: Counts | None = None
    for line in lines:
        if match := xctest.fullmatch(line):
            ran, skipped, failed = (int(n or 0) for n in match.groups())
            outermost = of("swift test", ran, failed, skipped)
        elif match := testing.fullmatch(line):
            failed = (int(match.group(3) or 1)) if match.group(2) == "failed" else 0
            yield Counts(passed=max(0, int(match.group(1)) - failed), failed=failed, source="swift test")
    if outermost is not None:
        yield outermost


def _exunit(lines: list[str]) -> Iterable[Counts]:
    """ExUnit: `1 doctest, 3 tests, 1 failure, 2 skipped, 1 excluded`."""
    pattern = re.compile(
        r"((?:\d+ (?:doctests?|tests?|properties|property|features?), )+)(\d+) failures?"
        r"(?:, (\d+) invalid)?(?:, (\d+) excluded)?(?:, (\d+) skipped)?(?:, (\d+) excluded)?"
    )
    for line in lines:
        if match := pattern.fullmatch(line):
            ran = sum(int(n) for n in re.findall(r"\d+", match.group(1)))
            failed = int(match.group(2)) + int(match.group(3) or 0)
            skipped = int(match.group(5) or 0) + int(match.group(4) or 0) + int(match.group(6) or 0)
            yield of("exunit", ran, failed, skipped)


_cargo = each(
    "cargo test",
    r"test result: (?:ok|FAILED)\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; "
    r"(?P<skipped>\d+) ignored; .*",
)
_nextest = each(
    "nextest",
    r"Summary \[.*?\]\s+\d+(?:/\d+)? tests? run: (?P<passed>\d+) passed(?: \([^)]*\))?"
    r"(?:, (?P<failed>\d+) failed)?(?:, (?P<errors>\d+) (?:exec failed|timed out))?"
    r"(?:, (?P<skipped>\d+) skipped)?",
)
_minitest = each(
    "minitest",
    r"(?P<total>\d+) (?:runs|tests), \d+ assertions, (?P<failed>\d+) failures, (?P<errors>\d+) errors"
    r"(?:, (?P<skipped>\d+) (?:skips|pendings))?(?:, (?P<skipped2>\d+) omissions)?.*",
    ran=True,
)
_bats = each(
    "bats", r"(?P<total>\d+) tests?, (?P<failed>\d+) failures?(?:, (?P<skipped>\d+) skipped)?.*", ran=True
)
_deno = each("deno test", r"(?:ok|FAILED) \| (?P<passed>\d+) passed.*? \| (?P<failed>\d+) failed.*")
_gtest_passed = each("googletest", r"\[  PASSED  \] (?P<passed>\d+) test(?:s|\(s\))?\.")
_gtest_failed = each("googletest", r"\[  FAILED  \] (?P<failed>\d+) test(?:s|\(s\))?, listed below:")
_gtest_skipped = each("googletest", r"\[  SKIPPED \] (?P<skipped>\d+) test(?:s|\(s\))?, listed below:")
_catch2 = each(
    "catch2",
    r"(?:\[doctest\] )?test cases:\s+\d+(?: \|\s+(?P<passed>\d+) passed)?(?: \|\s+(?P<failed>\d+) failed)?"
    r"(?: \|\s+(?P<skipped>\d+) (?:skipped|failed as expected))?.*",
)
_catch2_all = each("catch2", r"All tests passed \(.*?in (?P<passed>\d+) test cases?\)")
_criterion = each(
    "criterion",
    r".*Synthesis: Tested: (?P<total>\d+) \| Passing: \d+ \| Failing: (?P<failed>\d+) \|.*",
    ran=True,
)
_check = each(
    "check", r"\d+%: Checks: (?P<total>\d+), Failures: (?P<failed>\d+), Errors: (?P<errors>\d+)", ran=True
)
_eunit = each("eunit", r"Failed: (?P<failed>\d+)\.\s+Skipped: (?P<skipped>\d+)\.\s+Passed: (?P<passed>\d+)\.")
_eunit_all = each("eunit", r"All (?P<passed>\d+) tests passed\.")
_dart = each(
    "dart test",
    r"(?:[\d:]+ )?\+(?P<passed>\d+)(?: ~(?P<skipped>\d+))?(?: -(?P<failed>\d+))?: "
    r"(?:All tests passed!|All tests skipped\.|Some tests failed\.|No tests ran\.)",
)
_cabal = each("cabal", r"\d+ of \d+ test suites \((?P<passed>\d+) of (?:\d+) test cases\) passed\.")
_playwright_passed = each("playwright", r"(?P<passed>\d+) passed \([\d.]+(?:ms|s|m|h)\)")
_plain_line = each(
    "plain line",
    r"(?:\w+: )?(?P<passed>\d+) (?:tests? )?passed[,;] (?P<failed>\d+) (?:tests? )?failed"
    r"(?:[,;] (?P<skipped>\d+) (?:tests? )?skipped)?\.?",
)


def _bun_test(lines: list[str]) -> Iterable[Counts]:
    """bun test: `3 pass`, `0 fail`, `1 skip`, and `Ran 3 tests across 1 file.`"""
    if any(re.match(r"Ran \d+ tests? across \d+ files?", line) for line in lines):
        yield from stanza("bun test", lines, r"(\d+) pass", r"(\d+) fail", r"(\d+) (?:skip|todo)")


def _playwright(lines: list[str]) -> Iterable[Counts]:
    """Playwright: `1 failed`, `2 skipped`, `3 passed (1.2s)`, a line each; the last always has a time."""
    if (passed := total(_playwright_passed(lines))) is not None:
        yield passed
        yield from stanza("playwright", lines, r"(?!)", r"(\d+) failed", r"(\d+) skipped")


_READERS: tuple[Reader, ...] = (
    _pytest, _unittest, labelled("jest", "Tests:"), labelled("vitest", "Tests"), _nothing_found, _mocha,
    _ava, _node, _bun_test, _deno, _playwright, _go, _cargo, _nextest, _maven, _gradle, _rspec, _minitest,
    _phpunit, _ctest, _prove, _dotnet, _swift, _gtest_passed, _gtest_failed, _gtest_skipped, _catch2,
    _catch2_all, _criterion, _check, _eunit, _eunit_all, _cabal, _dart,
)  # fmt: skip
_LAST: tuple[Reader, ...] = (_exunit, _bats, _tap, _plain_line)
