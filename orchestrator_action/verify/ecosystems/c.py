"""C and C++: CTest, Meson, Automake; googletest, Catch2, doctest, Check, Criterion by their own words."""

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
    Source,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each
from orchestrator_action.verify.ecosystems.ways import matching_lines

_CTEST_CASE = re.compile(
    r"\d+/\d+ Test\s+#\d+: (\S+) \.*(?:\s*\**)\s*(Passed|Failed|\*{3}\w.*?|Not Run.*?|Skipped)\s+([\d.]+) sec.*"
)
_GTEST_CASE = re.compile(r"\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+\.\S+?)(?:, where .*)? \((\d+) ms\)")
_MESON_CASE = re.compile(
    r"\s*\d+/\d+\s+(.+?)\s+(OK|FAIL|SKIP|TIMEOUT|ERROR|EXPECTEDFAIL|UNEXPECTEDPASS)\s+([\d.]+)s.*"
)
_AUTOMAKE_CASE = re.compile(r"(PASS|FAIL|SKIP|XFAIL|XPASS|ERROR): (\S+)(?: .*)?")


def _detect(files: Files) -> Detected | None:
    """CTest where CMake enables tests, then Meson, then Automake: each of them counts, a Makefile does not."""
    cmake = files.text("CMakeLists.txt")
    code = re.sub(r"#[^\n]*", "", cmake)
    if re.search(r"(?i)\benable_testing\s*\(|\binclude\s*\(\s*CTest\b|\badd_test\s*\(", code):
        options = "".join(f" -D{name}=ON" for name in _test_options(code))
        command = f"cmake -S . -B build{options} && cmake --build build && ctest --test-dir build --output-on-failure"
        return Detected((command,), "CMake: CMakeLists.txt enables testing")
    if "meson.build" in files.paths and _meson_tests(files):
        return Detected(("meson setup build && meson test -C build --print-errorlogs",), "Meson: meson.build")
    return None


def _test_options(cmake: str) -> list[str]:
    """Options that are off by themselves and have to be on for tests, such as `option(FOO_BUILD_TESTS "…" OFF)`.

    Only those for the tests as a whole: `ENABLE_SSL_TESTS` asks for a library that may not be there.
    """
    found = re.findall(r"(?i)\boption\s*\(\s*(\w*TESTS?\w*)\s+(?:\"[^\"]*\"|\S+)\s+OFF\s*\)", cmake)
    project = re.search(r"(?i)\bproject\s*\(\s*\"?([\w.-]+)", cmake)
    own = set(re.split(r"\W|_", project[1].upper())) if project else set()
    return [name for name in found if _asks_for_all(name, own)][:3]


