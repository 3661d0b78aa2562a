"""What came for the tasks of a plan: bundles that were checked, each with the verdict on it, or why one is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.errors import BundleError
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.acceptance import conclude_change
from orchestrator_action.protocol.candidates import best_of, rivals_in, tasks_at_work
from orchestrator_action.protocol.documents import Plan, VerdictDocument
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import GOOD_STATUSES, Candidate, Status, Task
from orchestrator_action.run.candidates import size_of_change
from orchestrator_action.run.recover import Say
from orchestrator_action.run.steps.bundle import ReadBundle, Work, check_bundle, read_bundle, take_bundle
from orchestrator_action.run.steps.files import ReadPlan
from orchestrator_action.run.steps.review import ReviewDocument
from orchestrator_action.run.steps.verify import MACHINE, MEASURED
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level

LOST = "nothing came from its work job: it was killed, or what it wrote was lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What came for one task. `work` is None when nothing did, or when it was refused: then `error` says why."""

    work: Work | None = None
    verdict: VerdictDocument | None = None
    review: ReviewDocument | None = None
    error: str = LOST
    candidates: tuple[Candidate, ...] = ()
    """Of a task with candidates: how each of them ended. All else is then the best one's, in the task's name."""


def collect_offers(
    read: ReadPlan,
    private: Git,
    folders: Sequence[Path],
    verdicts: Mapping[str, VerdictDocument],
    *,
    reviews: Mapping[str, ReviewDocument] | None = None,
    accept: Collection[str] | None = None,
    say: Say,
) -> dict[str, Offer]:
    """By task: its bundle, checked, with its verdict; or why it is refused. What belongs to no task is only said.

    Of a task with candidates it is that of the best one.
    """
    found: dict[str, list[tuple[Path, str]]] = {}
    offers: dict[str, Offer] = {}
    for folder in folders:
        try:
            bundle = read_bundle(folder)
            if accept is not None and bundle.digest not in accept:
                raise BundleError("other-digest", "its digest is not among those that are accepted")
        except BundleError as exc:
            _refuse(offers, _task_named(read.plan, folder), f"{folder}: {exc.message}", exc, say)
            continue
        found.setdefault(bundle.bundle.task_id, []).append((folder, bundle.digest))
    for task_id, some in found.items():
        try:
            if len(some) > 1:
                raise BundleError("two-bundles", f"{len(some)} bundles came for {task_id[:60]!r}")
            offered = _read_again(*some[0])  # all of them at once might be more than memory holds
            task = check_bundle(offered.bundle, read.plan)
            work = take_bundle(private, offered, task, read.config, read.plan.base_sha)
        except BundleError as exc:
            named = task_id if any(t.id == task_id for t in tasks_at_work(read.plan)) else ""
            _refuse(offers, named, f"{some[0][0]}: {exc.message}", exc, say)
            continue
        verdict = verdicts.get(work.digest)
        problem = _no_verdict_on(verdict, work, read) if verdict else ""
        if problem:
            say(f"{task_id}: its verdict is passed over: {problem}")
        review = (reviews or {}).get(work.digest)
        if review and (wrong := _no_review_of(review, work, read)):
            say(f"{task_id}: its review is passed over: {wrong}")
            review = None
        offers[task_id] = Offer(work=work, verdict=None if problem else verdict, review=review, error="")
    return dict(best_offers(read.plan, private, offers))


def verified(plan: Plan, offers: Mapping[str, Offer]) -> dict[str, Work]:
    """By task, in the plan's order: what publish will find verified, as far as that can be known without the forge."""
    good: dict[str, Work] = {}
    for task in plan.tasks:
        offer = offers.get(task.id, Offer())
        if offer.work is None or offer.verdict is None or not good.keys() >= set(task.depends_on):
            continue
        if (
            offer.work.bundle.status in GOOD_STATUSES
            and conclude_change(offer.verdict.facts).conclusion in _GOOD
        ):
            good[task.id] = offer.work
    return good


_GOOD = {Conclusion.SUCCESS, Conclusion.NEUTRAL}


# -- candidates -------------------------------------------------------------------------------------


def best_offers(plan: Plan, private: Git, offers: Mapping[str, Offer]) -> Iterator[tuple[str, Offer]]:
    """The offer for each task of a plan that there is one for; for one with candidates the best one's."""
    for task in plan.tasks:
        rivals = rivals_in(plan, task)
        if not rivals:
            yield from [(task.id, offers[task.id])] if task.id in offers else []
            continue
        each = {r.id: offers.get(r.id, Offer()) for r in rivals}
        candidates = tuple(_candidate(private, r, each[r.id]) for r in rivals)
        best = best_of(candidates).id
        chosen = tuple(replace(c, chosen=c.id == best) for c in candidates)
        yield task.id, replace(_in_the_name_of(task, each[best], list(each.values())), candidates=chosen)


