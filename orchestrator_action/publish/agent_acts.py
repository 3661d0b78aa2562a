"""What is written to the forge on an agent's behalf while it works: its issue, branch, pull request, review.

Everything is found again by its marker, so an act that is repeated writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_action.protocol.model import Issue, Pull, ReviewFinding
from orchestrator_action.publish.publish import push
from orchestrator_action.publish.report import comments
from orchestrator_action.state.context import ForgeActs, Subject
from orchestrator_action.text.limits import marker


def open_issue(subject: Subject) -> Issue:
    """The issue of a task that came as a prompt file."""
    parts, task = subject.parts, subject.task
    return parts.forge.create_issue(
        task.title,
        comments.issue_body(task, parts.secrets),
        marker=marker("task", f"{parts.run_id}.{task.id}"),
    )


def open_pull(subject: Subject, title: str, body: str) -> Pull:
    """The draft pull request of the task's branch, in the agent's words and marked as such."""
    parts, task = subject.parts, subject.task
    issue = parts.journal.ledger(task.id).issue
    return parts.forge.open_pull(
        branch=subject.branch,
        base=parts.base_branch,
        title=comments.pull_title(title, parts.secrets),
        body=comments.pull_body(task, issue=issue, text=body, run_id=parts.run_id, secrets=parts.secrets),
    )


def post_review(subject: Subject, head: str, findings: Sequence[ReviewFinding]) -> str:
    """Where the findings stand. Without any, the comment on the pull request says so and nothing is posted."""
    parts = subject.parts
    number = parts.journal.ledger(subject.task.id).pull
    if number is None or not findings:
        return ""
    return parts.forge.review(
        number,
        head_sha=head,
        body=comments.review_body(findings, head, parts.secrets),
        findings=comments.defanged(findings, parts.secrets),
        marker=marker("review", f"{parts.run_id}.{head[:12]}"),
    )


FORGE_ACTS = ForgeActs(open_issue=open_issue, push=push, open_pull=open_pull, post_review=post_review)
"""The acts themselves, for a process that holds the forge's token."""
