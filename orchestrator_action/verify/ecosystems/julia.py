"""Julia: `Pkg.test`, with the table of the standard library's Test."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, SetupStep
from orchestrator_action.verify.ecosystems.counts import Counts


def _detect(files: Files) -> Detected | None:
    if not {"Project.toml", "test/runtests.jl"} <= files.paths:
        return None
    return Detected(("julia --project -e 'using Pkg; Pkg.test()'",), "Julia: Project.toml, test/runtests.jl")


def _setup(files: Files) -> SetupStep | None:
    if _detect(files) is None:
        return None
    command = "julia --project -e 'using Pkg; Pkg.instantiate()'"
    return SetupStep(how="Julia: Pkg.instantiate", commands=(command,), tools=("julia",))


def _counts(lines: list[str]) -> Iterable[Counts]:
    """`Test Summary: | Pass  Fail  Error  Broken  Total  Time`, then a row for each outermost test set."""
    for n, line in enumerate(lines):
        if not (match := re.fullmatch(r"Test Summary:\s*\|\s*(.*)", line)):
            continue
        columns = match[1].split()
        row = lines[n + 1].partition("|")[2].split() if n + 1 < len(lines) else []
        numbers = [int(w) for w in row if w.isdecimal()]
        named = dict(zip([c for c in columns if c not in {"Total", "Time"}], numbers, strict=False))
        yield Counts(
            passed=named.get("Pass", 0),
            failed=named.get("Fail", 0) + named.get("Error", 0),
            skipped=named.get("Broken", 0),
            source="julia",
        )


ECOSYSTEM = Ecosystem(
    name="Julia",
    manifests=("Project.toml",),
    detect=_detect,
    setup=_setup,
    counts=(_counts,),
    test_files=("test/**/*.jl",),
)
