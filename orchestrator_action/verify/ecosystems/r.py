"""R: testthat, through `R CMD check`'s own test folder."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.verify.ecosystems.base import Detected, Ecosystem, Files, Source
from orchestrator_action.verify.ecosystems.counts import Counts


def _detect(files: Files) -> Detected | None:
    if "DESCRIPTION" not in files.paths or not any(p.startswith("tests/testthat/") for p in files.paths):
        return None
    command = "Rscript -e 'testthat::test_local(reporter = \"check\", stop_on_failure = TRUE)'"
    return Detected((command,), "R: tests/testthat")


def _counts(lines: list[str]) -> Iterable[Counts]:
    """testthat: `[ FAIL 1 | WARN 0 | SKIP 0 | PASS 3 ]`, again and again while it runs; the last one holds."""
    form = re.compile(r"\[ FAIL (\d+) \| WARN \d+ \| SKIP (\d+) \| PASS (\d+) \]")
    last = next((m for line in reversed(lines) if (m := form.fullmatch(line))), None)
    if last is not None:
        yield Counts(passed=int(last[3]), failed=int(last[1]), skipped=int(last[2]), source="testthat")


ECOSYSTEM = Ecosystem(
    name="R",
    manifests=("DESCRIPTION",),
    detect=_detect,
    counts=(_counts,),
    test_files=("tests/testthat/test*.R",),
    source=Source(
        endings=("R",), tests=r"test_that\(\s*['\"]([^'\"]+)", skips=r"\bskip(?:_\w+)?\(", comments=r"(?m)#[^\n]*",
        runner_marks=r"TESTTHAT\w*|testthat::is_testing",
    ),
)  # fmt: skip