def _candidate(private: Git, rival: Task, offer: Offer) -> Candidate:
    """How a candidate ended, by what was measured of it; what its machine says of a failure is believed."""
    work, verdict = offer.work, offer.verdict
    bare = Candidate(
        id=rival.id, agent=rival.agent, branch=rival.branch, head_sha="", status=Status.FAILED, error=offer.error
    )  # fmt: skip
    if work is None:
        return replace(bare, failure="lost")
    bundle, found = work.bundle, conclude_change(verdict.facts if verdict else ())
    status, error = bundle.status, bundle.error
    if status in GOOD_STATUSES and verdict is None:
        status, error = Status.INCOMPLETE, "no verdict on it has come"
    elif status in GOOD_STATUSES and found.conclusion not in _GOOD:
        status = Status.FAILED if found.refuted else Status.INCOMPLETE
        error = next(f.message for f in (*found.refuted, *found.unproven))
    head = bundle.head_sha if bundle.head_sha != bundle.base_sha else ""
    return replace(
        bare, head_sha=head, status=status, error=error, cost_usd=bundle.cost_usd, refuted=bool(found.refuted),
        lines=size_of_change(private, bundle.base_sha, head), needs_person=int(found.conclusion is Conclusion.NEUTRAL),
    )  # fmt: skip


def _in_the_name_of(task: Task, offer: Offer, every: Sequence[Offer]) -> Offer:
    """The best candidate's offer as one for its task, with what all of them used. Each was measured as what it was."""
    if offer.work is None:
        return offer
    works = [one.work.bundle for one in every if one.work]
    turns, costs = ([v for b in works if (v := getattr(b, n)) is not None] for n in ("turns", "cost_usd"))
    bundle = replace(
        offer.work.bundle, task_id=task.id, branch=task.branch, attempts=sum(b.attempts for b in works),
        turns=sum(turns) if turns else None, cost_usd=sum(costs) if costs else None,
        wall_s=max(b.wall_s for b in works),
    )  # fmt: skip
    own = offer.work.bundle.task_id
    events = tuple(replace(e, task=task.id) if e.task == own else e for e in offer.work.events)
    return replace(offer, work=replace(offer.work, bundle=bundle, events=events))


# -- what a bundle has to be --------------------------------------------------------------------------


def _read_again(folder: Path, digest: str) -> ReadBundle:
    again = read_bundle(folder)
    if again.digest != digest:
        raise BundleError("other-digest", "it was changed while it was read")
    return again


def _task_named(plan: Plan, folder: Path) -> str:
    """The task that a folder is named like: what cannot be read has no other name."""
    return folder.name if any(t.id == folder.name for t in tasks_at_work(plan)) else ""


def _refuse(offers: dict[str, Offer], task_id: str, line: str, exc: BundleError, say: Say) -> None:
    say(f"a bundle is refused: {line}")
    if task_id and task_id not in offers:
        offers[task_id] = Offer(error=f"its bundle is refused: {exc.message}")


def _no_verdict_on(verdict: VerdictDocument, work: Work, read: ReadPlan) -> str:
    """Why a verdict is not one on this bundle, measured by this plan; empty when it is."""
    bundle, plan = work.bundle, read.plan
    if verdict.plan_digest != read.digest or verdict.policy_digest != plan.policy_digest:
        return "it was measured by another plan"
    if (verdict.name, verdict.base) != (bundle.branch, bundle.base_sha):
        return "it speaks of another branch or base"
    if work.head and verdict.commit != work.head:
        return "it speaks of another commit"
    if any(f.commit != verdict.commit or f.phase not in MEASURED for f in verdict.facts):
        return "it holds facts that are not a verdict's"
    return ""


def _no_review_of(review: ReviewDocument, work: Work, read: ReadPlan) -> str:
    """Why a review is not one of this bundle, on another machine than its agent's; empty when it is."""
    if review.plan_digest != read.digest:
        return "it was made for another plan"
    if review.commit != (work.head or work.bundle.base_sha):
        return "it speaks of another commit"
    if not review.machine or review.machine == work.bundle.machine:
        return "it comes from the machine where the agent worked"
    return ""


def isolation_of_verdict(offer: Offer) -> Isolation:
    """How far a task's verdict was out of its agent's reach: on another machine, or by that machine's walls."""
    verdict, work = offer.verdict, offer.work
    if verdict is None or work is None:
        return Isolation(why="nothing was verified")
    there, here = work.bundle.machine, verdict.environment.get(MACHINE, "")
    word = verdict.isolation
    level = next((one for one in Level if one.word == word), Level.OPEN)
    if there and here and there != here:
        return Isolation(level=Level.SPLIT, why=f"verified on another machine, where the tests were {word}")
    return Isolation(level=min(level, Level.SANDBOXED), why="verified on the machine where the agent worked")
