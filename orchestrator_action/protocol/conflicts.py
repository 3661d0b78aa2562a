"""Which tasks touch the same paths: told before a run from what they say, and on a pull request from their diffs.

Pure: names and paths come in, pairs go out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator_action.protocol.model import Conflict


def conflicts(touched: Mapping[str, Collection[str]]) -> tuple[Conflict, ...]:
    """Pairs of tasks that touch the same paths, by the paths each touches or says it will."""
    names = sorted(touched)
    pairs = ((a, b) for i, a in enumerate(names) for b in names[i + 1 :])
    return tuple(
        Conflict(a=a, b=b, paths=tuple(both))
        for a, b in pairs
        if (both := sorted(set(touched[a]) & set(touched[b])))
    )
