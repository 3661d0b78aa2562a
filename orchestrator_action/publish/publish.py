"""What is written back: the branch, the comments, the check and the labels, from re-read state only.

Each act stands alone: one that fails is named, kept as pending in the journal, and the others go on.
Everything is found again by its marker, so publishing a second time writes nothing twice.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from orchestrator_action.config.schema import CHECK_NAME, END_LABELS, LABEL_RUNNING, REF_PREFIX
from orchestrator_action.errors import GitError, OrchestratorError, TakenError
from orchestrator_action.forge.base import ACTIONS_LOGIN, MarkedComment, Queue
from orchestrator_action.git.commit_secrets import secrets_in
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.ends import end_word
from orchestrator_action.protocol.events import Event, Ledger
from orchestrator_action.protocol.lease import Lease, find_lease, leaseholder, with_lease
from orchestrator_action.protocol.model import (
    Conclusion,
    Conflict,
    Issue,
    PhaseVerdict,
    Pull,
    Status,
    Task,
    TaskResult,
)
from orchestrator_action.publish.report import comments as render
from orchestrator_action.publish.supersede import supersede
from orchestrator_action.state.context import RunContext, TaskRun
from orchestrator_action.state.takeover import win
from orchestrator_action.text.defang import SKIPS_CI
from orchestrator_action.text.limits import marker

log = logging.getLogger(__name__)

TAKE_IT_OUT = "take it out of every commit of the branch, and revoke it if it was real"
COMPARED = 60
"""Other tasks of the run, the latest pushed, whose changes are compared with those of a pull."""
LAST_WORD_S = 3.0
"""How long a task's last comment waits for one about its progress that is under way."""


@dataclass(slots=True)
class _Acts:
    """Runs acts one by one and remembers which of them did not come about."""

    run: RunContext
    task: str
    problems: list[str] = field(default_factory=list)

    def do(self, what: str, act: Callable[[], object]) -> None:
        """Do one act; what hinders it is a problem of this publication, not an exception."""
        try:
            act()
        except OrchestratorError as exc:
            log.warning("could not publish task=%s what=%s error=%s", self.task, what, exc.message)
            self.problems.append(f"{what} could not be published: {exc.message}")
            self.run.journal.append("pending", self.task, what=what, error=exc.message)
        else:
            self.run.journal.append("posted", self.task, what=what)


def claim_issue(run: RunContext, task: Task, issue: Issue) -> None:
    """Take an issue for this run: its label moves, and a comment says which run is at it.

    Of two runs that want the same issue exactly one gets it; the other's task ends with TakenError.
    """
    before: tuple[Event, ...] = ()
    me = leaseholder(run.env, run.run_id)
    if not any(e.kind == "claimed" for e in run.journal.of(task.id)):
        begun = _claimants(run, task.id)
        if not begun:
            run.journal.append("claiming", task.id, number=issue.number, by=me)
        if issue.left_by:
            before = win(run, task, issue.left_by)
        else:
            run.forge.set_labels(
                issue.number, add=[LABEL_RUNNING]
            )  # by it the next run finds the issue again
            try:
                _take_labels(run, task, issue, begun)
            except TakenError:
                _leave_to_winner(run, issue)
                raise
        run.journal.append("claimed", task.id, number=issue.number, request=issue.request, by=me)
    wish = [run.config.label] if issue.left_by else []  # taken with the claim, not by its label
    outdated = [n for n in (*wish, *END_LABELS.values()) if n in issue.labels]
    acts = _Acts(run, task.id)
    word = _claim_word(run, issue, task.id, _progress_body(run, issue, ()), "running")
    if run.forge.write_together([word], number=issue.number, add=[LABEL_RUNNING], remove=outdated):
        run.journal.append("posted", task.id, what="the claim")
    else:
        run.forge.set_labels(issue.number, add=[LABEL_RUNNING], remove=outdated)
        acts.do("the claim", lambda: tell_progress(run, issue, ()))
    if before:
        acts.do("the checks of the run before", lambda: _end_checks(run, task.id, before))


def _take_labels(run: RunContext, task: Task, issue: Issue, begun: Collection[str]) -> None:
    """Take the label that asks for work: whoever removes it has the issue. One that this run `begun` to take
    before it was killed may be gone. Asked for otherwise, what another run left over is taken."""
    there = {n.casefold() for n in issue.labels}
    label = next((n for n in (run.config.label, LABEL_RUNNING) if n.casefold() in there), "")
    if not label or cast("Queue", run.forge).take_label(issue.number, label):
        return
    if not begun or is_anothers(run, task, begun):
        raise TakenError(
            f"another run took issue #{issue.number}", hint="it is told of on the issue", status=409
        )


