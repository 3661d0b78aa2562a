"""What started a run, as the runner tells it: a label, a command in a comment, words on a pull request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator_action.config.schema import STATE_LABELS
from orchestrator_action.errors import NothingToDo
from orchestrator_action.plan import follow_up, rules
from orchestrator_action.plan.rules import IssueRequest
from orchestrator_action.protocol.forge_values import Issue


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command in a comment that asks for no work."""

    verb: str
    """`cancel` or `explain`."""
    number: int
    """Where it was given."""
    on_pull: bool
    request: IssueRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What started this run, as the runner tells it; all of it to be checked against the forge."""

    event: str = ""
    number: int = 0
    """The issue the event is about."""
    label: str = ""
    seen: Issue | None = None
    """That issue as the event shows it: at the time the label was set."""
    command: IssueRequest | None = None
    """A `/orchestrate` comment."""
    follow_up: str = ""
    """The key of what a person asks on a pull request; `number` is that pull request."""
    order: Order | None = None
    """What is to be done in the place of a run."""
    said: str | None = None
    """Those words as the event shows them; None where it does not show all."""
    actor: str = ""
    """Who started the workflow."""


def trigger_of(env: Mapping[str, str], payload: Mapping[str, Any]) -> Trigger:
    """What the event means. Raises NothingToDo for one that is not for us, our own bookkeeping above all."""
    event = env.get("GITHUB_EVENT_NAME", "")
    actor = env.get("GITHUB_TRIGGERING_ACTOR") or env.get("GITHUB_ACTOR", "")
    shown = payload.get("issue") if event in {"issues", "issue_comment"} else None
    if event == "pull_request_review":
        return _reviewed(payload, actor)
    if not isinstance(shown, Mapping):
        return Trigger(event=event, actor=actor)
    number = int(shown["number"])
    if event == "issue_comment" and (order := _order(payload, number)):
        return Trigger(event=event, number=number, actor=actor, order=order)
    if "pull_request" in shown and event == "issue_comment":
        return _on_pull(payload, number, actor)
    if "pull_request" in shown:
        raise NothingToDo(f"#{number} is a pull request, not an issue", hint="label or comment an issue")
    if event == "issue_comment":
        return Trigger(event=event, number=number, actor=actor, command=_command(payload))
    label = str((payload.get("label") or {}).get("name", ""))
    if payload.get("action") != "labeled" or label.casefold() in STATE_LABELS:
        raise NothingToDo(
            f"the event {payload.get('action')!r} {label} of #{number} asks for nothing", hint=""
        )
    seen = Issue(
        number=number,
        title=str(shown["title"]),
        body=shown.get("body") or "",
        updated_at=str(shown.get("updated_at") or ""),
    )
    return Trigger(event=event, number=number, label=label, seen=seen, actor=actor)


def _order(payload: Mapping[str, Any], number: int) -> Order | None:
    comment, shown = payload.get("comment") or {}, payload.get("issue") or {}
    verb = rules.order_in(str(comment.get("body") or "")) if payload.get("action") == "created" else ""
    if not verb:
        return None
    request = _request_in(comment)
    return Order(verb=verb, number=number, on_pull="pull_request" in shown, request=request)


def _request_in(comment: Mapping[str, Any]) -> IssueRequest:
    user = comment.get("user") or {}
    return IssueRequest(
        actor=str(user.get("login") or "ghost"),
        actor_type=str(user.get("type") or ""),
        at=str(comment.get("created_at") or ""),
        key=f"c{comment.get('id', 0)}",
    )


def _on_pull(payload: Mapping[str, Any], number: int, actor: str) -> Trigger:
    """A comment on a pull request: `/orchestrate fix …`, or `/orchestrate` alone, which asks to try again."""
    comment = payload.get("comment") or {}
    body = str(comment.get("body") or "")
    if payload.get("action") != "created" or not rules.asks_for_change(body):
        raise NothingToDo(
            "the comment asks for no change of the pull request", hint="begin it with /orchestrate fix"
        )
    key = follow_up.comment_key(number, int(comment.get("id") or 0))
    return Trigger(event="issue_comment", number=number, actor=actor, follow_up=key, said=body)


def _reviewed(payload: Mapping[str, Any], actor: str) -> Trigger:
    """A person's review: what it asks for is in its own words and in its remarks on lines. An approval asks nothing."""
    review, number = payload.get("review") or {}, int((payload.get("pull_request") or {}).get("number") or 0)
    state = str(review.get("state") or "").casefold()
    by_bot = (review.get("user") or {}).get("type") == "Bot"
    if payload.get("action") != "submitted" or state not in {"commented", "changes_requested"} or by_bot:
        raise NothingToDo(
            "the review asks for no change", hint="a person has to comment or to request changes"
        )
    key = follow_up.review_key(number, int(review.get("id") or 0))
    return Trigger(
        event="pull_request_review", number=number, actor=actor, follow_up=key, said=review.get("body") or ""
    )


def _command(payload: Mapping[str, Any]) -> IssueRequest:
    comment = payload.get("comment") or {}
    body = str(comment.get("body") or "")
    if payload.get("action") != "created" or not rules.is_command(body):
        raise NothingToDo("the comment is not the command /orchestrate", hint="it must begin with it")
    if not rules.asks_for_work(body):
        raise NothingToDo(
            f"`{' '.join(body.split()[:2])}` starts nothing on an issue",
            hint="comment it on the pull request; /orchestrate retry has the issue worked on again",
        )
    return _request_in(comment)
