"""`doctor`, `init`, `demo`, `version`: what concerns a repository or this machine, not a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator_action import __version__
from orchestrator_action.cli.options import HERE, AgentName, Base, ForgeName, Repo
from orchestrator_action.cli.terminal import put_lines, say
from orchestrator_action.errors import ConfigError
from orchestrator_action.process.own_environment import environment


def doctor(
    repo: Repo = HERE,
    agent: AgentName = "",
    forge: ForgeName = "",
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this configuration file only.")
    ] = None,
    tests: Annotated[
        bool, typer.Option("--tests", help="Also try set-up and tests at the base, as a run does first.")
    ] = False,
) -> None:
    """Check this machine, this repository and its configuration; say what is missing.

    Example: orchestrator-action doctor
    """
    from orchestrator_action.cli import doctor as checks

    rows = checks.check_file(file) if file else checks.check_all(repo, agent, environment(), forge)
    if tests and not file and all(r.ok or r.optional for r in rows):  # else a run would not come to them
        from orchestrator_action.cli.doctor_tests import tried_row

        rows.append(tried_row(repo, environment(), forge))
    put_lines(
        f"{'ok  ' if row.ok else 'FAIL'} {row.what}: {row.found}"
        + (f"\n     hint: {row.hint}" if row.hint else "")
        for row in rows
    )
    raise typer.Exit(0 if all(r.ok or r.optional for r in rows) else ConfigError.exit_code)


def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Make it here (default: a fresh temporary directory)."),
    ] = None,
) -> None:
    """Run the main job on a small repository made for it: no key, no network.

    Example: orchestrator-action demo
    """
    from orchestrator_action.cli import demo as show

    raise typer.Exit(show.demo(show.demo_folder(folder), environment()))


def init(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="label, jobs, comment, schedule, verify or check.")
    ] = "label",
    github: Annotated[
        bool, typer.Option("--github", help="Also see to labels, settings and the secret on GitHub.")
    ] = False,
    issue_form: Annotated[
        bool, typer.Option("--issue-form", help="Also a form for issues that agents work on.")
    ] = False,
    label: Annotated[
        str, typer.Option(metavar="LABEL", help="The label that asks for work (default: orchestrate).")
    ] = "",
    runs_on: Annotated[
        str, typer.Option(metavar="RUNNER", help="The runner (default: ubuntu-latest); several: a,b.")
    ] = "",
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
    put_lines([__version__])
