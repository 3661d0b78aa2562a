"""What things cost, measured here and now, beside the goal and beside what others do.

`python -m benchmarks` runs every module of this package that has a `main()`; `python -m benchmarks NAME …`
runs those. A figure is never an assertion: it depends on the machine, and is printed with its goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.kit.whole import House

House.anew = True  # what is measured starts as it does for a user


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure. `goal` is an upper bound, None where there is none (a peer, a remark)."""

    what: str
    value: float | None
    unit: str
    goal: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, or by how much it was missed."""
        if self.goal is None or self.value is None:
            return ""
        if self.value <= self.goal:
            return "met"
        return f"missed by {self.value - self.goal:.3g}"


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table: what, figure, unit, goal, whether it was met."""
    print(f"\n{title}")
    width = max(len(f.what) for f in figures)
    for f in figures:
        value = "-" if f.value is None else f"{f.value:.3f}" if f.value < 10 else f"{f.value:.1f}"
        goal = "" if f.goal is None else f"goal <= {f.goal:g}"
        print(
            f"  {f.what:<{width}}  {value:>9} {f.unit:<6}  {goal:<14} {f.verdict or f.note}".rstrip(),
            flush=True,
        )
