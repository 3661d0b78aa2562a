"""Between verify and publish: the verified branches of a plan as one tree, and its tests. No token, no secret.

`publish` runs no code of the repository, so the tests of the merged tree run here, on a machine where no agent worked.
What is found decides nothing about a task. `publish` merges again by itself, and takes over what the tests came to
only where they ran on exactly the branches that it found to be verified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.errors import BundleError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.documents import DOCUMENT_SCHEMA, VerdictDocument, canonical
from orchestrator_action.protocol.model import Integration, Status
from orchestrator_action.run.integration import Branch, RunTests, test_merged, try_together, with_red
from orchestrator_action.run.recover import Say
from orchestrator_action.run.steps.base import MeasuredBase, use_base
from orchestrator_action.run.steps.files import ReadPlan, digest_of_bytes, read_plain
from orchestrator_action.run.steps.offers import collect_offers, verified
from orchestrator_action.run.steps.step import enter_step
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import MAX_DOCUMENT_BYTES, read_as


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationDocument:
    """What the tests of the merged tree came to, and of which branches it was made."""

    schema: int = DOCUMENT_SCHEMA
    plan_digest: str
    heads: Mapping[str, str]
    """The head of each verified branch by its task, also of those that clash."""
    tests: str = "not run"
    """`passed`, `failed` or `not run`."""
    order: tuple[str, ...] = ()
    """The tasks whose branches pass together, in the order in which they were merged."""
    red: tuple[str, ...] = ()
    """Those with which the tests fail."""


def integrate_bundles(
    read: ReadPlan,
    folders: Sequence[Path],
    verdicts: Mapping[str, VerdictDocument],
    repo: Path,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    base: MeasuredBase | None = None,
    accept: Collection[str] | None = None,
    say: Say,
) -> tuple[IntegrationDocument, Integration | None]:
    """Merge what the verdicts call verified and test it, against what `base` says of the plan's base.

    None beside the document where there is nothing to try together. Raises GitError when the base is not here.
    """
    with enter_step(read, (), "integrate", repo, env, cancel, needs_agents=False) as (_, run):
        if base is not None and (why_not := use_base(run, base)):
            say(why_not)
        offers = collect_offers(read, run.private, folders, verdicts, accept=accept, say=say)
        branches = [
            Branch(task_id, work.head, work.bundle.base_sha)
            for task_id, work in verified(read.plan, offers).items()
            if work.bundle.status is Status.SUCCESS and work.head and work.head != work.bundle.base_sha
        ]
        found = try_together(run, branches, test_merged)
        document = IntegrationDocument(plan_digest=read.digest, heads={b.task_id: b.head for b in branches})
        if found is None:
            return document, None
        return replace(document, tests=found.tests, order=found.order, red=found.red), found


def encode_together(document: IntegrationDocument) -> bytes:
    """The document as it is written to a file."""
    return canonical(to_record(document)) + b"\n"


def read_together(path: Path, read: ReadPlan, accept: Collection[str] | None = None) -> IntegrationDocument:
    """What was tested together for a plan. With `accept`, only a file of one of these digests counts.

    Raises BundleError for anything else.
    """
    body = read_plain(path, MAX_DOCUMENT_BYTES)
    if accept is not None and digest_of_bytes(body) not in accept:
        raise BundleError("other-digest", "its digest is not among those that are accepted")
    try:
        found = read_as(IntegrationDocument, body)
    except ValueError as exc:
        raise BundleError("bad-document", str(exc)) from None
    if found.tests not in {"passed", "failed", "not run"}:
        raise BundleError("bad-document", "it does not say what the tests came to")
    if (found.schema, found.plan_digest) != (DOCUMENT_SCHEMA, read.digest):
        raise BundleError("other-plan", "it was made for another plan")
    return found


def use_found(found: IntegrationDocument | None, say: Callable[[str], None]) -> RunTests:
    """What `publish` says of the merged tree's tests: what another machine found, where it fits; else nothing."""

    def take(run: RunContext, branches: Sequence[Branch], merged: Integration) -> Integration:
        if found is None:
            return merged
        if why := _does_not_fit(found, branches, merged):
            say(f"what was tested together is passed over: {why}")
            return merged
        if found.tests != "failed":
            return replace(merged, tests=found.tests)
        return with_red(run, branches, merged, found.order, found.red)

    return take


def _does_not_fit(found: IntegrationDocument, branches: Sequence[Branch], merged: Integration) -> str:
    """Why it does not speak of exactly these branches, merged in this way; empty when it does."""
    if dict(found.heads) != {b.task_id: b.head for b in branches}:
        return "it speaks of other branches than those that are verified"
    tried = [*found.order, *found.red]
    if sorted(tried) != sorted(merged.order) or (found.tests != "failed" and found.order != merged.order):
        return "it was merged in another way"
    return ""
