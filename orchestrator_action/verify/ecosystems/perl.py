"""Perl: prove, by the file; Module::Build and MakeMaker through their own builders."""

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
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts

_FILE = re.compile(
    r"(\S+\.t) \.{2,} ?(ok|skipped: .*|skipped|Failed .*|Dubious.*|All .* skipped.*|No subtests run.*)?(.*)"
)


def _detect(files: Files) -> Detected | None:
    tests = any(p.startswith("t/") and p.endswith(".t") for p in files.paths)
    if not tests:
        return None
    if "Makefile.PL" in files.paths and any(p.endswith(".xs") for p in files.paths):
        return Detected(("perl Makefile.PL && make && prove -br t",), "Perl: Makefile.PL and t/")
    return Detected(("prove -lr t",), "Perl: t/")


def _counts(lines: list[str]) -> Iterable[Counts]:
    """prove: `Files=2, Tests=7, 0 wallclock secs`, with `Result: PASS`, `FAIL` or `NOTESTS`."""
    for line in lines:
        if match := re.match(r"Files=\d+, Tests=(\d+),", line):
            failed = sum(
                len(m.group(1).split(","))
                for m in (re.match(r"Failed tests?:\s+([\d, -]+)", other) for other in lines)
                if m
            )
            yield Counts(passed=max(0, int(match.group(1)) - failed), failed=failed, source="prove")


def _printed(lines: list[str]) -> list[CaseResult]:
    """`t/a.t .. ok`: without `-v` the file is the smallest thing that prove names."""
    found = []
    for line in lines:
        if match := _FILE.fullmatch(line):
            said = match[2] or ""
            outcome: CaseOutcome = "passed" if said == "ok" else "skipped" if "skipped" in said else "failed"
            found.append(CaseResult(id=match[1], outcome=outcome, file=match[1]))
    return found


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    words = shlex.split(command)
    if not is_simple(command) or not all(n.endswith(".t") for n in names):
        return None
    return shlex.join([words[0], *(w for w in words[1:] if w.startswith("-")), *names])


ECOSYSTEM = Ecosystem(
    name="Perl",
    manifests=("Makefile.PL", "Build.PL", "cpanfile", "dist.ini"),
    detect=_detect,
    roots=("/Makefile.PL", "/Build.PL", "/cpanfile", "/dist.ini", "/META.json", "/minil.toml"),
    counts=(_counts,),
    runners=(
        Runner(
            name="prove", command=r"\bprove\b", printed=_printed, only=_only, sources=("prove",), by_file=True
        ),
    ),
    test_files=("t/**/*.t", "xt/**/*.t"),
    source=Source(
        endings=("t",),
        tests=r"^\s*subtest\s+['\"]?([^'\"]+?)['\"]?\s*=>",
        skips=r"\bskip_all\b|\bSKIP:|^\s*skip\b|\btodo_skip\b|\bTODO:",
        comments=r"(?m)^\s*#[^\n]*",
        runner_marks=r"HARNESS_(?:ACTIVE|VERSION)",
    ),
    config_files=("**/.proverc",),
)
