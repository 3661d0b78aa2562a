"""What people ask on a pull request of ours: read anew from the forge, and whose pull request it is.

The event only says where to look. A wish is known again by its key, which names the pull request and the
comment or review, so that a run which finds it left behind reads the same words.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast

from orchestrator_action.config.schema import BRANCH_PREFIX
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import Conversation, Forge, Queue
from orchestrator_action.protocol.forge_values import FollowUp, Pull, Remark

_KEY = re.compile(r"p(\d+)([cr])(\d+)")
_BRANCH = re.compile(re.escape(BRANCH_PREFIX) + r"issue-(\d+)(?:-|\Z)")
_COMMAND = re.compile(r"/orchestrate(?:[ \t]+(?:fix|retry)\b[ \t]*:?)?\s*", re.IGNORECASE)
AGAIN = "Try again: do what is still open, and mend what was not verified."
"""What is asked by the command alone."""


def comment_key(pull: int, comment: int) -> str:
    """The key of a wish in a comment on a pull request."""
    return f"p{pull}c{comment}"


def review_key(pull: int, review: int) -> str:
    """The key of a wish in a review."""
    return f"p{pull}r{review}"


def is_key(text: str) -> bool:
    """Whether a request's key is that of a follow-up."""
    return _KEY.fullmatch(text) is not None


def read_follow_up(forge: Forge, key: str, *, seen: str | None = None) -> FollowUp:
    """The wish as it stands on the forge now, without the command. ForgeError (404) when it is gone.

    `seen` is its own text, without remarks on lines, as the event showed it.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise ForgeError(f"{key!r} names no comment and no review", hint="", status=404)
    pull, kind, number = int(found[1]), found[2], int(found[3])
    people = cast("Conversation", forge)
    said = people.asked(pull, comment=number) if kind == "c" else people.asked(pull, review=number)
    own = next((r.text for r in said.remarks if not r.thread), "")
    edited = said.edited or (seen is not None and _lines(seen) != _lines(own))
    return replace(said, key=key, remarks=tuple(_without_command(r) for r in said.remarks), edited=edited)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _without_command(remark: Remark) -> Remark:
    text = _COMMAND.sub("", remark.text, count=1) if remark.text.startswith("/orchestrate") else remark.text
    return replace(remark, text=text.strip() or AGAIN)


def issue_of(forge: Forge, pull: Pull) -> int:
    """The issue that an open pull request of ours was made of; 0 when it is none of ours.

    The head of another repository's pull request may have any name: ours is the one of this repository's branch.
    """
    found = _BRANCH.match(pull.head_branch)
    if found is None or pull.state != "open" or pull.author != cast("Queue", forge).viewer():
        return 0
    known = forge.find_pull(pull.head_branch)
    return int(found[1]) if known and known.number == pull.number else 0
