"""Our own markers, and the spellings that look like them.

`<!-- orchestrator-action:kind:id -->` is how we find our comments again, so text from others must
hold neither it nor anything that a person or a normalising tool takes for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

PREFIX = "orchestrator-action"

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
    rf"{PREFIX.replace('-', '[- ]*')}\s*:\s*[a-z0-9-]{{1,40}}(?:\s*:\s*[^\s<>]*)?(?:\s*-*\s*>)?"
)


def _fold(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).casefold().translate(_CONFUSABLE)
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


def marker_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the text holds a marker of ours or something that looks like one."""
    folded: list[str] = []
    index: list[int] = []
    for at, char in enumerate(text):
        piece = char.lower() if char.isascii() else _fold(char)
        if char == "_":
            piece = "-"
        folded.append(piece)
        index.extend([at] * len(piece))
    index.append(len(text))
    for match in _FOLDED.finditer("".join(folded)):
        yield index[match.start()], index[match.end() - 1] + 1
