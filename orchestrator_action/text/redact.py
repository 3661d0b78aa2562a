"""Secrets in text: values we hold, in the forms they leak in, and the shapes of known tokens.

Masking what we hold comes first, as it cannot be wrong; shapes catch what nobody told us about.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import string
import urllib.parse
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator_action.text.token_shapes import replace_shaped
from orchestrator_action.text.unicode import ANSI, IGNORABLE_CLASS

REDACTED = "[redacted]"
SHORTEST_SECRET = 4
"""Values shorter than this are not masked: they would take ordinary words with them."""
_SHORTEST_FORM = 8
_SHORTEST_LINE = 8

# What may stand between two characters of a secret and leave it readable: colours, controls, invisible
# characters and the references to them, and the line breaks of wrapped base64.
_GAP = re.compile(
    rf"(?:{ANSI}|[{IGNORABLE_CLASS}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r?\n[ \t]*"
    r"|&(?:\#(?:173|820[3-7]|823[4-8]|828[89]|829[0-7]|65279)|\#[xX]0*(?:[aA][dD]|200[b-fB-F]|202[a-eA-E]|206[0-9a-fA-F]"
    r"|[fF][eE][fF]{2})|shy|zwn?j|lrm|rlm|ZeroWidthSpace|NoBreak|Negative(?:VeryThin|Thin|Medium|Thick)Space"
    r"|Invisible(?:Times|Comma)|ApplyFunction|[ai][cft]);)+"
)

_USERINFO = re.compile(
    r"(?P<head>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://)(?!\[redacted\]@)[^\s/@:\"'<>]{1,200}:[^\s/@\"'<>]{1,300}@"
)


def mask_shapes(text: str) -> str:
    """The text with everything that looks like a known kind of secret replaced by `[redacted]`."""
    text = replace_shaped(text, REDACTED)
    return _USERINFO.sub(lambda m: m["head"] + REDACTED + "@", text)


def _base64_cores(secret: bytes) -> set[str]:
    """The base64 characters that stand for `secret` wherever it lies in a longer encoded text.

    A byte's place modulo three decides how it is spelled; of each spelling only the characters
    that depend on nothing but the secret are taken.
    """
    cores = set()
    for shift in range(3):
        padded = bytes(shift) + secret
        spelled = base64.b64encode(padded).decode()
        first = -(-shift * 8 // 6)
        last = len(padded) * 8 // 6
        cores.add(spelled[first:last])
    return cores | {c.replace("+", "-").replace("/", "_") for c in cores}


def forms(secret: str) -> tuple[str, ...]:
    """The ways a value may be spelled in a text, longest first: itself, base64, URL, JSON, HTML, hex."""
    raw = secret.encode("utf-8", "surrogatepass")
    found = {
        secret,
        urllib.parse.quote(secret, safe="", errors="replace"),
        urllib.parse.quote(secret, errors="replace"),
        urllib.parse.quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    }
    once = base64.b64encode(raw)
    found |= {base64.b64encode(once).decode().rstrip("="), base64.b32encode(raw).decode().rstrip("=")}
    found |= {"".join(f"{lead}{byte:02x}" for byte in raw) for lead in ("%", "\\x", "\\u00")}
    for spelled in (*_base64_cores(raw), raw.hex()):
        if len(spelled) >= _SHORTEST_FORM:
            found.add(spelled)
    found |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    return tuple(sorted((f for f in found if len(f) >= SHORTEST_SECRET), key=lambda f: (-len(f), f)))


@dataclass(frozen=True, slots=True)
class _Joined:
    """A text without what may split a secret, and where each remaining stretch of it came from."""

    text: str
    starts: tuple[int, ...]
    sources: tuple[int, ...]

    def source(self, at: int) -> int:
        index = bisect_right(self.starts, at) - 1
        return self.sources[index] + at - self.starts[index]


def _join(text: str) -> _Joined:
    parts: list[str] = []
    starts, sources = [0], [0]
    at = length = 0
    for gap in _GAP.finditer(text):
        parts.append(text[at : gap.start()])
        length += gap.start() - at
        at = gap.end()
        starts.append(length)
        sources.append(at)
    parts.append(text[at:])
    return _Joined("".join(parts), tuple(starts), tuple(sources))


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@functools.lru_cache(maxsize=64)
def _needles(secrets: frozenset[str]) -> tuple[tuple[str, bool], ...]:
    """All spellings to look for; with True those whose case means nothing (`%c3`, hex)."""
    found: dict[tuple[str, bool], None] = {}
    for secret in secrets:
        for form in forms(secret):
            joined = _GAP.sub("", form)
            if len(joined) >= SHORTEST_SECRET:
                found[joined, False] = None
                if "%" in joined or "\\" in joined or re.fullmatch("[0-9a-fA-F]{16,}", joined):
                    found[joined.translate(_LOWER), True] = None
    return tuple(found)


def _finds(haystack: str, needle: str) -> Iterator[tuple[int, int]]:
    at = haystack.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = haystack.find(needle, at + 1)


def mask_values(text: str, secrets: Iterable[str]) -> str:
    """The text without any of `secrets`, in whatever form, also when colours split them."""
    held = frozenset(s.strip() for s in secrets if len(s.strip()) >= SHORTEST_SECRET)
    if not held or not text:
        return text
    for secret in sorted(held, key=len, reverse=True):  # as it is, whatever characters it is made of
        text = text.replace(secret, REDACTED)
    joined = _join(text)
    lower = joined.text.translate(_LOWER)
    spans = sorted(
        span for needle, folded in _needles(held) for span in _finds(lower if folded else joined.text, needle)
    )
    parts: list[str] = []
    done = covered = 0
    for start, end in spans:
        if start < covered:  # overlaps what is masked already: mask on to its end
            covered = max(covered, end)
        else:
            parts += [text[done : joined.source(start)], REDACTED]
            covered = end
        done = joined.source(covered - 1) + 1
    return "".join((*parts, text[done:]))


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the values we hold and without anything shaped like a known token."""
    return mask_shapes(mask_values(text, secrets))
