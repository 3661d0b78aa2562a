"""`orchestrator-action`: reads the command line and the environment, calls, prints; decides nothing.

What is for people goes to stderr. With `--json`, stdout holds one object and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from orchestrator_action import __version__
from orchestrator_action.errors import AgentError, ConfigError, NothingToDo, OrchestratorError
from orchestrator_action.voice import Voice

app = typer.Typer(
    name="orchestrator-action",
    help="Label issues; get pull requests whose claims have been verified.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Repo = Annotated[Path, typer.Option(help="The repository, any directory of it.", show_default="here")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Prompts = Annotated[
    list[Path] | None, typer.Argument(metavar="[TASK.md]...", help="Prompt files, a task each.")
]
Label = Annotated[str, typer.Option(help="Take the open issues with this label (default: orchestrate).")]
Issues = Annotated[
    list[int] | None, typer.Option("--issue", metavar="N", help="Take this issue; repeatable.")
]
ForgeName = Annotated[
    str, typer.Option("--forge", help="github, local or local:DIR (default: by the remote).")
]
AgentName = Annotated[str, typer.Option("--agent", help="claude or patch (default: claude).")]
Parallel = Annotated[
    str, typer.Option("--max-parallel", metavar="N", help="Tasks at once, or auto (default: 4).")
]
Timeout = Annotated[str, typer.Option(help="Wall-clock limit of a task, as 90s or 45m (default: 45m).")]
Base = Annotated[str, typer.Option(metavar="REF", help="Base branch (default: the remote's default branch).")]
Test = Annotated[
    list[str] | None, typer.Option(help="Test command; repeatable (default: configured or detected).")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, a beginning of it, or last.")]
HERE = Path()


def say(line: str) -> None:
    """A line for people. A reader that went away is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _print_json(value: Any, *, within_s: float = 0.0) -> None:
    """One object on stdout. With `within_s`, a reader that does not read is left after that time."""
    text = json.dumps(value, ensure_ascii=False)
    if not within_s:
        print(text, flush=True)
        return
    out = Voice(1)
    out.write(f"{text}\n")
    out.drain(within_s)


def _asked(
    repo: Path, prompts: list[Path] | None, label: str, issues: list[int] | None, forge: str, base: str,
    **flags: Any,
) -> Any:  # fmt: skip
    from orchestrator_action.wiring import Asked

    if any(n < 1 for n in issues or ()):
        raise ConfigError("--issue takes a positive number", hint="as in --issue 7")
    flags["label"] = label or None
    return Asked(
        repo=repo, prompts=tuple(prompts or ()), issues=tuple(issues or ()), label=label, forge=forge, base=base,
        flags=flags,
    )  # fmt: skip


def _flags(agent: str, max_parallel: str, timeout: str, test: list[str] | None) -> dict[str, Any]:
    return {
        "agent": agent or None,
        "max_parallel": _slots(max_parallel) if max_parallel else None,
        "timeout": timeout or None,
        "test": list(test) if test else None,
    }


def _slots(text: str) -> int:
    if text == "auto":
        from orchestrator_action.runtime.admission import read_machine, sensible_parallel

        return sensible_parallel(read_machine())
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(
            f"--max-parallel {text!r} is no positive number", hint="as in --max-parallel 4, or auto"
        )
    return int(text)


@app.command()
def run(
    prompts: Prompts = None,
    label: Label = "",
    issue: Issues = None,
    forge: ForgeName = "",
    agent: AgentName = "",
    max_parallel: Parallel = "",
    timeout: Timeout = "",
    base: Base = "",
    test: Test = None,
    repo: Repo = HERE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and start nothing.")] = False,
    json_: Json = False,
) -> None:
    """Run an agent on every labelled issue, or on prompt files, and verify what it claims.

    Example: orchestrator-action run --label orchestrate --max-parallel 4
    """
    asked = _asked(repo, prompts, label, issue, forge, base, **_flags(agent, max_parallel, timeout, test))
    if dry_run:
        _plan(asked, as_json=json_)
        return
    from orchestrator_action.runtime.cancel import on_signals

    with on_signals() as cancel:
        report = _run(asked, cancel, places="auto" if max_parallel == "auto" else 0)
    _end(report, cancel, as_json=json_)


