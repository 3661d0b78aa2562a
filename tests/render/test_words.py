"""Events and an agent's lines read as words that a person understands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator_action.agents.claude.words import claude_words
from orchestrator_action.protocol.events import EVENT_KINDS, Event
from orchestrator_action.publish.report.words import MOST_CHARS, event_words


def event(kind: str, **data: Any) -> Event:
    return Event(seq=1, at=0.0, run="r", task="issue-7", kind=kind, data=data, prev="", hash="")


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("claim", {"phase": "testing"}, "claims Testing"),
        ("claim", {"phase": "documentation", "waive": "no docs"}, "waives Documentation: no docs"),
        ("claim", {"phase": "implementation", "no_change": "is there"}, "says that no change is needed: is there"),
        ("fact", {"phase": "testing", "holds": False, "message": "1 of 1 failed: test_double"},
         "Testing, does not hold: 1 of 1 failed: test_double"),
        ("fact", {"phase": "initial-setup", "holds": True, "message": "fine"}, ""),
        ("attempt-started", {"attempt": 2}, "agent starts again (attempt 2)"),
        ("attempt-ended", {"exit_code": 0, "turns": 3, "cost_usd": 0.05}, "agent ended: exit 0, 3 turns, $0.05"),
        ("pull", {"number": 5}, "opens pull request #5"),
        ("task-ended", {"status": "failed", "wall_s": 61, "error": "why"}, "failed after 1 min 01 s: why"),
        ("posted", {"what": "the labels"}, ""),
    ],
)  # fmt: skip
def test_an_event_reads_as_words(kind: str, data: dict[str, Any], words: str) -> None:
    """What only machines need says nothing."""
    assert words == event_words(event(kind, **data))


@pytest.mark.parametrize("kind", sorted(EVENT_KINDS))
def test_every_kind_is_told_whatever_its_data(kind: str) -> None:
    """A journal of another version lacks fields, and a message may hold anything."""
    hostile = dict.fromkeys(
        ("message", "why", "error", "what", "status", "branch"), "\x1b[2J\n::error::x\u202e"
    )

    for data in ({}, hostile):
        words = event_words(event(kind, **data))
        assert words.isprintable()
        assert len(words) <= MOST_CHARS


def tool(name: str, **given: Any) -> bytes:
    return json.dumps(
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": name, "input": given}]}}
    ).encode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (tool("Read", file_path="/a/b/c/src/app.py"), "reads c/src/app.py"),
        (tool("Edit", file_path="src/app.py"), "edits src/app.py"),
        (tool("Bash", command="python3 -m pytest -q"), "runs the tests"),
        (tool("Bash", command="npm run test"), "runs the tests"),
        (tool("Bash", command="orchestrator-phase done testing --note x"), "claims testing"),
        (tool("Bash", command="git status"), "runs git status"),
        (tool("Elsewhere", a=1), "uses Elsewhere"),
        (json.dumps({"type": "result", "result": "all tests pass"}).encode(), "says: all tests pass"),
        (b"plain words", "plain words"),
        (b'{"type": "user"}', ""),
        (b'{"torn', ""),
        (b"{" + b"[" * 100_000, ""),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_line_of_the_cli_reads_as_words(line: bytes, words: str) -> None:
    """What says nothing of what it does is left out."""
    assert words == claude_words(line)
