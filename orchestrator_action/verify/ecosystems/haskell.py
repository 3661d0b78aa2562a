"""Haskell: cabal, stack, tasty, hspec (whose line is RSpec's)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each, of


def _detect(files: Files) -> Detected | None:
    if "stack.yaml" in files.paths:
        return Detected(("stack test",), "Haskell: stack.yaml")
    name = next((p for p in sorted(files.paths) if "/" not in p and p.endswith(".cabal")), "")
    name = name or files.first("cabal.project")
    return Detected(("cabal test all --test-show-details=direct",), f"Haskell: {name}") if name else None


def _tasty(lines: list[str]) -> Iterable[Counts]:
    """tasty: `All 3 tests passed (0.01s)`, `1 out of 3 tests failed (0.01s)`."""
    for line in lines:
        if match := re.fullmatch(r"All (\d+) tests? passed \([\d.]+s\)", line):
            yield of("tasty", int(match[1]), 0)
        elif match := re.fullmatch(r"(\d+) out of (\d+) tests? failed \([\d.]+s\)", line):
            yield of("tasty", int(match[2]), int(match[1]))


ECOSYSTEM = Ecosystem(
    name="Haskell",
    manifests=("stack.yaml", "cabal.project", "*.cabal"),
    detect=_detect,
    counts=(
        each("cabal", r"\d+ of \d+ test suites \((?P<passed>\d+) of (?:\d+) test cases\) passed\."),
        _tasty,
    ),
    test_files=("*Spec.hs", "*Test.hs", "**/tests/*.hs", "**/test/*.hs"),
)
