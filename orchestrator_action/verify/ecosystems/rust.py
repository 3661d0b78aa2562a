"""Rust: cargo's own test harness and nextest."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from orchestrator_action.verify.ecosystems.lines import each

_SUITE = re.compile(
    r"(?:Running (?:unittests )?(\S+)(?: \(.*?([\w-]+)-[0-9a-f]{8,}(?:\.exe)?\))?|Doc-tests (\S+))"
)
_CASE = re.compile(r"test (.+?) \.\.\. (?:(.*?))?(ok|FAILED|ignored(?:, .*)?|bench:.*)(?: <[\d.]+s>)?")
_OUTCOMES: dict[str, CaseOutcome] = {"ok": "passed", "FAILED": "failed"}
_NEXTEST = re.compile(
    r"(PASS|FAIL|SKIP|TIMEOUT|SIGABRT|SIGSEGV|LEAK) \[\s*([\d.]+)s\](?: \(.*?\))? (\S+) (.+)"
)


def _detect(files: Files) -> Detected | None:
    if "Cargo.toml" not in files.paths:
        return None
    nextest = ".config/nextest.toml" in files.paths
    command = "cargo nextest run --workspace" if nextest else "cargo test --workspace"
    return Detected((command,), "Rust: .config/nextest.toml" if nextest else "Rust: Cargo.toml")


def _setup(files: Files) -> SetupStep | None:
    """Dependencies go into cargo's own home, which trees share read-only by content; nothing is kept."""
    if "Cargo.toml" not in files.paths:
        return None
    locked = " --locked" if "Cargo.lock" in files.paths else ""
    inputs = sorted(p for p in files.paths if p.rpartition("/")[2] in {"Cargo.toml", "Cargo.lock"})
    inputs += sorted(p for p in files.paths if p.startswith(("rust-toolchain", ".cargo/config")))
    return SetupStep(
        how=f"Rust: cargo fetch ({'Cargo.lock' if locked else 'Cargo.toml'})",
        commands=(f"cargo fetch --quiet{locked}",),
        inputs=tuple(inputs),
        tools=("cargo",),
        registry="crates.io" if _from_others(files) else "",
    )


def _from_others(files: Files) -> bool:
    """Whether a crate of a registry is asked for; a repository that has settings of its own may have vendored it."""
    if any(p.startswith(".cargo/config") for p in files.paths):
        return False
    if "Cargo.lock" in files.paths:
        return bool(re.search(r'(?m)^source = "(?:registry|sparse)\+', files.text("Cargo.lock")))
    rows = [
        said
        for path, text in files.texts.items()
        if path.rpartition("/")[2] == "Cargo.toml"
        for kind in ("dependencies", "dev-dependencies", "build-dependencies")
        for said in _at(_toml(text), kind).values()
    ]
    return any(
        not {"path", "git", "workspace"} & (set(row) if isinstance(row, dict) else set()) for row in rows
    )


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _printed(lines: list[str]) -> list[CaseResult]:
    """`test a::b ... ok`, named by the target that was running: `src/lib.rs::a::b`.

    The line of a documentation test says where it stands; the number is left out, as it moves with every edit.
    """
    target, found = "", []
    for line in lines:
        if match := _SUITE.fullmatch(line):
            crate = (match[2] or "").replace("_", "-")
            target = f"doc {match[3]}" if match[3] else f"{crate} {match[1]}".strip()
        elif match := _CASE.fullmatch(line):
            name = re.sub(r" \(line \d+\)", "", match[1].removesuffix(" - should panic"))
            file = match[1].partition(" - ")[0] if target.startswith("doc ") else ""
            found.append(
                CaseResult(id=f"{target}::{name}", outcome=_OUTCOMES.get(match[3], "skipped"), file=file)
            )
    return found


