"""Who may set an agent to work, and on which text: decided from what the forge says, never from a payload.

A request is a label set by a person, or a command in a comment. What counts as the issue's text is what
stood there at that moment: whoever may edit an issue later must not choose what an agent reads.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orchestrator_action.protocol.forge_values import Comment, History, Issue, IssueEvent

WRITERS = frozenset({"write", "maintain", "admin"})
"""Roles that could have pushed the change themselves."""
COMMAND = re.compile(r"/orchestrate(?:\s|\Z)")
ASSOCIATIONS_THAT_MAY_WRITE = frozenset({"OWNER", "MEMBER", "COLLABORATOR", ""})
"""Ties without which nobody has write access; asking for the others' role would only cost requests."""
LABEL_EVENT_CLOCK_SKEW = timedelta(seconds=1)
"""Between an event and the time of change it leaves on its issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRequest:
    """Who asked for an issue to be worked on, and when (ISO 8601, UTC; empty: just now)."""

    actor: str
    at: str = ""
    key: str = ""
    """The same for the same wish: see `wish_key`, or `c` and the comment's id. Of a version before: the event's id."""
    actor_type: str = ""


NOT_WORK = frozenset({"accept", "cancel", "explain", "fix"})
"""Words behind the command by which nobody asks for an issue to be worked on."""


def is_command(body: str) -> bool:
    """Whether a comment is the command: at its very start, so that a quotation is none."""
    return COMMAND.match(body) is not None


def order_in(body: str) -> str:
    """`cancel` or `explain`, where a comment orders that; otherwise an empty string."""
    words = body.split(maxsplit=2)[1:2] if is_command(body) else []
    word = words[0].casefold().strip(".:!,?") if words else ""
    return word if word in {"cancel", "explain"} else ""


def asks_for_work(body: str) -> bool:
    """Whether a comment asks for its issue to be worked on: `/orchestrate`, `/orchestrate retry`, with any further
    words; not `/orchestrate cancel` and the like."""
    words = body.split(maxsplit=2)[1:2] if is_command(body) else ["cancel"]
    return not {w.casefold().strip(".:!,") for w in words} & NOT_WORK


def asks_for_change(body: str) -> bool:
    """Whether a comment on a pull request of ours asks for more work on it: `/orchestrate fix …`, and `retry`."""
    words = body.split(maxsplit=2)[1:2] if is_command(body) else ["cancel"]
    return not {w.casefold().strip(".:!,") for w in words} & (NOT_WORK - {"fix"})


def wish_key(wish: IssueEvent, events: Sequence[IssueEvent]) -> str:
    """By what a label event is the same in every list of events: when the label was set, and in that second as which.

    Its id is not: GraphQL, which tells of a hundred issues at once, has none for it.
    """
    label = wish.label.casefold()
    same = [e for e in events if e.kind == "labeled" and e.label.casefold() == label and e.at == wish.at]
    place = next(n for n, e in enumerate(same, 1) if e is wish)
    return f"l{wish.at}" + (f".{place}" if place > 1 else "")


def request_of(events: Sequence[IssueEvent], label: str) -> IssueRequest | None:
    """The last time that the label was set, by the issue's events, oldest first."""
    for event in reversed(events):
        if event.label.casefold() == label.casefold() and event.kind == "labeled":
            key = wish_key(event, events)
            return IssueRequest(actor=event.actor, at=event.at, key=key, actor_type=event.actor_type)
    return None


def names(key: str, event: IssueEvent, events: Sequence[IssueEvent]) -> bool:
    """Whether the key of a wish, from this version or one before, is that of a label event."""
    return event.kind == "labeled" and key in {wish_key(event, events), str(event.id or "-")}


def since(history: History, label: str) -> tuple[IssueEvent, ...]:
    """The events of an issue, where they surely hold all of the second in which the label was last set; else none."""
    request = request_of(history.events, label)
    if history.whole or (request and request.at > history.events[0].at):
        return history.events
    return ()


def is_taken_by(events: Sequence[IssueEvent], label: str, viewer: str) -> bool:
    """Whether the last that happened to a label is that `viewer` took it off."""
    told = [e for e in events if e.label.casefold() == label.casefold()]
    return bool(told) and told[-1].kind == "unlabeled" and told[-1].actor == viewer


