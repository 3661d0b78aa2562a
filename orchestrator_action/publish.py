"""What is written back: the branch, the comments, the check and the labels, from re-read state only.

Each act stands alone: one that fails is named, kept as pending in the journal, and the others go on.
Everything is found again by its marker, so publishing a second time writes nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator_action import render
from orchestrator_action.core.config import CHECK_NAME, DEFAULT_LABEL, LABEL_DONE, LABEL_FAILED, LABEL_RUNNING
from orchestrator_action.core.ledger import Ledger
from orchestrator_action.core.model import GOOD_STATUSES, TaskResult
from orchestrator_action.core.text import marker
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.parts import Parts, Subject

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Acts:
    """Runs acts one by one and remembers which of them did not come about."""

    parts: Parts
    task: str
    problems: list[str] = field(default_factory=list)

    def do(self, what: str, act: Callable[[], object]) -> None:
        """Do one act; what hinders it is a problem of this publication, not an exception."""
        try:
            act()
        except OrchestratorError as exc:
            log.warning("could not publish task=%s what=%s error=%s", self.task, what, exc.message)
            self.problems.append(f"{what} could not be published: {exc.message}")
            self.parts.journal.append("pending", self.task, what=what, error=exc.message)
        else:
            self.parts.journal.append("posted", self.task, what=what)


def claim_issue(parts: Parts, number: int) -> None:
    """Move an issue from the label that asks to the one that says somebody is at it."""
    labels = {parts.config.label, DEFAULT_LABEL, LABEL_DONE, LABEL_FAILED}
    parts.forge.set_labels(number, add=[LABEL_RUNNING], remove=sorted(labels))


def publish(subject: Subject, result: TaskResult, ledger: Ledger) -> tuple[str, ...]:
    """Write a task's result to the forge; returns what could not be written, in words."""
    acts = _Acts(subject.parts, subject.task.id)
    for what, act in _acts(subject, result, ledger):
        acts.do(what, act)
    return tuple(acts.problems)


def _acts(subject: Subject, result: TaskResult, ledger: Ledger) -> Iterator[tuple[str, Callable[[], object]]]:
    has_commits = bool(result.head_sha) and result.head_sha != result.base_sha
    if has_commits and ledger.pushed_sha != result.head_sha:
        yield "the branch", lambda: push(subject, result.head_sha)
    if has_commits:
        yield "the check", lambda: post_check(subject, result, ledger)
    if result.pull is not None:
        number = result.pull.number
        yield "the comment on the pull", lambda: _comment_on_pull(subject, result, ledger, number)
    if result.issue is not None:
        issue = result.issue
        yield "the comment on the issue", lambda: _comment_on_issue(subject, result, issue)
        yield "the labels", lambda: _label(subject.parts, result, issue)


def push(subject: Subject, sha: str) -> None:
    """The task branch at the remote becomes exactly `sha`."""
    parts, task = subject.parts, subject.task
    with subject.push_lock:
        known = parts.journal.ledger(task.id).pushed_sha
        if known == sha:
            return
        parts.remote.push(sha, f"refs/heads/{subject.branch}", known=known)
        parts.journal.append("pushed", task.id, sha=sha, branch=subject.branch)


def run_info(parts: Parts, agent: str) -> render.RunInfo:
    """What the texts say of the run."""
    return render.RunInfo(run_id=parts.run_id, agent=agent, url=parts.run_url)


def post_check(subject: Subject, result: TaskResult, ledger: Ledger) -> None:
    """The check run at the result's head."""
    parts = subject.parts
    texts = render.check_texts(
        result.phases,
        conclusion=result.conclusion,
        status=result.status,
        head_sha=result.head_sha,
        run=run_info(parts, subject.agent.name),
        error=result.error,
        pull=result.pull,
        findings=ledger.findings,
        secrets=parts.secrets,
    )
    check = parts.forge.start_check(
        head_sha=result.head_sha,
        name=CHECK_NAME,
        external_id=f"{parts.run_id}.{subject.task.id}",
        title=texts.title,
        summary=texts.summary,
    )
    parts.forge.finish_check(
        check,
        conclusion=result.conclusion,
        title=texts.title,
        summary=texts.summary,
        text=texts.text,
        annotations=texts.annotations,
    )


def _comment_on_pull(subject: Subject, result: TaskResult, ledger: Ledger, number: int) -> None:
    parts = subject.parts
    answers = {
        a.finding: f"fixed in {a.fixed_in[:12]}" if a.fixed_in else f"declined: {a.declined}"
        for a in ledger.answers.values()
    }
    body = render.pull_comment(
        result,
        run=run_info(parts, subject.agent.name),
        findings=ledger.findings,
        answers=answers,
        secrets=parts.secrets,
    )
    parts.forge.comment(number, marker=marker("pull-report", result.task_id), body=body)


def _comment_on_issue(subject: Subject, result: TaskResult, number: int) -> None:
    parts = subject.parts
    body = render.issue_comment(result, run=run_info(parts, subject.agent.name), secrets=parts.secrets)
    parts.forge.comment(number, marker=marker("task", result.task_id), body=body)


def _label(parts: Parts, result: TaskResult, number: int) -> None:
    good = result.status in GOOD_STATUSES
    done, other = (LABEL_DONE, LABEL_FAILED) if good else (LABEL_FAILED, LABEL_DONE)
    parts.forge.set_labels(number, add=[done], remove=[LABEL_RUNNING, parts.config.label, other])
