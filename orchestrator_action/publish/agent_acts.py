"""What is written to the forge on an agent's behalf while it works: its issue, branch, pull request, review.

Everything is found again by its marker, so an act that is repeated writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_action.protocol.forge_values import Issue, Pull, ReviewFinding
from orchestrator_action.protocol.model import Task
from orchestrator_action.publish.publish import push
from orchestrator_action.publish.report import comments
from orchestrator_action.state.context import ForgeActs, RunContext, TaskRun
from orchestrator_action.text.limits import marker


def open_issue(task_run: TaskRun) -> Issue:
    """The issue of a task that came as a prompt file."""
    return open_issue_of(task_run.run, task_run.task)


def open_issue_of(run: RunContext, task: Task) -> Issue:
    """The same, before anything of the task was begun."""
    return run.forge.create_issue(
        task.title,
        comments.issue_body(task, run.secrets),
        marker=marker("task", f"{run.run_id}.{task.id}"),
    )


def open_pull(task_run: TaskRun, title: str, body: str) -> Pull:
    """The draft pull request of the task's branch, in the agent's words and marked as such."""
    run, task = task_run.run, task_run.task
    issue = run.journal.ledger(task.id).issue
    return run.forge.open_pull(
        branch=task_run.branch,
        base=run.base_branch,
        title=comments.pull_title(title, run.secrets),
        body=comments.pull_body(task, issue=issue, text=body, run_id=run.run_id, secrets=run.secrets),
    )


def post_review(task_run: TaskRun, head: str, findings: Sequence[ReviewFinding]) -> str:
    """Where the findings stand. Without any, the comment on the pull request says so and nothing is posted."""
    run = task_run.run
    number = run.journal.ledger(task_run.task.id).pull
    if number is None or not findings:
        return ""
    return run.forge.review(
        number,
        head_sha=head,
        body=comments.review_body(findings, head, run.secrets),
        findings=comments.defanged(findings, run.secrets),
        marker=marker("review", f"{run.run_id}.{head[:12]}"),
    )


FORGE_ACTS = ForgeActs(open_issue=open_issue, push=push, open_pull=open_pull, post_review=post_review)
"""The acts themselves, for a process that holds the forge's token."""
