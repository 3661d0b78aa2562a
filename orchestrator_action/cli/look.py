"""`status`, `logs`, `report`, `clean`: what is there of runs, under way or past, and what may go."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator_action.cli.options import HERE, ForgeName, Json, Junit, Repo, RunName, Sarif
from orchestrator_action.cli.terminal import print_json, put_lines, say, write_text
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.git.remote import Remote
    from orchestrator_action.git.repo import Git


def status(
    repo: Repo = HERE,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no run is under way.")] = False,
    json_: Json = False,
) -> None:
    """Show the runs of this repository, how each task stands, and trees that were kept.

    Example: orchestrator-action status --watch
    """
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import watching
    from orchestrator_action.state import store as run_folders

    git = Git.open(repo)
    runs = run_folders.run_dirs(git)
    if json_:
        for now in watching.changes(git, runs) if watch else [watching.standing(git, runs)]:
            print_json(now)
    elif watch:
        _watch(git, runs)
    else:
        put_lines(watching.lines(watching.standing(git, runs)))


def _watch(git: Git, runs: Sequence[Path]) -> None:
    """Show the run under way until it ends: as a board on a terminal, otherwise in lines whenever it changes."""
    from orchestrator_action.agents.registry import words_of
    from orchestrator_action.cli.board import Board, can_draw
    from orchestrator_action.run import watching
    from orchestrator_action.run.live import RunView

    if not can_draw():
        for now in watching.changes(git, runs):
            put_lines(watching.lines(now), at_once=True)
        return
    under_way = [r["run_id"] for r in watching.standing(git, runs)["runs"] if r["state"] == "running"]
    folder = next((r for r in runs if r.name in under_way[-1:]), None)
    if folder is not None:
        with Board(RunView(folder, words_of)):
            for _ in watching.changes(git, [folder]):
                continue
    put_lines(watching.lines(watching.standing(git, runs)))


def logs(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id, such as issue-7.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the task ends.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Its output as it came, such as lines of JSON.")] = False,
    run_: Annotated[
        str,
        typer.Option(
            "--run", metavar="RUN", help="The run, by its id or a beginning of it (default: the latest)."
        ),
    ] = "",
    repo: Repo = HERE,
) -> None:
    """Print what a task's agent did and said, in words; nothing in it is obeyed by a terminal or a runner.

    Example: orchestrator-action logs issue-7 -f
    """
    from orchestrator_action.agents.registry import words_of
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import past_runs as inspect_runs
    from orchestrator_action.state import store as run_folders

    git = Git.open(repo)
    runs = [run_folders.find_run(git, run_)] if run_ else run_folders.run_dirs(git)[::-1]
    words = None if raw else words_of
    put_lines(inspect_runs.log_lines(runs, task, follow=follow, words_of=words), at_once=follow)


def report(
    run_: RunName = "last",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained page to this file.")
    ] = None,
    sarif: Sarif = None,
    junit: Junit = None,
    task: Annotated[
        str, typer.Option("--task", metavar="TASK", help="The audit trail of this task, from the remote.")
    ] = "",
    agents: Annotated[
        bool, typer.Option("--agents", help="What each agent came to, from all trails at the remote.")
    ] = False,
    outcomes: Annotated[
        bool, typer.Option("--outcomes", help="What became of all pull requests, and what they cost.")
    ] = False,
    forge: ForgeName = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Print a run's report as JSON, or write it as a page; or what the trails at the remote say, on any machine.

    Example: orchestrator-action report last --html report.html
    """
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import past_runs as inspect_runs
    from orchestrator_action.state import store as run_folders

    if task:
        raise typer.Exit(_audit(repo, task))
    if agents:
        _agents(repo, as_json=json_)
        return
    if outcomes:
        _outcomes(repo, forge, as_json=json_)
        return
    folder = run_folders.find_run(Git.open(repo), run_)
    body = inspect_runs.report_of(folder)
    wanted = {"html": html, "sarif": sarif, "junit": junit}
    if not any(wanted.values()):
        print_json(body)
        return
    from orchestrator_action.publish.progress import times
    from orchestrator_action.publish.report.formats import FORMATS
    from orchestrator_action.state.journal import read_events

    spans, found = times(read_events(folder / "journal.jsonl")), inspect_runs.report_from(body)
    for name, path in wanted.items():
        if path is not None:
            write_text(path, FORMATS[name](found, spans))


def _outcomes(repo: Path, forge: str, *, as_json: bool) -> None:
    from orchestrator_action.run import outcomes
    from orchestrator_action.run.setup import RunRequest, survey

    asked = RunRequest(repo=repo, forge=forge)
    with (
        tempfile.TemporaryDirectory(prefix="oa-outcomes-") as private,
        survey(asked, environment(), private=Path(private)) as found,
    ):
        told = outcomes.gather_outcomes(found.git, found.remote, found.forge, found.base_sha)
    if as_json:
        print_json(outcomes.outcomes_json(told))
    else:
        put_lines(outcomes.outcomes_table(told).splitlines())


@contextlib.contextmanager
def _remote_of(git: Git) -> Iterator[Remote]:
    from orchestrator_action.run.remote import make_remote
    from orchestrator_action.run.token import token_of

    env = environment()
    with tempfile.TemporaryDirectory(prefix="oa-audit-") as private:
        yield make_remote(git, token=token_of(env), private=Path(private), env=env)


def _agents(repo: Path, *, as_json: bool) -> None:
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run.agent_table import agent_table, table_json, table_lines

    git = Git.open(repo)
    with _remote_of(git) as remote:
        rows, changed = agent_table(git, remote, remote.fetch(remote.default_branch()))
    if as_json:
        print_json(table_json(rows, changed))
    else:
        put_lines(table_lines(rows, changed))


def _audit(repo: Path, task: str) -> int:
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import past_runs as inspect_runs

    git = Git.open(repo)
    with _remote_of(git) as remote:
        body = inspect_runs.audit_of(git, remote, task)
    print_json(body)
    if not body["status"]:
        say(
            "note: the trail does not say how the task ended: it is still at work, was cut off, or its end is missing"
        )
    for problem in body["problems"]:
        say(f"error: {problem}")
    return 1 if body["problems"] else 0


def clean(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="TASK", help="Only these tasks.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run/--remove", help="Say what would go (default), or remove it.", show_default=False
        ),
    ] = True,
    repo: Repo = HERE,
) -> None:
    """Remove trees that are clean, unowned and whose commits are elsewhere; list the others.

    Example: orchestrator-action clean --remove
    """
    from orchestrator_action.git.repo import Git
    from orchestrator_action.hook.litter import clean_litter
    from orchestrator_action.run import past_runs as inspect_runs

    put_lines(inspect_runs.clean(Git.open(repo), tasks or (), remove=not dry_run))
    put_lines(clean_litter(remove=not dry_run) if not tasks else ())
