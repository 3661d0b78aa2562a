"""Elixir and Erlang: ExUnit, EUnit, Common Test's folders; gleam."""

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
from orchestrator_action.verify.ecosystems.lines import each, of

_EXUNIT = re.compile(
    r"((?:\d+ (?:doctests?|tests?|properties|property|features?), )+)(\d+) failures?"
    r"(?:, (\d+) invalid)?(?:, (\d+) excluded)?(?:, (\d+) skipped)?(?:, (\d+) excluded)?"
)


def _detect(files: Files) -> Detected | None:
    if "mix.exs" in files.paths:
        return Detected(("mix test",), "Elixir: mix.exs")
    if "gleam.toml" in files.paths:
        return Detected(("gleam test",), "Gleam: gleam.toml")
    return Detected(("rebar3 eunit",), "Erlang: rebar.config") if "rebar.config" in files.paths else None


def _setup(files: Files) -> SetupStep | None:
    if "mix.exs" in files.paths:
        return SetupStep(
            how="Elixir: mix deps.get",
            commands=(
                "mix local.hex --force --if-missing && mix local.rebar --force --if-missing && mix deps.get",
            ),
            inputs=tuple(p for p in ("mix.exs", "mix.lock") if p in files.paths),
            keeps=("deps",),
            tools=("mix",),
        )
    return None


def _exunit(lines: list[str]) -> Iterable[Counts]:
    """ExUnit: `1 doctest, 3 tests, 1 failure, 2 skipped, 1 excluded`."""
    for line in lines:
        if match := _EXUNIT.fullmatch(line):
            ran = sum(int(n) for n in re.findall(r"\d+", match.group(1)))
            failed = int(match.group(2)) + int(match.group(3) or 0)
            skipped = int(match.group(5) or 0) + int(match.group(4) or 0) + int(match.group(6) or 0)
            yield of("exunit", ran, failed, skipped)


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    fine = is_simple(command) and all(n.endswith(".exs") for n in names)
    return f"{command} {shlex.join(names)}" if fine else None


ECOSYSTEM = Ecosystem(
    name="Elixir and Erlang",
    manifests=("mix.exs", "rebar.config", "gleam.toml"),
    detect=_detect,
    setup=_setup,
    counts=(
        each("eunit", r"Failed: (?P<failed>\d+)\.\s+Skipped: (?P<skipped>\d+)\.\s+Passed: (?P<passed>\d+)\."),
        each("eunit", r"All (?P<passed>\d+) tests passed\."),
        each("gleeunit", r"(?P<passed>\d+) passed, no failures"),
    ),
    plain_counts=(_exunit,),
    runners=(Runner(name="mix test", command=r"^mix\s+test\b", only=_only, sources=("exunit",)),),
    test_files=("*_test.exs", "*_SUITE.erl", "*_tests.erl", "*_test.gleam"),
    source=Source(
        endings=("exs", "ex"),
        tests=r"^\s*(?:test|property)\s+\"([^\"]+)",
        skips=r"@(?:module)?tag\s+:?skip|@tag\s+skip:",
        hollow=r"test\s+\"([^\"]+)\"[^\n]*do\s*end\b",
        comments=r"(?m)^\s*#[^\n]*",
        runner_marks=(r"Mix\.env\(\)\s*==\s*:test|Code\.ensure_loaded\?\(ExUnit\)"),
    ),
    config_files=("**/test/test_helper.exs",),
)
