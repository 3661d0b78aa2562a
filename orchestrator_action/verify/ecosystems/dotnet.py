"""C# and F#: `dotnet test`, with VSTest's words and those of the new testing platform."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts

_LINE = re.compile(
    r"(?:Passed|Failed|Skipped)!\s+-\s+Failed:\s+(\d+), Passed:\s+(\d+), Skipped:\s+(\d+), Total:\s+\d+.*"
)
_SUMMARY = re.compile(
    r"Test summary: total: (\d+), failed: (\d+), succeeded: (\d+), skipped: (\d+), duration: .*"
)


def _detect(files: Files) -> Detected | None:
    name = next((p for p in sorted(files.paths) if "/" not in p and p.endswith((".sln", ".slnx"))), "")
    name = name or next((p for p in sorted(files.paths) if p.endswith((".csproj", ".fsproj"))), "")
    return Detected(("dotnet test",), f".NET: {name}") if name else None


def _setup(files: Files) -> SetupStep | None:
    if _detect(files) is None:
        return None
    return SetupStep(
        how=".NET: dotnet restore", commands=("dotnet restore",), tools=("dotnet",), registry="NuGet"
    )


def _counts(lines: list[str]) -> Iterable[Counts]:
    """VSTest: `Passed!  - Failed: 0, Passed: 3, Skipped: 0, …`, or `Total tests: 3` in parts, or a summary line.

    The new platform prints `Test run summary: Passed!` and then `total: 3`, `failed: 0`, a line each.
    """
    parts: dict[str, int] = {}
    summary: dict[str, int] = {}
    inside = False
    for line in lines:
        if match := _LINE.fullmatch(line):
            failed, passed, skipped = (int(n) for n in match.groups())
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="dotnet test")
        elif match := re.fullmatch(r"(Total tests|Passed|Failed|Skipped): (\d+)", line):
            parts[match.group(1)] = int(match.group(2))
        elif match := _SUMMARY.fullmatch(line):
            _, failed, passed, skipped = (int(n) for n in match.groups())
            yield Counts(passed=passed, failed=failed, skipped=skipped, source="dotnet test")
        elif line.startswith("Test run summary:"):
            inside, summary = True, {}
        elif inside and (match := re.fullmatch(r"(total|failed|succeeded|skipped): (\d+)", line)):
            summary[match[1]] = int(match[2])
    if "Total tests" in parts:
        yield Counts(
            passed=parts.get("Passed", 0), failed=parts.get("Failed", 0), skipped=parts.get("Skipped", 0),
            source="dotnet test",
        )  # fmt: skip
    if {"total", "succeeded"} <= summary.keys():
        yield Counts(
            passed=summary["succeeded"], failed=summary.get("failed", 0), skipped=summary.get("skipped", 0),
            source="dotnet test",
        )  # fmt: skip


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    classes = [m[1] for n in names if (m := re.fullmatch(r"(?:.*/)?(\w+)\.(?:cs|fs)", n))]
    if len(classes) != len(names) or not is_simple(command):
        return None
    return f"{command} --filter {shlex.quote('|'.join(f'FullyQualifiedName~{c}' for c in classes))}"


ECOSYSTEM = Ecosystem(
    name=".NET",
    manifests=("*.sln", "*.slnx", "*.csproj", "*.fsproj"),
    detect=_detect,
    roots=("/*.sln", "/*.slnx", "/*.csproj", "/*.fsproj", "/global.json", "/Directory.Build.props"),
    setup=_setup,
    counts=(_counts,),
    runners=(Runner(name="dotnet test", command=r"^dotnet\s+test\b", only=_only, sources=("dotnet test",)),),
    test_files=("*Tests.cs", "*Test.cs", "*Tests.fs"),
    source=Source(
        endings=("cs", "fs"),
        tests=r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b[^{;]*?(\w+)\s*\(",
        skips=r"\[Ignore\b|\bSkip\s*=",
        hollow=r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b[^{;]*?(\w+)\s*\([^)]*\)[^{};]*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=(
            r"AppDomain\.CurrentDomain\.GetAssemblies\(\)[^\n]*(?:xunit|nunit|mstest)|\"(?:xunit"
            r"|nunit)[\w.]*\""
        ),
    ),
    config_files=("**/*.runsettings", "**/xunit.runner.json", "**/testconfig.json"),
)
