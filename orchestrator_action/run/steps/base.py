"""Between plan and work: the suites at the plan's base, run once for every machine of the run. No secret, no agent.

What is measured at the base is code that nobody of this run has written, so one machine may measure it for all.
A machine with other walls measures for itself: tests may come to something else there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.errors import BundleError, ConfigError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.documents import DOCUMENT_SCHEMA, Plan, canonical
from orchestrator_action.protocol.judge import demand_of
from orchestrator_action.protocol.model import Demand
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.run.bases import base_suite
from orchestrator_action.run.steps.files import ReadPlan, digest_of_bytes, read_plain
from orchestrator_action.run.steps.step import enter_step
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import MAX_DOCUMENT_BYTES, read_as
from orchestrator_action.verify.base_suite import KnownSuite
from orchestrator_action.verify.test_run import TestRun


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredBase:
    """What the tests came to at the base of a plan, by each set of test commands that its tasks have."""

    schema: int = DOCUMENT_SCHEMA
    plan_digest: str
    base_sha: str
    isolation: str
    """The sandbox level that they ran in."""
    suites: tuple[TestRun, ...] = ()


def measured_commands(read: ReadPlan) -> tuple[tuple[str, ...], ...]:
    """Every set of test commands that some task of a plan is measured with; none where Testing is switched off."""
    plan: Plan = read.plan
    if demand_of(BY_ID["testing"], read.config.phases) is Demand.OFF:
        return ()
    return tuple(dict.fromkeys(c for t in plan.tasks if (c := t.test or plan.test_commands)))


def measure_base(read: ReadPlan, repo: Path, env: Mapping[str, str], cancel: Cancel) -> MeasuredBase:
    """Run the suites at the plan's base. Raises SetupError when it cannot be made ready for its tests."""
    with enter_step(read, (), "base", repo, env, cancel, needs_agents=False) as (_, run):
        suites = []
        for commands in measured_commands(read):
            run.check_not_cancelled()
            suites.append(base_suite(run, commands).result())
        return MeasuredBase(
            plan_digest=read.digest, base_sha=read.plan.base_sha, isolation=run.isolation.level.word,
            suites=tuple(suites),
        )  # fmt: skip


def encode_base(base: MeasuredBase) -> bytes:
    """The document as it is written to a file."""
    return canonical(to_record(base)) + b"\n"


def read_base(path: Path, read: ReadPlan, expected: str = "") -> MeasuredBase:
    """What was measured of the plan's base. Raises ConfigError for a file that is anything else."""
    hint = "write it with: orchestrator-action base PLAN --out FILE"
    try:
        body = read_plain(path, MAX_DOCUMENT_BYTES)
        found = read_as(MeasuredBase, body)
    except BundleError as exc:
        raise ConfigError(f"cannot read what was measured of the base: {exc.message}", hint=hint) from None
    except ValueError as exc:
        raise ConfigError(f"{path} is no measured base: {exc}", hint=hint) from None
    digest = digest_of_bytes(body)
    if expected and digest != expected.removeprefix("sha256:"):
        raise ConfigError(
            f"{path} is not the measured base that was asked for: its digest is {digest[:12]}, not {expected[:12]}",
            hint="somebody replaced it; take the one whose digest the step before printed",
        )
    if (found.schema, found.plan_digest, found.base_sha) != (
        DOCUMENT_SCHEMA,
        read.digest,
        read.plan.base_sha,
    ):
        raise ConfigError(f"{path} was measured for another plan", hint=hint)
    return found


def use_base(run: RunContext, base: MeasuredBase) -> str:
    """Let a run measure against what another machine found of the base; returns why it does not, else nothing."""
    if base.isolation != run.isolation.level.word:
        return f"the base is measured here again: it was {base.isolation} there and is {run.isolation.level.word} here"
    for suite in base.suites:
        run.bases[base.base_sha, suite.commands] = KnownSuite(suite)
    return ""
