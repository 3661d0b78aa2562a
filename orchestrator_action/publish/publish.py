"""What is written back: the branch, the comments, the check and the labels, from re-read state only.

Each act stands alone: one that fails is named, kept as pending in the journal, and the others go on. What was told
before an act failed is told again, so that every place says the same of a task's end.
Everything is found again by its marker, so publishing a second time writes nothing twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import cast

from orchestrator_action.config.schema import END_LABELS, LABEL_RUNNING, REF_PREFIX
from orchestrator_action.errors import GitError, OrchestratorError
from orchestrator_action.forge.base import ACTIONS_LOGIN, MarkedComment, Queue
from orchestrator_action.git.commit_secrets import secrets_in
from orchestrator_action.protocol.candidates import is_candidate
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.ends import end_word
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import GOOD_STATUSES, Conflict, Status, TaskResult
from orchestrator_action.publish.acts import Acts, run_info, write_comment
from orchestrator_action.publish.asked import answer_people, leaves_as_it_was
from orchestrator_action.publish.checks import completed_check, end_outdated_checks, post_check
from orchestrator_action.publish.claim import claim_word, claimants, is_anothers, note_of
from orchestrator_action.publish.report import comments as render
from orchestrator_action.publish.supersede import supersede
from orchestrator_action.state.context import RunContext, TaskRun
from orchestrator_action.text.defang import SKIPS_CI
from orchestrator_action.text.limits import marker

TAKE_IT_OUT = "take it out of every commit of the branch, and revoke it if it was real"
COMPARED = 60
"""Other tasks of the run, the latest pushed, whose changes are compared with those of a pull."""
LAST_WORD_S = 3.0
"""How long a task's last comment waits for one about its progress that is under way."""


def publish(task_run: TaskRun, result: TaskResult, ledger: Ledger) -> tuple[str, ...]:
    """Write a task's result to the forge; returns what could not be written, in words."""
    acts = Acts(task_run.run, task_run.task.id)
    if is_candidate(result.task_id):  # its task tells of it
        if result.head_sha not in {"", result.base_sha, ledger.pushed_sha}:
            acts.do("the branch", lambda: push(task_run, result.head_sha))
        return tuple(acts.problems)
    if result.status is Status.SKIPPED or _lost(task_run, acts):
        return tuple(acts.problems)  # it is another run's
    for what, act in () if leaves_as_it_was(task_run, result) else _acts(task_run, result, ledger):
        acts.do(what, act)
    known = len(acts.problems)
    _say(task_run, result, ledger, acts)
    for what, act in _acts_once_told(task_run, result) if not acts.problems else ():
        acts.do(what, act)
    if result.pull is not None and ledger.answers:
        number = result.pull.number
        answers = {f: render.answer_text(said, task_run.run.secrets) for f, said in _answers(ledger).items()}
        acts.do("the answers to the review", lambda: task_run.run.forge.answer(number, answers))
    if len(acts.problems) > known and result.status in GOOD_STATUSES:  # some place tells of a success still
        _say(task_run, result, ledger, acts)
    return tuple(acts.problems)


def _say(task_run: TaskRun, result: TaskResult, ledger: Ledger, acts: Acts) -> None:
    """How it ended, in every place that tells it: with what could not be published so far."""
    for what, act in answer_people(task_run, acts.told(result)):
        acts.do(what, act)
    with _last_word(task_run):
        if not _said_together(task_run, acts.told(result), ledger):
            for what, act in _sayings(task_run, result, ledger, acts):
                acts.do(what, act)


def run_is_ready(run: RunContext, result: TaskResult) -> bool:
    """Whether the repository wants this pull request ready for people: all is verified, no test is excepted, and no
    other candidate's test fails on it."""
    clear = result.conclusion is Conclusion.SUCCESS and not result.disagreements
    return run.config.ready == "verified" and clear


def _lost(task_run: TaskRun, acts: Acts) -> bool:
    """Whether an issue that this run was about to take is another run's, or nobody can say whose it is."""
    run, task = task_run.run, task_run.task
    mine = claimants(run, task.id)
    if not mine or any(e.kind == "claimed" for e in run.journal.of(task.id)):
        return False
    seen: list[bool] = []
    acts.do("whose the issue is", lambda: seen.append(is_anothers(run, task, mine)))
    return any(seen) or not seen


def _acts(
    task_run: TaskRun, result: TaskResult, ledger: Ledger
) -> Iterator[tuple[str, Callable[[], object]]]:
    if _has_commits(result) and ledger.pushed_sha != result.head_sha:
        yield "the branch", lambda: push(task_run, result.head_sha)
    elif _has_commits(result) and result.pull is None:  # nothing else keeps what was committed
        yield "the branch", lambda: _bring_back(task_run, result.head_sha)
    if _has_commits(result):
        yield "the checks of earlier commits", lambda: end_outdated_checks(task_run, result)
    if result.pull is not None and task_run.run.config.ci_workflow and _starts_nothing(task_run.run):
        yield "the start of the CI workflow", lambda: _start_ci(task_run, result)


