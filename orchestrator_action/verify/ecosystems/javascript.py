"""JavaScript and TypeScript: npm, pnpm, yarn, bun; detection, closing lines, how tests are chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, Source, Way, table
from orchestrator_action.verify.ecosystems.counts import Counts, total
from orchestrator_action.verify.ecosystems.javascript_runners import JAVASCRIPT_RUNNERS
from orchestrator_action.verify.ecosystems.javascript_setup import (
    is_berry,
    package_manager_of,
    read_package,
    setup,
)
from orchestrator_action.verify.ecosystems.lines import each, labelled, stanza

_PLACEHOLDER = "no test specified"

# -- detection -------------------------------------------------------------------------------------


def _test_script(package: Mapping[str, Any]) -> str:
    scripts = package.get("scripts")
    said = scripts.get("test", "") if isinstance(scripts, dict) else ""
    return said if isinstance(said, str) and said.strip() and _PLACEHOLDER not in said else ""


def _detect(files: Files) -> Detected | None:
    if "package.json" not in files.paths:
        return None
    package = read_package(files.text("package.json"))
    manager = package_manager_of(files, package)
    if _test_script(package):
        return Detected(
            ("bun run test" if manager == "bun" else f"{manager} test",), "package.json: scripts.test"
        )
    return _workspaces(files, package, manager) or _without_script(files, package)


def _workspaces(files: Files, package: Mapping[str, Any], manager: str) -> Detected | None:
    """A root without a test script: the scripts of its packages."""
    if "pnpm-workspace.yaml" not in files.paths and not package.get("workspaces"):
        return None
    members = sorted(
        p
        for p, text in files.texts.items()
        if p.endswith("/package.json") and _test_script(read_package(text))
    )
    if not members:
        return None
    command = {
        "pnpm": "pnpm -r test",
        "yarn": "yarn workspaces foreach -A run test"
        if is_berry(files, package)
        else "yarn workspaces run test",
        "bun": "bun run --filter '*' test",
        "npm": "npm test --workspaces --if-present",
    }[manager]
    return Detected((command,), f"workspaces: {members[0]}: scripts.test")


def _without_script(files: Files, package: Mapping[str, Any]) -> Detected | None:
    """No script at all, and test files that node's own runner finds."""
    needed = {**table(package, "devDependencies"), **table(package, "dependencies")}
    for runner, command in (("vitest", "npx vitest run"), ("jest", "npx jest"), ("mocha", "npx mocha")):
        if runner in needed:
            return Detected((command,), f"package.json: {runner}")
    tests = sorted(p for p in files.paths if re.search(r"(?:^|/)(?:test/.*|[\w.-]+[._-]test)\.[cm]?js$", p))
    tests = [t for t in tests if "node_modules/" not in t]
    return Detected(("node --test",), f"node --test: {tests[0]}") if tests else None


# -- closing lines ---------------------------------------------------------------------------------

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
        "mocha",
        lines,
        r"[✔√]? ?(\d+) passing(?: \([\d.]+ ?\w+\))?",
        r"[✖×]? ?(\d+) failing",
        r"(\d+) pending",
    )


def _ava(lines: list[str]) -> Iterable[Counts]:
    """ava: `3 tests passed`, `1 test failed`, `2 tests skipped`, a line each."""
    passed = r"[✔✓]? ?(\d+) tests? passed"
    failed = r"[✘✖]? ?(\d+) (?:tests? failed|uncaught exceptions?|unhandled rejections?)"
    yield from stanza("ava", lines, passed, failed, r"(\d+) tests? (?:skipped|todo)")


def _node(lines: list[str]) -> Iterable[Counts]:
    """`node --test`: `# pass 3` (TAP) or `ℹ pass 3` (spec), after `tests 4`; one block per run. ava's TAP too."""
    words: dict[str, int] = {}
    for line in lines:
        match = re.fullmatch(
            r"(?:[#ℹ]|<!--) (tests|pass|fail|cancelled|skipped|skip|todo)\s+(\d+)(?: -->)?", line
        )
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
        skipped=words.get("skipped", 0) + words.get("skip", 0) + words.get("todo", 0),
        source="node --test" if "cancelled" in words else "tap",
    )


