"""What the Action does in the modes run and settle, read top to bottom; `judging` has the others."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_action.action.inputs import request_of_inputs
from orchestrator_action.action.step import Step
from orchestrator_action.agents.registry import root_env
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError, Interrupted, NothingToDo, OrchestratorError
from orchestrator_action.git.repo import Git
from orchestrator_action.plan.admission import Admission
from orchestrator_action.plan.trigger import trigger_of
from orchestrator_action.process.cancel import Cancel, on_signals
from orchestrator_action.protocol.ends import exit_code
from orchestrator_action.protocol.lease import leaseholder
from orchestrator_action.protocol.model import GOOD_STATUSES, RunReport, Status, TaskResult
from orchestrator_action.publish.progress import Progress, times
from orchestrator_action.publish.report.comments import report_json
from orchestrator_action.publish.report.overview import job_summary
from orchestrator_action.run import setup
from orchestrator_action.run.commands import obey
from orchestrator_action.run.installed_program import InstalledProgram
from orchestrator_action.run.live import RunView, tell_lines
from orchestrator_action.run.on_finish import tell_finish
from orchestrator_action.run.outcomes import gather_outcomes, outcomes_table
from orchestrator_action.run.preflight import preflight, wants_of
from orchestrator_action.run.run import run_tasks
from orchestrator_action.run.settling import settle_all
from orchestrator_action.state.context import RunContext
from orchestrator_action.text.figures import count, duration
from orchestrator_action.text.limits import inline

APART_S = 2.0
"""Between two lines of the log about one task."""
RESULTS_BYTES = 900_000
"""Of the output `results`. Source: docs.github.com, "Passing information between jobs": 1 MB a job."""

NOTHING_BEGAN = """## orchestrator: cancelled

