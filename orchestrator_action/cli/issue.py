"""`issue new`: an issue for the local forge, so that nobody has to write front matter by hand."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from orchestrator_action.cli.options import HERE, ForgeName, Repo, request_of_options
from orchestrator_action.cli.terminal import put_lines
from orchestrator_action.errors import ConfigError
from orchestrator_action.process.own_environment import environment
from orchestrator_action.text.limits import marker

app = typer.Typer(
    help="Issues in files, for runs without GitHub.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog='Example: orchestrator-action issue new "Greet people by name"',
)


@app.callback()
def options() -> None:
    """Issues in files, for runs without GitHub."""


@app.command(short_help="Open an issue that the next run takes")
def new(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is to be done, in one line.")],
    body: Annotated[
        str, typer.Option("--body", metavar="TEXT", help="The text; - reads it from standard input.")
    ] = "",
    label: Annotated[
        str, typer.Option(metavar="LABEL", help="Its label (default: the one that asks for work).")
    ] = "",
    forge: ForgeName = "local",
    repo: Repo = HERE,
) -> None:
    """Open an issue as a file, labelled so that the next run without GitHub takes it.

    Example: orchestrator-action issue new "Greet people by name" --body -
    """
    from orchestrator_action.run import setup

    if not title.strip():
        raise ConfigError("an issue needs a title", hint="say in one line what is to be done")
    text = sys.stdin.read() if body == "-" else body
    with (
        tempfile.TemporaryDirectory(prefix="oa-issue-") as private,
        setup.survey(request_of_options(repo, forge=forge), environment(), private=Path(private)) as found,
    ):
        if found.forge.name != "local":
            raise ConfigError(
                f"issues of {found.forge.name} are opened there", hint="on its page, or with its own command"
            )
        wanted = label or found.config.label
        made = found.forge.create_issue(
            title, text, marker=marker("new", secrets.token_hex(4)), labels=[wanted]
        )
    put_lines([f"#{made.number} {made.url}".strip()])