def _asks_for_all(option: str, own: set[str]) -> bool:
    """Whether no word but the project's own stands between `BUILD` or `ENABLE` and `TESTS`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", option).upper().split("_")
    verb = next((n for n, word in enumerate(words) if word in {"BUILD", "ENABLE", "ENABLED"}), len(words))
    return verb < len(words) and set(words[verb + 1 :]) <= own | {"TEST", "TESTS", "TESTING", "UNIT", "ALL"}


def _meson_tests(files: Files) -> bool:
    builds = [t for p, t in files.texts.items() if p.rpartition("/")[2] == "meson.build"]
    return any(re.search(r"^\s*test\s*\(", text, re.MULTILINE) for text in builds)


def _wraps(files: Files) -> Detected | None:
    """Automake from its own sources: only where no Makefile lies there ready."""
    name = files.first("configure.ac", "configure.in")
    if not name or not (files.first("Makefile.am") or "configure" in files.paths):
        return None
    make = "configure" if "configure" in files.paths else ""
    start = "./configure" if make else "autoreconf -fi && ./configure"
    return Detected((f"{start} && make check",), f"Automake: {name}")


def _ctest(lines: list[str]) -> Iterable[Counts]:
    """CTest: `100% tests passed, 0 tests failed out of 3`, the skipped ones listed after it."""
    skipped = sum(bool(re.fullmatch(r"\d+ - \S+ \(Skipped\)", line)) for line in lines)
    for line in lines:
        if match := re.fullmatch(r"\d+% tests passed,? (?:(\d+) tests? failed )?out of (\d+)", line):
            failed, ran = int(match.group(1) or 0), int(match.group(2))
            yield Counts(
                passed=max(0, ran - failed - skipped), failed=failed, skipped=skipped, source="ctest"
            )
            skipped = 0
        elif line == "No tests were found!!!":
            yield Counts(source="ctest")


def _ctest_printed(lines: list[str]) -> list[CaseResult]:
    """`1/3 Test #1: parse ....   Passed    0.01 sec`; `***Skipped`, `***Not Run` and the like."""
    found = []
    for line in lines:
        if match := _CTEST_CASE.fullmatch(line):
            outcome: CaseOutcome = "passed" if match[2] == "Passed" else "failed"
            outcome = "skipped" if "Skipped" in match[2] or "Disabled" in match[2] else outcome
            outcome = "error" if "Not Run" in match[2] and outcome != "skipped" else outcome
            found.append(CaseResult(id=match[1], outcome=outcome, duration_s=float(match[3])))
    return found


def _gtest_printed(lines: list[str]) -> list[CaseResult]:
    outcomes: dict[str, CaseOutcome] = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    return [
        CaseResult(id=m[2], outcome=outcomes[m[1]], duration_s=int(m[3]) / 1000)
        for line in lines
        if (m := _GTEST_CASE.fullmatch(line))
    ]


def _meson_counts(lines: list[str]) -> Iterable[Counts]:
    """Meson: `Ok: 3`, `Expected Fail: 0`, `Fail: 1`, `Skipped: 0`, `Timeout: 0`, a line each."""
    words: dict[str, int] = {}
    for line in lines:
        if match := re.fullmatch(r"(Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout):\s+(\d+)", line):
            words[match[1]] = words.get(match[1], 0) + int(match[2])
    if ("Ok" in words and "Fail" in words) or {"Ok", "Skipped"} <= words.keys():
        yield Counts(
            passed=words["Ok"],
            failed=words.get("Fail", 0) + words.get("Timeout", 0) + words.get("Unexpected Pass", 0),
            skipped=words.get("Skipped", 0) + words.get("Expected Fail", 0),
            source="meson",
        )


def _meson_printed(lines: list[str]) -> list[CaseResult]:
    outcomes: dict[str, CaseOutcome] = {
        "OK": "passed",
        "SKIP": "skipped",
        "EXPECTEDFAIL": "skipped",
        "ERROR": "error",
    }
    return [
        CaseResult(id=m[1], outcome=outcomes.get(m[2], "failed"), duration_s=float(m[3]))
        for line in lines
        if (m := _MESON_CASE.fullmatch(line))
    ]


def _automake_counts(lines: list[str]) -> Iterable[Counts]:
    """Automake's harness: `# TOTAL: 3`, `# PASS:  2`, `# FAIL:  1`, …; once for each folder."""
    words: dict[str, int] = {}
    for line in lines:
        if match := re.fullmatch(r"# (TOTAL|PASS|SKIP|XFAIL|FAIL|XPASS|ERROR):\s+(\d+)", line):
            words[match[1]] = words.get(match[1], 0) + int(match[2])
    if {"TOTAL", "PASS", "FAIL"} <= words.keys():
        yield Counts(
            passed=words["PASS"],
            failed=words["FAIL"] + words.get("ERROR", 0) + words.get("XPASS", 0),
            skipped=words.get("SKIP", 0) + words.get("XFAIL", 0),
            source="automake",
        )


def _automake_printed(lines: list[str]) -> list[CaseResult]:
    outcomes: dict[str, CaseOutcome] = {
        "PASS": "passed", "FAIL": "failed", "SKIP": "skipped", "XFAIL": "skipped", "XPASS": "failed", "ERROR": "error",
    }  # fmt: skip
    if not any(line.startswith("# TOTAL:") for line in lines):
        return []
    found = {m[2]: outcomes[m[1]] for line in lines if (m := _AUTOMAKE_CASE.fullmatch(line))}
    return [CaseResult(id=name, outcome=outcome) for name, outcome in found.items()]


