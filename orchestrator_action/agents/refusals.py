"""What the words of a model's API mean: what it refuses, whether that passes by itself, and when.

Pure. Agents tell errors of their API as sentences; few tell a status. What is not known here does not pass.
Sources: platform.openai.com, "Error codes"; ai.google.dev, "Troubleshooting"; docs.anthropic.com, "Errors".
"""

from __future__ import annotations

import re

from orchestrator_action.protocol.attempt import LONGEST_PAUSE_S

MOST_REFUSALS = 3
"""In a row, while no event of the program tells of it: the API stays as it is, and all tasks of a run had better
wait together."""
_LASTING = re.compile(
    r"""
    \b(?:400|401|402|403|404)\b | unauthori[sz]ed | authenticat | (?:invalid|incorrect|missing).{0,20}api.?key
    | permission.?(?:denied|error) | not.logged.in | \bnot_found | insufficient.quota | billing | credit.balance
    | model.{0,80}(?:not.(?:found|exist|supported)|does.not.exist) | unknown.model
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PASSING = re.compile(
    r"""
    \b(?:408|409|425|429|500|502|503|504|520|522|524|529)\b | overloaded | rate.?limit | too.many.requests
    | api_error | usage.limit | resource.?exhausted | quota | unavailable | internal.server.error | server.?error
    | timed?.?out | connection | connect | econn\w+ | socket.hang.up | fetch.failed | stream.(?:disconnected|closed)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTA = re.compile(
    r"""
    usage.limit | exceeded.your.current.quota | billing | hit.your.{0,20}limit
    | (?:daily|weekly|monthly|hour(?:ly)?).{0,20}(?:limit|quota)
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Where the API says that it is over in a moment, it is a limit of rate: Gemini says both in one sentence."""
_USED_UP = re.compile(
    r"insufficient.quota | per.?day | out.of.(?:credits|quota) | credit.balance", re.VERBOSE | re.IGNORECASE
)
"""Whatever wait is named beside it."""
_UNKNOWN_MODEL = re.compile(
    r"model.{0,80}(?:not.(?:found|exist|supported)|does.not.exist|may.not.exist) | (?:unknown|invalid|no.such).model"
    r" | models/\S+.is.not.found",
    re.VERBOSE | re.IGNORECASE,
)
_REFUSED = re.compile(
    r"authenticat | api.?key | not.logged.in | unauthori[sz]ed | \b(?:401|403)\b", re.VERBOSE | re.IGNORECASE
)
_WAIT = re.compile(
    r"(?:try again|retry|reset|resets|available)\s+(?:after|in)\s+((?:~?\d+(?:\.\d+)?\s*[a-z]+[,\s]*(?:and\s+)?)+)",
    re.I,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def may_pass(words: str) -> bool:
    """Whether the same request may well succeed a little later."""
    if _asks_for_a_moment(words):
        return True
    return not is_lasting(words) and bool(_PASSING.search(words))


def is_lasting(words: str) -> bool:
    """Whether the same request will not succeed later either."""
    return bool(_LASTING.search(words))


def is_out_of_quota(words: str) -> bool:
    """Whether what was paid for is used up: a limit of hours or days, or no credit. Another agent may go on."""
    return bool(_USED_UP.search(words) or (_QUOTA.search(words) and not _asks_for_a_moment(words)))


def is_unknown_model(words: str) -> bool:
    """Whether the API does not know the model that it was asked for."""
    return bool(_UNKNOWN_MODEL.search(words))


def is_refused(words: str) -> bool:
    """Whether the API does not take the key."""
    return bool(_REFUSED.search(words))


def wait_s(words: str) -> float:
    """The seconds that the API asks to wait, as `try again in 3 days 4 hours` says; 0.0 when it does not say."""
    found = _WAIT.search(words)
    return sum(float(n) * _unit(u) for n, u in _PART.findall(found[1])) if found else 0.0


def _asks_for_a_moment(words: str) -> bool:
    """Whether the API says how long to wait, and it is not long."""
    return 0 < wait_s(words) <= LONGEST_PAUSE_S and not _USED_UP.search(words)


def _unit(name: str) -> float:
    name = name.lower()
    return _UNITS["ms"] if name.startswith(("ms", "milli")) else _UNITS.get(name[0], 0.0)
