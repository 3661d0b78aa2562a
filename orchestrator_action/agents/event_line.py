"""One line of an agent's JSON stream, as an event: an object that names its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

AgentEvent = Mapping[str, Any]

_LONGEST_LINE = 64 * 1024**2
_MOST = 1e15


def event_of(line: bytes) -> AgentEvent | None:
    """The event of a line; None for a line that is none."""
    if len(line) > _LONGEST_LINE or not line.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("type"), str) else None


def count_of(value: object, most: float = _MOST) -> float | None:
    """A number that a count can be; None for what is none, below nothing, endless or above `most`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value <= most else None
