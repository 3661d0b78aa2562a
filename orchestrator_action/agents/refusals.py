"""What the words of a model's API mean: whether they pass by themselves, and when.

Pure. Agents tell errors of their API as sentences; few tell a status. What is not known here does not pass.
Sources: platform.openai.com, "Error codes"; ai.google.dev, "Troubleshooting"; docs.anthropic.com, "Errors".
"""

from __future__ import annotations

import re

_LASTING = re.compile(
    r"""
    \b(?:400|401|402|403|404)\b | unauthori[sz]ed | authenticat | (?:invalid|incorrect|missing).{0,20}api.?key
    | permission.?denied | model.{0,80}(?:not.(?:found|exist|supported)|does.not.exist) | unknown.model
    | insufficient.quota | billing | credit.balance
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PASSING = re.compile(
    r"""
    \b(?:408|409|425|429|500|502|503|504|520|522|524|529)\b | overloaded | rate.?limit | too.many.requests
    | usage.limit | resource.?exhausted | quota | unavailable | internal.server.error | server.?error
    | timed?.?out | connection | connect | econn\w+ | socket.hang.up | fetch.failed | stream.(?:disconnected|closed)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WAIT = re.compile(
    r"(?:try again|retry|reset|resets|available)\s+(?:after|in)\s+((?:~?\d+(?:\.\d+)?\s*[a-z]+[,\s]*(?:and\s+)?)+)",
    re.I,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def may_pass(words: str) -> bool:
    """Whether the same request may well succeed a little later."""
    return not _LASTING.search(words) and bool(_PASSING.search(words))


def wait_s(words: str) -> float:
    """The seconds that the API asks to wait, as `try again in 3 days 4 hours` says; 0.0 when it does not say."""
    found = _WAIT.search(words)
    return sum(float(n) * _unit(u) for n, u in _PART.findall(found[1])) if found else 0.0


def _unit(name: str) -> float:
    name = name.lower()
    return _UNITS["ms"] if name.startswith(("ms", "milli")) else _UNITS.get(name[0], 0.0)
