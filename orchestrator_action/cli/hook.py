"""`hook …`: the pre-push hook's own verbs, each handed to the hook's door in that repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from orchestrator_action.cli.options import HERE, Repo
from orchestrator_action.errors import GitError

app = typer.Typer(
    help="The local pre-push hook: it judges the commits being pushed, not the dirty tree.",
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Example: orchestrator-action hook install",
)


def _hook(repo: Path, *arguments: str) -> NoReturn:
    from orchestrator_action.hook.main import main as door

    try:
        os.chdir(repo)
    except OSError as exc:
        raise GitError(f"{repo}: {exc.strerror}", hint="name a git repository with --repo") from None
    raise typer.Exit(door(list(arguments)))


@app.command(short_help="Install the hook; one that is there is kept")
def install(repo: Repo = HERE) -> None:
    """Install the hook; an existing one is kept and run after ours.

    Example: orchestrator-action hook install
    """
    _hook(repo, "install")


@app.command(short_help="Remove the hook, put back what was there")
def uninstall(repo: Repo = HERE) -> None:
    """Remove the hook and put back what was there before, byte for byte.

    Example: orchestrator-action hook uninstall
    """
    _hook(repo, "uninstall")


@app.command(short_help="Say whether the hook is in force")
def status(repo: Repo = HERE) -> None:
    """Say whether the hook is in force: installed, displaced, shadowed, edited.

    Example: orchestrator-action hook status
    """
    _hook(repo, "status")


@app.command(short_help="Run the gates of a commit as a push would")
def run(
    ref: Annotated[str, typer.Argument(metavar="REF", help="What would be pushed.")] = "HEAD",
    gate: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this gate only; repeatable.")
    ] = None,
    anew: Annotated[bool, typer.Option("--all", help="Also run gates that have passed before.")] = False,
    repo: Repo = HERE,
) -> None:
    """Run the gates of a commit as a push would; what passes is remembered, and the push is instant.

    Example: orchestrator-action hook run HEAD --gate tests
    """
    named = [word for name in gate or [] for word in ("--gate", name)]
    _hook(repo, "run", *named, *(["--all"] if anew else []), ref)


@app.command(short_help="List pushes that went round the hook")
def audit(repo: Repo = HERE) -> None:
    """List pushes that went round the hook, and skips with their reasons.

    Example: orchestrator-action hook audit
    """
    _hook(repo, "audit")


@app.command(short_help="Remove trees that gates left")
def clean(repo: Repo = HERE) -> None:
    """Remove the gates' trees of repositories that are gone, and what gates left that could not be removed.

    Example: orchestrator-action hook clean
    """
    _hook(repo, "clean")


# Both are here to be found in --help; `cli` sends them straight to the hook's door, for their speed.
_AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("pre-push", hidden=True, context_settings=_AS_GIVEN)
def pre_push(context: typer.Context) -> None:
    """What husky and lefthook start, with git's own arguments and the refs on stdin."""
    _hook(HERE, "pre-push", *context.args)


@app.command("pre-commit", hidden=True)
def pre_commit() -> None:
    """What pre-commit starts in its pre-push stage."""
    _hook(HERE, "pre-commit")
