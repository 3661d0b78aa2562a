"""Shell: Bats, and TAP as scripts print it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, Runner, Source, is_simple
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each, of
from orchestrator_action.verify.ecosystems.tap import tap_counts, tap_points


def _wraps(files: Files) -> Detected | None:
    """Bats after Makefiles: they know where its libraries are."""
    folders = sorted({p.rpartition("/")[0] or "." for p in files.paths if p.endswith(".bats")})
    if not folders or not re.fullmatch(r"[\w./-]+", folders[0]):
        return None
    tops = [f for f in folders if not any(f.startswith(f"{g}/") for g in folders)]
    return Detected((f"bats --recursive {' '.join(tops)}",), f"bats: {folders[0]}")


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    words = shlex.split(command)
    if not is_simple(command) or not all(n.endswith(".bats") for n in names):
        return None
    return shlex.join([words[0], *(w for w in words[1:] if w.startswith("-")), *names])


def _shunit2(lines: list[str]) -> Iterable[Counts]:
    """shUnit2: `Ran 3 tests.`, then `OK (skipped=1)` or `FAILED (failures=1,skipped=1)`, once for each file."""
    ran: int | None = None
    for line in lines:
        if match := re.fullmatch(r"Ran (\d+) tests?\.", line):
            ran = int(match[1])
        elif ran is not None and (match := re.fullmatch(r"(?:OK|FAILED)(?: \((.*)\))?", line)):
            words = {w: int(n) for w, n in re.findall(r"(\w+)=(\d+)", match[1] or "")}
            failed = min(ran, words.get("failures", 0))  # both are numbers of assertions
            yield of("shunit2", ran, failed, min(ran - failed, words.get("skipped", 0)))
            ran = None


ECOSYSTEM = Ecosystem(
    name="Shell",
    wraps=_wraps,
    counts=(_shunit2,),
    plain_counts=(
        each(
            "bats",
            r"(?P<total>\d+) tests?, (?P<failed>\d+) failures?(?:, (?P<skipped>\d+) skipped)?.*",
            ran=True,
        ),
        tap_counts,
        each(
            "plain line",
            r"(?:\w+: )?(?P<passed>\d+) (?:tests? )?passed[,;] (?P<failed>\d+) (?:tests? )?failed"
            r"(?:[,;] (?P<skipped>\d+) (?:tests? )?skipped)?\.?",
        ),
        each(
            "plain line",
            r"(?P<total>\d+) tests? (?:conducted|run|ran|executed)[,;] (?P<failed>\d+) (?:tests? )?failed\.?",
            ran=True,
        ),
    ),
    runners=(
        Runner(name="Bats", command=r"\bbats\b", printed=tap_points, only=_only, sources=("bats", "tap")),
        Runner(name="TAP", printed=tap_points, sources=("tap",)),
    ),
    test_files=("*.bats", "test_*.sh", "*_test.sh"),
    source=Source(
        endings=("bats", "sh"),
        tests=r"^\s*(?:@test\s+['\"]([^'\"]+)|(test_\w+)\s*\(\))",
        skips=r"^\s*skip\b",
        hollow=r"@test\s+['\"]([^'\"]+)['\"]\s*\{\s*(?:true|:|return(?: 0)?)?\s*\}",
        comments=r"(?m)^\s*#[^\n]*",
        runner_marks=r"BATS_(?:TEST_\w+|VERSION|RUN_\w+)",
    ),
)
