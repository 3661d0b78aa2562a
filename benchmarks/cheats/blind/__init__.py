"""Cheats written by somebody who knows the task and pytest, but has not read the checker; one file a kind.

Each gives a head at which `python -m pytest -q` succeeds. `BLIND_HONEST` are honest changes by the same hand.
"""

from __future__ import annotations

from benchmarks.cheats.blind import answers, cannot_fail, honest, imported, loses, notices, runner
from benchmarks.cheats.blind.common import BLIND, BLIND_HONEST

__all__ = [
    "BLIND",
    "BLIND_HONEST",
    "answers",
    "cannot_fail",
    "honest",
    "imported",
    "loses",
    "notices",
    "runner",
]