No task had begun. The issues keep their labels: the next run takes them.
"""


def run(step: Step) -> int:
    """Work on what is in the queue; 0 also when nothing was. A scheduled run also tells what became of earlier work."""
    try:
        code = _work_off(step)
    except NothingToDo:
        _add_outcomes(step)
        raise
    if code != 130:
        _add_outcomes(step)
    return code


def _add_outcomes(step: Step) -> None:
    """The table of outcomes in the summary of a scheduled job. Best effort: a run is not what it tells of others."""
    if step.env.get("GITHUB_EVENT_NAME") != "schedule" or step["DRY_RUN"].lower() == "true":
        return
    with (
        contextlib.suppress(OrchestratorError),
        tempfile.TemporaryDirectory(prefix="oa-outcomes-") as private,
        setup.survey(request_of_inputs(step), step.env, private=Path(private)) as found,
    ):
        told = gather_outcomes(found.git, found.remote, found.forge, found.base_sha)
        step.files.add_summary(outcomes_table(told))


def _work_off(step: Step) -> int:
    """Work on what is in the queue."""
    asked = request_of_inputs(step)
    trigger = trigger_of(step.env, step.payload())
    dry = step["DRY_RUN"].lower() == "true"
    refuse_left_token(Git.open(step.repo, step.env), step.env.get("RUNNER_TEMP", ""))
    admission = Admission(
        trigger=trigger,
        run=leaseholder(step.env),
        say=step.say,
        asked=asked.issues,
        dry=dry,
        now=setup.now(),
    )
    step.guard.watch_program(InstalledProgram.of_action(step.env))
    if trigger.order is not None:
        obey(asked, step.env, trigger.order, admission, say=step.say)
        step.files.set_output("conclusion", "neutral")
        return 0
    step.files.set_output("conclusion", "cancelled")  # what stands when the runner kills this step
    with on_signals() as cancel:
        try:
            if dry:
                return _dry_run(step, asked, admission)
            report, path, code = _run(step, asked, admission, cancel)
        except NothingToDo:
            _refusals(step, admission)
            raise
        except Interrupted:
            step.guard.restore()
            step.files.add_summary(NOTHING_BEGAN)
            raise
        finally:
            untouched = step.guard.restore()
    _refusals(step, admission)
    conclusion = conclusion_of_run(report, cancelled=cancel.is_set())
    _outputs(step, report, path, conclusion)
    if not untouched:
        step.files.set_output("tampered", "true")
        raise ConfigError(
            "files of the installed orchestrator were changed while agents ran; it is not run again",
            hint="run agents on a machine made for one job; see SECURITY.md",
        )
    if cancel.is_set():
        return 130
    if conclusion in {"success", "neutral"}:
        return 0
    return code


def refuse_left_token(git: Git, runner_temp: str) -> None:
    """Raise ConfigError when a checkout left its token where git, and so every agent, can read it.

    actions/checkout keeps it in the repository's settings, since v6 in a file of the runner's.
    """
    if runner_temp and (kept := sorted(Path(runner_temp).glob("git-credentials-*.config"))):
        raise ConfigError(
            f"actions/checkout left a token in {kept[0]}, where every agent could read it",
            hint="give every actions/checkout of the job `persist-credentials: false`",
        )
    if left := [k for k in git.config() if k.startswith("http.") and k.endswith(".extraheader")]:
        raise ConfigError(
            f"actions/checkout left a token in git's configuration ({left[0]}), where every agent could read it",
            hint="give actions/checkout `persist-credentials: false`",
        )


def _run(
    step: Step, asked: setup.RunRequest, admission: Admission, cancel: Cancel
) -> tuple[RunReport, Path, int]:
    """The report, its file, and the exit code of the command for it."""
    env = agent_env(step.env, asked.flags.get("agent") or "")
    with setup.start_run(asked, env, cancel, say=step.say, admit=admission) as (found, run):
        step.say(
            f"run {run.run_id}: {count(len(found.tasks), 'task')}, agent {found.config.agent}, "
            f"base {found.base_branch} {found.base_sha[:12]}"
        )
        step.say(f"isolation: {found.isolation.sentence()}")
        step.say(f"tests: {' && '.join(found.test_commands) or 'none'} ({found.test_found})")
        slots = setup.slots_of(found, auto=step["MAX_PARALLEL"] == "auto")
        with Progress(run, found.tasks), _told_live(step, run):
            report = run_tasks(found.tasks, run, slots=slots, tell=lambda r: _told(step, r))
        chart = times(run.journal.events)
        for line in tell_finish(run, run.run_dir / "report.json"):
            step.remark("warning", line)
        step.guard.restore()
        step.files.add_summary(job_summary(report, times=chart, run_url=run.run_url, secrets=run.secrets))
        return report, run.run_dir / "report.json", exit_code(report.tasks, blocked=run.blocked_code)


def agent_env(env: Mapping[str, str], agent: str) -> dict[str, str]:
    """The environment with what the agent's CLI needs here: its directory, and that it may be root."""
    home = Path(
        env.get("RUNNER_TEMP", "/nonexistent"), "orchestrator-action", "agent", "node_modules", ".bin"
    )
    path = (
        f"{home}{os.pathsep}{env.get('PATH', os.defpath)}" if home.is_dir() else env.get("PATH", os.defpath)
    )
    root = root_env(agent or Config().agent) if os.geteuid() == 0 and in_container() else {}
    return {**env, "PATH": path, **root}


def in_container() -> bool:
    """Whether this is a container: only there may an agent without permission prompts be root."""
    return any(Path(p).exists() for p in ("/.dockerenv", "/run/.containerenv"))


@contextlib.contextmanager
def _told_live(step: Step, run: RunContext) -> Iterator[None]:
    """What each task does, as lines of the log while the block runs."""
    view, over = RunView(run.run_dir, lambda name: run.agents(name).words_of), threading.Event()
    teller = threading.Thread(
        target=tell_lines, args=(view, over, step.say), kwargs={"apart_s": APART_S}, name="lines", daemon=True
    )
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join(timeout=2.0)


def _told(step: Step, result: TaskResult) -> None:
    """One folded group of the log per task: what its agent printed, harmless; then how it ended."""
    log = Path(result.log) if result.log else None
    if log is not None and log.is_file():
        with log.open(encoding="utf-8", errors="replace") as lines:
            step.fold(f"{result.task_id}: agent's output", lines)
    said = f"{result.task_id}: {result.status} after {duration(result.wall_s)}"
    said += f": {result.error}" if result.error else ""
    if result.status in GOOD_STATUSES:
        step.say(said)
    else:
        step.remark("warning", said)


