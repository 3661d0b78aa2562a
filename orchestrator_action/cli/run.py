"""`run`, `plan`, `resume`, `cancel`: what starts agents, says what would start, and ends them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from orchestrator_action.cli.options import (
    HERE,
    AgentName,
    Base,
    Candidates,
    DayBudget,
    ForgeName,
    Issues,
    Json,
    Label,
    Parallel,
    Prompts,
    Repo,
    RunBudget,
    RunName,
    TaskBudget,
    Test,
    Timeout,
    Turns,
    request_of_options,
)
from orchestrator_action.cli.terminal import print_json, put_lines, say
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.agents.base import Agent
    from orchestrator_action.cli.board import Board
    from orchestrator_action.plan.admission import Admission
    from orchestrator_action.process.cancel import Cancel
    from orchestrator_action.protocol.model import RunReport, TaskResult
    from orchestrator_action.run.setup import RunRequest, Survey


def run(
    prompts: Prompts = None,
    label: Label = "",
    issue: Issues = None,
    forge: ForgeName = "",
    agent: AgentName = "",
    candidates: Candidates = "",
    max_parallel: Parallel = "",
    timeout: Timeout = "",
    base: Base = "",
    test: Test = None,
    max_turns: Turns = None,
    max_budget_usd: TaskBudget = None,
    max_run_usd: RunBudget = None,
    max_day_usd: DayBudget = None,
    repo: Repo = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and start nothing.")] = False,
    json_: Json = False,
) -> None:
    """Run an agent on every labelled issue, or on prompt files, and verify what it claims.

    Example: orchestrator-action run --label orchestrate --max-parallel 4
    """
    asked = request_of_options(
        repo, prompts=prompts, label=label, issues=issue, forge=forge, base=base, agent=agent, candidates=candidates,
        max_parallel=max_parallel, timeout=timeout, test=test, max_turns=max_turns, max_budget_usd=max_budget_usd,
        max_run_usd=max_run_usd, max_day_usd=max_day_usd,
    )  # fmt: skip
    if dry_run:
        _foretell(asked, as_json=json_)
        return
    from orchestrator_action.process.cancel import on_signals

    with on_signals() as cancel:
        report, blocked = _run(asked, cancel, auto=max_parallel == "auto")
    _end(report, cancel, as_json=json_, blocked=blocked)


def _run(asked: RunRequest, cancel: Cancel, *, auto: bool, dead: str = "") -> tuple[RunReport, int]:
    """The report, and the exit code for tasks that are blocked."""
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import setup
    from orchestrator_action.run.on_finish import tell_finish
    from orchestrator_action.run.recover import settle_pending
    from orchestrator_action.run.run import run_tasks

    env = environment()
    settle_pending(Git.open(asked.repo), env, cancel, say=say)
    with setup.start_run(asked, env, cancel, say=say, admit=_admission(asked, dead=dead)) as (found, run):
        _preamble(found, run.run_id)
        with watch(run.run_dir, run.agents):
            report = run_tasks(found.tasks, run, slots=setup.slots_of(found, auto=auto), tell=tell)
        for line in tell_finish(run, run.run_dir / "report.json"):
            say(line)
    _summary(report, run.run_dir / "report.json")
    return report, run.blocked_code


def resume(run_: RunName = "last", repo: Repo = HERE, forge: ForgeName = "", json_: Json = False) -> None:
    """Take up a run that was cut short; what is proven stays proven, what was posted is not posted again.

    A run of another machine is known by its whole id, and gone on with from what it had pushed of its issues.

    Example: orchestrator-action resume last
    """
    from orchestrator_action.git.repo import Git
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run import past_runs, recover
    from orchestrator_action.run.on_finish import tell_finish
    from orchestrator_action.state import store as run_folders

    git = Git.open(repo)
    if run_folders.is_elsewhere(git, run_):
        _resume_elsewhere(request_of_options(repo, forge=forge), run_, as_json=json_)
    folder = past_runs.run_to_resume(git) if run_ == "last" else run_folders.find_run(git, run_)
    with on_signals() as cancel:
        with (
            recover.resume_run(folder, git, environment(), cancel, say=say) as taken,
            watch(folder, taken.run.agents, from_now=True),
        ):
            report = recover.resume(taken, say=say, tell=tell)
            over = taken.state.ended and not taken.open  # what was told then is not told again
            only = taken.state.untold if over else None
            for line in tell_finish(taken.run, folder / "report.json", only=only):
                say(line)
        _summary(report, folder / "report.json")
    _end(report, cancel, as_json=json_)


def watch(folder: Path, agents: Callable[[str], Agent], *, from_now: bool = False) -> Board:
    """Show the run in `folder` while the block runs: a board on a terminal, otherwise plain lines.

    With `from_now` no line tells what happened before.
    """
    from orchestrator_action.cli.board import Board
    from orchestrator_action.run.live import RunView

    view = RunView(folder, lambda name: agents(name).words_of)
    if from_now:
        view.refresh()
    return Board(view)


def _resume_elsewhere(asked: RunRequest, run_id: str, *, as_json: bool) -> NoReturn:
    """Go on, in a run of our own, with the issues of a run that this machine knows nothing of."""
    from orchestrator_action.errors import ConfigError
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run import setup
    from orchestrator_action.state import takeover

    with on_signals() as cancel:
        with (
            tempfile.TemporaryDirectory(prefix="oa-resume-") as private,
            setup.survey(asked, environment(), private=Path(private)) as found,
        ):
            issues = takeover.issues_of(found.git, found.remote, run_id)
        if not issues:
            raise ConfigError(
                f"no run {run_id} is known here, and the remote has no issue that it left open",
                hint="orchestrator-action status lists the runs of this machine",
            )
        say(f"run {run_id} was another machine's: {len(issues)} issue(s) of it go on")
        report, blocked = _run(replace(asked, issues=issues), cancel, auto=False, dead=run_id)
    _end(report, cancel, as_json=as_json, blocked=blocked)


def plan(
    prompts: Prompts = None,
    label: Label = "",
    issue: Issues = None,
    forge: ForgeName = "",
    agent: AgentName = "",
    candidates: Candidates = "",
    base: Base = "",
    test: Test = None,
    timeout: Timeout = "",
    max_turns: Turns = None,
    max_budget_usd: TaskBudget = None,
    repo: Repo = HERE,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the tasks for a run in separate steps, and write its plan."),
    ] = None,
    shards: Annotated[
        int, typer.Option(metavar="N", help="With --out: spread over at most N work jobs.")
    ] = 1,
    waves: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="With --out: put what depends on others into later waves of shards, N at most.",
        ),
    ] = 1,
    max_tasks: Annotated[
        int, typer.Option(metavar="N", help="With --out: take at most N tasks; 0 takes all.")
    ] = 0,
    json_: Json = False,
) -> None:
    """Say what would run, in which order, and which tasks may touch the same files; with --out, begin it.

    Example: orchestrator-action plan --label orchestrate
    """
    asked = request_of_options(
        repo, prompts=prompts, label=label, issues=issue, forge=forge, base=base, agent=agent, candidates=candidates,
        timeout=timeout, test=test, max_turns=max_turns, max_budget_usd=max_budget_usd,
    )  # fmt: skip
    if out is None:
        _foretell(asked, as_json=json_)
        return
    from orchestrator_action.cli.steps import write_plan

    write_plan(asked, out, shards, _admission(asked), waves=waves, most=max_tasks, as_json=json_)


def _foretell(asked: RunRequest, *, as_json: bool) -> None:
    from orchestrator_action.run import forecast, setup
    from orchestrator_action.run.preflight import preflight

    with (
        tempfile.TemporaryDirectory(prefix="oa-plan-") as private,
        setup.plan_run(
            asked, environment(), private=Path(private), say=say, admit=_admission(asked, dry=True)
        ) as found,
    ):
        body = forecast.forecast(found)
        for note in found.notes:
            say(f"note: {note}")
        blocked = preflight(found, environment())
    if as_json:
        print_json(body)
    else:
        put_lines(forecast.forecast_lines(body))
    for error in {e.message: e for e in blocked.values()}.values():
        say(f"in the way: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""))


def cancel(
    run_: RunName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Only this task; the others go on.")] = "",
    repo: Repo = HERE,
) -> None:
    """End a run of this repository, or one task of it, from another terminal; given twice, at once.

    Example: orchestrator-action cancel last
    """
    from orchestrator_action.git.repo import Git
    from orchestrator_action.run import past_runs as inspect_runs
    from orchestrator_action.state import store as run_folders

    outcome = inspect_runs.cancel(run_folders.find_run(Git.open(repo), run_), task)
    say(outcome.words)
    raise typer.Exit(0 if outcome.confirmed else 1)


def _admission(asked: RunRequest, *, dry: bool = False, dead: str = "") -> Admission:
    """Labels count here as on a runner: only of people who could push, on the text they saw."""
    from orchestrator_action.plan.admission import Admission
    from orchestrator_action.plan.trigger import Trigger
    from orchestrator_action.run import setup

    return Admission(
        trigger=Trigger(), run="", say=say, asked=asked.issues, dry=dry, dead=dead, now=setup.now()
    )


# -- words ------------------------------------------------------------------------------------------


def _preamble(found: Survey, run_id: str) -> None:
    from orchestrator_action.text.figures import count

    say(
        f"run {run_id}: {count(len(found.tasks), 'task')}, agent {found.config.agent}, "
        f"base {found.base_branch} {found.base_sha[:12]}"
    )
    say(f"isolation: {found.isolation.sentence()}")
    say(f"tests: {' && '.join(found.test_commands) or 'none'} ({found.test_found})")
    for note in found.notes:
        say(f"note: {note}")


def tell(result: TaskResult) -> None:
    """Say how a task ended, the moment it has."""
    from orchestrator_action.text.figures import duration

    say(
        f"{result.task_id}: {result.status} after {duration(result.wall_s)}"
        + (f": {result.error}" if result.error else "")
    )
    if result.kept_because:
        say(f"{result.task_id}: tree kept at {result.worktree}: {result.kept_because}")


def _summary(report: RunReport, path: Path) -> None:
    from orchestrator_action.publish.report.overview import print_tasks
    from orchestrator_action.text.figures import duration

    print_tasks(report.tasks, sys.stderr)
    for task in report.tasks:
        if task.pull:
            say(f"{task.task_id}: pull request {task.pull.url or f'#{task.pull.number}'}")
    say(
        f"wall {duration(report.wall_s)}, tasks {duration(report.sum_task_s)}, speed-up {report.speedup:.1f}, "
        f"at most {report.peak_parallel} at once"
    )
    say(f"report: {path}\nas a page: orchestrator-action report {report.run_id} --html report.html")


def _end(report: RunReport, cancel: Cancel, *, as_json: bool, blocked: int = 2) -> NoReturn:
    """Print the report; a caller that interrupted us and does not read it is not waited for."""
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.publish.report.document import report_json

    if as_json:
        print_json(report_json(report), within_s=0.5 if cancel.is_set() else 0.0)
    raise typer.Exit(exit_code(report.tasks, interrupted=cancel.is_set(), blocked=blocked))
