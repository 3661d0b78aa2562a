"""What people asked on a pull request gets its answer: with the commit, in the thread where it was asked."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import cast

from orchestrator_action.errors import GitError
from orchestrator_action.forge.base import Conversation
from orchestrator_action.protocol.forge_values import FollowUp, Remark
from orchestrator_action.protocol.model import GOOD_STATUSES, Status, TaskResult
from orchestrator_action.publish.report import comments as render
from orchestrator_action.state.context import TaskRun
from orchestrator_action.text.limits import marker


def leaves_as_it_was(task_run: TaskRun, result: TaskResult) -> bool:
    """Whether nothing came of what somebody asked on a pull request: then what is told of its head still holds."""
    asked = _asked(task_run)
    if asked is None or result.status in GOOD_STATUSES:
        return False
    start = task_run.run.journal.ledger(result.task_id).follow_up_at
    return not result.head_sha or result.head_sha in {start, result.base_sha}


def answer_people(task_run: TaskRun, result: TaskResult) -> Iterator[tuple[str, Callable[[], object]]]:
    """The acts that answer a person; none where nobody asked on the pull request."""
    asked, forge = _asked(task_run), task_run.run.forge
    if asked is None:
        return
    for remark in asked.remarks:
        if remark.thread:
            key = marker("asked", f"{asked.key}.{remark.thread}")
            body = _words(task_run, result, remark)
            act = functools.partial(
                cast("Conversation", forge).reply, asked.pull, remark.thread, marker=key, body=body
            )
            yield f"the answer to a remark at {remark.path}", act
    body = _words(task_run, result, None)
    yield (
        f"the answer to {asked.by}",
        functools.partial(forge.comment, asked.pull, marker=marker("asked", asked.key), body=body),
    )


def _asked(task_run: TaskRun) -> FollowUp | None:
    issue = task_run.task.issue
    return issue.asked if issue else None


def _words(task_run: TaskRun, result: TaskResult, remark: Remark | None) -> str:
    """How it ended, in the words of the result; of a remark on a line, with the commit that changed its file."""
    run = task_run.run
    asked = _asked(task_run)
    start = run.journal.ledger(result.task_id).follow_up_at
    commit = "" if leaves_as_it_was(task_run, result) else result.head_sha
    path = remark.path if remark else ""
    touched = _last_commit(task_run, start, commit, path) if commit and path else commit
    if result.status is Status.DECLINED and result.declined:
        word = f"not done: {result.declined}"
    elif result.status in GOOD_STATUSES:
        word = f"done in {touched}" if touched else f"done at {commit}, where no commit changed this file"
        word += ", verified at " + commit if touched != commit else ", verified"
    else:
        word = f"not verified: {result.error or result.status}"
        word += f"; what was tried is at {commit}" if commit else "; the pull request is as it was"
    by = "" if remark or asked is None else asked.by
    return render.follow_up_answer(word, by=by, secrets=run.secrets)


def _last_commit(task_run: TaskRun, start: str, head: str, path: str) -> str:
    """The newest commit above `start` that changes `path`, or an empty string."""
    with contextlib.suppress(GitError):
        span = f"{start}..{head}" if start else head
        return task_run.run.private.text("log", "-1", "--format=%H", span, "--", f":(literal){path}").strip()
    return ""
