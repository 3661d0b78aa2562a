"""Which run has an issue: the line in our comment that says so, and when its run counts as dead.

Pure: what the forge said comes in. An issue is *leased* by one run at a time; the word claim is the agent's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_CLAIM = re.compile(r"<!-- orchestrator-action:claim run=(\S+) request=(\S+) state=(\S+) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a claim comment says of itself: by which run, for which request, `running` or `done`."""

    run: str
    request: str
    state: str

    def __str__(self) -> str:
        return f"<!-- orchestrator-action:claim run={self.run} request={self.request or '-'} state={self.state} -->"


def find_lease(body: str) -> Lease | None:
    """The claim in our comment: on its second line, where nothing that we quote can stand."""
    lines = body.splitlines()
    found = _CLAIM.fullmatch(lines[1].strip()) if len(lines) > 1 else None
    return Lease(run=found[1], request=found[2].removeprefix("-"), state=found[3]) if found else None


def with_lease(body: str, claim: Lease) -> str:
    """The body with the claim as its second line, below the marker."""
    first, _, rest = body.partition("\n")
    return f"{first}\n{claim}\n{rest}"


def leaseholder(env: Mapping[str, str], otherwise: str = "") -> str:
    """By what a claim's run is known again: `<workflow run>.<attempt>`, on a laptop the run's own id."""
    if not env.get("GITHUB_RUN_ID"):
        return otherwise
    return f"{env['GITHUB_RUN_ID']}.{env.get('GITHUB_RUN_ATTEMPT') or '1'}"


def is_dead(run: str, me: str, alive: Callable[[str], bool | None]) -> bool:
    """Whether a claim's run can do nothing any more, seen from the leaseholder `me`.

    A laptop's run is never called dead: nobody can say from elsewhere.
    """
    number, _, attempt = run.partition(".")
    mine, _, my_attempt = me.partition(".")
    if not number.isdecimal():
        return False
    if number == mine:
        return int(attempt or 1) < int(my_attempt or 1)
    return not alive(number)
