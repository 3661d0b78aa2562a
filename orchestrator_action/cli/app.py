"""Every command, in the order in which `--help` lists them."""

from __future__ import annotations

import typer

from orchestrator_action.cli import hook as hooks
from orchestrator_action.cli import look as looking
from orchestrator_action.cli import repo as repository
from orchestrator_action.cli import run as running

app = typer.Typer(
    name="orchestrator-action",
    help="Label issues; get pull requests whose claims have been verified.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    running.run,
    running.resume,
    running.cancel,
    repository.verify,
    running.plan,
    looking.status,
    looking.logs,
    looking.report,
    looking.clean,
    repository.doctor,
    repository.demo,
    repository.init,
    repository.version,
):
    app.command()(command)
app.add_typer(hooks.app, name="hook")
