"""Go: `go test` and gotestsum, ginkgo by its closing line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
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
    Way,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each

_CASE = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)")
_GOTESTSUM = re.compile(
    r"DONE (\d+) tests?(?:, (\d+) skipped)?(?:, (\d+) failures?)?(?:, \d+ errors?)? in .*"
)
_PACKAGE = re.compile(r"(ok|FAIL)\s+(\S+)\s+(?:[\d.]+s|\(cached\)|\[build failed\]|\[setup failed\])(.*)")
_EMPTY = re.compile(r"(?:\?\s+\S+\s+\[no test files\])|(?:\S+\s+coverage: 0\.0% of statements)")
_JSON = re.compile(r'\{"Time":"[^"]*","Action":"(pass|fail|skip)","Package":"[^"]+","Test":"[^"/]+"')
_JSON_CASE = re.compile(r'\{"Time":"[^"]*","Action":"(pass|fail|skip)","Package":"([^"]+)","Test":"([^"]+)"')
_OUTCOMES: dict[str, CaseOutcome] = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


def _detect(files: Files) -> Detected | None:
    """`./...` ends at a module's own border: a workspace's modules are named one by one."""
    if "go.work" in files.paths and (modules := _modules(files.text("go.work"))):
        return Detected((f"go test -v {' '.join(modules)}",), "Go: the modules of go.work")
    name = files.first("go.work", "go.mod")
    return Detected(("go test -v ./...",), f"Go: {name}") if name else None


def _modules(workspace: str) -> list[str]:
    """The packages of every module that `use` names. Source: go.dev/ref/mod, "Workspaces"."""
    text = re.sub(r"//[^\n]*", "", workspace)
    blocks = re.findall(r"(?m)^use\s*\(([^)]*)\)", text) + re.findall(r"(?m)^use\s+([^(\s]+)\s*$", text)
    names = [word.strip('"').removeprefix("./").rstrip("/") for block in blocks for word in block.split()]
    fine = [n for n in names if re.fullmatch(r"[\w./-]+", n) and not n.startswith("..")]
    return ["./..." if n in {"", "."} else f"./{n}/..." for n in fine]


def _setup(files: Files) -> SetupStep | None:
    """Modules go into Go's own cache, whose files are read-only and checked by their sums."""
    if (
        not files.first("go.mod", "go.work")
        or "vendor/modules.txt" in files.paths
        or "go.sum" not in files.paths
    ):
        return None
    return SetupStep(
        how="Go: go mod download (go.sum)",
        commands=("go mod download",),
        inputs=tuple(p for p in ("go.mod", "go.sum", "go.work", "go.work.sum") if p in files.paths),
        tools=("go",),
        registry="Go modules",
    )


def _counts(lines: list[str]) -> Iterable[Counts]:
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
        if match := _CASE.fullmatch(line):
            cases[match[1]] += "/" not in match[2]
            seen = True
        elif match := _JSON.match(line):
            cases[match.group(1).upper()] += 1
            seen = True
        elif match := _PACKAGE.fullmatch(line):
            seen = True
            if "[no tests to run]" not in match.group(3):
                packages[match.group(1)] += 1
        elif _EMPTY.fullmatch(line):
            seen = True
    if not seen:
        return
    if any(cases.values()):
        # Without -v only failures are listed; the packages that passed ran something too.
        passed = cases["PASS"] or packages["ok"]
        yield Counts(passed=passed, failed=cases["FAIL"], skipped=cases["SKIP"], source="go test")
        return
    yield Counts(passed=packages["ok"], failed=packages["FAIL"], source="go test (packages)")


def _instrument(
    command: str, _: Path, __: Mapping[str, str], ___: Path
) -> tuple[str, Mapping[str, str]] | None:
    if not is_simple(command) or re.search(r"\s-(?:test\.)?(?:v|json)\b", command):
        return None
    return re.sub(r"^(go\s+test)\b", r"\1 -v", command), {}


def _printed(lines: list[str]) -> list[CaseResult]:
    """`--- PASS: TestA/sub (0.00s)`; the package is named by the `ok` or `FAIL` line that ends it."""
    found, waiting = [], []
    for line in lines:
        if match := _CASE.fullmatch(line):
            waiting.append((match[2], _OUTCOMES[match[1]], float(match[3])))
        elif match := _JSON_CASE.match(line):
            found.append(CaseResult(id=f"{match[2]}.{match[3]}", outcome=_OUTCOMES[match[1].upper()]))
        elif match := _PACKAGE.fullmatch(line):
            package = match[2]
            found += [CaseResult(id=f"{package}.{n}", outcome=o, duration_s=s) for n, o, s in waiting]
            waiting = []
            if "build failed" in line or "setup failed" in line:
                found.append(CaseResult(id=package, outcome="error", message=line))
    return found + [CaseResult(id=n, outcome=o, duration_s=s) for n, o, s in waiting]


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """Files by their packages; cases by `-run`, which takes the first part of their names."""
    if not is_simple(command):
        return None
    options = re.sub(r"\s+\./\S*|\s+\.(?=\s|$)", "", command)
    files = [n for n in names if n.endswith(".go")]
    cases = [n for n in names if not n.endswith(".go")]
    packages = {f"./{f.rpartition('/')[0]}".rstrip("/") or "." for f in files}
    tests = sorted({m[1] for c in cases if (m := re.search(r"(?:^|\.)((?:Test|Fuzz|Example)\w*)", c))})
    made = [f"{options} {shlex.join(sorted(packages))}"] if packages else []
    if tests:
        made.append(f"{options} -run {shlex.quote('^(' + '|'.join(map(re.escape, tests)) + ')$')} ./...")
    return " && ".join(made) or None


def _workspace(text: str, _: Sequence[str]) -> list[Way]:
    return [
        ("use", line.strip()) for line in text.splitlines() if line.strip() and not line.startswith("go ")
    ]


ECOSYSTEM = Ecosystem(
    name="Go",
    manifests=("go.mod", "go.work"),
    reads=("go.work",),
    detect=_detect,
    setup=_setup,
    counts=(
        _counts,
        each(
            "ginkgo",
            r"(?:SUCCESS!|FAIL!) -- (?P<passed>\d+) Passed \| (?P<failed>\d+) Failed"
            r"(?: \| (?:\d+) Flaked)? \| (?P<skipped>\d+) Pending \| (?P<skipped2>\d+) Skipped.*",
        ),
    ),
    runners=(
        Runner(name="go test", command=r"^go\s+test\b", instrument=_instrument, printed=_printed, only=_only,
               sources=("go test", "go test (packages)")),
    ),
    test_files=("*_test.go",),
    source=Source(
        endings=("go",),
        tests=r"^func\s+((?:Test|Fuzz|Example)\w*)\s*\(",
        skips=r"\.Skip(?:f|Now)?\(|^//go:build\b|^func TestMain\b",
        hollow=r"^func\s+(Test\w*)\s*\([^)]*\)[^{};]*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=(
        r"\btesting\.Testing\(\)|flag\.Lookup\(\"test\.|os\.Args\[0\][^\n]*\.test\""
        r"|HasSuffix\([^\n]*\"\.test\"\)"
    ),
    ),
    config_ways={"go.work": _workspace},
)  # fmt: skip
