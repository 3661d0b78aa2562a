"""The check run of a task: begun on a commit, completed at its head, put an end to where it is outdated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from orchestrator_action.config.schema import CHECK_NAME
from orchestrator_action.forge.base import CompletedCheck
from orchestrator_action.protocol.events import Event, Ledger
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import PhaseVerdict, TaskResult
from orchestrator_action.publish.acts import run_info
from orchestrator_action.publish.report import comments as render
from orchestrator_action.state.context import RunContext, TaskRun


def post_check(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> None:
    """The check run at the result's head, by itself."""
    check = completed_check(task_run, result, ledger)
    task_run.run.forge.post_check(**{f.name: getattr(check, f.name) for f in fields(check)})


def completed_check(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> CompletedCheck:
    """What the check run says at the result's head."""
    run = task_run.run
    texts = render.check_texts(
        result.phases,
        conclusion=result.conclusion,
        status=result.status,
        head_sha=result.head_sha,
        run=run_info(run, task_run.crew.name),
        error=result.error,
        pull=result.pull,
        findings=ledger.findings,
        result=result,
        secrets=run.secrets,
    )
    return CompletedCheck(
        head_sha=result.head_sha,
        name=CHECK_NAME,
        external_id=f"{run.run_id}.{task_run.task.id}",
        conclusion=result.conclusion,
        title=texts.title,
        summary=texts.summary,
        text=texts.text,
        annotations=texts.annotations,
    )


def begin_check(run: RunContext, task: str, sha: str, phases: tuple[PhaseVerdict, ...]) -> None:
    """Show on a commit that its check is under way; `post_check` completes it."""
    info = run_info(run, run.config.agent)
    texts = render.check_texts(phases, conclusion=None, head_sha=sha, run=info, secrets=run.secrets)
    run.journal.append("check-begun", task, sha=sha)
    run.forge.start_check(
        head_sha=sha,
        name=CHECK_NAME,
        external_id=f"{run.run_id}.{task}",
        title=texts.title,
        summary=texts.summary,
    )


def end_outdated_checks(task_run: TaskRun, result: TaskResult) -> None:
    """Complete checks that were begun on a commit which is not the head any more."""
    run, task = task_run.run, task_run.task.id
    begun = {(e.run, str(e.data["sha"])) for e in run.journal.of(task) if e.kind == "check-begun"}
    for run_id, sha in sorted(begun - {(run.run_id, result.head_sha)}):
        _supersede(run, f"{run_id}.{task}", sha, f"superseded by {result.head_sha[:12]}")


def end_checks(run: RunContext, task: str, events: Iterable[Event]) -> None:
    """Complete the checks that a run began and did not live to complete."""
    begun = {(e.run, str(e.data["sha"])) for e in events if e.kind == "check-begun" and e.task == task}
    for run_id, sha in sorted(begun):
        _supersede(run, f"{run_id}.{task}", sha, "its run died; another one took the task over")


def _supersede(run: RunContext, external_id: str, sha: str, title: str) -> None:
    check = run.forge.start_check(
        head_sha=sha, name=CHECK_NAME, external_id=external_id, title=title, summary=title
    )
    if check.conclusion is None:
        run.forge.finish_check(check, conclusion=Conclusion.NEUTRAL, title=title, summary=title)
