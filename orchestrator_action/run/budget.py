"""What a run may still spend: nothing new starts that the run's or the day's limit does not leave room for.

Cost is what agents and reviewers say it is, known when a session ends. With a limit for each task, too, what is
running keeps its share reserved, so that the limits hold; without one, what runs when a limit is met goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator_action.config.schema import Config
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.candidates import share_of
from orchestrator_action.protocol.events import Event
from orchestrator_action.state.failure import Failure
from orchestrator_action.text import figures

PAID = frozenset({"attempt-ended", "review-ended"})
"""Events that say what a session cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a run, in US dollars; 0 is none."""

    run_usd: float = 0.0
    day_usd: float = 0.0
    task_usd: float = 0.0
    before_usd: float = 0.0
    """What other runs spent on the same day."""

    def refusal(self, spent_usd: float, running: int) -> str:
        """Why no further task may start beside `running` ones; empty when one may."""
        needed = self.task_usd
        limits = [
            ("the run", self.run_usd, spent_usd),
            ("the day", self.day_usd, self.before_usd + spent_usd),
        ]
        for name, limit_usd, used_usd in limits:
            left_usd = limit_usd - used_usd - running * self.task_usd
            if limit_usd and (left_usd <= 0 or left_usd < needed):
                return _words(name, limit_usd, used_usd, max(0.0, left_usd))
        return ""


def _words(name: str, limit_usd: float, used_usd: float, left_usd: float) -> str:
    return (
        f"the budget of {name} is {figures.usd(limit_usd)}: {figures.usd(used_usd)} are spent, "
        f"and {figures.usd(left_usd)} are left for a further task"
    )


def config_for(config: Config, task_id: str) -> Config:
    """The configuration as a task has it: candidates of one task share its budget."""
    share = share_of(task_id, config.candidates)
    return config if share == 1 else replace(config, max_budget_usd=config.max_budget_usd / share)


def budget_of(config: Config, git: Git, remote: Remote, run_id: str) -> Budget:
    """The limits in force. Raises GitError when the remote cannot say what the day has cost."""
    before = spent_today(git, remote, run_id, now=time.time()) if config.max_day_usd else 0.0
    return Budget(
        run_usd=config.max_run_usd,
        day_usd=config.max_day_usd,
        task_usd=config.max_budget_usd,
        before_usd=before,
    )


def spent(events: Iterable[Event]) -> float:
    """What sessions that have ended cost, as far as they said."""
    return sum(float(e.data["cost_usd"] or 0) for e in events if e.kind in PAID and "cost_usd" in e.data)


def out_of_quota(events: Iterable[Event], agents: Iterable[str]) -> str:
    """Why none of these agents can work now: the vendor of each said in this run that its quota is used up. Empty
    while one of them can."""
    at_it: dict[tuple[str, int], str] = {}
    said: dict[str, str] = {}
    for event in events:
        if event.kind == "run-resumed":
            said.clear()  # that was then
        if event.kind == "attempt-started":
            at_it[event.task, event.data["attempt"]] = str(event.data.get("agent", ""))
        if event.kind == "attempt-ended" and event.data.get("failure") == Failure.QUOTA:
            said[at_it.get((event.task, event.data["attempt"]), "")] = "; ".join(event.data["problems"])
    wanted = tuple(dict.fromkeys(agents))
    return "; ".join(f"{n} is out of quota: {said[n]}" for n in wanted) if said.keys() >= set(wanted) else ""


def spent_today(git: Git, remote: Remote, run_id: str, *, now: float) -> float:
    """What other runs than `run_id` spent since midnight UTC, by the trails on the remote."""
    midnight = now - now % 86_400
    total = 0.0
    for ref in remote.refs(f"{audit.TASKS_PREFIX}*"):
        task = ref.removeprefix(audit.TASKS_PREFIX)
        events = audit.read(git, remote.fetch_ref(ref), task).events
        total += spent(e for e in events if e.at >= midnight and e.run != run_id)
    return total
