"""How languages read what their files say about how tests run. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator_action.verify.ecosystems.base import Way, Ways


def matching_lines(pattern: str) -> Ways:
    """The lines of a file that have to do with tests."""
    wanted = re.compile(pattern)

    def ways(text: str, _: Sequence[str]) -> list[Way]:
        return [(line.strip()[:60], line.strip()) for line in text.splitlines() if wanted.search(line)]

    return ways
