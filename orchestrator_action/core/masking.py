"""Secrets in text: values we hold, in the forms they leak in, and the shapes of known tokens.

Masking what we hold comes first, as it cannot be wrong; shapes catch what nobody told us about.
Sources of the shapes: docs.github.com "Token types", the vendors' own prefixes.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import urllib.parse
from collections.abc import Iterable

from orchestrator_action.core.characters import ANSI, IGNORABLE_CLASS

REDACTED = "[redacted]"
SHORTEST_SECRET = 4
"""Values shorter than this are not masked: they would take ordinary words with them."""
_SHORTEST_FORM = 8
_SHORTEST_LINE = 8

# What may stand between two characters of a secret and leave it readable: colours, invisible
# characters, and the line breaks of wrapped base64.
_GAP = rf"(?:{ANSI}|[{IGNORABLE_CLASS}]|\r?\n[ \t]*)*"

_PEM = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|(?:\s*[+ -]?[A-Za-z0-9+/=:,. -]+)*)"
)
_SHAPES = (
    _PEM,
    r"\bgh[pousr]_[A-Za-z0-9_]{16,}(?:\.[A-Za-z0-9_-]{8,})*",
    r"\bgithub_pat_[A-Za-z0-9_]{16,}",
    r"\bsk-ant-[A-Za-z0-9_-]{10,}",
    r"\bsk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{16,}",
    r"\bsk-[A-Za-z0-9]{32,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"\bxox[a-z]-[A-Za-z0-9-]{10,}",
    r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bya29\.[A-Za-z0-9_-]{20,}",
    r"\bgl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{16,}",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{16,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\bdo[opr]_v1_[a-f0-9]{32,}",
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{40,}",
    r"\bhooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}",
)
_SHAPE = re.compile("|".join(_SHAPES))
# Here only the value goes, what it is the value of stays.
_NAMED = re.compile(
    r"(?P<head>(?i:\bauthorization)[\"']?\s*[:=]\s*[\"']?(?i:bearer|basic|token)[ \t]+"
    r"|(?i:\baws_secret_access_key)[\"']?\s*[:=]\s*[\"']?"
    r"|(?i:\bAccountKey)=)"
    r"(?!\[redacted\])[A-Za-z0-9+/=_.~-]{16,}"
)
_USERINFO = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://)(?!\[redacted\]@)[^\s/@:\"'<>]{1,200}:[^\s/@\"'<>]{1,300}@"
)


def mask_shapes(text: str) -> str:
    """The text with everything that looks like a known kind of secret replaced by `[redacted]`."""
    text = _SHAPE.sub(REDACTED, text)
    text = _NAMED.sub(lambda m: m["head"] + REDACTED, text)
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
    quoted = urllib.parse.quote(secret, safe="", errors="replace")
    found = {
        secret,
        quoted,
        re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quoted),
        urllib.parse.quote(secret, errors="replace"),
        urllib.parse.quote_plus(secret, errors="replace"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    }
    for spelled in (*_base64_cores(raw), raw.hex(), raw.hex().upper()):
        if len(spelled) >= _SHORTEST_FORM:
            found.add(spelled)
    found |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    return tuple(sorted((f for f in found if len(f) >= SHORTEST_SECRET), key=lambda f: (-len(f), f)))


@functools.lru_cache(maxsize=64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    spellings = {form for secret in secrets for form in forms(secret)}
    if not spellings:
        return None
    ordered = sorted(spellings, key=lambda f: (-len(f), f))
    return re.compile("|".join(_GAP.join(re.escape(c) for c in form) for form in ordered))


def mask_values(text: str, secrets: Iterable[str]) -> str:
    """The text without any of `secrets`, in whatever form, also when colours split them."""
    held = frozenset(s.strip() for s in secrets if len(s.strip()) >= SHORTEST_SECRET)
    pattern = _pattern(held) if held else None
    return pattern.sub(REDACTED, text) if pattern else text


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the values we hold and without anything shaped like a known token."""
    return mask_shapes(mask_values(text, secrets))
