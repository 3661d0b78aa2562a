"""What `publish` takes over from the machines before it: what was said, what was measured, what work alone reports."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from orchestrator_action.errors import GitError
from orchestrator_action.protocol.ends import End
from orchestrator_action.protocol.events import fact_data
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.judge import REPORTED_BY
from orchestrator_action.protocol.model import Candidate, Fact, Task
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.publish.publish import push
from orchestrator_action.run.candidates import record_choice, rivals_of
from orchestrator_action.run.finish import recorded_task_run
from orchestrator_action.run.steps.bundle import Work
from orchestrator_action.run.steps.offers import Offer
from orchestrator_action.run.steps.review import ReviewDocument
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.takeover import text_digest

log = logging.getLogger(__name__)

AGENT_EVENTS = frozenset({"claim", "plan", "review", "answer", "declined"})
"""What is taken over of a bundle's trail: what was said. What was measured there is not."""
REPORTED = (
    ("initial-setup", "context-read"),
    ("initial-setup", "clean-base"),
    ("implementation", "already-met"),
    ("review", "reviewed"),
    ("review-response", "findings-answered"),
)
"""Facts that only the machine where the agent worked could know."""


def carry_over(run: RunContext, task: Task, offer: Offer) -> None:
    """Write what was said and what was measured into this journal, once however often this is tried."""
    records: list[tuple[str, dict[str, Any]]] = [
        (
            "task-started",
            {
                "base_sha": run.base_sha, "base_branch": run.base_branch, "branch": task.branch, "digest": "",
                "worktree": "", "note": "", "text_sha256": text_digest(task),
                **({"issue": task.issue.number} if task.issue else {}),
            },
        )
    ]  # fmt: skip
    if offer.work is not None:
        events = offer.work.events
        records += [(e.kind, dict(e.data)) for e in events if e.task == task.id and e.kind in AGENT_EVENTS]
        told = {(f.phase, f.rule) for f in offer.review.facts} if offer.review else set()
        records += [("fact", fact_data(f)) for f in _reported(offer.work) if (f.phase, f.rule) not in told]
    if offer.review is not None:
        took_place = any(f.rule == "reviewed" and f.holds for f in offer.review.facts)
        records += [("review", _review_event(offer.review))] if took_place else []
        records += [("fact", fact_data(f)) for f in offer.review.facts]
    if offer.verdict is not None:
        records += [("fact", fact_data(f)) for f in offer.verdict.facts]
    kinds = {"task-started", "fact", *AGENT_EVENTS}
    there = sum(e.kind in kinds for e in run.journal.of(task.id))
    for kind, data in records[there:]:
        run.journal.append(kind, task.id, **data)


def keep_candidates(run: RunContext, task: Task, offer: Offer) -> tuple[Candidate, ...]:
    """The candidates of a task, their branches at the remote, and written down which one is the best."""
    by_id = {r.id: r for r in rivals_of(run, task)}
    candidates = tuple(replace(c, pushed=_is_pushed(run, by_id[c.id], c)) for c in offer.candidates)
    if best := next((c for c in candidates if c.chosen), None):
        record_choice(run, task, best, candidates)
    return candidates


def _is_pushed(run: RunContext, rival: Task, candidate: Candidate) -> bool:
    """Whether a candidate's branch is at the remote now. One that is not is named in the comments."""
    if not candidate.head_sha:
        return False
    end = End(status=candidate.status, conclusion=Conclusion.NEUTRAL).result(rival, run.base_sha)
    try:
        push(recorded_task_run(run, rival, end), candidate.head_sha)
    except GitError as exc:
        log.warning("the branch of a candidate was not pushed task=%s: %s", rival.id, exc)
        return False
    return True


def _review_event(review: ReviewDocument) -> dict[str, Any]:
    return {"head": review.commit, "findings": [asdict(f) for f in review.findings], "round": 0}


def _reported(work: Work) -> Iterator[Fact]:
    """What only the agent's machine could see, in our words and marked as its word."""
    for phase, rule_id in REPORTED:
        known = work.ledger.fact(phase, rule_id)
        rule = next((r for r in BY_ID[phase].rules if r.id == rule_id), None)
        says = rule.says if rule else "a separate session found the task met as things are"
        once = phase == "initial-setup"
        if known is not None and known.holds and (once or known.commit == work.head):
            commit = known.commit if once else work.head
            yield Fact(
                phase=phase, rule=rule_id, commit=commit, holds=True, message=f"reported by work: {says}",
                detail={REPORTED_BY: "work"},
            )  # fmt: skip