def _bun_test(lines: list[str]) -> Iterable[Counts]:
    """bun test: `3 pass`, `0 fail`, `1 skip`, and `Ran 3 tests across 1 file.`"""
    if any(re.match(r"Ran \d+ tests? across \d+ files?", line) for line in lines):
        yield from stanza("bun test", lines, r"(\d+) pass", r"(\d+) fail", r"(\d+) (?:skip|todo)")


_deno = each("deno test", r"(?:ok|FAILED) \| (?P<passed>\d+) passed.*? \| (?P<failed>\d+) failed.*")
_playwright_passed = each("playwright", r"(?P<passed>\d+) passed \([\d.]+(?:ms|s|m|h)\)")
_jasmine = each(
    "jasmine",
    r"(?P<total>\d+) specs?, (?P<failed>\d+) failures?(?:, (?P<skipped>\d+) pending specs?)?(?:, .*)?",
    ran=True,
)


def _playwright(lines: list[str]) -> Iterable[Counts]:
    """Playwright: `1 failed`, `2 skipped`, `3 passed (1.2s)`, a line each; the last always has a time."""
    if (passed := total(_playwright_passed(lines))) is not None:
        yield passed
        yield from stanza("playwright", lines, r"(?!)", r"(\d+) failed", r"(\d+) skipped")


def _uvu(lines: list[str]) -> Iterable[Counts]:
    """uvu: `Total: 3`, `Passed: 2`, `Skipped: 0`, a line each, once for all files."""
    words: dict[str, int] = {}
    for line in lines:
        if match := re.fullmatch(r"(Total|Passed|Skipped):\s+(\d+)", line):
            words[match[1]] = int(match[2])
    if words.keys() == {"Total", "Passed", "Skipped"}:
        failed = max(0, words["Total"] - words["Passed"])
        yield Counts(passed=words["Passed"], failed=failed, skipped=words["Skipped"], source="uvu")


def _karma(lines: list[str]) -> Iterable[Counts]:
    """karma: `Chrome 1 (Linux): Executed 3 of 3 (1 FAILED) (skipped 1) (0.01 secs / …)`; `TOTAL: 2 SUCCESS`.

    Progress is the same line again and again; the last of each browser is its result.
    """
    form = re.compile(
        r"(.*?): Executed (\d+) of (\d+)(?: \((\d+) FAILED\))?(?: \(skipped (\d+)\))?"
        r"(?: (?:SUCCESS|ERROR|DISCONNECTED))?.*"
    )
    last = {m[1]: m for line in lines if (m := form.fullmatch(line))}
    for match in last.values():
        executed, failed, skipped = int(match[2]), int(match[4] or 0), int(match[5] or 0)
        yield Counts(passed=max(0, executed - failed), failed=failed, skipped=skipped, source="karma")


def _cucumber(lines: list[str]) -> Iterable[Counts]:
    """cucumber-js and Ruby's: `3 scenarios (1 failed, 1 undefined, 1 passed)`."""
    for line in lines:
        if match := re.fullmatch(r"(\d+) scenarios?(?: \((.*)\))?", line):
            words = {w: int(n) for n, w in re.findall(r"(\d+) (\w+)", match[2] or "")}
            passed, skipped = words.get("passed", 0), words.get("skipped", 0) + words.get("pending", 0)
            failed = max(0, int(match[1]) - passed - skipped)
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="cucumber")


