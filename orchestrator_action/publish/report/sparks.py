"""Memory and CPU of a task over time, as small drawings that a page holds and a screen reader can say.

Pure: curves come in, paths of SVG and words go out. Both axes of a drawing begin at nought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_action.text import figures

POINTS = 24
"""Values in a drawing: each is four units wide, and a page holds two hundred tasks."""
HEIGHT = 16
MOST_STEPS = 4
"""Attempts drawn of one task, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """One drawing."""

    path: str
    """The area below the curve."""
    width: int
    words: str
    """`memory over 12 s, at most 611 MiB`."""


def sparks(curves: Sequence[Mapping[str, Any]], *, most: int = MOST_STEPS) -> tuple[Spark, ...]:
    """Of the latest attempts, at most so many, the memory and the CPU; nothing for a curve that is none."""
    return tuple(spark for curve in curves[-most:] for spark in _two(curve))


def _two(curve: Mapping[str, Any]) -> Iterator[Spark]:
    memory, cores = _numbers(curve.get("rss_mib")), _numbers(curve.get("cores"))
    if len(memory) < 3 or len(memory) != len(cores):
        return
    width = 4 * len(_fewer(memory))
    took = figures.duration(float(curve.get("step_s") or 0.0) * len(memory))
    yield Spark(
        path=_area(memory), width=width, words=f"memory over {took}, at most {figures.mib(max(memory))}"
    )
    yield Spark(path=_area(cores), width=width, words=f"CPU over {took}, at most {max(cores):.1f} cores")


def _numbers(values: Any) -> list[float]:
    known = values if isinstance(values, (list, tuple)) else ()
    return [float(v) for v in known if isinstance(v, (int, float)) and v >= 0]


def _area(values: Sequence[float]) -> str:
    """A closed path of steps in whole units: for each value to its height and four to the right, then down."""
    shown = _fewer(values)
    most, at = max(shown) or 1.0, 0
    parts = []
    for value in shown:
        to = round(HEIGHT * value / most)
        parts.append((f"v{at - to}" if at != to else "") + "h4")
        at = to
    return f"M0 {HEIGHT}{''.join(parts)}v{at}z"


def _fewer(values: Sequence[float]) -> list[float]:
    """At most `POINTS` values: the largest of each few."""
    few = -(-len(values) // POINTS)
    return [max(values[i : i + few]) for i in range(0, len(values), few)]