def _run(asked: Any, cancel: Any, *, places: Any) -> Any:
    from orchestrator_action import wiring
    from orchestrator_action.resume import settle_pending
    from orchestrator_action.run import run_tasks
    from orchestrator_action.runtime.git import Git

    settle_pending(Git.open(asked.repo), wiring.environment(), cancel, say=say)
    with wiring.opened(asked, wiring.environment(), cancel, say=say, admit=_admission(asked)) as (
        found,
        parts,
    ):
        _preamble(found, parts.run_id)
        slots = places or min(found.config.max_parallel, len(found.tasks))
        report = run_tasks(found.tasks, parts, slots=slots, tell=_tell)
    _summary(report, parts.run_dir / "report.json")
    return report


@app.command()
def resume(run_: RunName = "last", repo: Repo = HERE, json_: Json = False) -> None:
    """Take up a run that was cut short; what is proven stays proven, what was posted is not posted again.

    Example: orchestrator-action resume last
    """
    from orchestrator_action import resume as again
    from orchestrator_action import wiring
    from orchestrator_action.runtime.cancel import on_signals
    from orchestrator_action.runtime.git import Git

    git = Git.open(repo)
    folder = wiring.find_run(git, run_)
    with on_signals() as cancel:
        with again.taken_up(folder, git, wiring.environment(), cancel, say=say) as taken:
            report = again.resume(taken, say=say, tell=_tell)
        _summary(report, folder / "report.json")
    _end(report, cancel, as_json=json_)


@app.command()
def cancel(
    run_: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, a beginning of it, or last.")],
    task: Annotated[str, typer.Argument(metavar="[TASK]", help="Only this task; the others go on.")] = "",
    repo: Repo = HERE,
) -> None:
    """End a run of this repository, or one task of it, from another terminal; given twice, at once.

    Example: orchestrator-action cancel last
    """
    from orchestrator_action import inspect_runs, wiring
    from orchestrator_action.runtime.git import Git

    outcome = inspect_runs.cancel(wiring.find_run(Git.open(repo), run_), task)
    say(outcome.words)
    raise typer.Exit(0 if outcome.confirmed else 1)


def _admission(asked: Any, *, dry: bool = False) -> Any:
    """Labels count here as on a runner: only of people who could push, on the text they saw."""
    from orchestrator_action.queue import Admission, Trigger

    return Admission(trigger=Trigger(), run="", say=say, asked=asked.issues, dry=dry)


def _preamble(found: Any, run_id: str) -> None:
    say(
        f"run {run_id}: {len(found.tasks)} task(s), agent {found.config.agent}, "
        f"base {found.base_branch} {found.base_sha[:12]}"
    )
    tests = " && ".join(found.test_commands) or "none"
    say(f"tests: {tests} ({found.test_found})")
    for note in found.notes:
        say(f"note: {note}")


def _tell(result: Any) -> None:
    say(
        f"{result.task_id}: {result.status} after {result.wall_s:.1f} s"
        + (f": {result.error}" if result.error else "")
    )
    if result.kept_because:
        say(f"{result.task_id}: worktree kept at {result.worktree}: {result.kept_because}")


def _summary(report: Any, path: Path) -> None:
    from orchestrator_action.board import status_table

    say(status_table(report.tasks))
    say(
        f"wall {report.wall_s:.1f} s, tasks {report.sum_task_s:.1f} s, speed-up {report.speedup:.1f}, "
        f"at most {report.peak_parallel} at once; report: {path}"
    )


def _end(report: Any, cancel: Any, *, as_json: bool) -> NoReturn:
    from orchestrator_action.core.model import GOOD_STATUSES

    if as_json:
        from orchestrator_action.render import report_json

        _print_json(report_json(report), within_s=0.5 if cancel.is_set() else 0.0)
    if cancel.is_set():
        raise typer.Exit(130)
    raise typer.Exit(0 if all(t.status in GOOD_STATUSES for t in report.tasks) else 1)


