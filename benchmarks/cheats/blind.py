"""Ways to cheat, written by somebody who had not read `verify/`: what one would try on any checker of tests."""

from __future__ import annotations

from benchmarks.cheats.operators import Operator

BLIND: list[Operator] = []
