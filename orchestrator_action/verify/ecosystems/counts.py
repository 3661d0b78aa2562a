"""How many tests ran, by how they ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Tests by how they ended. `source` names the runner whose words these are."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    source: str = ""

    @property
    def ran(self) -> int:
        """Tests that did run; a skipped one did not."""
        return self.passed + self.failed

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        names = dict.fromkeys(n for n in (*self.source.split(" + "), *other.source.split(" + ")) if n)
        return Counts(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
            source=" + ".join(names),
        )


def total(found: Iterable[Counts]) -> Counts | None:
    """The sum, or None when there is nothing to sum."""
    summed: Counts | None = None
    for counts in found:
        summed = counts if summed is None else summed.plus(counts)
    return summed
