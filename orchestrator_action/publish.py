"""What is written back: the branch, the comments, the check and the labels, from re-read state only.

Each act stands alone: one that fails is named, kept as pending in the journal, and the others go on.
Everything is found again by its marker, so publishing a second time writes nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from orchestrator_action import render
from orchestrator_action.core.config import CHECK_NAME, LABEL_DONE, LABEL_FAILED, LABEL_RUNNING, REF_PREFIX
from orchestrator_action.core.ledger import Event, Ledger
from orchestrator_action.core.model import (
    GOOD_STATUSES,
    Conclusion,
    Issue,
    PhaseVerdict,
    Status,
    Task,
    TaskResult,
)
from orchestrator_action.core.queueing import ClaimLine, claimant, with_claim
from orchestrator_action.core.text import marker
from orchestrator_action.errors import GitError, OrchestratorError, TakenError
from orchestrator_action.forge.base import Queue
from orchestrator_action.parts import Parts, Subject
from orchestrator_action.runtime.secrets import secrets_in
from orchestrator_action.takeover import win

log = logging.getLogger(__name__)

ACTIONS_LOGIN = "github-actions[bot]"
"""Under which the token of a workflow writes."""
TAKE_IT_OUT = "take it out of every commit of the branch, and revoke it if it was real"
LAST_WORD_S = 3.0
"""How long a task's last comment waits for one about its progress that is under way."""


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


def claim_issue(parts: Parts, task: Task, issue: Issue) -> None:
    """Take an issue for this run: its label moves, and a comment says which run is at it.

    Of two runs that want the same issue exactly one gets it; the other's task ends with TakenError.
    """
    before: tuple[Event, ...] = ()
    if not any(e.kind == "claimed" for e in parts.journal.of(task.id)):
        if issue.left_by:
            before = win(parts, task, issue.left_by)
        else:
            _take_labels(parts, issue)
        me = claimant(parts.env, parts.run_id)
        parts.journal.append("claimed", task.id, number=issue.number, request=issue.request, by=me)
    wish = [parts.config.label] if issue.left_by else []  # taken with the claim, not by its label
    outdated = [n for n in (*wish, LABEL_DONE, LABEL_FAILED) if n in issue.labels]
    parts.forge.set_labels(issue.number, add=[LABEL_RUNNING], remove=outdated)
    acts = _Acts(parts, task.id)
    acts.do("the claim", lambda: tell_progress(parts, issue, ()))
    if before:
        acts.do("the checks of the run before", lambda: _end_checks(parts, task.id, before))


def _take_labels(parts: Parts, issue: Issue) -> None:
    there = {n.casefold() for n in issue.labels}
    for label in (parts.config.label, LABEL_RUNNING):
        if label.casefold() in there and not cast("Queue", parts.forge).take_label(issue.number, label):
            raise TakenError(
                f"another run took issue #{issue.number}", hint="it is told of on the issue", status=409
            )


def tell_progress(parts: Parts, issue: Issue, phases: tuple[PhaseVerdict, ...], wall_s: float = 0.0) -> bool:
    """Bring the comment on a task's issue up to date, unless its end was told already."""
    task = f"issue-{issue.number}"
    with parts.writing[task]:
        events = parts.journal.of(task)
        if any(e.kind in {"judged", "task-ended"} for e in events):
            return False
        known = TaskResult(
            task_id=task,
            status=Status.INCOMPLETE,
            conclusion=Conclusion.NEUTRAL,
            issue=issue.number,
            phases=phases,
            wall_s=wall_s,
            attempts=sum(e.kind == "attempt-started" for e in events),
        )
        run = run_info(parts, parts.config.agent)
        note = _note(parts, task)
        body = render.issue_comment(known, run=run, running=True, note=note, secrets=parts.secrets)
        _post_claim(parts, issue, task, body, "running")
    return True


def _note(parts: Parts, task: str) -> str:
    """What is said of the run before this one, which died."""
    return "".join(str(e.data.get("text", "")) for e in parts.journal.of(task) if e.kind == "note")


def _post_claim(parts: Parts, issue: Issue, task: str, body: str, state: str) -> None:
    claim = ClaimLine(run=claimant(parts.env, parts.run_id), request=issue.request, state=state)
    parts.forge.comment(issue.number, marker=marker("task", task), body=with_claim(body, claim))


def publish(subject: Subject, result: TaskResult, ledger: Ledger) -> tuple[str, ...]:
    """Write a task's result to the forge; returns what could not be written, in words."""
    if result.status is Status.SKIPPED:
        return ()  # it is another run's
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
        yield "the checks of earlier commits", lambda: _end_outdated_checks(subject, result)
    if result.pull is not None:
        number = result.pull.number
        if subject.parts.config.ci_workflow and _starts_nothing(subject.parts):
            yield "the start of the CI workflow", lambda: _start_ci(subject, result)
        yield "the comment on the pull", lambda: _comment_on_pull(subject, result, ledger, number)
    if result.issue is not None:
        issue = result.issue
        yield "the comment on the issue", lambda: _comment_on_issue(subject, result, issue)
        yield "the labels", lambda: _label(subject.parts, result, issue)


def push(subject: Subject, sha: str) -> None:
    """The task branch at the remote becomes exactly `sha`. Raises GitError when it carries a credential."""
    parts, task = subject.parts, subject.task
    with subject.push_lock:
        known = parts.journal.ledger(task.id).pushed_sha
        if known == sha:
            return
        if found := secrets_in(parts.git, subject.base_sha, sha):
            raise GitError(f"{subject.branch} is not pushed: {'; '.join(found[:3])}", hint=TAKE_IT_OUT)
        parts.remote.push(sha, f"refs/heads/{subject.branch}", known=known)
        parts.journal.append("pushed", task.id, sha=sha, branch=subject.branch)


