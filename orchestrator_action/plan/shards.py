"""Which shard works on which tasks: what belongs together stays together, the rest is spread evenly. Pure.

Tasks of one wave that depend on each other are always in one shard. Tasks that will touch the same files are, as long
as their shard does not become larger than an even share: they are then worked on from one machine's list, one after
the other where it has few places, and their conflicts are seen there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator_action.protocol.model import Task


def shards_of(
    tasks: Sequence[Task], shards: int, touched: Mapping[str, Collection[str]] | None = None
) -> tuple[tuple[str, ...], ...]:
    """The ids of the tasks of each shard, at most `shards` of them and none empty; in the order of `tasks`.

    `touched` are the paths that a task says it will touch. Takes time about in proportion to tasks and paths.
    """
    if not tasks:
        return ()
    groups = _Groups(t.id for t in tasks)
    here = {t.id for t in tasks}
    for task in tasks:
        for needed in here & set(task.depends_on):
            groups.join(task.id, needed)
    share = -(-len(tasks) // shards)
    for some in _by_path(touched or {}):
        for other in some[1:]:
            groups.join(some[0], other, at_most=share)
    place = {t.id: n for n, t in enumerate(tasks)}
    made = _packed(groups.members(), shards)
    return tuple(tuple(sorted(shard, key=place.__getitem__)) for shard in made)


def waves_of(tasks: Sequence[Task], most: int) -> tuple[tuple[Task, ...], ...]:
    """The tasks by wave: each is in the one behind those that it depends on, in the last of `most` at the latest.

    `tasks` are in an order in which each comes behind what it depends on.
    """
    wave: dict[str, int] = {}
    for task in tasks:
        behind = max((wave[d] + 1 for d in task.depends_on if d in wave), default=0)
        wave[task.id] = min(behind, most - 1)
    return tuple(tuple(t for t in tasks if wave[t.id] == n) for n in sorted(set(wave.values())))


def verify_jobs(shards: Sequence[Sequence[str]], most: int) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Shard and tasks of each verify job: one task a job where `most` jobs are enough, else as few as that allows.

    A job takes tasks of one shard only, whose bundles lie in one place. `most` is at least the number of shards.
    """
    size = 1
    while sum(-(-len(shard) // size) for shard in shards) > most:
        size += 1
    return tuple(
        (number, tuple(shard[start : start + size]))
        for number, shard in enumerate(shards, 1)
        for start in range(0, len(shard), size)
    )


class _Groups:
    """Tasks that belong together."""

    def __init__(self, names: Iterable[str]) -> None:
        self._group = {name: [name] for name in names}
        """Every task's group; those of one group share the list."""

    def join(self, a: str, b: str, *, at_most: int = 0) -> None:
        """Put two tasks into one group, unless that would have more than `at_most` members; 0 is no bound."""
        one, other = self._group[a], self._group[b]
        if one is other or (at_most and len(one) + len(other) > at_most):
            return
        small, large = sorted((one, other), key=len)
        large += small
        self._group |= dict.fromkeys(small, large)

    def members(self) -> list[list[str]]:
        return list({id(group): group for group in self._group.values()}.values())


def _by_path(touched: Mapping[str, Collection[str]]) -> list[list[str]]:
    """The tasks of each path, those of rarely named paths first: they are the likelier to clash."""
    found: dict[str, list[str]] = defaultdict(list)
    for task_id, paths in touched.items():
        for path in paths:
            found[path].append(task_id)
    return sorted((some for some in found.values() if len(some) > 1), key=len)


def _packed(groups: Sequence[list[str]], shards: int) -> list[list[str]]:
    """The largest group first, each into the shard that has least."""
    made: list[list[str]] = [[] for _ in range(min(shards, len(groups)))]
    for group in sorted(groups, key=len, reverse=True):
        min(made, key=len).extend(group)
    return made
