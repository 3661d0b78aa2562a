"""`verify`, `doctor`, `init`, `demo`, `version`: what concerns a repository or this machine, not a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator_action import __version__
from orchestrator_action.cli.options import HERE, AgentName, Base, ForgeName, Json, Repo, asked_of
from orchestrator_action.cli.terminal import print_json, put, say
from orchestrator_action.errors import ConfigError
from orchestrator_action.process.own_environment import environment


def verify(
    branch: Annotated[str, typer.Option(help="The branch to judge (default: the one checked out).")] = "",
    pr: Annotated[int, typer.Option("--pr", metavar="N", help="The pull whose branch to judge.")] = 0,
    forge: ForgeName = "",
    agent: AgentName = "",
    base: Base = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Judge a task's branch again at its current head, and post the check there.

    Example: orchestrator-action verify --pr 12
    """
    asked = asked_of(repo, forge=forge, agent=agent, base=base)
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.publish.report.document import task_json
    from orchestrator_action.run import setup
    from orchestrator_action.run import verify_branch as again

    env = environment()
    with on_signals() as cancel, setup.start_run_without_tasks(asked, env, cancel) as parts:
        verified = again.verify(parts, again.branch_meant(parts, branch, pull=pr))
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


def doctor(
    repo: Repo = HERE,
    agent: AgentName = "",
    file: Annotated[Path | None, typer.Option(help="Check this configuration file only.")] = None,
) -> None:
    """Check this machine, this repository and its configuration; say what is missing.

    Example: orchestrator-action doctor
    """
    from orchestrator_action.cli import doctor as checks

    rows = checks.check_file(file) if file else checks.check_all(repo, agent, environment())
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
    kind: Annotated[str, typer.Argument(help="label, comment, schedule or verify.")] = "label",
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    repo: Repo = HERE,
) -> None:
    """Write a ready workflow and a configuration into this repository; shows the diff, overwrites nothing.

    Example: orchestrator-action init label
    """
    from orchestrator_action.cli import init as begin

    def agree() -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to agree", hint="add --yes to write these files")
        return typer.confirm("Write these files?", err=True)

    raise typer.Exit(begin.init(repo, kind, agree=agree, say=say))


def version() -> None:
    """Print the version.

    Example: orchestrator-action version
    """
    put([__version__])
