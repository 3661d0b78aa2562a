"""Beside verify: a reviewer on a machine where no agent worked. It has the agent's key, and no write token.

Without it, what work says of the review is shown as reported by work. With it, review and answers are facts: this
machine asks a session of its own at the bundle's head, and measures whether each answer holds. What its reviewer
finds anew no agent is there to answer: a person has to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.errors import AgentError, BundleError, ConfigError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.documents import DOCUMENT_SCHEMA, canonical
from orchestrator_action.protocol.events import FindingAnswer
from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.protocol.model import Claim, Fact, Task
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.run.steps.bundle import Work, check_bundle, read_bundle, take_bundle
from orchestrator_action.run.steps.files import ReadPlan, digest_of_bytes, machine, read_plain
from orchestrator_action.run.steps.step import enter_step
from orchestrator_action.run.verify_branch import task_run_of
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import MAX_DOCUMENT_BYTES, read_as
from orchestrator_action.text.figures import count
from orchestrator_action.verify.measure import Measure
from orchestrator_action.verify.review import why_no_fix

REVIEWED = (
    ("implementation", "already-met"),
    ("review", "reviewed"),
    ("review-response", "findings-answered"),
)
"""The facts that this step measures, and no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDocument:
    """What a separate session on another machine had to say of one bundle."""

    schema: int = DOCUMENT_SCHEMA
    plan_digest: str
    bundle_digest: str
    commit: str
    findings: tuple[ReviewFinding, ...] = ()
    """Those that the review where the agent worked did not have."""
    facts: tuple[Fact, ...] = ()
    cost_usd: float | None = None
    machine: str = ""


def review_bundle(
    read: ReadPlan, folder: Path, repo: Path, env: Mapping[str, str], cancel: Cancel, *, expected: str = ""
) -> ReviewDocument:
    """Ask a reviewer about a bundle. Raises BundleError naming what is wrong with it.

    A reviewer that cannot be had is a fact that does not hold, for a person to see.
    """
    offered = read_bundle(folder)
    if expected and offered.digest != expected.removeprefix("sha256:"):
        raise BundleError("other-digest", f"its digest is {offered.digest[:12]}, not {expected[:12]}")
    task = check_bundle(offered.bundle, read.plan)
    with enter_step(read, [task], f"review-{task.id}", repo, env, cancel, needs_agents=True) as (_, run):
        work = take_bundle(run.private, offered, task, read.config, read.plan.base_sha)
        document = ReviewDocument(
            plan_digest=read.digest, bundle_digest=work.digest, commit=work.head or work.bundle.base_sha,
            machine=machine(run.run_id),
        )  # fmt: skip
        return (
            _reviewed(run, task, work, document) if work.bundle.head_sha and work.ledger.claims else document
        )


def _reviewed(run: RunContext, task: Task, work: Work, document: ReviewDocument) -> ReviewDocument:
    task_run = task_run_of(run, task, work.ledger, document.commit)
    asking = _Asking(task_run, FORGE_ACTS, ledger=lambda: work.ledger)
    try:
        if work.ledger.no_change:
            claim = work.ledger.claims["implementation"]
            return replace(document, facts=tuple(_plain(asking.met(claim, document.commit))))
        findings, facts = asking.ask(work, document.commit)
        return replace(document, findings=findings, facts=tuple(_plain(*facts)), cost_usd=_cost(run, task))
    finally:
        run.trees.remove(task_run.tree)


def _plain(*facts: Fact) -> Iterable[Fact]:
    return (replace(f, seq=0) for f in facts)


def _cost(run: RunContext, task: Task) -> float | None:
    costs = [e.data.get("cost_usd") for e in run.journal.of(task.id) if e.kind == "review-ended"]
    known = [float(c) for c in costs if c is not None]
    return sum(known) if known else None


