"""The candidates of a task for people: how each one ended, and where their tests agree. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any

from orchestrator_action.protocol.model import GOOD_STATUSES, Candidate, CrossTest, TaskResult
from orchestrator_action.protocol.paths import listed
from orchestrator_action.text import figures

_MOST_NAMED = 5
"""Of tests, in one line; the report has them all."""


def candidate_rows(result: TaskResult) -> list[Mapping[str, Any]]:
    """A row for each candidate, the chosen one first."""
    return [
        {
            "c": c,
            "word": candidate_word(c),
            "where": "at the remote" if c.pushed else "on the machine of the run" if c.head_sha else "no commit",
        }
        for c in sorted(result.candidates, key=lambda c: not c.chosen)
    ]  # fmt: skip


def candidate_word(candidate: Candidate) -> str:
    """How it ended, in few words: `chosen, success`, `failed: a claim is refuted`."""
    word = str(candidate.status)
    if candidate.refuted:
        word += ", a claim is refuted"
    elif candidate.failure and candidate.status not in GOOD_STATUSES:
        word += f" ({candidate.failure})"
    return f"chosen, {word}" if candidate.chosen else word


def cross_lines(result: TaskResult) -> list[str]:
    """What their tests say of each other, a sentence each; those that fail on what was chosen come first."""
    chosen = {c.id for c in result.candidates if c.chosen}
    ranked = sorted(result.cross_tests, key=lambda x: (not (x.failed and x.code_of in chosen), not x.failed))
    return [_line(one, chosen) for one in ranked]


def _line(one: CrossTest, chosen: set[str]) -> str:
    on = f"on the code of {one.code_of}" + (", which was chosen" if one.code_of in chosen else "")
    if one.error:
        return f"The tests of {one.tests_of} were not compared {on}: {one.error}"
    parts = []
    if one.failed:
        parts.append(f"{_tests(one.failed, one.tests_of, 'fail')} {on}: {_named(one.failed)}")
    if one.cannot_run:
        words = f"{figures.count(len(one.cannot_run), 'test')} of {one.tests_of} cannot be run"
        parts.append(f"{words} {on}: {_named(one.cannot_run)}")
    if one.passed or not parts:
        parts.append(f"{_tests(range(one.passed), one.tests_of, 'pass')} {on}")
    return "; ".join(parts)


def _tests(some: Sized, of: str, verb: str) -> str:
    """`1 test of issue-7.2 fails`, `2 tests of issue-7.2 fail`."""
    ending = {"fail": "s", "pass": "es"}[verb] if len(some) == 1 else ""
    return f"{figures.count(len(some), 'test')} of {of} {verb}{ending}"


def _named(names: Sequence[str]) -> str:
    return listed(names, at_most=_MOST_NAMED)
