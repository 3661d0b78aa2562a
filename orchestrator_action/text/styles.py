"""Styles that keep an element from being seen: not drawn, of no size, off the page, or the colour of paper.

GitHub takes styles out, so that their text is on its page after all; elsewhere it is not, and whoever wrote
them meant it to be read by machines only. In doubt an element counts as seen.
"""

from __future__ import annotations

import re

_ZERO = r"[+-]?0*\.?0*(?:[a-z%]+)?(?:;|!|$)"
_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|content-visibility:hidden"
    rf"|(?:opacity|font-size|line-height|zoom|(?:max-)?(?:width|height)):{_ZERO}"
    r"|(?:opacity|zoom):0?\.0|font-size:(?:0?\.\d+|[01](?:\.\d+)?)(?:px|pt|em|rem|%)"
    r"|(?:^|;)font:(?:[a-z0-9]*[^a-z0-9.;])?0?\.?0(?:px|pt|em|rem|%)?/"
    r"|text-indent:-|(?:left|top|right|bottom|margin(?:-left|-top)?):(?:-\d{3,}|\d{3,}v[hw]|\d{4,})"
    r"|clip:rect|clip-path:|(?:^|;)(?:-webkit-)?mask(?:-image)?:(?!none)"
    r"|scale[xy]?\(0|opacity\(0|translate[xy]?\(-?\d{3,}"
)
_COLOUR = re.compile(r"(?:^|;)\s*(?P<of>-webkit-text-fill-color|color|background(?:-color)?)\s*:\s*([^;]*)")
_PAPER = re.compile(
    "transparent|white|snow|ivory|azure|ghostwhite|whitesmoke|floralwhite|mintcream|seashell|honeydew|aliceblue"
    "|lavenderblush|oldlace|linen"
)
_PALEST = 242
"""Of 255, in each of red, green and blue: not told from paper."""
_FAINTEST = 0.15


def _plain(style: str) -> str:
    """A style with comments and escapes gone, in lower case."""
    style = re.sub(r"/\*[\s\S]*?(?:\*/|$)", "", style)
    style = re.sub(r"\\([0-9a-fA-F]{1,6})\s?", lambda m: chr(min(int(m[1], 16), 0x10FFFF)), style)
    return style.replace("\\", "").lower()


def hides(style: str) -> bool:
    """Whether a style keeps its element from being seen."""
    plain = _plain(style)
    if _HIDING.search(re.sub(r"\s+", "", plain)):
        return True
    colours = {
        m["of"].removesuffix("-color"): m[2].replace("!important", "").strip()
        for m in _COLOUR.finditer(plain)
    }
    ink = colours.get("-webkit-text-fill") or colours.get("color", "")
    return bool(ink) and (is_paper(ink) or ink == colours.get("background"))


def is_paper(colour: str) -> bool:
    """Whether text of this colour cannot be told from a white page."""
    colour = colour.strip().lower()
    if _PAPER.fullmatch(colour):
        return True
    found = re.fullmatch(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", colour)
    if found:
        digits = found[1] if len(found[1]) > 4 else "".join(c * 2 for c in found[1])
        parts = [int(digits[n : n + 2], 16) for n in range(0, len(digits), 2)]
        return min(parts[:3]) >= _PALEST or (len(parts) > 3 and parts[3] / 255 < _FAINTEST)
    return _is_pale_function(colour)


def _is_pale_function(colour: str) -> bool:
    found = re.fullmatch(r"(rgb|hsl)a?\(([^()]*)\)", colour)
    if not found:
        return False
    words = re.findall(r"[+-]?[0-9]*\.?[0-9]+%?", found[2])
    if len(words) > 3 and _number(words[3], 1.0) < _FAINTEST:
        return True
    if found[1] == "hsl":
        return len(words) > 2 and _number(words[2], 100.0) >= 95
    return len(words) > 2 and min(_number(w, 255.0) for w in words[:3]) >= _PALEST


def _number(word: str, whole: float) -> float:
    return float(word[:-1]) / 100 * whole if word.endswith("%") else float(word)
