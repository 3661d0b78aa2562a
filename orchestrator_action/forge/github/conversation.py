"""What people write on a pull request of ours, and our answers to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import Api, understood
from orchestrator_action.forge.github.pulls import MAX_BODY
from orchestrator_action.protocol.forge_values import FollowUp, Remark
from orchestrator_action.text.marker import carries_marker, cut_to_bytes, mark


def asked_in_comment(api: Api, pull: int, comment: int) -> FollowUp:
    """What a comment on a pull request says. ForgeError (404) when it is gone or stands elsewhere."""
    what = f"comment {comment} of pull request #{pull}"
    data = api.get(f"/issues/comments/{comment}", what)
    found = understood(lambda: read.comment(data, pull), what)
    if not understood(lambda: str(data["issue_url"]).endswith(f"/issues/{pull}"), what):
        raise ForgeError(f"there is no {what}", hint="it stands on another issue", status=404)
    return FollowUp(
        key=f"p{pull}c{comment}", pull=pull, by=found.author, at=found.created_at,
        remarks=(Remark(text=found.body),), edited=found.updated_at != found.created_at,
    )  # fmt: skip


def asked_in_review(api: Api, pull: int, review: int) -> FollowUp:
    """What a submitted review says, with the remarks on lines that belong to it. ForgeError (404) when it is gone."""
    what = f"review {review} of pull request #{pull}"
    rows = api.pages(f"/pulls/{pull}/reviews", what)
    data = next((r for r in rows if understood(lambda: int(r["id"]) == review, what)), None)  # noqa: B023
    if data is None:
        raise ForgeError(f"there is no {what}", hint="it was deleted", status=404)
    at = understood(lambda: str(data["submitted_at"]), what)
    own = understood(lambda: read.text(data.get("body")), what)
    by = understood(lambda: read.login(data["user"]), what)
    threads = [
        row
        for row in api.pages(f"/pulls/{pull}/comments", what)
        if understood(lambda: (row["pull_request_review_id"], read.login(row["user"])) == (review, by), what)  # noqa: B023
    ]
    remarks = [Remark(text=own)] if own.strip() else []
    remarks += [understood(lambda: _remark(row), what) for row in threads]  # noqa: B023
    return FollowUp(
        key=f"p{pull}r{review}", pull=pull, by=by, at=at,
        remarks=tuple(remarks), edited=any(str(row.get("updated_at") or "") > at for row in threads),
    )  # fmt: skip


def _remark(row: Any) -> Remark:
    return Remark(
        text=read.text(row.get("body")),
        thread=int(row.get("in_reply_to_id") or row["id"]),
        path=str(row["path"]),
        line=int(row.get("line") or row.get("original_line") or 0),
    )


def reply(api: Api, pull: int, thread: int, body: str, marker: str, mine: Callable[[Any], bool]) -> None:
    """Put our answer into a thread of a review; nothing when one with this marker is there."""
    what = f"the answer in pull request #{pull}"

    def found() -> bool | None:
        rows = api.pages(f"/pulls/{pull}/comments", what)
        ours = (understood(lambda: carries_marker(r["body"], marker) and mine(r["user"]), what) for r in rows)  # noqa: B023
        return True if any(ours) else None

    if not found():
        text = {"body": cut_to_bytes(mark(body, marker), MAX_BODY)}
        api.send("POST", f"/pulls/{pull}/comments/{thread}/replies", what, text, found=found)
