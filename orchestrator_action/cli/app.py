"""Every command, in the order in which `--help` lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator_action import __version__
from orchestrator_action.cli import hook as hooks
from orchestrator_action.cli import issue as issues
from orchestrator_action.cli import look as looking
from orchestrator_action.cli import publish as publishing
from orchestrator_action.cli import repo as repository
from orchestrator_action.cli import run as running
from orchestrator_action.cli import steps
from orchestrator_action.cli import verify as verifying
from orchestrator_action.cli.terminal import put_lines

app = typer.Typer(
    name="orchestrator-action",
    help="Label issues; get pull requests whose claims have been verified.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Example: orchestrator-action demo. Start there: it needs no key and no account.",
)


def _print_version(asked: bool) -> None:
    if asked:
        put_lines([f"orchestrator-action {__version__}"])
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Label issues; get pull requests whose claims have been verified."""


for command, short in (
    (repository.demo, "See it at work on a small repository made for it"),
    (repository.doctor, "Check machine, repository and configuration"),
    (repository.init, "Write a workflow and a configuration"),
    (running.plan, "Say what would run; write the plan of a run in steps"),
    (running.run, "Run agents on labelled issues, verify what they claim"),
    (looking.status, "Show the runs and how each task stands"),
    (looking.logs, "Print what a task's agent did and said"),
    (looking.report, "Print or write a run's report"),
    (running.cancel, "End a run, or one task of it, from another terminal"),
    (running.resume, "Take up a run that was cut short"),
    (looking.clean, "Remove trees that nobody needs any more"),
    (verifying.verify, "Judge a branch or a pull request at its head"),
    (verifying.sign, "Sign a verdict document with a key of your own"),
    (steps.base, "In steps: run the tests at a plan's base, once"),
    (steps.work, "In steps: work on one shard of a plan, write bundles"),
    (steps.review, "In steps: have a bundle reviewed on another machine"),
    (publishing.integrate, "In steps: test the verified branches as one tree"),
    (publishing.publish, "In steps: write what became of a plan to the forge"),
    (repository.version, "Print the version"),
):
    app.command(short_help=short)(command)
app.add_typer(hooks.app, name="hook", short_help="The local pre-push hook")
app.add_typer(issues.app, name="issue", short_help="Issues in files, for runs without GitHub")