def _leave_to_winner(run: RunContext, issue: Issue) -> None:
    """Take off the label of this run's attempt at an issue whose winner has come to its end already. Best effort."""
    with contextlib.suppress(OrchestratorError):
        if set(END_LABELS.values()) & set(run.forge.issue(issue.number).labels):
            cast("Queue", run.forge).take_label(issue.number, LABEL_RUNNING)


def _claimants(run: RunContext, task_id: str) -> tuple[str, ...]:
    """As whom this run has begun to take a task."""
    return tuple(str(e.data["by"]) for e in run.journal.of(task_id) if e.kind == "claiming")


def is_anothers(run: RunContext, task: Task, mine: Collection[str]) -> bool:
    """Whether the comment on a task's issue says that another run is at it."""
    number = task.issue.number if task.issue else 0
    told = cast("Queue", run.forge).ours(number, marker("task", task.id)) if number else None
    claim = find_lease(told.body) if told else None
    return claim is not None and claim.state == "running" and claim.run not in mine


def tell_not_started(run: RunContext, task: Task, why: str) -> None:
    """Say once on an issue why no agent was set to work on it; its label stays, for the next run. Best effort."""
    if task.issue is None:
        return
    said = render.not_started(why, run.secrets)
    with contextlib.suppress(OrchestratorError):
        run.forge.comment(task.issue.number, marker=marker("refused", task.id), body=said)


def tell_progress(
    run: RunContext, issue: Issue, phases: tuple[PhaseVerdict, ...], wall_s: float = 0.0
) -> bool:
    """Bring the comment on a task's issue up to date, unless its end was told already."""
    task = f"issue-{issue.number}"
    with run.writing[task]:
        if any(e.kind in {"judged", "task-ended"} for e in run.journal.of(task)):
            return False
        body = _progress_body(run, issue, phases, wall_s)
        _write(run, _claim_word(run, issue, task, body, "running"))
    return True


def _progress_body(
    run: RunContext, issue: Issue, phases: tuple[PhaseVerdict, ...], wall_s: float = 0.0
) -> str:
    task = f"issue-{issue.number}"
    ledger = run.journal.ledger(task)
    known = TaskResult(
        task_id=task,
        status=Status.INCOMPLETE,
        conclusion=Conclusion.NEUTRAL,
        issue=issue.number,
        pull=known_pull(run, ledger, ledger.pushed_sha),
        phases=phases,
        wall_s=wall_s,
        attempts=sum(e.kind == "attempt-started" for e in run.journal.of(task)),
    )
    info = run_info(run, run.config.agent)
    note = _note(run, task)
    return render.issue_comment(known, run=info, running=True, note=note, secrets=run.secrets)


def _note(run: RunContext, task: str) -> str:
    """What is said of the run before this one, which died."""
    return "".join(str(e.data.get("text", "")) for e in run.journal.of(task) if e.kind == "note")


def known_pull(run: RunContext, ledger: Ledger, head: str) -> Pull | None:
    """The pull that was opened, as far as the journal knows it."""
    if ledger.pull is None:
        return None
    return Pull(
        number=ledger.pull, url=ledger.pull_url, title="", body="", head_branch=ledger.branch, head_sha=head,
        base_branch=run.base_branch,
    )  # fmt: skip


def _claim_word(run: RunContext, issue: Issue, task: str, body: str, state: str) -> MarkedComment:
    claim = Lease(run=leaseholder(run.env, run.run_id), request=issue.request, state=state)
    return MarkedComment(issue.number, marker("task", task), with_lease(body, claim))


def _write(run: RunContext, word: MarkedComment) -> None:
    run.forge.comment(word.number, marker=word.marker, body=word.body)


