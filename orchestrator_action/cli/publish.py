"""`integrate` and `publish`: the steps that take all bundles of a plan at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator_action.cli.options import (
    HERE,
    Accept,
    BaseDigest,
    BaseSuiteFile,
    Bundles,
    ForgeName,
    Json,
    PlanDigest,
    Repo,
    Verdicts,
    digests_of,
)
from orchestrator_action.cli.steps import PlanFile
from orchestrator_action.cli.terminal import print_json, put_lines, say, write_text
from orchestrator_action.errors import BundleError
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.run.steps.files import ReadPlan
    from orchestrator_action.run.steps.integrate import IntegrationDocument


def integrate(
    plan: PlanFile,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write what was found to this file.")],
    bundles: Bundles = None,
    verdict: Verdicts = None,
    accept: Accept = None,
    plan_sha256: PlanDigest = "",
    base_suite: BaseSuiteFile = None,
    base_suite_sha256: BaseDigest = "",
    repo: Repo = HERE,
) -> None:
    """Merge the verified branches of a plan, and run the tests of the merged tree. Needs no secret; runs no agent.

    Example: orchestrator-action integrate plan.json bundles/* --verdict verdicts/issue-7.json --out together.json
    """
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.publish.report.integration import integration_lines
    from orchestrator_action.run.steps import integrate as step
    from orchestrator_action.run.steps.base import read_base
    from orchestrator_action.run.steps.files import digest_of_bytes, read_plan, read_verdicts

    accepted = None if accept is None else digests_of(accept)
    read = read_plan(plan, plan_sha256)
    known = read_base(base_suite, read, base_suite_sha256) if base_suite is not None else None
    verdicts, problems = read_verdicts(verdict or (), accepted)
    for problem in problems:
        say(f"a verdict is refused: {problem}")
    with on_signals() as cancel:
        document, found = step.integrate_bundles(
            read, bundles or (), verdicts, repo, environment(), cancel, base=known, accept=accepted, say=say
        )
    body = step.encode_together(document)
    write_text(out, body.decode())
    lines = integration_lines(found) if found else ["there is nothing to try together"]
    put_lines([*lines, f"together {out} sha256:{digest_of_bytes(body)}"])
    raise typer.Exit(1 if document.tests == "failed" else 0)


def publish(
    plan: PlanFile,
    bundles: Bundles = None,
    verdict: Verdicts = None,
    review: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A review of the step review; repeatable.")
    ] = None,
    integration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the step integrate found.")
    ] = None,
    accept: Accept = None,
    plan_sha256: PlanDigest = "",
    forge: ForgeName = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Check the bundles of a plan, and write pull request, comment and check of every task. Runs no repository code.

    Example: orchestrator-action publish plan.json bundles/* --verdict verdicts/issue-7.json
    """
    from orchestrator_action.cli.run import tell
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.publish.report.document import report_json
    from orchestrator_action.run.on_finish import tell_finish
    from orchestrator_action.run.steps import publish as step
    from orchestrator_action.run.steps.files import read_plan, read_verdicts
    from orchestrator_action.run.steps.review import read_reviews

    accepted = None if accept is None else digests_of(accept)
    read = read_plan(plan, plan_sha256)
    verdicts, problems = read_verdicts(verdict or (), accepted)
    for problem in problems:
        say(f"a verdict is refused: {problem}")
    reviews, problems = read_reviews(review or (), accepted)
    for problem in problems:
        say(f"a review is refused: {problem}")
    together = _read_together(integration, read, accepted) if integration else None
    with on_signals() as cancel, step.enter_publish(read, repo, environment(), cancel, forge=forge) as run:
        report = step.publish_bundles(
            read,
            run,
            bundles or (),
            verdicts,
            reviews=reviews,
            together=together,
            accept=accepted,
            say=say,
            tell=tell,
        )
        for line in tell_finish(run, run.run_dir / "report.json", commands=False):
            say(line)
    if json_:
        print_json(report_json(report))
    raise typer.Exit(exit_code(report.tasks, interrupted=cancel.is_set()))


def _read_together(path: Path, read: ReadPlan, accept: frozenset[str] | None) -> IntegrationDocument | None:
    from orchestrator_action.run.steps.integrate import read_together

    try:
        return read_together(path, read, accept)
    except BundleError as exc:
        say(f"what was tested together is refused: {path}: {exc.message}")
        return None
