"""What each agent came to in this repository, from the audit trails at its remote and from nothing else.

A task that was run twice counts twice. It counts for the agent that was at it last. What a trail does not say is not
guessed: a cost that no session told is left out, and a trail that somebody changed is named and not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from orchestrator_action.agents.event_line import count_of
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.events import Event, fold
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import GOOD_STATUSES, PhaseState, Status
from orchestrator_action.state.fold import agents_of, task_state
from orchestrator_action.text import figures
from orchestrator_action.text.limits import inline

UNNAMED = "(not on record)"
"""Of trails that earlier versions wrote, which did not name the agent of an attempt."""


@dataclass(slots=True, kw_only=True)
class AgentRow:
    """One agent's figures."""

    agent: str
    tasks: int = 0
    verified: int = 0
    declined: int = 0
    refuted: int = 0
    merged: int = 0
    """Verified branches whose last commit is in the base branch; one that was squashed or rebased is not seen there."""
    cost_usd: float | None = None
    """Of all its tasks; None when no session told a cost."""
    wall_s: float = 0.0
    lies: Counter[str] = field(default_factory=Counter)
    """How many tasks ended with a claim that this fact refuted."""

    def add(self, other: AgentRow) -> None:
        """Count what another row has, too."""
        for name in ("tasks", "verified", "declined", "refuted", "merged", "wall_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + other.cost_usd
        self.lies.update(other.lies)

    @property
    def cost_per_verified_usd(self) -> float | None:
        """What its tasks cost for each that was verified."""
        return None if self.cost_usd is None or not self.verified else self.cost_usd / self.verified

    @property
    def s_per_verified(self) -> float | None:
        """Seconds at work for each task that was verified."""
        return self.wall_s / self.verified if self.verified else None


def agent_table(git: Git, remote: Remote, base: str) -> tuple[tuple[AgentRow, ...], tuple[str, ...]]:
    """A row an agent, and the tasks whose trail is not what was written. `base` is the base branch's commit."""
    rows: dict[str, AgentRow] = {}
    trails, changed = audit.read_all(git, remote)
    for task, trail in trails.items():
        runs = [events for events in _runs(trail) if any(e.kind == "attempt-started" for e in events)]
        try:
            counted = [_row(task, events, git, base) for events in runs]
        except (LookupError, TypeError, ValueError, AttributeError):  # well sealed, and no trail of ours
            changed.append(task)
            continue
        for one in counted:
            rows.setdefault(one.agent, AgentRow(agent=one.agent)).add(one)
    return tuple(sorted(rows.values(), key=lambda r: (-r.verified, r.agent))), tuple(changed)


def _runs(events: Iterable[Event]) -> Iterator[Sequence[Event]]:
    for _, group in groupby(events, key=lambda e: e.run):
        yield tuple(group)


def _row(task: str, events: Sequence[Event], git: Git, base: str) -> AgentRow:
    """What one run of one task adds. Raises ValueError and the like for figures that can be none of ours."""
    ended = task_state(events).ended or {}
    status, head = str(ended.get("status", "")), str(ended.get("head_sha", ""))
    agents = agents_of(events) or (UNNAMED,)
    row = AgentRow(agent=agents[-1], tasks=1, wall_s=_figure(ended.get("wall_s")) or 0.0)
    row.cost_usd = _figure(ended.get("cost_usd"))
    row.declined += status == Status.DECLINED
    if status in GOOD_STATUSES:
        row.verified += 1
        row.merged += bool(head and status == Status.SUCCESS and _is_in(git, head, base))
        return row
    rules = set(_refuting(task, events, head))
    row.refuted += bool(rules)
    row.lies.update(rules)
    return row


def _figure(value: object) -> float | None:
    """A count of a trail; None when it says none. Raises ValueError for what cannot be one."""
    if value is not None and count_of(value) is None:
        raise ValueError(f"{value!r} counts nothing")
    return count_of(value)


def _refuting(task: str, events: Sequence[Event], head: str) -> Iterator[str]:
    """The facts that refuted a claim at the end."""
    ledger = fold(events, task)
    for phase in judge(ledger, policy={}, head=head or ledger.base_sha).phases:
        if phase.state is PhaseState.REFUTED:
            yield from (fact.rule for fact in phase.facts if not fact.holds)


def _is_in(git: Git, head: str, base: str) -> bool:
    """Whether a commit is in the base branch. One that this clone does not have is not: the base's are all here."""
    return bool(git.rev_parse(head)) and git.is_ancestor(head, base)


def table_json(rows: Sequence[AgentRow], changed: Sequence[str]) -> Mapping[str, Any]:
    """The table as one JSON object."""
    return {
        "schema": 1,
        "agents": [
            {
                "agent": r.agent, "tasks": r.tasks, "verified": r.verified, "declined": r.declined,
                "refuted": r.refuted, "merged": r.merged, "cost_usd": r.cost_usd,
                "cost_per_verified_usd": r.cost_per_verified_usd, "s_per_verified": r.s_per_verified,
                "lies": dict(r.lies.most_common()),
            }
            for r in rows
        ],
        "changed_trails": list(changed),
    }  # fmt: skip


def table_lines(rows: Sequence[AgentRow], changed: Sequence[str]) -> Iterator[str]:
    """The table in Markdown."""
    head = ("agent", "tasks", "verified", "declined", "refuted", "merged", "cost a verified one",
            "time a verified one", "lies caught")  # fmt: skip
    yield f"| {' | '.join(head)} |"
    yield "|---" + "|--:" * (len(head) - 2) + "|---|"
    for r in rows:
        cost, seconds = r.cost_per_verified_usd, r.s_per_verified
        cells = (
            inline(r.agent, limit=80), r.tasks, r.verified, r.declined, r.refuted, r.merged,
            "–" if cost is None else figures.usd(cost), "–" if seconds is None else figures.duration(seconds),
            ", ".join(f"{n} × {rule}" for rule, n in r.lies.most_common()) or "–",
        )  # fmt: skip
        yield f"| {' | '.join(map(str, cells))} |"
    if changed:
        named = ", ".join(inline(task, limit=80) for task in changed)
        yield f"\nNot counted, as somebody changed their trail: {named}"
