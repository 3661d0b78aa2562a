"""Taking a task over from a run that died: what it left at the remote, and winning it against other runs.

The remote has the task's branch and its audit trail. When the trail is whole and speaks of the very same
text, the new run goes on at the branch's head with what was proven, each fact at its own commit: what is
stale is measured again, and the final judgement measures everything anew. Otherwise it starts anew and
says why. Of several runs that want the same dead one's task, the one that moves the trail first has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator_action.config.schema import BRANCH_PREFIX, REF_PREFIX
from orchestrator_action.errors import ForgeError, GitError, TakenError
from orchestrator_action.forge.base import Forge, Queue
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.events import Event, Ledger, fold
from orchestrator_action.protocol.forge_values import FollowUp
from orchestrator_action.protocol.lease import is_dead, leaseholder
from orchestrator_action.protocol.model import Task
from orchestrator_action.state.context import RunContext

KEPT_EVENTS = frozenset({"claim", "fact", "plan", "issue", "pull", "review", "answer", "pushed", "follow-up"})
"""Kinds of events that a run takes over from the one before it; all else is that run's own history."""
_OF_AN_EVENT = frozenset({"kind", "task"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a run that died left of a task. With `why`, it cannot be gone on with."""

    why: str = ""
    head: str = ""
    ledger: Ledger | None = None
    events: tuple[Event, ...] = ()
    """Those to be carried over, in order."""

    @property
    def branch(self) -> str:
        """The branch of the task."""
        return self.ledger.branch if self.ledger else ""


def text_digest(task: Task) -> str:
    """What tells whether two runs were given the same task."""
    text = task.issue.body if task.issue else task.text
    asked = task.issue.asked if task.issue else None
    whole = f"{task.title}\n{text}" + (wish_text(asked) if asked else "")
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def wish_text(asked: FollowUp) -> str:
    """What is asked on a pull request, as a part of the task's text."""
    parts = [f"## Asked by {asked.by} on pull request #{asked.pull}, {asked.at[:10]}"]
    for remark in asked.remarks:
        where = f"At `{remark.path}`, line {remark.line}:\n\n" if remark.path else ""
        parts.append(where + remark.text.strip())
    return "\n\n".join(parts)


def with_wishes(task: Task, ledger: Ledger) -> str:
    """The issue's text, what was asked on its pull request before, and what is asked now."""
    asked = task.issue.asked if task.issue else None
    if asked is None:
        return task.text
    before = [text for key, text in ledger.wishes.items() if key != asked.key]
    return "\n\n".join([task.text.rstrip(), *before, wish_text(asked)]) + "\n"


def look_for_left(
    git: Git, remote: Remote, forge: Forge, task: Task, base_branch: str, *, follow_ups: int = 0
) -> Left:
    """What the remote has of `task` from a run that died, or from the one that opened the pull request on which
    somebody asks for more. That may be asked for `follow_ups` times."""
    tip = remote.fetch_ref(audit.ref_of(task.id))
    if not tip:
        return Left(why="that run left no audit trail")
    trail = _read(git, tip, task.id)
    if trail.problems:
        return Left(why=f"its audit trail is not whole: {trail.problems[0]}")
    try:
        ledger = fold(trail.events, task.id)
        events = _carried(trail.events, ledger)
    except (LookupError, TypeError, ValueError, AttributeError):
        return Left(why="its audit trail cannot be understood")
    why = _another_task(trail.events, ledger, task, base_branch) or _may_not_follow(ledger, task, follow_ups)
    if why:
        return Left(why=why)
    head = remote.fetch_ref(f"refs/heads/{ledger.branch}")
    why = _unfit(git, ledger, head) or _pull_gone(forge, ledger)
    return Left(why=why) if why else Left(head=head, ledger=ledger, events=events)


def _read(git: Git, tip: str, task: str) -> audit.Audit:
    try:
        return audit.read(git, tip, task)
    except (GitError, LookupError, TypeError, ValueError) as exc:
        return audit.Audit(commit=tip, events=(), problems=(f"it cannot be read: {exc}",))


def _carried(events: Sequence[Event], ledger: Ledger) -> tuple[Event, ...]:
    found = [e for e in events if (e.run, e.task) == (ledger.run, ledger.task) and e.kind in KEPT_EVENTS]
    if any(_OF_AN_EVENT & set(e.data) for e in found):
        raise ValueError("an event that is not ours")
    return tuple(found)


def _another_task(events: Sequence[Event], ledger: Ledger, task: Task, base_branch: str) -> str:
    name = f"{BRANCH_PREFIX}{task.id}"
    if not ledger.base_sha or not (ledger.branch == name or ledger.branch.startswith(f"{name}-")):
        return "that run had not begun"
    again, follows_up = is_new_wish(task, ledger), bool(task.issue and task.issue.asked)
    if ledger.ended and not follows_up:  # what a person asked is done once they have their answer
        return "the run before it had come to its end"
    begun = [e for e in events if (e.run, e.kind) == (ledger.run, "task-started")]
    if begun[-1].data.get("text_sha256") != text_digest(task) and not again:
        return "it worked on another text"
    if ledger.base_branch != base_branch:
        return f"it worked for the branch {ledger.base_branch}"
    return ""


def is_new_wish(task: Task, ledger: Ledger) -> bool:
    """Whether somebody asks for more on the pull request, and no run has begun with it."""
    asked = task.issue.asked if task.issue else None
    return asked is not None and asked.key != ledger.follow_up_key


def _may_not_follow(ledger: Ledger, task: Task, follow_ups: int) -> str:
    """Why what somebody asks on a pull request is not followed; empty when it is, or nobody asks."""
    asked = task.issue.asked if task.issue else None
    if asked is None:
        return ""
    if ledger.pull != asked.pull:
        return f"pull request #{asked.pull} is not that of the last attempt"
    if is_new_wish(task, ledger) and ledger.follow_ups >= follow_ups:
        return f"it was changed {ledger.follow_ups} times this way, and `follow-ups` allows {follow_ups}"
    return ""


def _unfit(git: Git, ledger: Ledger, head: str) -> str:
    """Why nothing can be built on the branch as the remote has it now."""
    if not head:
        return "its branch is gone" if ledger.pushed_sha else "it had pushed nothing"
    clean = ledger.fact("initial-setup", "clean-base")
    if clean is None or not clean.holds:
        return "it had proven nothing"
    if not _grows(git, ledger.base_sha, head):
        return "its branch does not grow from its base"
    if ledger.pushed_sha and not _grows(git, ledger.pushed_sha, head):
        return "its branch was rewritten since"
    return ""


def _grows(git: Git, old: str, new: str) -> bool:
    return bool(git.rev_parse(old)) and git.is_ancestor(old, new)


def _pull_gone(forge: Forge, ledger: Ledger) -> str:
    if ledger.pull is None:
        return ""
    try:
        state = forge.pull(ledger.pull).state
    except ForgeError as exc:
        if exc.status != 404:
            raise
        state = "gone"
    return "" if state == "open" else f"its pull request #{ledger.pull} is {state}"


def issues_of(git: Git, remote: Remote, run_id: str) -> tuple[int, ...]:
    """The issues that a run which is known from the remote only has left open."""
    found = []
    for ref in remote.refs(f"{audit.TASKS_PREFIX}*"):
        task_id = ref.removeprefix(audit.TASKS_PREFIX)
        events = _read(git, remote.fetch_ref(ref), task_id).events
        mine = [e for e in events if e.task == task_id]
        if mine and mine[-1].run == run_id and all(e.kind != "task-ended" for e in mine if e.run == run_id):
            number = task_id.removeprefix("issue-")
            found += [int(number)] if number.isdecimal() else []
    return tuple(sorted(found))


def carry(run: RunContext, task: Task) -> None:
    """Write what the run before had claimed and proven into this run's journal; nothing twice.

    Raises GitError when the remote is not as it was when this run was planned.
    """
    if any(e.kind == "attempt-started" for e in run.journal.of(task.id)):
        return
    left = look_for(run, task)
    if left.head != task.goes_on_at:
        raise GitError(
            f"what was left of {task.id} changed while it was taken over: {left.why or 'its branch moved'}",
            hint="set the label again",
        )
    records = [(e.kind, dict(e.data)) for e in left.events]
    if left.ledger and left.ledger.pushed_sha != left.head:
        records.append(("pushed", {"sha": left.head, "branch": left.branch}))
    asked = task.issue.asked if task.issue else None
    if asked is not None and left.ledger is not None and is_new_wish(task, left.ledger):
        number = left.ledger.follow_ups + 1
        wish = {
            "key": asked.key, "by": asked.by, "pull": asked.pull, "round": number, "head": left.head,
            "text": wish_text(asked),
        }  # fmt: skip
        records.append(("follow-up", wish))
    there = sum(e.kind in KEPT_EVENTS for e in run.journal.of(task.id))
    for kind, data in records[there:]:
        run.journal.append(kind, task.id, **data)


def look_for(run: RunContext, task: Task) -> Left:
    """`look`, within a run."""
    limit = run.config.follow_ups
    return look_for_left(run.git, run.remote, run.forge, task, run.base_branch, follow_ups=limit)


def base_of(run: RunContext, task: Task) -> str:
    """The base commit of a task: that of the run it goes on from, otherwise this run's."""
    if known := run.journal.ledger(task.id).base_sha:
        return known
    if not task.goes_on_at:
        return run.base_sha
    left = look_for(run, task)
    return left.ledger.base_sha if left.ledger else run.base_sha


def win(run: RunContext, task: Task, left_by: str) -> tuple[Event, ...]:
    """Move the task's trail in the name of this run; returns what the trail said until now.

    Raises TakenError when another run was first. The forge has no such act for a label that stays.
    """
    ref, me = audit.ref_of(task.id), leaseholder(run.env, run.run_id)
    tip = run.remote.fetch_ref(ref)
    trail = _read(run.git, tip, task.id) if tip else audit.Audit(commit="", events=())
    _refuse_if_taken(run, task, trail.events, (left_by, me))
    events = run.journal.of(task.id)
    if not any(e.kind == "note" for e in events):
        run.journal.append("note", task.id, by=me, text=task.note)
    message = f"{task.id}: taken over from run {left_by}\n"
    parent = "" if trail.problems else tip
    made = audit.record(run.git, parent, run.run_id, run.journal.of(task.id), message)
    moves, known = {ref: made}, {ref: tip}
    if trail.problems:  # a trail that is not whole stays where people can look at it
        moves[f"{REF_PREFIX}damaged/{task.id}-{tip[:12]}"] = tip
    try:
        run.remote.push_many(moves, known=known, confirm=False)
    except GitError:
        now = run.remote.sha(ref)
        if now == tip:
            raise
        if now != made:
            raise _taken(task) from None
    return trail.events


def _refuse_if_taken(run: RunContext, task: Task, events: Sequence[Event], mine: tuple[str, str]) -> None:
    named = [e for e in events if e.task == task.id and e.kind in {"note", "claimed"}]
    ended = [e for e in events if e.task == task.id and e.kind == "task-ended"]
    last = str(named[-1].data.get("by", "")) if named else ""
    if not last or last in mine or (ended and ended[-1].run == named[-1].run):
        return
    forge: Queue = run.forge  # type: ignore[assignment]
    if not is_dead(last, mine[1], forge.run_alive):
        raise _taken(task)


def _taken(task: Task) -> TakenError:
    number = task.issue.number if task.issue else task.id
    return TakenError(
        f"another run took issue #{number}", hint="the comment on the issue names it", status=409
    )
