"""One thing that `doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing looked at."""

    what: str
    found: str
    ok: bool = True
    hint: str = ""
    optional: bool = False
    """Worth knowing, not needed."""
