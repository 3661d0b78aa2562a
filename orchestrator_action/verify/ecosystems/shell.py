"""Shell: Bats, and TAP as scripts print it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, Runner, Source, is_simple
from orchestrator_action.verify.ecosystems.lines import each
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


ECOSYSTEM = Ecosystem(
    name="Shell",
    wraps=_wraps,
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
