"""Languages of which the house knows a command and a closing line only: Crystal, Elm, Solidity."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each, stanza


def _by_file(name: str, command: str, how: str) -> Callable[[Files], Detected | None]:
    return lambda files: Detected((command,), f"{how}: {name}") if name in files.paths else None


def _elm(lines: list[str]) -> Iterable[Counts]:
    """elm-test: `TEST RUN PASSED`, then `Passed:   3`, `Failed:   0`, a line each."""
    if any(line.startswith("TEST RUN") for line in lines):
        yield from stanza(
            "elm-test", lines, r"Passed:\s+(\d+)", r"Failed:\s+(\d+)", r"(?:Todo|Skipped):\s+(\d+)"
        )


CRYSTAL = Ecosystem(
    name="Crystal",
    manifests=("shard.yml",),
    detect=_by_file("shard.yml", "crystal spec", "Crystal"),
    counts=(
        each(
            "crystal spec",
            r"(?P<total>\d+) examples, (?P<failed>\d+) failures, (?P<errors>\d+) errors, (?P<skipped>\d+) pending",
            ran=True,
        ),
    ),
    test_files=("spec/**/*_spec.cr",),
)
ELM = Ecosystem(
    name="Elm",
    manifests=("elm.json",),
    detect=_by_file("elm.json", "npx elm-test", "Elm"),
    counts=(_elm,),
    test_files=("tests/**/*.elm",),
)
SOLIDITY = Ecosystem(
    name="Solidity",
    manifests=("foundry.toml",),
    detect=_by_file("foundry.toml", "forge test", "Foundry"),
    counts=(
        each(
            "foundry",
            r"Suite result: (?:ok|FAILED)\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; "
            r"(?P<skipped>\d+) skipped; .*",
        ),
    ),
    test_files=("*.t.sol",),
)
SMALL_ECOSYSTEMS = (CRYSTAL, ELM, SOLIDITY)
