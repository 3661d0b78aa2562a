"""Which tasks touch the same paths: told before a run from what they say, and on a pull request from their diffs.

Pure: names and paths come in, pairs go out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import combinations

from orchestrator_action.protocol.model import Conflict


def conflicts(touched: Mapping[str, Collection[str]]) -> tuple[Conflict, ...]:
    """Pairs of tasks that touch the same paths, by the paths each touches or says it will."""
    by_path: dict[str, list[str]] = defaultdict(list)
    for name in sorted(touched):
        for path in touched[name]:
            by_path[path].append(name)
    both: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, names in by_path.items():
        for pair in combinations(names, 2):
            both[pair].add(path)
    return tuple(Conflict(a=a, b=b, paths=tuple(sorted(paths))) for (a, b), paths in sorted(both.items()))
