"""What the Action does in the modes that judge and start no agent: verify, measure, report."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_action.action.inputs import request_of_inputs
from orchestrator_action.action.modes import agent_env, refuse_left_token
from orchestrator_action.action.step import Step
from orchestrator_action.errors import NothingToDo
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import on_signals
from orchestrator_action.protocol.model import GOOD_STATUSES
from orchestrator_action.publish.report.change import change_lines
from orchestrator_action.run import setup
from orchestrator_action.run.installed_program import InstalledProgram
from orchestrator_action.run.report_change import find_measured, report_change
from orchestrator_action.run.verify_change import (
    BASES_FOLDER,
    SUFFIXES,
    VerifiedChange,
    measure_any,
    verify_any,
)
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import document_digest
from orchestrator_action.verify.base_suite import take_from_elsewhere
from orchestrator_action.verify.measure import memory_of


def verify(step: Step) -> int:
    """Judge a branch or anybody's pull request at its head and post the check there."""
    branch, pull = _meant(step)
    with _judging(step) as run:
        verified = verify_any(
            run, branch=branch, pull=pull, since=_pushed_after(step.payload()), say=step.say
        )
    step.guard.restore()
    if isinstance(verified, VerifiedChange):
        return _tell_change(step, verified)
    result = verified.result
    step.say(
        f"{result.branch} at {result.head_sha[:12]}: {result.status}"
        + (f": {result.error}" if result.error else "")
    )
    for problem in verified.problems:
        step.remark("warning", problem)
    good = result.status in GOOD_STATUSES
    step.files.set_output("conclusion", "success" if good else "failure")
    return 0 if good else 1


def _meant(step: Step) -> tuple[str, int]:
    """Branch and pull request that an event is about. Raises NothingToDo when it names neither."""
    branch, pull = step["BRANCH"], 0
    if not branch:
        pull = _pull_of(step.payload())
        branch = "" if pull else step.env.get("GITHUB_REF_NAME", "")
    if not branch and not pull:
        raise NothingToDo(
            "the event names nothing to verify", hint="give branch, or run it on pull_request or push"
        )
    return branch, pull


@contextlib.contextmanager
def _judging(step: Step) -> Iterator[RunContext]:
    """A run that works on no task."""
    asked = request_of_inputs(step)
    refuse_left_token(Git.open(step.repo, step.env), step.env.get("RUNNER_TEMP", ""))
    env = agent_env(step.env, asked.flags.get("agent") or "")
    step.guard.watch_program(InstalledProgram.of_action(step.env))
    with on_signals() as cancel, setup.start_run_without_tasks(asked, env, cancel) as run:
        if step["BASES"]:
            taken = take_from_elsewhere(Path(step["BASES"]), memory_of(run))
            step.say(f"bases measured by another run: {taken}")
        yield run


def measure(step: Step) -> int:
    """Measure a change into a document and write nothing to GitHub: what a job with a reading token can do.

    0 whatever was found: the job that reports says it.
    """
    branch, pull = _meant(step)
    with _judging(step) as run:
        measured = measure_any(
            run, branch=branch, pull=pull, since=_pushed_after(step.payload()), say=step.say
        )
    step.guard.restore()
    _tell_change(step, measured)
    return 0


def report(step: Step) -> int:
    """Tell what the measuring job found: comment and check, from a document that is a stranger's to us."""
    path = Path(step["DOCUMENT"] or "verdict.json")
    body = path.read_bytes() if path.is_file() else b""  # an empty one is refused, and that is told
    measured = _measured_by(step.payload())
    with _judging(step) as run:
        change = find_measured(run, **measured)
        told = report_change(run, change, body, source=path.name)
    _sign(step, told)
    return _tell_change(step, told)


def _sign(step: Step, told: VerifiedChange) -> None:
    """Sign the document that this job wrote, with the key that only this job has."""
    if not step["SIGNING_KEY"]:
        return
    from orchestrator_action.state.envelope import sign_document

    path = told.path.with_name(told.path.name + ".dsse")
    path.write_bytes(
        sign_document(told.path.read_bytes(), step["SIGNING_KEY"].encode(), source=told.path.name)
    )
    step.files.set_output("envelope", str(path))


def _measured_by(payload: Mapping[str, Any]) -> Any:
    """What `find_measured` asks, from `workflow_run`, `pull_request` or a comment on one: the event's own words."""
    pull, done = payload.get("pull_request") or {}, payload.get("workflow_run") or {}
    if number := 0 if pull else _pull_of(payload):
        return {"head": "", "branch": "", "pull": number, "repository": ""}
    if pull:
        head = pull.get("head") or {}
        repository = (head.get("repo") or {}).get("full_name") or ""
        found = {"head": head.get("sha"), "branch": head.get("ref"), "pull": pull.get("number")}
    else:
        repository = (done.get("head_repository") or {}).get("full_name") or ""
        found = {"head": done.get("head_sha"), "branch": done.get("head_branch"), "pull": 0}
    if not found["head"] or not found["branch"]:
        raise NothingToDo(
            "the event names no measured commit", hint="run mode report on workflow_run or pull_request"
        )
    return {**found, "repository": repository, "pushed": done.get("event") == "push"}


def _tell_change(step: Step, verified: VerifiedChange) -> int:
    """Lines, annotations and outputs of anybody's change."""
    document, verdict = verified.document, verified.verdict
    for line in change_lines(document, verdict):
        step.say(line)
    for fact in verdict.open:
        step.remark("warning" if fact.detail.get("unproven") else "error", f"{fact.rule}: {fact.message}")
    step.files.set_output("document", str(verified.path))
    step.files.set_output("digest", document_digest(document))
    if (bases := verified.path.with_name(BASES_FOLDER)).is_dir():
        step.files.set_output("bases", str(bases))
    for name, suffix in SUFFIXES.items():
        step.files.set_output(name, str(verified.path.with_suffix(suffix)))
    good = verdict.conclusion in {"success", "neutral"}
    step.files.set_output("conclusion", str(verdict.conclusion))
    return 0 if good else 1


def _pushed_after(payload: Mapping[str, Any]) -> str:
    """The commit that a branch was at before a `push`; empty for other events, and for a new branch."""
    before = str(payload.get("before") or "")
    return before if before.strip("0") and "after" in payload and "pull_request" not in payload else ""


def _pull_of(payload: Mapping[str, Any]) -> int:
    """The number of the event's pull request: of `pull_request`, and of a comment on one. 0: there is none."""
    issue = payload.get("issue") or {}
    found = payload.get("pull_request") or (issue if issue.get("pull_request") else {})
    number = found.get("number")
    return number if isinstance(number, int) else 0