def request_in(comment: Comment) -> IssueRequest:
    """The request that a command is."""
    return IssueRequest(actor=comment.author, at=comment.created_at, key=f"c{comment.id}")


def request_again(key: str, events: Sequence[IssueEvent], comments: Sequence[Comment]) -> IssueRequest | None:
    """The request that a claim names, as the forge tells of it now: a label event, or a command."""
    for comment in comments:
        if key == f"c{comment.id}" and asks_for_work(comment.body):
            return request_in(comment)
    asked = [e for e in events if names(key, e, events)]
    return replace(made, key=key) if asked and (made := request_of(asked, asked[0].label)) else None


def named(login: str, allowed: Iterable[str]) -> bool:
    """Whether a bot is on the list, with or without the `[bot]` of its login."""
    bare = login.casefold().removesuffix("[bot]")
    return any(bare == name.strip().casefold().removesuffix("[bot]") for name in allowed if name.strip())


def may_not(request: IssueRequest, *, account: str, permission: str, bots: Collection[str]) -> str:
    """Why this request does not count; empty when it does. `account` is User, Bot or Organization."""
    if account == "Bot":
        return (
            ""
            if named(request.actor, bots)
            else f"{request.actor} is a bot that `allowed-bots` does not name"
        )
    if permission in WRITERS:
        return ""
    return f"{request.actor} has no write access here (role: {permission})"


def when(text: str) -> datetime | None:
    """The time of a forge's text; None for an empty one or one that is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def not_before(text: str, than: str) -> bool:
    """Whether `text` is as late as `than`. Forges count whole seconds, so the same second is no proof."""
    a, b = when(text), when(than)
    return a is not None and b is not None and a >= b


def edited_since(
    issue: Issue,
    request: IssueRequest,
    events: Sequence[IssueEvent],
    *,
    edited_at: str | None,
    seen: Issue | None = None,
    comments: Sequence[Comment] = (),
) -> str:
    """What of the text changed after the request; empty when nothing did.

    `seen` is the issue as the event showed it that tells of the label; then nothing else is needed.
    `edited_at` is when the body was last edited: empty for never, None where the forge did not tell; then
    any change of the issue that no event or comment explains counts as an edit.
    """
    if not request.at:
        return ""
    after = _after(events, request)
    if any(e.kind == "renamed" for e in after) or (seen and seen.title != issue.title):
        return "the title"
    if seen:
        return "" if _lines(seen.body) == _lines(issue.body) else "the text"
    if edited_at is not None:
        return "the text" if not_before(edited_at, request.at) else ""
    return "" if _explained(issue, request, after, comments) else "the issue"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _after(events: Sequence[IssueEvent], request: IssueRequest) -> Sequence[IssueEvent]:
    for number, event in enumerate(events):
        if names(request.key, event, events):
            return events[number + 1 :]
    return [e for e in events if not_before(e.at, request.at)]


def _explained(
    issue: Issue, request: IssueRequest, after: Sequence[IssueEvent], comments: Sequence[Comment]
) -> bool:
    known = [when(request.at), *(when(e.at) for e in after), *(when(c.updated_at) for c in comments)]
    changed = when(issue.updated_at)
    return changed is None or any(t is not None and t + LABEL_EVENT_CLOCK_SKEW >= changed for t in known)


def may_be_read(comment: Comment, request: IssueRequest) -> bool:
    """Whether a comment stood as it is before the request; who wrote it is asked separately."""
    if comment.association not in ASSOCIATIONS_THAT_MAY_WRITE or is_command(comment.body):
        return False
    changed = comment.updated_at or comment.created_at
    return bool(changed) and (not request.at or not not_before(changed, request.at))


def with_comments(text: str, comments: Iterable[Comment]) -> str:
    """The issue's text with what its maintainers added."""
    parts = [text.rstrip()]
    parts += [f"## Comment by {c.author}, {c.created_at[:10]}\n\n{c.body.strip()}" for c in comments]
    return "\n\n".join(parts) + "\n"
