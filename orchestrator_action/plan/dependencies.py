"""Which issues an issue waits for, as its text says, and which tasks wait for each other in a circle. Pure.

Only a line that begins with the words counts, outside of code and of quotations: a sentence that tells of a
dependency is prose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

MOST_WAITED_FOR = 50
"""More issues than this are not waited for: such a line is a list, and no dependency."""
_LINE = re.compile(
    r"^\s{0,3}(?:[-*+]\s+)?[*_]{0,2}(?:blocked by|depends on|depends-on)[*_]{0,2}\s*:?[*_]{0,2}\s*"
    r"(?P<named>#\d{1,9}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*|\s+)#\d{1,9})*)\s*[.;]?\s*$",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})")


def named_in(text: str) -> tuple[int, ...]:
    """The numbers in lines such as `Blocked by #12` and `Depends on: #3, #4 and #5`, in the order they are named."""
    found: dict[int, None] = {}
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence and (match := _LINE.match(line)):
            found |= dict.fromkeys(int(n) for n in re.findall(r"\d+", match["named"]))
    return tuple(found)[:MOST_WAITED_FOR]


def circles(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Of names that wait for each other: each with the circle it is in, which begins and ends with itself.

    `needs` has every name with those it waits for; a name that is not a key waits for nothing.
    """
    waiting = _waiting_for_ever(needs)
    return {name: (*circle, name) for name in waiting if (circle := _way_back(name, waiting))}


def _waiting_for_ever(needs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Those that no order satisfies, each with what it waits for among them: circles, and what waits for one."""
    left = {name: [n for n in some if n in needs] for name, some in needs.items()}
    waited_for: dict[str, list[str]] = {}
    for name, some in left.items():
        for needed in some:
            waited_for.setdefault(needed, []).append(name)
    free = [name for name, some in left.items() if not some]
    open_ = {name: len(some) for name, some in left.items()}
    for name in free:
        del left[name]
        for other in waited_for.get(name, ()):
            open_[other] -= 1
            if not open_[other]:
                free.append(other)
    return {name: [n for n in some if n in left] for name, some in left.items()}


def _way_back(name: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The shortest way from a name over what it waits for to itself, without its end; empty when there is none."""
    came_from: dict[str, str] = {}
    waiting = [name]
    for at in waiting:
        for needed in needs.get(at, ()):
            if needed == name:
                way = [at]
                while way[-1] != name:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            if needed not in came_from:
                came_from[needed] = at
                waiting.append(needed)
    return ()
