"""Our own markers, and the spellings that look like them.

`<!-- orchestrator-action:kind:id -->` is how we find our comments again, so text from others must
hold neither it nor anything that a person or a normalising tool takes for it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

MARKER_NAME = "orchestrator-action"

# Unicode's confusables.txt, as far as the letters of PREFIX and the marks around it go.
_CONFUSABLE = str.maketrans(
    {
        **dict.fromkeys("аɑα", "a"),
        **dict.fromkeys("сϲⅽ", "c"),
        **dict.fromkeys("еҽ", "e"),
        **dict.fromkeys("һհ", "h"),
        **dict.fromkeys("іιıӏ", "i"),
        **dict.fromkeys("ոпη", "n"),
        **dict.fromkeys("оοօ", "o"),
        **dict.fromkeys("гᴦ", "r"),
        **dict.fromkeys("ѕꜱ", "s"),
        **dict.fromkeys("тτᴛ", "t"),
        **dict.fromkeys("‐‑‒–—―−⁃﹘˗➖ー_", "-"),
        **dict.fromkeys("꞉∶˸։׃︓ː", ":"),
    }
)
_FOLDED = re.compile(
    r"(?:<\s*!\s*-*\s*)?"
    rf"{MARKER_NAME.replace('-', '[- ]*')}\s*:\s*[a-z0-9-]{{1,40}}(?:\s*:\s*[^\s<>]*)?(?:\s*-*\s*>)?"
)

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNSHOWN = "\\*`"
"""Markdown's own marks: between the letters of a word nobody sees them."""


def _fold(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).casefold().translate(_CONFUSABLE)
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


def marker_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the text holds a marker of ours or something that looks like one."""
    folded: list[str] = []
    index: list[int] = []
    ends: list[int] = []
    for at, char, end in _characters(text):
        piece = char.lower() if char.isascii() else _fold(char)
        if char == "_":
            piece = "-"
        folded.append(piece)
        index.extend([at] * len(piece))
        ends.extend([end] * len(piece))
    for match in _FOLDED.finditer("".join(folded)):
        yield index[match.start()], ends[match.end() - 1]


def _characters(text: str) -> Iterator[tuple[int, str, int]]:
    """What a page shows, a character at a time, with where it is written."""
    at = 0
    for entity in _ENTITY.finditer(text):
        yield from ((n, text[n], n + 1) for n in range(at, entity.start()) if text[n] not in _UNSHOWN)
        shown = html.unescape(entity[0])
        yield from ((entity.start(), c, entity.end()) for c in shown if c not in _UNSHOWN)
        at = entity.end()
    yield from ((n, text[n], n + 1) for n in range(at, len(text)) if text[n] not in _UNSHOWN)