def _refusals(step: Step, admission: Admission) -> None:
    for number, why in admission.refused.items():
        step.remark("notice", f"issue {number} was not started: {why}")


def conclusion_of_run(report: RunReport, *, cancelled: bool) -> str:
    """The run in one word of GitHub's: success, failure, cancelled or neutral."""
    if cancelled:
        return "cancelled"
    statuses = {t.status for t in report.tasks} - {Status.SKIPPED}  # another run's, or not wanted any more
    if not statuses:
        return "neutral"
    return "success" if statuses <= GOOD_STATUSES else "failure"


def _outputs(step: Step, report: RunReport, path: Path, conclusion: str) -> None:
    good = sum(t.status in GOOD_STATUSES for t in report.tasks)
    pulls = [t.pull.number for t in report.tasks if t.pull]
    values = {
        "conclusion": conclusion,
        "results": results(report),
        "succeeded": str(good),
        "failed": str(sum(t.status not in {*GOOD_STATUSES, Status.SKIPPED} for t in report.tasks)),
        "pull-requests": json.dumps(pulls),
        "run-id": report.run_id,
        "report-path": str(path),
        "cost-usd": "" if report.cost_usd is None else f"{report.cost_usd:.4f}",
    }
    for name, value in values.items():
        step.files.set_output(name, value)


def results(report: RunReport) -> str:
    """The report as JSON that fits into an output; what is left out of a long one is in the file."""
    body = report_json(report)
    for shorten in (_as_it_is, _without_facts, _without_phases):
        text = json.dumps(shorten(body), ensure_ascii=False)
        if len(text.encode()) <= RESULTS_BYTES:
            return text
    return json.dumps({**body, "tasks": []})


def _as_it_is(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body


def _without_facts(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **body,
        "tasks": [{**t, "phases": [{**p, "facts": []} for p in t["phases"]]} for t in body["tasks"]],
    }


def _without_phases(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**body, "tasks": [{**t, "phases": []} for t in body["tasks"]]}


def _dry_run(step: Step, asked: setup.RunRequest, admission: Admission) -> int:
    """Say what would run and what is in the way; that also where nothing is asked for, as a new user tries it."""
    env = agent_env(step.env, asked.flags.get("agent") or "")
    with tempfile.TemporaryDirectory(prefix="oa-plan-") as private:
        try:
            with setup.plan_run(
                asked, step.env, private=Path(private), say=step.say, admit=admission
            ) as found:
                for task in found.tasks:
                    step.say(f"would run {task.id}: {task.title} on {task.branch}")
                wants = [*{e.message: e for e in preflight(found, env).values()}.values()]
        except NothingToDo as exc:
            step.say(f"nothing to do: {exc.message}")
            with (
                tempfile.TemporaryDirectory(prefix="oa-plan-") as other,
                setup.survey(asked, step.env, private=Path(other)) as seen,
            ):
                wants = wants_of(seen, env)
    step.guard.restore()
    for error in wants:
        step.remark("error", error.message + (f"\nhint: {error.hint}" if error.hint else ""))
    if not wants:
        step.say("nothing is in the way")
    step.files.set_output("conclusion", "failure" if wants else "neutral")
    return next((error.exit_code for error in wants), 0)


def settle(step: Step) -> int:
    """Tell what a cancelled or killed run on this machine left untold; nothing twice."""
    git = Git.open(step.repo, step.env)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        step.say(line)

    def show(report: RunReport, run: RunContext) -> None:
        chart = times(run.journal.events)
        step.files.add_summary(job_summary(report, times=chart, run_url=run.run_url, secrets=run.secrets))

    with on_signals() as cancel:
        told = settle_all(git, step.env, cancel, say=say, show=show)
    if told:
        said = "\n".join(f"- {inline(line, step.secrets, limit=600)}" for line in lines)
        step.files.add_summary(f"### orchestrator: told afterwards\n\n{said}\n")
    return 0
