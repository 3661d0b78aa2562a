"""Our comments on GitHub: one for each marker, found again by marker and author, updated in place.

Whose is a comment with our marker? Anybody can copy a marker, so its author must be us. Where we were
told that nobody has commented, or have opened the pull ourselves just now, nothing is looked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import Api, understood
from orchestrator_action.forge.github.pulls import MAX_BODY
from orchestrator_action.protocol.forge_values import Comment
from orchestrator_action.text.marker import carries_marker, cut_to_bytes, hidden, mark


class Comments:
    """The comments of one repository. `viewer` is who we are; `wrote` is shown every answer to a write."""

    def __init__(self, api: Api, viewer: Callable[[], str], wrote: Callable[[Any], None]) -> None:
        self._api = api
        self._viewer = viewer
        self._wrote = wrote
        self._lock = threading.Lock()
        self._writing: dict[tuple[int, str], threading.Lock] = {}
        self._known: dict[tuple[int, str], tuple[int, str]] = {}
        """The id of what we wrote, and by what GraphQL knows it."""
        self._untouched: set[int] = set()
        """Issues and pulls on which nothing stands but what we wrote and remember."""
        self._read: dict[int, list[tuple[str, str, int, str]]] = {}
        """Of those whose comments were read to the end: first line, author, id and node of what is marked."""

    def alone(self, number: int, marker: str) -> threading.Lock:
        """The lock of one marker: looking and writing are one step, others need not wait for it."""
        with self._lock:
            return self._writing.setdefault((number, marker), threading.Lock())

    def noted(self, number: int, comments: int) -> None:
        """How many comments there are: where there is none, ours need not be looked for."""
        (self._untouched.discard if comments else self._untouched.add)(number)

    def text(self, body: str, marker: str) -> str:
        """The body as it is written, within GitHub's limit."""
        return cut_to_bytes(mark(body, marker), MAX_BODY)

    def write(self, number: int, marker: str, body: str) -> Comment:
        """Write or update our one comment with this marker."""
        text = self.text(body, marker)
        with self.alone(number, marker):
            known = self._known.get((number, marker))
            if known:
                try:
                    return self._update(number, known[0], text)
                except ForgeError as exc:
                    if exc.status not in {404, 410}:
                        raise
            found = None if not known and self.node(number, marker) == "" else self.ours(number, marker)
            if found is None:
                return self._create(number, marker, text)
            if found.body != text:
                found = self._update(number, found.id, text)
            self._known[number, marker] = (found.id, "")
            return found

    def _create(self, number: int, marker: str, text: str) -> Comment:
        untouched = number in self._untouched
        self.unsure(number)  # from here on it may carry this one, whatever we are told
        data = self._api.send(
            "POST",
            f"/issues/{number}/comments",
            f"the comment on #{number}",
            {"body": text},
            found=lambda: self.ours(number, marker),
        )
        if untouched:
            self._untouched.add(number)  # this one is remembered, and no other of ours is there
        if isinstance(data, Comment):
            self._known[number, marker] = (data.id, "")
            return data
        made = understood(lambda: read.comment(data, number), f"the comment on #{number}")
        self._wrote(data)
        self._known[number, marker] = (made.id, str(data.get("node_id") or ""))
        return made

    def _update(self, number: int, identity: int, text: str) -> Comment:
        what = f"the comment on #{number}"
        data = self._api.send("PATCH", f"/issues/comments/{identity}", what, {"body": text})
        return understood(lambda: read.comment(data, number), what)

    def ours(self, number: int, marker: str) -> Comment | None:
        """Our oldest comment with the marker, over all pages."""
        for comment in self.all(number):
            if carries_marker(comment.body, marker) and comment.author == self._viewer():
                return comment
        return None

    def all(self, number: int) -> Iterator[Comment]:
        """All comments, oldest first, 100 a request."""
        what = f"the comments on #{number}"
        marked = []
        for data in self._api.pages(f"/issues/{number}/comments", what):
            comment = understood(lambda: read.comment(data, number), what)  # noqa: B023
            if comment.body.startswith("<!-- "):
                line = comment.body.partition("\n")[0].strip()
                marked.append((line, comment.author, comment.id, str(data.get("node_id") or "")))
            yield comment
        self._read[number] = marked

    # for those who write several things at once

    def node(self, number: int, marker: str) -> str | None:
        """By what GraphQL knows our comment; empty when surely none is there, None when that is not known."""
        known = self._known.get((number, marker))
        if known:
            return known[1] or None
        if number in self._untouched:
            return ""
        if number not in self._read:
            return None
        there = [c for c in self._read[number] if c[0] == hidden(marker)]
        mine = next((c for c in there if c[1] == self._viewer()), None)
        if mine:
            self._known[number, marker] = mine[2:]
        return (mine[3] or None) if mine else ""

    def unsure(self, number: int) -> None:
        """Something may have been written there: whoever writes next looks first."""
        self._untouched.discard(number)
        self._read.pop(number, None)

    def remember(self, number: int, marker: str, identity: int, node: str) -> None:
        """A comment of ours that was written in another way."""
        self._known[number, marker] = (identity, node)