def _nextest_printed(lines: list[str]) -> list[CaseResult]:
    last: dict[str, CaseResult] = {}
    for line in lines:
        if match := _NEXTEST.fullmatch(line):
            outcome: CaseOutcome = {"PASS": "passed", "LEAK": "passed", "SKIP": "skipped"}.get(
                match[1], "failed"
            )  # type: ignore[assignment]
            name = f"{match[3]}::{match[4]}"
            last[name] = CaseResult(id=name, outcome=outcome, duration_s=float(match[2]))
    return list(last.values())


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """Integration test files by target, cases by their exact names."""
    if not is_simple(command) or " -- " in command:
        return None
    targets = [m[1] for n in names if (m := re.fullmatch(r"(?:.*/)?tests/([\w-]+)(?:\.rs|/main\.rs)", n))]
    cases = [n.partition("::")[2] for n in names if re.match(r"\S+ \S+\.rs::", n)]
    if len(targets) + len(cases) != len(names):
        return None
    made = []
    if targets:
        made.append(command + "".join(f" --test {shlex.quote(t)}" for t in targets))
    if cases:
        made.append(f"{command} -- --exact {shlex.join(cases)}")
    return " && ".join(made)


def _cargo(text: str, _: Sequence[str]) -> list[Way]:
    try:
        cargo = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return [("the whole file", text)]
    found = [(k, _flat(v)) for k, v in _at(cargo, "package").items() if k in {"autotests", "build"}]
    found += [
        (f"lib.{k}", _flat(v)) for k, v in _at(cargo, "lib").items() if k in {"test", "harness", "doctest"}
    ]
    found += [("[[test]]", _flat(t)) for t in cargo.get("test", []) or []]
    found += [(f"features.{k}", _flat(v)) for k, v in _at(cargo, "features").items() if k == "default"]
    workspace = _at(cargo, "workspace")
    return found + [(k, _flat(v)) for k, v in workspace.items() if k in {"exclude", "default-members"}]


def _flat(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _at(value: Any, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


ECOSYSTEM = Ecosystem(
    name="Rust",
    manifests=("Cargo.toml",),
    reads=("Cargo.toml", "Cargo.lock"),
    detect=_detect,
    setup=_setup,
    counts=(
        each(
            "cargo test",
            r"test result: (?:ok|FAILED)\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; "
            r"(?P<skipped>\d+) ignored; .*",
        ),
        each(
            "nextest",
            r"Summary \[.*?\]\s+\d+(?:/\d+)? tests? run: (?P<passed>\d+) passed(?: \([^)]*\))?"
            r"(?:, (?P<failed>\d+) failed)?(?:, (?P<errors>\d+) (?:exec failed|timed out))?"
            r"(?:, (?P<skipped>\d+) skipped)?",
        ),
    ),
    runners=(
        Runner(name="cargo test", command=r"\bcargo\s+(?:\+\S+\s+)?test\b", printed=_printed, only=_only,
               sources=("cargo test",)),
        Runner(name="nextest", command=r"\bcargo\s+nextest\b", printed=_nextest_printed, sources=("nextest",)),
    ),
    test_files=("tests/**/*.rs", "**/tests/*.rs", "*_test.rs", "*_tests.rs", "**/tests.rs"),
    source=Source(
        endings=("rs",),
        tests=r"#\[(?:\w+::)*test(?:\([^)]*\))?\][^{;]*?fn\s+(\w+)",
        skips=r"#\[ignore\b|#\[cfg_attr\([^)]*ignore",
        hollow=r"#\[(?:\w+::)*test(?:\([^)]*\))?\][^{;]*?fn\s+(\w+)\s*\([^)]*\)[^{};]*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=r"cfg!\(test\)|RUST_TEST_\w+|NEXTEST\w*|#\[cfg\(not\(test\)\)\]",
    ),
    config_files=("**/.config/nextest.toml", "**/.cargo/config", "**/.cargo/config.toml", "**/rust-toolchain*"),
    config_ways={"Cargo.toml": _cargo},
)  # fmt: skip
