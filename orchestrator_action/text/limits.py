"""Texts that cross a border: markers, limits, and data wrapped so that it stays data.

The one place to import from: what comes in is `sanitise`d, what an agent wrote is `defang`ed before it
appears under our name, what a runner prints is a `harmless_log_line`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from orchestrator_action.text import markdown as blocks
from orchestrator_action.text.defang import (
    close_fence,
    code,
    defang,
    fenced,
    inline,
    plain,
    web_address,
    without_markers,
)
from orchestrator_action.text.lookalikes import MARKER_NAME
from orchestrator_action.text.redact import REDACTED, mask, mask_shapes, mask_values
from orchestrator_action.text.runner_log import escape_data, escape_property, harmless_log_line
from orchestrator_action.text.unicode import clean, strip_ansi
from orchestrator_action.text.visible import Sanitised, sanitise

__all__ = [
    "ANNOTATIONS_PER_REQUEST",
    "CHECK_SUMMARY_LIMIT",
    "CHECK_TEXT_LIMIT",
    "COMMENT_LIMIT",
    "REDACTED",
    "STEP_SUMMARY_LIMIT",
    "Sanitised",
    "TITLE_LIMIT",
    "clean",
    "close_fence",
    "code",
    "cut",
    "defang",
    "escape_data",
    "escape_property",
    "fenced",
    "harmless_log_line",
    "inline",
    "marker",
    "mask",
    "mask_shapes",
    "mask_values",
    "plain",
    "sanitise",
    "strip_ansi",
    "title",
    "web_address",
    "without_markers",
    "wrap_as_data",
]

# GitHub says "characters" and does not say which; counted in bytes of UTF-8 a text fits either way.
COMMENT_LIMIT = 65_535
"""Bytes of a comment, issue or pull body, one less than the API's 422 says: "… (maximum is 65536 characters)"."""
CHECK_SUMMARY_LIMIT = 65_535
"""Source: docs.github.com, "Create a check run", `output.summary`."""
CHECK_TEXT_LIMIT = 65_535
"""Source: docs.github.com, "Create a check run", `output.text`."""
ANNOTATIONS_PER_REQUEST = 50
"""Source: docs.github.com, "Create a check run", `output.annotations`."""
STEP_SUMMARY_LIMIT = 1024**2
"""Source: docs.github.com, "Workflow commands", job summaries: 1 MiB a step."""
TITLE_LIMIT = 256
"""Characters of an issue or pull title. Source: the API's 422, "title is too long (maximum is 256 …)"."""

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._/-]+")


def marker(kind: str, id: str) -> str:  # noqa: A002 - the word of the marker's own grammar
    """The hidden line by which we find our own comment, pull or issue again."""
    safe = [re.sub("-{2,}", "-", _NOT_IN_ID.sub("-", part)).strip("-") for part in (kind, id)]
    return f"<!-- {MARKER_NAME}:{safe[0]}:{safe[1]} -->"


def title(text: str, *, limit: int = TITLE_LIMIT) -> str:
    """One line fit for a title: nothing unseen, no markup's power, never empty."""
    return plain(sanitise(text).text, limit=limit) or "(no title)"


def wrap_as_data(text: str, boundary: str) -> str:
    """The text between two lines that name `boundary`, said to be data.

    `boundary` is random and comes from the caller. Raises ValueError when the text holds it: choose another.
    """
    if len(boundary) < 8 or boundary.casefold() in text.casefold():
        raise ValueError("the boundary is too short or occurs in the text")
    end = "" if text.endswith("\n") else "\n"
    return f"<task-text boundary={boundary}>\n{text}{end}</task-text boundary={boundary}>\n"


def _size(text: str, unit: str) -> int:
    return len(text.encode("utf-8", "surrogatepass")) if unit == "bytes" else len(text)


def _joins(before: str, char: str) -> bool:
    """Whether `char` belongs to the character before it, so that a cut between them would show."""
    at = ord(char)
    if unicodedata.category(char) in {"Mn", "Mc", "Me"} or char == "\u200d" or before == "\u200d":
        return True
    if 0x1F3FB <= at <= 0x1F3FF or 0xE0020 <= at <= 0xE007F or 0xDC00 <= at <= 0xDFFF:
        return True
    if 0x1160 <= at <= 0x11FF:  # Hangul vowels and finals
        return True
    flags = 0x1F1E6 <= at <= 0x1F1FF and 0x1F1E6 <= ord(before) <= 0x1F1FF
    return flags or (before == "\r" and char == "\n")


def _head(text: str, room: int, unit: str) -> str:
    """The longest start of `text` within `room` that ends between two characters as a person counts them."""
    if unit == "bytes":
        end = len(text.encode("utf-8", "surrogatepass")[: max(0, room)].decode("utf-8", "ignore"))
    else:
        end = max(0, min(room, len(text)))
    if end >= len(text):
        return text
    start = end
    while end > 0 and start - end < 64 and _joins(text[end - 1], text[end]):
        end -= 1
    return text[:end]


def cut(text: str, limit: int, unit: Literal["chars", "bytes"] = "chars") -> str:
    """The text, or its start and a visible note when it is longer than `limit`; never longer than that.

    Ends between characters as a person counts them, closes a fence and a `<details>` it would leave
    open, and prefers the end of a line.
    """
    size = _size(text, unit)
    if size <= limit:
        return text
    note = f"\n\n*… cut here: this text was {size:,} {'bytes' if unit == 'bytes' else 'characters'} long.*\n"
    room = limit - _size(note, unit)
    while room > 0:
        head = _head(text, room, unit)
        newline = head.rfind("\n")
        if newline > len(head) * 3 // 4:
            head = head[: newline + 1]
        ending = _ending(head)
        whole = head + ending + note
        if _size(whole, unit) <= limit:
            return whole
        room -= max(1, _size(whole, unit) - limit)
    return _head("…", limit, unit) if limit < 8 else _head(text, limit - 3, unit) + _head("…", 3, unit)


def _ending(head: str) -> str:
    """What closes the fence and the details that `head` leaves open."""
    closed = close_fence(head)
    ending = closed[len(head) :]
    fenced = blocks.fences(closed)
    opened = 0
    for found in re.finditer(r"</?details\b", head):
        if not any(a <= found.start() < b for a, b in fenced):
            opened += -1 if found[0][1] == "/" else 1
    return ending + "\n</details>\n" * max(0, opened)