def _node_tap(lines: list[str]) -> Iterable[Counts]:
    """node-tap's own reporters: `# { total: 3, pass: 2, fail: 1 }`, or `Asserts:  1 failed  2 passed  3 of 3`."""
    for line in lines:
        if match := re.fullmatch(r"# \{ (total: \d+.*?) \}", line):
            words = {w: int(n) for w, n in re.findall(r"(\w+): (\d+)", match[1])}
        elif match := re.fullmatch(r"(?:Asserts|asserts):\s+(.*?\d+ of \d+)", line):
            words = {w: int(n) for n, w in re.findall(r"(\d+) (\w+)", match[1])}
        else:
            continue
        failed = words.get("fail", 0) + words.get("failed", 0)
        skipped = sum(words.get(w, 0) for w in ("skip", "skipped", "todo"))
        passed = words.get("pass", words.get("passed", 0))
        yield Counts(passed=passed, failed=failed, skipped=skipped, source="node-tap")


def _json_reports(lines: list[str]) -> Iterable[Counts]:
    """The JSON of `jest --json` and vitest (one line), and of mocha's `json` reporter (`"stats": {`)."""
    said = any(line.startswith("Tests:") for line in lines)
    for line in lines if not said else ():
        if line.startswith("{") and '"numTotalTests"' in line and (found := _jest_json(line)):
            yield found
    at = next((n for n, line in enumerate(lines) if line == '"stats": {'), None)
    if at is None:
        return
    block = " ".join(lines[at : at + 12])
    words = {w: int(n) for w, n in re.findall(r'"(tests|passes|pending|failures)": (\d+)', block)}
    if {"passes", "pending", "failures"} <= words.keys():
        yield Counts(
            passed=words["passes"], failed=words["failures"], skipped=words["pending"], source="mocha"
        )


def _jest_json(line: str) -> Counts | None:
    try:
        said = json.loads(line)
        passed, failed = int(said["numPassedTests"]), int(said["numFailedTests"])
        skipped = int(said.get("numPendingTests", 0)) + int(said.get("numTodoTests", 0))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Counts(passed=passed, failed=failed, skipped=skipped, source="jest")


# -- how tests are chosen --------------------------------------------------------------------------


def _package_json(text: str, _: Sequence[str]) -> list[Way]:
    try:
        package = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return [("the whole file", text)]
    scripts = {k: v for k, v in table(package, "scripts").items() if "test" in k}
    runners = {"jest", "mocha", "ava", "vitest", "tap", "c8", "nyc", "babel"}
    keys = {k: v for k, v in package.items() if k in runners} if isinstance(package, dict) else {}
    return [
        *((f"scripts.{k}", json.dumps(v, sort_keys=True)) for k, v in scripts.items()),
        *((k, json.dumps(v, sort_keys=True)) for k, v in keys.items()),
    ]


def _vite(text: str, _: Sequence[str]) -> list[Way]:
    """vite's configuration is vitest's too; what it says to builds only is no way of testing."""
    found = re.search(r"\btest\s*:\s*\{", text)
    return [("test", text[found.start() :])] if found else []