def publish(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> tuple[str, ...]:
    """Write a task's result to the forge; returns what could not be written, in words."""
    acts = _Acts(task_run.run, task_run.task.id)
    if result.status is Status.SKIPPED or _lost(task_run, acts):
        return tuple(acts.problems)  # it is another run's
    for what, act in _acts(task_run, result, ledger):
        acts.do(what, act)
    for what, act in supersede(task_run, result):
        acts.do(what, act)
    if result.pull is not None and run_is_ready(task_run.run, result):
        number = result.pull.number
        acts.do("that the pull request is ready", lambda: task_run.run.forge.mark_ready(number))
    with _last_word(task_run):
        if not _said_together(task_run, result, ledger):
            for what, act in _sayings(task_run, result, ledger):
                acts.do(what, act)
    if result.pull is not None and ledger.answers:
        number = result.pull.number
        answers = {f: render.answer(said, task_run.run.secrets) for f, said in _answers(ledger).items()}
        acts.do("the answers to the review", lambda: task_run.run.forge.answer(number, answers))
    return tuple(acts.problems)


def run_is_ready(run: RunContext, result: TaskResult) -> bool:
    """Whether the repository wants this pull request ready for people: all is verified, and no test is excepted."""
    return run.config.ready == "verified" and result.conclusion is Conclusion.SUCCESS


def _lost(task_run: TaskRun, acts: _Acts) -> bool:
    """Whether an issue that this run was about to take is another run's, or nobody can say whose it is."""
    run, task = task_run.run, task_run.task
    mine = _claimants(run, task.id)
    if not mine or any(e.kind == "claimed" for e in run.journal.of(task.id)):
        return False
    seen: list[bool] = []
    acts.do("whose the issue is", lambda: seen.append(is_anothers(run, task, mine)))
    return any(seen) or not seen


def _acts(
    task_run: TaskRun, result: TaskResult, ledger: Ledger
) -> Iterator[tuple[str, Callable[[], object]]]:
    has_commits = bool(result.head_sha) and result.head_sha != result.base_sha
    if has_commits and ledger.pushed_sha != result.head_sha:
        yield "the branch", lambda: push(task_run, result.head_sha)
    if has_commits:
        yield "the check", lambda: post_check(task_run, result, ledger)
        yield "the checks of earlier commits", lambda: _end_outdated_checks(task_run, result)
    if result.pull is not None and task_run.run.config.ci_workflow and _starts_nothing(task_run.run):
        yield "the start of the CI workflow", lambda: _start_ci(task_run, result)


@contextlib.contextmanager
def _last_word(task_run: TaskRun) -> Iterator[None]:
    """Alone with the task's comment; what is said of its progress is not waited for long."""
    lock = task_run.run.writing[task_run.task.id]
    waited = lock.acquire(timeout=LAST_WORD_S)
    try:
        yield
    finally:
        if waited:
            lock.release()


def _said_together(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> bool:
    """Comments and labels in one request; False when each is to be written by itself."""
    run = task_run.run
    if result.issue is None:
        return False
    try:
        words = [_word_on_issue(task_run, result, result.issue)]
        if result.pull is not None:
            words.insert(0, _word_on_pull(task_run, result, ledger, result.pull.number))
    except OrchestratorError:  # named where it is done by itself
        return False
    add, remove = _labels(run, result)
    if not run.forge.write_together(words, number=result.issue, add=add, remove=remove):
        return False
    for what in (
        *(["the comment on the pull request"] if result.pull else []),
        "the comment on the issue",
        "the labels",
    ):
        run.journal.append("posted", task_run.task.id, what=what)
    return True


def _sayings(
    task_run: TaskRun, result: TaskResult, ledger: Ledger
) -> Iterator[tuple[str, Callable[[], object]]]:
    run = task_run.run
    if result.pull is not None:
        number = result.pull.number
        yield (
            "the comment on the pull request",
            lambda: _write(run, _word_on_pull(task_run, result, ledger, number)),
        )
    if result.issue is not None:
        issue = result.issue
        yield "the comment on the issue", lambda: _write(run, _word_on_issue(task_run, result, issue))
        add, remove = _labels(run, result)
        yield "the labels", lambda: run.forge.set_labels(issue, add=add, remove=remove)


def push(task_run: TaskRun, sha: str) -> None:
    """The task branch at the remote becomes exactly `sha`. Raises GitError when it carries a credential."""
    run, task = task_run.run, task_run.task
    with task_run.push_lock:
        known = run.journal.ledger(task.id).pushed_sha
        if known == sha:
            return
        if found := secrets_in(run.private, task_run.base_sha, sha):
            raise GitError(f"{task_run.branch} is not pushed: {'; '.join(found[:3])}", hint=TAKE_IT_OUT)
        ref = f"refs/heads/{task_run.branch}"
        run.remote.push_lfs(task_run.base_sha, sha, ref)
        run.remote.push(sha, ref, known=known)
        run.journal.append("pushed", task.id, sha=sha, branch=task_run.branch)


def push_salvage(run: RunContext, task: str, sha: str) -> None:
    """Keep salvaged work at the remote too: a runner's disk goes with it. Raises GitError."""
    ref = f"{REF_PREFIX}salvage/{task}"
    run.remote.push(sha, ref, known=run.remote.sha(ref))


def run_info(run: RunContext, agent: str) -> render.RunInfo:
    """What the texts say of the run."""
    return render.RunInfo(
        run_id=run.run_id,
        agent=agent,
        url=run.run_url,
        isolation=run.isolation.level.word,
        label=run.config.label,
    )


def post_check(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> None:
    """The check run at the result's head."""
    run = task_run.run
    texts = render.check_texts(
        result.phases,
        conclusion=result.conclusion,
        status=result.status,
        head_sha=result.head_sha,
        run=run_info(run, task_run.agent.name),
        error=result.error,
        pull=result.pull,
        findings=ledger.findings,
        result=result,
        secrets=run.secrets,
    )
    run.forge.post_check(
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


def _end_outdated_checks(task_run: TaskRun, result: TaskResult) -> None:
    """Complete checks that were begun on a commit which is not the head any more."""
    run, task = task_run.run, task_run.task.id
    begun = {(e.run, str(e.data["sha"])) for e in run.journal.of(task) if e.kind == "check-begun"}
    for run_id, sha in sorted(begun - {(run.run_id, result.head_sha)}):
        _supersede(run, f"{run_id}.{task}", sha, f"superseded by {result.head_sha[:12]}")


def _end_checks(run: RunContext, task: str, events: Iterable[Event]) -> None:
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


def _answers(ledger: Ledger) -> dict[str, str]:
    """How each finding of the review ended, by its id."""
    return {
        a.finding: f"fixed in {a.fixed_in[:12]}" if a.fixed_in else f"declined: {a.declined}"
        for a in ledger.answers.values()
    }


def _word_on_pull(task_run: TaskRun, result: TaskResult, ledger: Ledger, number: int) -> MarkedComment:
    run = task_run.run
    body = render.pull_comment(
        result,
        run=run_info(run, task_run.agent.name),
        ci=_ci(task_run, result),
        findings=ledger.findings,
        answers=_answers(ledger),
        conflicts=_conflicts(run, result),
        secrets=run.secrets,
    )
    return MarkedComment(number, marker("pull-report", result.task_id), body)


def _conflicts(run: RunContext, result: TaskResult) -> tuple[Conflict, ...]:
    """Which branches that this run has pushed so far touch the same paths as this one, by their diffs."""
    pushed = {e.task: str(e.data["sha"]) for e in run.journal.events if e.kind == "pushed"}
    others = [t for t in pushed if t != result.task_id][-COMPARED:]
    found: list[Conflict] = []
    with contextlib.suppress(GitError):
        mine = {c.path for c in run.private.changes(result.base_sha, result.head_sha)}
        for other in others:
            base = run.journal.ledger(other).base_sha
            theirs = {c.path for c in run.private.changes(base, pushed[other])}
            found += conflicts({result.task_id: mine, other: theirs})
    return tuple(found)


def _starts_nothing(run: RunContext) -> bool:
    """Whether what we push starts no workflow: so it is with the token of the workflow itself.

    Source: docs.github.com, "Triggering a workflow from a workflow".
    """
    return run.forge.name == "github" and cast("Queue", run.forge).viewer() == ACTIONS_LOGIN


def _start_ci(task_run: TaskRun, result: TaskResult) -> None:
    """Ask for the repository's CI on the proposed branch, once for each head."""
    run, task = task_run.run, task_run.task.id
    if any(e.kind == "dispatched" and e.data["sha"] == result.head_sha for e in run.journal.of(task)):
        return
    cast("Queue", run.forge).dispatch(run.config.ci_workflow, ref=task_run.branch)
    run.journal.append("dispatched", task, sha=result.head_sha, workflow=run.config.ci_workflow)


def _ci(task_run: TaskRun, result: TaskResult) -> render.Ci:
    """What may be said of the repository's own workflows: never that they are green."""
    events = task_run.run.journal.of(task_run.task.id)
    if any(e.kind == "dispatched" and e.data["sha"] == result.head_sha for e in events):
        return "dispatched"
    if _asks_for_no_ci(task_run, result.head_sha):
        return "skipped"
    return "not-started" if _starts_nothing(task_run.run) else "unknown"


def _asks_for_no_ci(task_run: TaskRun, sha: str) -> bool:
    """Whether the message of a commit keeps GitHub from starting workflows. No agent's commit is written anew."""
    if task_run.run.forge.name != "github":
        return False
    try:
        message = task_run.run.private.run("log", "-1", "--format=%B", sha).text
    except GitError:
        return False
    return SKIPS_CI.search(message) is not None


def _word_on_issue(task_run: TaskRun, result: TaskResult, number: int) -> MarkedComment:
    run, task = task_run.run, task_run.task
    info = run_info(run, task_run.agent.name)
    body = render.issue_comment(result, run=info, note=_note(run, task.id), secrets=run.secrets)
    if task.issue is None:
        return MarkedComment(number, marker("task", result.task_id), body)
    return _claim_word(run, task.issue, task.id, body, end_word(result.status))


def _labels(run: RunContext, result: TaskResult) -> tuple[list[str], list[str]]:
    """The labels of the end to be set and taken off. One that asks again, set meanwhile, stays: a new wish."""
    label = END_LABELS[end_word(result.status)]
    claimed = any(e.kind == "claimed" for e in run.journal.of(result.task_id))
    asked = [] if claimed else [run.config.label]
    return [label], [LABEL_RUNNING, *asked, *(n for n in END_LABELS.values() if n != label)]