class _Asking(Measure):
    """The review of a run, of commits that came in a bundle."""

    def met(self, claim: Claim, head: str) -> Fact:
        """What a reviewer says, asked whether the task is met as things are."""
        return self._already_met(claim, head)

    def ask(self, work: Work, head: str) -> tuple[tuple[ReviewFinding, ...], tuple[Fact, ...]]:
        """What a reviewer finds that is new, and the facts on review and answers."""
        answered = self._answered(work, head)
        try:
            fresh = self._ask_reviewers(head, work.ledger)
        except (AgentError, ValueError) as exc:
            why = f"no review took place: {exc.message if isinstance(exc, AgentError) else exc}"
            return (), (self._unreviewed(head, why, person=True), *answered)
        reviewed = Fact(
            phase="review", rule="reviewed", commit=head, holds=True,
            message=f"a session on another machine reviewed {head[:12]} and has {count(len(fresh), 'new finding')}",
            detail={"findings": len(fresh)},
        )  # fmt: skip
        return fresh, (reviewed, *(self._with_fresh(f, fresh) for f in answered))

    def _answered(self, work: Work, head: str) -> tuple[Fact, ...]:
        """Whether every finding that the agent was shown is fixed by a commit that changes its file, or declined."""
        if "review-response" not in work.ledger.claims:
            return ()
        wrong = [w for f in work.ledger.findings if (w := self._wrong(work, f, head))]
        return (
            Fact(
                phase="review-response", rule="findings-answered", commit=head, holds=not wrong,
                message="; ".join(wrong) or "every finding is fixed or declined",
            ),
        )  # fmt: skip

    def _wrong(self, work: Work, finding: ReviewFinding, head: str) -> str:
        answer: FindingAnswer | None = work.ledger.answers.get(finding.id)
        if answer is None or not (answer.fixed_in or answer.declined):
            return f"{finding.id} not answered"
        if not answer.fixed_in:
            return ""
        why = why_no_fix(self.git, answer.fixed_in, head, finding, self._shown_at(work, finding))
        return f"{finding.id}: {why}" if why else ""

    def _shown_at(self, work: Work, finding: ReviewFinding) -> str:
        """The commit at which a finding was found, as the trail says; the base where that is none of ours."""
        for event in work.events:
            if event.kind == "review" and any(f["id"] == finding.id for f in event.data["findings"]):
                return self.git.rev_parse(str(event.data["head"])) or self.task_run.base_sha
        return self.task_run.base_sha

    def _with_fresh(self, fact: Fact, fresh: tuple[ReviewFinding, ...]) -> Fact:
        """Findings of this machine's reviewer were shown to no agent: that is for a person, and no lie."""
        if not fresh or not fact.holds:
            return fact
        names = ", ".join(f.id for f in fresh)
        return replace(
            fact, holds=False, detail={"unproven": True, "person": True, "open": [f.id for f in fresh]},
            message=f"{names} came from a review after the agent had ended: a person has to look at them",
        )  # fmt: skip


def encode_review(review: ReviewDocument) -> bytes:
    """The document as it is written to a file."""
    return canonical(to_record(review)) + b"\n"


def read_reviews(
    paths: Iterable[Path], accept: Iterable[str] | None = None
) -> tuple[dict[str, ReviewDocument], list[str]]:
    """Reviews by the digest of the bundle that they are about, and why others were passed over.

    With `accept`, also an empty one, only files of these digests count. Of two about one bundle neither does.
    """
    found: dict[str, ReviewDocument] = {}
    problems: list[str] = []
    twice: set[str] = set()
    known = None if accept is None else set(accept)
    for path in paths:
        try:
            body = read_plain(path, MAX_DOCUMENT_BYTES)
            if known is not None and digest_of_bytes(body) not in known:
                raise BundleError("other-digest", "its digest is not among those that are accepted")
            review = _checked(read_as(ReviewDocument, body))
        except (BundleError, ConfigError) as exc:
            problems.append(f"{path}: {exc.message}")
        except ValueError as exc:
            problems.append(f"{path}: it is no review: {exc}")
        else:
            twice |= {review.bundle_digest} & set(found)
            found[review.bundle_digest] = review
    problems += [f"two reviews came about bundle {digest[:12]}" for digest in sorted(twice)]
    return {digest: r for digest, r in found.items() if digest not in twice}, problems


def _checked(review: ReviewDocument) -> ReviewDocument:
    """The review, when it speaks of what a review may speak of. Raises BundleError."""
    if review.schema != DOCUMENT_SCHEMA:
        raise BundleError("bad-document", f"its schema is {review.schema}")
    if any((f.phase, f.rule) not in REVIEWED or f.commit != review.commit for f in review.facts):
        raise BundleError("bad-document", "it holds facts that are not a review's")
    return review
