"""Which shard works on which tasks: what depends on each other stays together, the rest is spread evenly. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_action.protocol.model import Task


def shards_of(tasks: Sequence[Task], shards: int) -> tuple[tuple[str, ...], ...]:
    """The ids of the tasks of each shard, at most `shards` of them and none empty; in the order of `tasks`.

    `tasks` have every dependency before its dependants.
    """
    group: dict[str, str] = {}
    for task in tasks:
        ours = {group[d] for d in task.depends_on if d in group}
        name = min(ours, default=task.id)
        group |= {t: name for t, g in group.items() if g in ours}
        group[task.id] = name
    members: dict[str, list[str]] = {}
    for task in tasks:
        members.setdefault(group[task.id], []).append(task.id)
    made: list[list[str]] = [[] for _ in range(min(shards, len(members)))]
    for some in sorted(members.values(), key=len, reverse=True):
        min(made, key=len).extend(some)
    place = {t.id: n for n, t in enumerate(tasks)}
    return tuple(tuple(sorted(shard, key=place.__getitem__)) for shard in made)