def _acts_once_told(task_run: TaskRun, result: TaskResult) -> Iterator[tuple[str, Callable[[], object]]]:
    """What follows from a good end, once it stands everywhere."""
    yield from supersede(task_run, result)
    if result.pull is not None and run_is_ready(task_run.run, result):
        number = result.pull.number
        yield "that the pull request is ready", lambda: task_run.run.forge.mark_ready(number)


def _has_commits(result: TaskResult) -> bool:
    return bool(result.head_sha) and result.head_sha != result.base_sha


def _gets_check(task_run: TaskRun, result: TaskResult) -> bool:
    return _has_commits(result) and not leaves_as_it_was(task_run, result)


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
    """Check, comments and labels in one request; False when each is to be written by itself."""
    run = task_run.run
    if result.issue is None:
        return False
    try:
        words = [_word_on_issue(task_run, result, result.issue)]
        if result.pull is not None and not leaves_as_it_was(task_run, result):
            words.insert(0, _word_on_pull(task_run, result, ledger, result.pull.number))
    except OrchestratorError:  # named where it is done by itself
        return False
    add, remove = _labels(run, result)
    check = completed_check(task_run, result, ledger) if _gets_check(task_run, result) else None
    if not run.forge.write_together(words, number=result.issue, add=add, remove=remove, check=check):
        return False
    for what in (
        *(["the check"] if check else []),
        *(["the comment on the pull request"] if result.pull else []),
        "the comment on the issue",
        "the labels",
    ):
        run.journal.append("posted", task_run.task.id, what=what)
    return True


def _sayings(
    task_run: TaskRun, result: TaskResult, ledger: Ledger, acts: Acts
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each by itself, after the one before it was done. The labels are last: by them a next run knows the end."""
    run = task_run.run
    if result.issue is not None:
        issue = result.issue
        yield (
            "the comment on the issue",
            lambda: write_comment(run, _word_on_issue(task_run, acts.told(result), issue)),
        )
    if result.pull is not None and not leaves_as_it_was(task_run, result):
        number = result.pull.number
        yield (
            "the comment on the pull request",
            lambda: write_comment(run, _word_on_pull(task_run, acts.told(result), ledger, number)),
        )
    if _gets_check(task_run, result):
        yield "the check", lambda: post_check(task_run, acts.told(result), ledger)
    if result.issue is not None:
        add, remove = _labels(run, acts.told(result))
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


def _bring_back(task_run: TaskRun, sha: str) -> None:
    """The task branch, where somebody deleted it at the remote since it was pushed."""
    ref = f"refs/heads/{task_run.branch}"
    if not task_run.run.remote.sha(ref):
        task_run.run.remote.push(sha, ref, known="")


def push_salvage(run: RunContext, task: str, sha: str) -> None:
    """Keep salvaged work at the remote too: a runner's disk goes with it. Raises GitError."""
    ref = f"{REF_PREFIX}salvage/{task}"
    run.remote.push(sha, ref, known=run.remote.sha(ref))


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
        run=run_info(run, task_run.crew.name),
        ci=_ci(task_run, result),
        findings=ledger.findings,
        answers=_answers(ledger),
        conflicts=_conflicts(run, result),
        secrets=run.secrets,
    )
    return MarkedComment(number, marker("pull-report", result.task_id), body)


def _conflicts(run: RunContext, result: TaskResult) -> tuple[Conflict, ...]:
    """Which branches that this run has pushed so far touch the same paths as this one, by their diffs."""
    events = run.journal.events
    pushed = {e.task: str(e.data["sha"]) for e in events if e.kind == "pushed" and not is_candidate(e.task)}
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
    return run.forge.starts_workflows and cast("Queue", run.forge).viewer() == ACTIONS_LOGIN


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
    if not task_run.run.forge.starts_workflows:
        return False
    try:
        message = task_run.run.private.run("log", "-1", "--format=%B", sha).text
    except GitError:
        return False
    return SKIPS_CI.search(message) is not None


def _word_on_issue(task_run: TaskRun, result: TaskResult, number: int) -> MarkedComment:
    run, task = task_run.run, task_run.task
    info = run_info(run, task_run.crew.name)
    body = render.issue_comment(result, run=info, note=note_of(run, task.id), secrets=run.secrets)
    if task.issue is None:
        return MarkedComment(number, marker("task", result.task_id), body)
    return claim_word(run, task.issue, task.id, body, end_word(result.status))


def _labels(run: RunContext, result: TaskResult) -> tuple[list[str], list[str]]:
    """The labels of the end to be set and taken off. One that asks again, set meanwhile, stays: a new wish."""
    label = END_LABELS[end_word(result.status)]
    claimed = any(e.kind == "claimed" for e in run.journal.of(result.task_id))
    asked = [] if claimed else [run.config.label]
    return [label], [LABEL_RUNNING, *asked, *(n for n in END_LABELS.values() if n != label)]
