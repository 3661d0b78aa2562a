"""An issue that a run is at: taken by its label, with one comment that says how far the run is."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import cast

from orchestrator_action.config.schema import END_LABELS, LABEL_RUNNING
from orchestrator_action.errors import OrchestratorError, TakenError
from orchestrator_action.forge.base import Forge, MarkedComment, Queue
from orchestrator_action.protocol.events import Event, Ledger
from orchestrator_action.protocol.forge_values import Conclusion, Issue, Pull
from orchestrator_action.protocol.lease import Lease, find_lease, leaseholder, with_lease
from orchestrator_action.protocol.model import PhaseVerdict, Status, Task, TaskResult
from orchestrator_action.publish.acts import Acts, run_info, write_comment
from orchestrator_action.publish.checks import end_checks
from orchestrator_action.publish.report import comments as render
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.takeover import win
from orchestrator_action.text.limits import marker

MOST_TOLD = 20
"""Issues that are told that a run could not begin, the first; its own log says it in any case."""


def claim_issue(run: RunContext, task: Task, issue: Issue) -> None:
    """Take an issue for this run: its label moves, and a comment says which run is at it.

    Of two runs that want the same issue exactly one gets it; the other's task ends with TakenError.
    """
    before: tuple[Event, ...] = ()
    me = leaseholder(run.env, run.run_id)
    if not any(e.kind == "claimed" for e in run.journal.of(task.id)):
        begun = claimants(run, task.id)
        if not begun:
            run.journal.append("claiming", task.id, number=issue.number, by=me)
        if issue.left_by or issue.asked:
            before = win(run, task, issue.left_by)
        else:
            if task.note:
                run.journal.append("note", task.id, by=me, text=task.note)
            run.forge.set_labels(
                issue.number, add=[LABEL_RUNNING]
            )  # by it the next run finds the issue again
            try:
                _take_labels(run, task, issue, begun)
            except TakenError:
                _leave_to_winner(run, issue)
                raise
        run.journal.append("claimed", task.id, number=issue.number, request=issue.request, by=me)
    # taken with the claim, not by its label; one that is there beside a follow-up is another wish
    wish = [run.config.label] if issue.left_by and not issue.asked else []
    outdated = [n for n in (*wish, *END_LABELS.values()) if n in issue.labels]
    acts = Acts(run, task.id)
    word = claim_word(run, issue, task.id, _progress_body(run, issue, ()), "running")
    if run.forge.write_together([word], number=issue.number, add=[LABEL_RUNNING], remove=outdated):
        run.journal.append("posted", task.id, what="the claim")
    else:
        run.forge.set_labels(issue.number, add=[LABEL_RUNNING], remove=outdated)
        acts.do("the claim", lambda: tell_progress(run, issue, ()))
    if before and issue.left_by:
        acts.do("the checks of the run before", lambda: end_checks(run, task.id, before))


def _take_labels(run: RunContext, task: Task, issue: Issue, begun: Collection[str]) -> None:
    """Take the label that asks for work: whoever removes it has the issue. One that this run `begun` to take
    before it was killed may be gone. Asked for otherwise, what another run left over is taken."""
    there = {n.casefold() for n in issue.labels}
    label = next((n for n in (run.config.label, LABEL_RUNNING) if n.casefold() in there), "")
    if not label or cast("Queue", run.forge).take_label(issue.number, label):
        return
    if not begun or is_anothers(run, task, begun):
        raise TakenError(
            f"another run took issue #{issue.number}", hint="the comment on the issue names it", status=409
        )


def _leave_to_winner(run: RunContext, issue: Issue) -> None:
    """Take off the label of this run's attempt at an issue whose winner has come to its end already. Best effort."""
    with contextlib.suppress(OrchestratorError):
        if set(END_LABELS.values()) & set(run.forge.issue(issue.number).labels):
            cast("Queue", run.forge).take_label(issue.number, LABEL_RUNNING)


def claimants(run: RunContext, task_id: str) -> tuple[str, ...]:
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
    asked = task.issue.asked
    said = render.not_started(why, run.secrets, stays=asked is None)
    with contextlib.suppress(OrchestratorError):
        if asked is None:
            run.forge.comment(task.issue.number, marker=marker("refused", task.id), body=said)
            return
        run.forge.comment(asked.pull, marker=marker("asked", asked.key), body=said)
        if LABEL_RUNNING in task.issue.labels:  # of a dead run that was at it
            run.forge.set_labels(task.issue.number, add=[END_LABELS["failed"]], remove=[LABEL_RUNNING])


def tell_cannot_begin(forge: Forge, label: str, numbers: Collection[int], error: OrchestratorError) -> None:
    """Say once on each issue that waits why the run of them could not begin; its label stays. Best effort.

    They are those of `numbers`, or when none was named the open ones that carry `label`, where there is one.
    """
    said = render.not_started(error.message + (f" ({error.hint})" if error.hint else ""))
    with contextlib.suppress(OrchestratorError):
        labelled = [i.number for i in forge.issues(label)][:MOST_TOLD] if label and not numbers else []
        for number in numbers or labelled:
            forge.comment(number, marker=marker("refused", f"issue-{number}"), body=said)


def tell_progress(
    run: RunContext, issue: Issue, phases: tuple[PhaseVerdict, ...], wall_s: float = 0.0
) -> bool:
    """Bring the comment on a task's issue up to date, unless its end was told already."""
    task = f"issue-{issue.number}"
    with run.writing[task]:
        if any(e.kind in {"judged", "task-ended"} for e in run.journal.of(task)):
            return False
        body = _progress_body(run, issue, phases, wall_s)
        write_comment(run, claim_word(run, issue, task, body, "running"))
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
    note = note_of(run, task)
    return render.issue_comment(known, run=info, running=True, note=note, secrets=run.secrets)


def note_of(run: RunContext, task: str) -> str:
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


def claim_word(run: RunContext, issue: Issue, task: str, body: str, state: str) -> MarkedComment:
    """The comment on a task's issue, with the words by which other runs know whose it is."""
    claim = Lease(run=leaseholder(run.env, run.run_id), request=issue.request, state=state)
    return MarkedComment(issue.number, marker("task", task), with_lease(body, claim))
