"""Variables that a failing test asks for and that are not set: often all that a red suite needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]|[A-Z]{4,})"
_ASKED = tuple(
    re.compile(form.replace("NAME", _NAME))
    for form in (
        r"KeyError: ['\"]NAME['\"]",
        r"key not found: \"NAME\"",
        r"(?i:environment variables?|env vars?)[:\s]+[`'\"$]*NAME\b",
        r"\bNAME[`'\"]*\s+(?i:environment variable|env var)",
        r"\bNAME[`'\"]*:? (?i:is not set|is not defined|is required|is missing|must be set|not set|unbound variable)",
        r"\bNAME: parameter (?:null or )?not set",
        r"(?:process\.env\.|os\.environ\[['\"]|ENV\[['\"]|getenv\(['\"])NAME\b",
    )
)
_MOST_NAMES = 3


def unset_variables(output: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables an output speaks of that `env` has not, in the order they are named, at most three."""
    found = sorted((m.start(), m[1]) for form in _ASKED for m in form.finditer(output))
    return tuple(dict.fromkeys(name for _, name in found if name not in env))[:_MOST_NAMES]
