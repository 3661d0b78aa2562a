"""What a test file says: the tests it defines, those that test nothing, marks that skip or single out. Pure."""

from __future__ import annotations

import re

from orchestrator_action.verify.ecosystems.base import Source


def names_in(source: Source, text: str) -> list[str]:
    """The names of the tests a file defines."""
    if source.parse_tests is not None and (parsed := source.parse_tests(text)) is not None:
        return parsed
    return _found(source.tests, text)


def hollow_in(source: Source, text: str) -> list[str]:
    """The names of tests that are there and can tell nothing: an empty body, or no assertion at all."""
    if source.parse_hollow is not None:
        return source.parse_hollow(text)
    if not source.hollow:
        return []
    return _found(source.hollow, re.sub(source.comments or "(?!)", "", text, flags=re.DOTALL))


def marks_in(pattern: str, text: str) -> int:
    """How often a mark stands in a text."""
    return len(re.findall(pattern, text, re.MULTILINE)) if pattern else 0


def _found(pattern: str, text: str) -> list[str]:
    found = re.findall(pattern, text, re.MULTILINE)
    return ["".join(f) if isinstance(f, tuple) else f for f in found]
