"""The third step: what can be measured at a bundle's head, on a machine where no agent worked. No token, no secret.

What work said of these things decides nothing. What cannot be measured here (the review, the answers to it, how
the task began) is not made up: the document has no such fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import BundleError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.judge import demand_of
from orchestrator_action.protocol.model import Claim, Demand, Fact, Task
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.run.steps.base import MeasuredBase, use_base
from orchestrator_action.run.steps.bundle import Work, check_bundle, read_bundle, take_bundle
from orchestrator_action.run.steps.files import ReadPlan, machine
from orchestrator_action.run.steps.step import enter_step
from orchestrator_action.run.verify_branch import task_run_of
from orchestrator_action.run.verify_change import document_of_change
from orchestrator_action.state.context import RunContext
from orchestrator_action.verify.measure import Measure

MEASURED = (
    "branch-management", "research-and-planning", "implementation", "testing", "documentation", "settings-update",
)  # fmt: skip
"""The phases whose facts come from this step and from nowhere else."""
MACHINE = "machine"
"""In the document's environment: which machine measured, see `files.machine`."""
ASKED_ELSEWHERE = "a reviewer was asked where the agent worked, not here"


def verify_bundle(
    read: ReadPlan,
    folder: Path,
    repo: Path,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    expected: str = "",
    base: MeasuredBase | None = None,
    say: Callable[[str], None],
) -> VerdictDocument:
    """Measure a bundle anew, against what `base` says of the plan's base.

    Raises BundleError naming what is wrong with it, GitError when the base is not here.
    """
    offered = read_bundle(folder)
    if expected and offered.digest != expected.removeprefix("sha256:"):
        raise BundleError("other-digest", f"its digest is {offered.digest[:12]}, not {expected[:12]}")
    task = check_bundle(offered.bundle, read.plan)
    with enter_step(read, [task], f"verify-{task.id}", repo, env, cancel, needs_agents=False) as (_, run):
        if base is not None and (why_not := use_base(run, base)):
            say(why_not)
        work = take_bundle(run.private, offered, task, read.config, read.plan.base_sha)
        facts = tuple(_facts(run, task, work)) if work.head and work.ledger.claims else ()
        return _document(read, run, work, facts)


def _facts(run: RunContext, task: Task, work: Work) -> Iterable[Fact]:
    task_run = task_run_of(run, task, work.ledger, work.head)
    measure = _Elsewhere(task_run, FORGE_ACTS, ledger=lambda: work.ledger)
    try:
        for phase in MEASURED:
            claim = work.ledger.claims.get(phase)
            off = demand_of(BY_ID[phase], run.config.phases) is Demand.OFF
            if claim is not None and not claim.waive and not off:
                run.check_not_cancelled()
                yield from measure(claim, work.head, phase != "research-and-planning")
    finally:
        run.trees.remove(task_run.tree)


class _Elsewhere(Measure):
    """The measurements of a run, made of commits that came in a bundle."""

    def _branch_management(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:  # noqa: ARG002
        task_run = self.task_run
        return [
            Fact(
                phase="branch-management", rule="on-branch", commit=head, holds=True,
                message=f"the bundle has {task_run.branch} at {head[:12]}",
            ),
            Fact(
                phase="branch-management", rule="base-kept", commit=head,
                holds=self.git.merge_base(task_run.base_sha, head) == task_run.base_sha,
                message=f"the branch grows from its base {task_run.base_sha[:12]}",
            ),
        ]  # fmt: skip

    def _no_change(self, claim: Claim, head: str) -> Iterable[Fact]:
        """No reviewer is asked here: that fact is not this step's."""
        return [f for f in super()._no_change(claim, head) if f.rule != "already-met"]

    def _already_met(self, claim: Claim, head: str) -> Fact:  # noqa: ARG002
        return Fact(
            phase="implementation", rule="already-met", commit=head, holds=False, message=ASKED_ELSEWHERE,
            detail={"unproven": True},
        )  # fmt: skip


def _document(read: ReadPlan, run: RunContext, work: Work, facts: tuple[Fact, ...]) -> VerdictDocument:
    bundle = work.bundle
    facts = tuple(replace(f, seq=0) for f in facts)
    at = bundle.head_sha or bundle.base_sha
    document = document_of_change(run, facts, commit=at, name=bundle.branch, base=bundle.base_sha)
    where = {**document.environment, MACHINE: machine(run.run_id)}
    return replace(document, plan_digest=read.digest, bundle_digest=work.digest, environment=where)
