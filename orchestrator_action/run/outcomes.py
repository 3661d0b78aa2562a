"""What became of our pull requests: merged, closed, reverted, edited after; and what a merged one cost.

Read from three places that anybody can check: the audit trails (what was verified, and what agents say that it
cost), the forge (what people did), and the history of the base branch (what was taken back).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator_action.forge.base import Forge
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.candidates import is_candidate, stem
from orchestrator_action.protocol.events import Event, Ledger, fold
from orchestrator_action.protocol.forge_values import Pull
from orchestrator_action.protocol.model import GOOD_STATUSES
from orchestrator_action.protocol.paths import listed
from orchestrator_action.run.budget import PAID, spent
from orchestrator_action.text import figures

_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{7,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """One task with its last pull request, and all that was spent on it."""

    task_id: str
    agent: str
    """With its model, where one was named; the last one, where another took over."""
    verified: bool
    """What the last attempt came to."""
    pull: int | None
    became: str
    """`merged`, `closed`, `open`; `none` without a pull request, `gone` where the forge does not show it."""
    edited: bool
    """Whether its head has commits on it that were not there when we ended."""
    reverted: bool
    cost_usd: float | None
    """Of all attempts, as far as agents and reviewers said; None when no session told any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """All of them, and the tasks whose trail is not what was written: these count nowhere."""

    tasks: tuple[TaskOutcome, ...] = ()
    changed_trails: tuple[str, ...] = ()


def gather_outcomes(git: Git, remote: Remote, forge: Forge, base_sha: str) -> Outcomes:
    """What became of every task that has a trail at the remote. Raises GitError and ForgeError.

    It takes a request for each hundred pull requests of the repository, back to the oldest of ours.
    """
    trails, changed = audit.read_all(git, remote)
    ledgers = {task: fold(events, task) for task, events in trails.items()}
    pulls = forge.pulls(
        {n for t, one in ledgers.items() if (n := one.pull) is not None and not is_candidate(t)}
    )
    reverted = reverted_commits(git, base_sha)
    tasks = (
        _outcome(task, _with_candidates(task, trails), ledgers[task], pulls, reverted)
        for task in trails
        if not is_candidate(task)
    )
    return Outcomes(tasks=tuple(tasks), changed_trails=tuple(changed))


def _with_candidates(task: str, trails: Mapping[str, Sequence[Event]]) -> Sequence[Event]:
    """A task's own events, and of its candidates what they cost."""
    rivals = (events for name, events in trails.items() if is_candidate(name) and stem(name) == task)
    return [*trails[task], *(e for events in rivals for e in events if e.kind in PAID)]


def reverted_commits(git: Git, base_sha: str) -> frozenset[str]:
    """The commits, as they are named, that the history of the base branch takes back."""
    said = git.run("log", "--grep=This reverts commit", "--format=%B", base_sha).text
    return frozenset(_REVERTS.findall(said))


def _outcome(
    task: str, events: Sequence[Event], ledger: Ledger, pulls: Mapping[int, Pull], reverted: Iterable[str]
) -> TaskOutcome:
    ended = [e.data for e in events if e.kind == "task-ended"]
    last: Mapping[str, Any] = ended[-1] if ended else {}
    pull = pulls.get(ledger.pull or 0)
    names = last.get("agents") or [
        next((str(e.data["agent"]) for e in events if e.data.get("agent")), "unknown")
    ]
    ours = {c for c in (pull.merged_as if pull else "", ledger.pushed_sha) if c}
    return TaskOutcome(
        task_id=task,
        agent=str(names[-1]),
        verified=last.get("status") in GOOD_STATUSES,
        pull=ledger.pull,
        became="none" if ledger.pull is None else pull.state if pull else "gone",
        edited=bool(pull and ledger.pushed_sha and pull.head_sha != ledger.pushed_sha),
        reverted=bool(
            pull and pull.state == "merged" and any(c.startswith(r) for c in ours for r in reverted)
        ),
        cost_usd=spent(events)
        if any(e.data.get("cost_usd") is not None for e in events if e.kind in PAID)
        else None,
    )


def by_agent(outcomes: Sequence[TaskOutcome]) -> dict[str, dict[str, Any]]:
    """Counts for each agent; `cost_per_merged_usd` is all that its tasks cost by those that stayed merged."""
    groups: dict[str, list[TaskOutcome]] = defaultdict(list)
    for one in outcomes:
        groups[one.agent].append(one)
    return {agent: _counts(found) for agent, found in sorted(groups.items())}


def _counts(found: Sequence[TaskOutcome]) -> dict[str, Any]:
    told = [o.cost_usd for o in found if o.cost_usd is not None]
    cost = sum(told) if told else None
    merged = [o for o in found if o.became == "merged"]
    stayed = sum(not o.reverted for o in merged)
    return {
        "tasks": len(found),
        "verified": sum(o.verified for o in found),
        "merged": len(merged),
        "edited": sum(o.edited for o in merged),
        "reverted": len(merged) - stayed,
        "closed": sum(o.became == "closed" for o in found),
        "open": sum(o.became == "open" for o in found),
        "cost_usd": None if cost is None else round(cost, 4),
        "cost_per_merged_usd": round(cost / stayed, 4) if stayed and cost is not None else None,
    }


def outcomes_json(outcomes: Outcomes) -> dict[str, Any]:
    """The answer of `report --outcomes --json`."""
    tasks = [asdict(o) for o in outcomes.tasks]
    changed = list(outcomes.changed_trails)
    return {"schema": 1, "by_agent": by_agent(outcomes.tasks), "tasks": tasks, "changed_trails": changed}


def outcomes_table(outcomes: Outcomes) -> str:
    """The counts as Markdown, for a job's summary too; empty when there is nothing to tell."""
    rows = by_agent(outcomes.tasks)
    if not rows and not outcomes.changed_trails:
        return ""
    names = ("tasks", "verified", "merged", "edited", "reverted", "closed", "open")
    lines = [
        "### What became of the pull requests",
        "",
        f"| agent | {' | '.join(names)} | cost | for each merged |",
    ]
    lines += [f"|---|{'--:|' * (len(names) + 2)}"]
    for agent, row in rows.items():
        costs = [row["cost_usd"], row["cost_per_merged_usd"]]
        cells = [*(str(row[n]) for n in names), *("–" if c is None else figures.usd(c) for c in costs)]
        lines.append(f"| `{agent}` | {' | '.join(cells)} |")
    notes = [
        "",
        "The last column is for each merged one that stayed; a cost that no session told is left out.",
    ]
    if gone := [f"#{o.pull}" for o in outcomes.tasks if o.became == "gone"]:
        notes.append(
            f"Not on this forge: {listed(gone, at_most=5)}. If they are on another one, name it with `--forge`."
        )
    if outcomes.changed_trails:
        notes.append(f"Not counted, as somebody changed their trail: {', '.join(outcomes.changed_trails)}.")
    return "\n".join([*lines, *notes, ""])
