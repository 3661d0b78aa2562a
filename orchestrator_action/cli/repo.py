"""`verify`, `doctor`, `init`, `demo`, `version`: what concerns a repository or this machine, not a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator_action import __version__
from orchestrator_action.cli.options import (
    HERE,
    AgentName,
    Base,
    BaseDigest,
    BundleDigest,
    ForgeName,
    Json,
    MeasuredBase,
    PlanDigest,
    Repo,
    request_of_options,
)
from orchestrator_action.cli.terminal import print_json, put, say, write_text
from orchestrator_action.errors import ConfigError
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.run.verify_change import VerifiedChange


def verify(
    branch: Annotated[str, typer.Option(help="The branch to judge (default: the one checked out).")] = "",
    pr: Annotated[
        int, typer.Option("--pr", metavar="N", help="The pull request to judge.", show_default=False)
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the verdict document to this file.")] = None,
    document: Annotated[
        Path | None, typer.Option(help="Check this verdict document against the repository instead.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Measure this bundle of a work job instead; needs --plan.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The plan that the bundle belongs to.")
    ] = None,
    plan_sha256: PlanDigest = "",
    bundle_sha256: BundleDigest = "",
    base_suite: MeasuredBase = None,
    base_suite_sha256: BaseDigest = "",
    forge: ForgeName = "",
    agent: AgentName = "",
    base: Base = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Judge a branch or a pull request at its current head, whoever made it, and post the check there.

    Example: orchestrator-action verify --pr 12
    """
    if document is not None:
        raise typer.Exit(_check_document(repo, document, as_json=json_))
    if bundle is not None or plan is not None:
        from orchestrator_action.cli.steps import verify_bundle

        code = verify_bundle(
            repo, plan, bundle, out, plan_sha256, bundle_sha256,
            base_suite=base_suite, base_suite_sha256=base_suite_sha256, as_json=json_,
        )  # fmt: skip
        raise typer.Exit(code)
    asked = request_of_options(repo, forge=forge, agent=agent, base=base)
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.publish.report.document import task_json
    from orchestrator_action.run import setup
    from orchestrator_action.run.verify_change import VerifiedChange, verify_any

    with on_signals() as cancel, setup.start_run_without_tasks(asked, environment(), cancel) as run:
        verified = verify_any(run, branch=branch, pull=pr)
    if isinstance(verified, VerifiedChange):
        raise typer.Exit(_tell_change(verified, out, as_json=json_))
    result = verified.result
    if json_:
        print_json({"schema": 1, "task": task_json(result), "problems": list(verified.problems)})
    say(
        f"{result.branch} at {result.head_sha[:12]}: {result.status}"
        + (f": {result.error}" if result.error else "")
    )
    for phase in result.phases:
        say(f"  {phase.phase:22} {phase.state}")
    raise typer.Exit(exit_code([result]))


def _tell_change(verified: VerifiedChange, out: Path | None, *, as_json: bool) -> int:
    """Say how anybody's change stands; 0 when it is verified, with or without exceptions."""
    from orchestrator_action.publish.report.change import change_lines
    from orchestrator_action.state.documents import encode

    document, verdict = verified.document, verified.verdict
    if out is not None:
        write_text(out, encode(document).decode())
    if as_json:
        print_json(document.statement())
    else:
        put(change_lines(document, verdict))
    return 0 if verdict.conclusion in {"success", "neutral"} else 1


def _check_document(repo: Path, path: Path, *, as_json: bool) -> int:
    """Check a verdict document offline: 0 when it is whole, speaks of this repository, and its word follows."""
    from orchestrator_action.git.repo import Git
    from orchestrator_action.publish.report.change import change_lines
    from orchestrator_action.run.check_document import check_document

    try:
        body = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}", hint="name a verdict document") from None
    checked = check_document(Git.open(repo), body, source=str(path))
    if as_json:
        print_json({"schema": 1, "digest": checked.digest, "problems": list(checked.problems)})
    put([f"document sha256:{checked.digest}", *change_lines(checked.document, checked.verdict)])
    for problem in checked.problems:
        say(f"error: {problem}")
    return 1 if checked.problems else 0


def doctor(
    repo: Repo = HERE,
    agent: AgentName = "",
    forge: ForgeName = "",
    file: Annotated[Path | None, typer.Option(help="Check this configuration file only.")] = None,
) -> None:
    """Check this machine, this repository and its configuration; say what is missing.

    Example: orchestrator-action doctor
    """
    from orchestrator_action.cli import doctor as checks

    rows = checks.check_file(file) if file else checks.check_all(repo, agent, environment(), forge)
    for row in rows:
        say(
            f"{'ok  ' if row.ok else 'FAIL'} {row.what}: {row.found}"
            + (f"\n     hint: {row.hint}" if row.hint else "")
        )
    raise typer.Exit(0 if all(r.ok or r.optional for r in rows) else ConfigError.exit_code)


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Make it here (default: a fresh temporary directory).")
    ] = None,
) -> None:
    """Run the main job on a small repository made for it: no key, no network.

    Example: orchestrator-action demo
    """
    from orchestrator_action.cli import demo as show

    raise typer.Exit(show.demo(show.place(folder), environment()))


def init(
    kind: Annotated[str, typer.Argument(help="label, comment, schedule, verify or check.")] = "label",
    github: Annotated[
        bool, typer.Option("--github", help="Also see to labels, settings and the secret on GitHub.")
    ] = False,
    issue_form: Annotated[
        bool, typer.Option("--issue-form", help="Also a form for issues that agents work on.")
    ] = False,
    label: Annotated[str, typer.Option(help="The label that asks for work (default: orchestrate).")] = "",
    runs_on: Annotated[str, typer.Option(help="The runner (default: ubuntu-latest); several: a,b.")] = "",
    base: Base = "",
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    repo: Repo = HERE,
) -> None:
    """Write a ready workflow and a configuration into this repository; shows the diff, overwrites nothing.

    With --github it shows how the repository stands there (labels, whether Actions may open pull requests, the
    secret) and does what you agree to. It can be run again.

    Example: orchestrator-action init label --github
    """
    from orchestrator_action.cli import init as begin
    from orchestrator_action.cli.init_workflow import Wishes

    def agree() -> bool:
        if yes:
            return True
        if sys.stdin is None or not sys.stdin.isatty():
            raise ConfigError("nobody is there to agree", hint="add --yes to do all this")
        return typer.confirm("Do all this?" if github else "Write these files?", err=True)

    wishes = Wishes(label=label, runs_on=runs_on, base=base)
    code = begin.init(
        repo, kind, agree=agree, say=say, env=environment(), wishes=wishes, github=github, form=issue_form
    )
    raise typer.Exit(code)


def version() -> None:
    """Print the version.

    Example: orchestrator-action version
    """
    put([__version__])