def push_salvage(parts: Parts, task: str, sha: str) -> None:
    """Keep salvaged work at the remote too: a runner's disk goes with it. Raises GitError."""
    ref = f"{REF_PREFIX}salvage/{task}"
    parts.remote.push(sha, ref, known=parts.remote.sha(ref))


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


def begin_check(parts: Parts, task: str, sha: str, phases: tuple[PhaseVerdict, ...]) -> None:
    """Show on a commit that its check is under way; `post_check` completes it."""
    run = run_info(parts, parts.config.agent)
    texts = render.check_texts(phases, conclusion=None, head_sha=sha, run=run, secrets=parts.secrets)
    parts.forge.start_check(
        head_sha=sha,
        name=CHECK_NAME,
        external_id=f"{parts.run_id}.{task}",
        title=texts.title,
        summary=texts.summary,
    )
    parts.journal.append("check-begun", task, sha=sha)


def _end_outdated_checks(subject: Subject, result: TaskResult) -> None:
    """Complete checks that were begun on a commit which is not the head any more."""
    parts, task = subject.parts, subject.task.id
    begun = {(e.run, str(e.data["sha"])) for e in parts.journal.of(task) if e.kind == "check-begun"}
    for run, sha in sorted(begun - {(parts.run_id, result.head_sha)}):
        _supersede(parts, f"{run}.{task}", sha, f"superseded by {result.head_sha[:12]}")


def _end_checks(parts: Parts, task: str, events: Iterable[Event]) -> None:
    """Complete the checks that a run began and did not live to complete."""
    begun = {(e.run, str(e.data["sha"])) for e in events if e.kind == "check-begun" and e.task == task}
    for run, sha in sorted(begun):
        _supersede(parts, f"{run}.{task}", sha, "its run died; another one took the task over")


def _supersede(parts: Parts, external_id: str, sha: str, title: str) -> None:
    check = parts.forge.start_check(
        head_sha=sha, name=CHECK_NAME, external_id=external_id, title=title, summary=title
    )
    if check.conclusion is None:
        parts.forge.finish_check(check, conclusion=Conclusion.NEUTRAL, title=title, summary=title)


def _comment_on_pull(subject: Subject, result: TaskResult, ledger: Ledger, number: int) -> None:
    parts = subject.parts
    ci = _ci(subject, result)
    answers = {
        a.finding: f"fixed in {a.fixed_in[:12]}" if a.fixed_in else f"declined: {a.declined}"
        for a in ledger.answers.values()
    }
    body = render.pull_comment(
        result,
        run=run_info(parts, subject.agent.name),
        ci=ci,
        findings=ledger.findings,
        answers=answers,
        secrets=parts.secrets,
    )
    parts.forge.comment(number, marker=marker("pull-report", result.task_id), body=body)
    if answers:
        parts.forge.answer(number, {f: render.answer(said, parts.secrets) for f, said in answers.items()})


def _starts_nothing(parts: Parts) -> bool:
    """Whether what we push starts no workflow: so it is with the token of the workflow itself.

    Source: docs.github.com, "Triggering a workflow from a workflow".
    """
    return parts.forge.name == "github" and cast("Queue", parts.forge).viewer() == ACTIONS_LOGIN


def _start_ci(subject: Subject, result: TaskResult) -> None:
    """Ask for the repository's CI on the proposed branch, once for each head."""
    parts, task = subject.parts, subject.task.id
    if any(e.kind == "dispatched" and e.data["sha"] == result.head_sha for e in parts.journal.of(task)):
        return
    cast("Queue", parts.forge).dispatch(parts.config.ci_workflow, ref=subject.branch)
    parts.journal.append("dispatched", task, sha=result.head_sha, workflow=parts.config.ci_workflow)


def _ci(subject: Subject, result: TaskResult) -> render.Ci:
    """What may be said of the repository's own workflows: never that they are green."""
    events = subject.parts.journal.of(subject.task.id)
    if any(e.kind == "dispatched" and e.data["sha"] == result.head_sha for e in events):
        return "dispatched"
    return "not-started" if _starts_nothing(subject.parts) else "unknown"


def _comment_on_issue(subject: Subject, result: TaskResult, number: int) -> None:
    parts, task = subject.parts, subject.task
    run = run_info(parts, subject.agent.name)
    body = render.issue_comment(result, run=run, note=_note(parts, task.id), secrets=parts.secrets)
    if task.issue is None:
        parts.forge.comment(number, marker=marker("task", result.task_id), body=body)
        return
    state = "done" if result.status in GOOD_STATUSES else "failed"
    lock = parts.writing[task.id]
    waited = lock.acquire(timeout=LAST_WORD_S)
    try:
        _post_claim(parts, task.issue, task.id, body, state)
    finally:
        if waited:
            lock.release()


def _label(parts: Parts, result: TaskResult, number: int) -> None:
    """The label of the end. One that asks again, set meanwhile, stays: it is a new wish."""
    good = result.status in GOOD_STATUSES
    done, other = (LABEL_DONE, LABEL_FAILED) if good else (LABEL_FAILED, LABEL_DONE)
    claimed = any(e.kind == "claimed" for e in parts.journal.of(result.task_id))
    asked = [] if claimed else [parts.config.label]
    parts.forge.set_labels(number, add=[done], remove=[LABEL_RUNNING, *asked, other])