_SKIPS = (
    r"(?<![\w.])(?:(?:it|test|describe|context|suite|specify)\.(?:skip|todo|only|failing|fixme|skipIf|runIf)\b"
    r"|(?:xit|xtest|xdescribe|xcontext|xspecify|fit|fdescribe)\s*\()|\b(?:skip|todo)\s*:\s*(?:true|['\"`])"
    r"|\b(?:this|t|ctx|context)\.(?:skip|todo)\s*\(|(?<![\w.])pending\s*\("
)
JAVASCRIPT_SOURCE = Source(
    endings=("js", "cjs", "mjs", "jsx", "ts", "tsx", "cts", "mts"),
    tests=r"(?<![\w.])(?:it|test|specify)(?:\.each[^(]*\([^)]*\))?\s*\(\s*['\"`]([^'\"`]+)",
    skips=_SKIPS,
    hollow=r"(?<![\w.])(?:it|test|specify)\s*\(\s*['\"`]([^'\"`]+)['\"`]\s*(?:\)|,\s*(?:async\s*)?"
    r"(?:\([^)]*\)|\w+|function\s*\w*\s*\([^)]*\))\s*(?:=>)?\s*(?:\{\s*(?:return\s*;?\s*)?\}|true|null|undefined)\s*[,)])",
    singled=r"(?<![\w.])(?:(?:it|test|describe|context|suite)\.only\b|(?:fit|fdescribe)\s*\()",
    comments=r"//[^\n]*|/\*.*?\*/",
    runner_marks=(
        r"\bJEST_WORKER_ID\b|\bVITEST(?:_\w+)?\b|\bNODE_TEST_CONTEXT\b|\bMOCHA_\w+\b|\bAVA_PATH\b"
        r"|NODE_ENV\b['\"\]]*\s*(?:===?|!==?)\s*['\"`]test['\"`]|['\"`]test['\"`]\s*(?:===?"
        r"|!==?)[^\n]*NODE_ENV|\btypeof\s+(?:global(?:This)?\.)?(?:jest|describe|suite|it|vi|expect"
        r"|beforeEach)\b|\b(?:global|globalThis|window)\.(?:jest|describe|it|vi|expect|beforeEach"
        r"|mocha)\b|\bargv\b[^\n]*['\"`/](?:jest|mocha|vitest|ava|--test)\b"
        r"|\brequire\.main\b[^\n]*(?:jest|mocha|vitest)"
    ),
)
ECOSYSTEM = Ecosystem(
    name="JavaScript",
    manifests=("package.json",),
    reads=("package.json", "**/package.json", "pnpm-workspace.yaml", "!**/node_modules/**"),
    detect=_detect,
    setup=setup,
    counts=(labelled("jest", "Tests:"), labelled("vitest", "Tests"), _nothing_found, _mocha, _ava, _node, _bun_test,
            _deno, _playwright, _jasmine, _uvu, _karma, _cucumber, _node_tap, _json_reports),
    runners=JAVASCRIPT_RUNNERS,
    test_files=(
        "*.test.[cm]js", "*.test.js", "*.test.jsx", "*.test.[cm]ts", "*.test.ts", "*.test.tsx",
        "*.spec.[cm]js", "*.spec.js", "*.spec.jsx", "*.spec.[cm]ts", "*.spec.ts", "*.spec.tsx",
        "*[-_]test.[cm]js", "*[-_]test.js", "*[-_]test.[cm]ts", "*[-_]test.ts", "/test.js", "/test.[cm]js", "/test.ts",
        "*[sS]pec.js", "*[sS]pec.[cm]js", "*_spec.js",
        "**/__tests__/**/*.[jt]s", "**/__tests__/**/*.[jt]sx", "**/test/**/*.[cm]js", "**/test/**/*.[jt]s",
        "**/tests/**/*.[jt]s", "**/tests/**/*.[cm]js", "**/spec/**/*.[jt]s", "*.feature",
    ),
    source=JAVASCRIPT_SOURCE,
    config_files=(
        "**/jest.config.*", "**/vitest.config.*", "**/vitest.workspace.*", "**/.mocharc*", "**/karma.conf.*",
        "**/playwright.config.*", "**/ava.config.*", "**/.taprc", "**/.npmrc", "**/.yarnrc", "**/.yarnrc.yml",
        "**/bunfig.toml", "**/jasmine.json", "**/cucumber.js", "**/cucumber.json", "**/.c8rc*", "**/.nycrc*",
        "**/babel.config.*", "**/.babelrc*", "**/.swcrc", "**/web-test-runner.config.*", "**/wdio.conf.*",
        "**/Gruntfile.*", "**/gulpfile.*", "**/Jakefile*", "**/turbo.json", "**/nx.json", "**/lerna.json",
        "**/.pnpmfile.cjs", "**/.pnp.*",
    ),
    config_ways={"package.json": _package_json,
                 **{f"vite.config.{e}": _vite for e in ("js", "mjs", "cjs", "ts", "mts")}},
)  # fmt: skip
