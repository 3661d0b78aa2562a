"""Characters a person does not see, and terminal sequences: what they are and how they go.

Text from an issue is read by a person and by an agent; what only the agent would see must not
reach it. The table is Unicode's Default_Ignorable_Code_Point property (DerivedCoreProperties.txt,
Unicode 16) with the few blanks it leaves out.
"""

from __future__ import annotations

import re
import unicodedata

_IGNORABLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian selectors and vowel separator
    (0x200B, 0x200F),  # zero width, left-to-right and right-to-left marks
    (0x202A, 0x202E),  # bidi embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, bidi isolates
    (0x2800, 0x2800),  # braille blank
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF0, 0xFFFB),  # unassigned, interlinear annotation
    (0x13430, 0x1343F),  # Egyptian format controls
    (0x16FE4, 0x16FE4),  # Khitan filler
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical format controls
    (0xE0000, 0xE0FFF),  # tags, variation selectors supplement
)


def _class(ranges: tuple[tuple[int, int], ...]) -> str:
    return "".join(f"{chr(a)}-{chr(b)}" if a != b else chr(a) for a, b in ranges)


IGNORABLE_CLASS = _class(_IGNORABLE)
"""For use inside a regular expression's brackets."""

_INVISIBLE = re.compile(f"[{IGNORABLE_CLASS}]")
_PRESENTATION = "\ufe0e\ufe0f"

# ECMA-48: CSI, OSC and the other strings (BEL ends an OSC too), then the two-character sequences.
# An unfinished string ends with its line: a terminal would swallow it, a reader would not see it.
ANSI = (
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|(?=[^ -~])|$)"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c|(?=[\x1b\r\n])|$)"
    r"|\x1b[ -/]*[0-~]?)"
)
_ANSI = re.compile(ANSI)

_NO_CHARACTERS = "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
_CONTROL = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef{_NO_CHARACTERS}]")
_MOST_MARKS = 8
"""On one letter; more are no writing of anybody's. Unicode's stream-safe text has 30."""
_MARKS = re.compile(
    r"(?:[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]){9,}"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONE_CR = re.compile("\r(?!\n)")


def strip_ansi(text: str) -> str:
    """The text without terminal sequences; what they enclosed stays."""
    return _ANSI.sub("", text)


def _is_presentation(text: str, at: int) -> bool:
    """Whether the selector at `at` only says how the symbol before it is drawn, as in U+2764 U+FE0F."""
    if text[at] not in _PRESENTATION or at == 0:
        return False
    return unicodedata.category(text[at - 1]) in {"So", "Sm", "Po", "Nd", "Pd"}


def strip_invisible(text: str) -> str:
    """The text without characters that show nothing; emoji keep their presentation selector."""

    def gone(match: re.Match[str]) -> str:
        return match[0] if _is_presentation(text, match.start()) else ""

    return _MARKS.sub(lambda m: m[0][:_MOST_MARKS], _INVISIBLE.sub(gone, text))


def strip_controls(text: str) -> str:
    """The text without control characters but LF, tab and CRLF; always encodable as UTF-8.

    A lone CR becomes the line end it is to Markdown; Unicode's line separators become spaces; half
    a surrogate pair becomes U+FFFD.
    """
    text = _LONE_CR.sub("\n", text)
    text = text.replace("\u2028", " ").replace("\u2029", " ")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def clean(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with only what can be seen, and the kinds of what was taken out.

    Repeated until nothing changes: a sequence may come together when what split it is gone.
    """
    removed: dict[str, None] = {}
    steps = (
        ("terminal sequence", strip_ansi),
        ("control character", strip_controls),
        ("invisible character", strip_invisible),
    )
    while True:
        before = text
        for kind, step in steps:
            after = step(text)
            if after != text:
                removed[kind] = None
            text = after
        if text == before:
            return text, tuple(removed)