def _ctest_only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """Tests by name, behind the build that the command begins with; a file does not say which tests are in it."""
    before, ctest, options = command.rpartition("ctest ")
    if not ctest or any("/" in name or re.search(r"\.(?:c|cc|cpp|h)$", name) for name in names):
        return None
    wanted = "^(" + "|".join(re.escape(n) for n in names) + ")$"
    return f"{before}{ctest}{options} -R {shlex.quote(wanted)}"


ECOSYSTEM = Ecosystem(
    name="C and C++",
    manifests=("CMakeLists.txt", "meson.build", "configure.ac"),
    reads=("CMakeLists.txt", "meson.build", "**/meson.build"),
    detect=_detect,
    wraps=_wraps,
    counts=(
        _ctest,
        each("googletest", r"\[  PASSED  \] (?P<passed>\d+) test(?:s|\(s\))?\."),
        each("googletest", r"\[  FAILED  \] (?P<failed>\d+) test(?:s|\(s\))?, listed below:"),
        each("googletest", r"\[  SKIPPED \] (?P<skipped>\d+) test(?:s|\(s\))?, listed below:"),
        each(
            "catch2",
            r"(?:\[doctest\] )?test cases:\s+\d+(?: \|\s+(?P<passed>\d+) passed)?(?: \|\s+(?P<failed>\d+) failed)?"
            r"(?: \|\s+(?P<skipped>\d+) (?:skipped|failed as expected))?.*",
        ),
        each("catch2", r"All tests passed \(.*?in (?P<passed>\d+) test cases?\)"),
        each(
            "criterion",
            r".*Synthesis: Tested: (?P<total>\d+) \| Passing: \d+ \| Failing: (?P<failed>\d+) \|.*",
            ran=True,
        ),
        each("check", r"\d+%: Checks: (?P<total>\d+), Failures: (?P<failed>\d+), Errors: (?P<errors>\d+)", ran=True),
        each("unity", r"(?P<total>\d+) Tests (?P<failed>\d+) Failures (?P<skipped>\d+) Ignored", ran=True),
        _meson_counts,
        _automake_counts,
    ),
    runners=(
        Runner(name="CTest", command=r"\bctest\b", printed=_ctest_printed, only=_ctest_only, sources=("ctest",)),
        Runner(name="googletest", printed=_gtest_printed, sources=("googletest",)),
        Runner(name="Meson", command=r"\bmeson test\b", printed=_meson_printed, sources=("meson",)),
        Runner(name="Automake", command=r"\bmake check\b", printed=_automake_printed, sources=("automake",)),
    ),
    test_files=("*_test.c", "*_test.cc", "*_test.cpp", "test_*.c", "test_*.cc", "test_*.cpp", "*_unittest.cc",
                "**/tests/*.c", "**/tests/*.cc", "**/tests/*.cpp", "**/test/*.c", "**/test/*.cc", "**/test/*.cpp",
                "/test.c", "/test.cpp"),
    source=Source(
        endings=("c", "cc", "cpp", "cxx"),
        tests=r"\b(?:TEST|TEST_F|TEST_P|TEST_CASE)\s*\(([^)]*)\)",
        skips=r"DISABLED_|GTEST_SKIP|^#if 0",
        hollow=r"\b(?:TEST|TEST_F|TEST_P|TEST_CASE)\s*\(([^)]*)\)\s*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=r"getenv\(\s*\"(?:CTEST_\w+|GTEST_\w+|MESON_TEST\w*)\"|testing::UnitTest::GetInstance"
        r"|^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(?:UNIT_?TEST\w*|TESTING|TEST_BUILD|IN_TESTS?|RUNNING_TESTS?|BUILDING_TESTS?)\b",
    ),
    config_files=("**/CTestCustom.cmake", "**/CTestConfig.cmake"),
    config_ways={
        "CMakeLists.txt": matching_lines(
            r"\b(?:add_test|enable_testing|\w+_discover_tests|WILL_FAIL|DISABLED|SKIP_\w+|set_tests_properties)\b"
        ),
        "meson.build": matching_lines(r"^\s*(?:test|benchmark)\s*\(|should_fail"),
        "Makefile.am": matching_lines(r"\b(?:TESTS|XFAIL_TESTS|check_PROGRAMS|TEST_\w+|AM_TESTS_ENVIRONMENT)\b"),
    },
)  # fmt: skip