@app.command()
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
    asked = _asked(repo, None, "", None, forge, base, **_flags(agent, "", "", None))
    from orchestrator_action import wiring
    from orchestrator_action.runtime.cancel import on_signals
    from orchestrator_action.verify import verify as judge_again

    env = wiring.environment()
    with on_signals() as cancel, wiring.opened_without_tasks(asked, env, cancel) as parts:
        verified = judge_again(
            parts, parts.forge.pull(pr).head_branch if pr else branch or parts.git.branch()
        )
    result = verified.result
    if json_:
        from orchestrator_action.render import task_json

        _print_json({"schema": 1, "task": task_json(result), "problems": list(verified.problems)})
    say(
        f"{result.branch} at {result.head_sha[:12]}: {result.status}"
        + (f": {result.error}" if result.error else "")
    )
    for phase in result.phases:
        say(f"  {phase.phase:22} {phase.state}")
    raise typer.Exit(0 if result.status in {"success", "no-change"} else 1)


@app.command()
def plan(
    prompts: Prompts = None,
    label: Label = "",
    issue: Issues = None,
    forge: ForgeName = "",
    agent: AgentName = "",
    base: Base = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Say what would run, in which order, and which tasks may touch the same files.

    Example: orchestrator-action plan --label orchestrate
    """
    asked = _asked(repo, prompts, label, issue, forge, base, **_flags(agent, "", "", None))
    _plan(asked, as_json=json_)


def _plan(asked: Any, *, as_json: bool) -> None:
    from orchestrator_action import wiring
    from orchestrator_action.core.paths import mentioned
    from orchestrator_action.core.plan import conflicts

    with (
        tempfile.TemporaryDirectory(prefix="oa-plan-") as private,
        wiring.planned(
            asked, wiring.environment(), private=Path(private), say=say, admit=_admission(asked, dry=True)
        ) as found,
    ):
        known = set(found.git.paths(found.base_sha))
        touched = {t.id: t.files or tuple(p for p in mentioned(t.text) if p in known) for t in found.tasks}
        forecast = conflicts(touched)
        rows: list[dict[str, Any]] = [
            {
                "task_id": t.id, "title": t.title, "issue": t.issue.number if t.issue else None, "branch": t.branch,
                "depends_on": list(t.depends_on), "files": list(touched[t.id]), "agent": t.agent or found.config.agent,
            }
            for t in found.tasks
        ]  # fmt: skip
        for note in found.notes:
            say(f"note: {note}")
        if as_json:
            _print_json(
                {
                    "schema": 1, "repo": found.forge.repository, "base_branch": found.base_branch,
                    "base_sha": found.base_sha, "test": list(found.test_commands), "test_found": found.test_found,
                    "tasks": rows, "conflicts": [{"a": c.a, "b": c.b, "paths": list(c.paths)} for c in forecast],
                }
            )  # fmt: skip
            return
        say(
            f"base {found.base_branch} {found.base_sha[:12]}; "
            f"tests: {' && '.join(found.test_commands) or 'none'} ({found.test_found})"
        )
        for number, row in enumerate(rows, 1):
            after = f" after {', '.join(row['depends_on'])}" if row["depends_on"] else ""
            say(f"{number:3} {row['task_id']:14} {row['title']} → {row['branch']}{after}")
        for c in forecast:
            say(f"may conflict: {c.a} and {c.b} on {', '.join(c.paths)}")


@app.command()
def status(
    repo: Repo = HERE,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no run is under way.")] = False,
    json_: Json = False,
) -> None:
    """Show the runs of this repository, how each task stands, and worktrees that were kept.

    Example: orchestrator-action status --watch
    """
    from orchestrator_action import watching, wiring
    from orchestrator_action.runtime.git import Git

    git = Git.open(repo)
    runs = wiring.run_dirs(git)
    if json_:
        for now in watching.changes(git, runs) if watch else [watching.standing(git, runs)]:
            _print_json(now)
    elif watch:
        watching.show(git, runs)
    else:
        say("\n".join(watching.lines(watching.standing(git, runs))))


@app.command()
def logs(
    task: Annotated[str, typer.Argument(help="The task's id, such as issue-7.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the task ends.")] = False,
    run_: Annotated[
        str, typer.Option("--run", help="The run, by its id or a beginning of it (default: the latest).")
    ] = "",
    repo: Repo = HERE,
) -> None:
    """Print an agent's raw output, with nothing in it that a terminal or a runner would obey.

    Example: orchestrator-action logs issue-7 -f
    """
    from orchestrator_action import inspect_runs, wiring
    from orchestrator_action.runtime.git import Git

    git = Git.open(repo)
    runs = [wiring.find_run(git, run_)] if run_ else wiring.run_dirs(git)[::-1]
    for line in inspect_runs.log_lines(runs, task, follow=follow):
        print(line, flush=follow)


@app.command()
def report(
    run_: Annotated[
        str, typer.Argument(metavar="RUN", help="The run's id, a beginning of it, or last.")
    ] = "last",
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page to this file.")] = None,
    task: Annotated[str, typer.Option("--task", help="The audit trail of this task, from the remote.")] = "",
    repo: Repo = HERE,
) -> None:
    """Print a run's report as JSON, or write it as a page; or a task's audit trail, on any machine.

    Example: orchestrator-action report last --html report.html
    """
    from orchestrator_action import inspect_runs, wiring
    from orchestrator_action.runtime.git import Git

    if task:
        raise typer.Exit(_audit(repo, task))
    folder = wiring.find_run(Git.open(repo), run_)
    body = inspect_runs.report_of(folder)
    if html is None:
        _print_json(body)
        return
    from orchestrator_action.board import report_html
    from orchestrator_action.progress import times
    from orchestrator_action.runtime.journal import read_events, replace_file

    spans = times(read_events(folder / "journal.jsonl"))
    replace_file(html, report_html(inspect_runs.report_from(body), times=spans))
    say(f"written: {html}")


def _audit(repo: Path, task: str) -> int:
    from orchestrator_action import inspect_runs, wiring
    from orchestrator_action.runtime.git import Git

    git = Git.open(repo)
    with tempfile.TemporaryDirectory(prefix="oa-audit-") as private:
        env = wiring.environment()
        remote = wiring.make_remote(git, token=wiring.token_of(env), private=Path(private), env=env)
        body = inspect_runs.audit_of(git, remote, task)
    _print_json(body)
    for problem in body["problems"]:
        say(f"error: {problem}")
    return 1 if body["problems"] else 0


@app.command()
def clean(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="Only these tasks.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--remove", help="Only say what would go, or remove it.")
    ] = True,
    repo: Repo = HERE,
) -> None:
    """Remove worktrees that are clean, unowned and whose commits are elsewhere; list the others.

    Example: orchestrator-action clean --remove
    """
    from orchestrator_action.runtime.git import Git
    from orchestrator_action.runtime.workspace import Workspace

    workspace = Workspace(Git.open(repo))
    wanted = {f"{kind}-{t}" for t in tasks or () for kind in ("task", "measure", "review")}
    for left in workspace.leftovers():
        if wanted and left.path.name not in wanted:
            continue
        if left.kept_because:
            say(f"kept {left.path}: {left.kept_because}")
        elif dry_run:
            say(f"would remove {left.path}")
        else:
            kept = workspace.remove(left.path)
            say(f"kept {left.path}: {kept}" if kept else f"removed {left.path}")


@app.command()
def doctor(
    repo: Repo = HERE,
    agent: AgentName = "",
    file: Annotated[Path | None, typer.Option(help="Check this configuration file only.")] = None,
) -> None:
    """Check this machine, this repository and its configuration; say what is missing.

    Example: orchestrator-action doctor
    """
    from orchestrator_action import doctor as checks
    from orchestrator_action import wiring

    rows = checks.check_file(file) if file else checks.check_all(repo, agent, wiring.environment())
    for row in rows:
        say(
            f"{'ok  ' if row.ok else 'FAIL'} {row.what}: {row.found}"
            + (f"\n     hint: {row.hint}" if row.hint else "")
        )
    raise typer.Exit(0 if all(r.ok or r.optional for r in rows) else 2)


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Make it here (default: a fresh temporary directory).")
    ] = None,
) -> None:
    """Run the main job on a small repository made for it: no key, no network.

    Example: orchestrator-action demo
    """
    from orchestrator_action import demo as show
    from orchestrator_action import wiring

    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", hint="name a new directory")
    where = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    raise typer.Exit(show.demo(where, wiring.environment()))


@app.command("init")
def init_(
    kind: Annotated[str, typer.Argument(help="label, comment, schedule or verify.")] = "label",
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    repo: Repo = HERE,
) -> None:
    """Write a ready workflow and a configuration into this repository; shows the diff, overwrites nothing.

    Example: orchestrator-action init label
    """
    from orchestrator_action import init as begin

    def agree() -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to agree", hint="add --yes to write these files")
        return typer.confirm("Write these files?", err=True)

    raise typer.Exit(begin.init(repo, kind, agree=agree, say=say))


@app.command()
def version() -> None:
    """Print the version.

    Example: orchestrator-action version
    """
    print(__version__)


hooks = typer.Typer(
    help="The local pre-push hook: it judges the commits being pushed, not the dirty tree.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(hooks, name="hook")


def _hook(repo: Path, *arguments: str) -> NoReturn:
    """The hook's own door, in that repository."""
    from orchestrator_action.hook import main as door

    os.chdir(repo)
    raise typer.Exit(door(list(arguments)))


@hooks.command("install")
def hook_install(repo: Repo = HERE) -> None:
    """Install the hook; an existing one is kept and run after ours.

    Example: orchestrator-action hook install
    """
    _hook(repo, "install")


@hooks.command("uninstall")
def hook_uninstall(repo: Repo = HERE) -> None:
    """Remove the hook and put back what was there before, byte for byte.

    Example: orchestrator-action hook uninstall
    """
    _hook(repo, "uninstall")


@hooks.command("status")
def hook_status(repo: Repo = HERE) -> None:
    """Say whether the hook is in force: installed, displaced, shadowed, edited.

    Example: orchestrator-action hook status
    """
    _hook(repo, "status")


@hooks.command("run")
def hook_run(
    ref: Annotated[str, typer.Argument(help="What would be pushed.")] = "HEAD", repo: Repo = HERE
) -> None:
    """Run the gates of a commit as a push would; what passes is remembered, and the push is instant.

    Example: orchestrator-action hook run HEAD
    """
    _hook(repo, "run", ref)


@hooks.command("audit")
def hook_audit(repo: Repo = HERE) -> None:
    """List pushes that went round the hook, and skips with their reasons.

    Example: orchestrator-action hook audit
    """
    _hook(repo, "audit")


_AS_GIVEN = {"allow_extra_args": True, "ignore_unknown_options": True}


@hooks.command("pre-push", hidden=True, context_settings=_AS_GIVEN)
def hook_pre_push(context: typer.Context) -> None:
    """What husky and lefthook start, with git's own arguments and the refs on stdin."""
    _hook(HERE, "pre-push", *context.args)


@hooks.command("pre-commit", hidden=True)
def hook_pre_commit() -> None:
    """What pre-commit starts in its pre-push stage."""
    _hook(HERE, "pre-commit")


def _crash(exc: BaseException) -> int:
    """A bug of ours: the whole story goes to a file, its name to the user."""
    fd, name = tempfile.mkstemp(prefix="orchestrator-crash-", suffix=".txt")
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as out:
        out.write(f"orchestrator-action {__version__}\nargv {sys.argv}\npython {sys.version}\n\n")
        traceback.print_exception(exc, file=out)
    say(f"error: a bug of ours: {type(exc).__name__}: {exc}\nhint: please report it with {name}")
    return 70


def main() -> None:
    """The console script."""
    _prepare_streams()
    level = os.environ.get("ORCHESTRATOR_LOG", "WARNING").upper()
    logging.basicConfig(
        stream=sys.stderr, level=level if level.isalpha() else "WARNING", format="%(levelname)s %(message)s"
    )
    _leave(_called())


def _prepare_streams() -> None:
    """Three open descriptors whatever we were given, and a stderr that nobody can hold up."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(fd)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    sys.stderr = Voice(2)


def _called() -> int:
    """Run the command; its exit code. A fault of the user's is two lines, never a traceback."""
    try:
        app()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except OrchestratorError as exc:
        say(f"error: {exc.message}" + (f"\nhint: {exc.hint}" if exc.hint else ""))
        return exc.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as exc:  # noqa: BLE001 - the outermost door
        return _crash(exc)
    return 0


def _leave(code: int) -> NoReturn:
    """End this process. Words for a reader that reads none, and threads that hang, do not keep it."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    if isinstance(sys.stderr, Voice):
        sys.stderr.drain(0.3 if code == 130 else 10.0)
    os._exit(code)


__all__ = ["AgentError", "NothingToDo", "app", "main"]

if __name__ == "__main__":
    main()
