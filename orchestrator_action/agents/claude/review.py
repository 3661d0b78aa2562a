"""A review by a separate Claude session: what it is given, how it is started, what it answered.

The reviewer reads text that others wrote, so it gets tools that read and nothing else, no permission
beyond its worktree and the folder of copies it is handed, and an answer bound to a schema. What it
finds is posted where everyone can read it: that is why it must not read anywhere else.
"""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator_action.agents.base import ReviewRequest
from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.agents.review import bare_json, read_findings
from orchestrator_action.protocol.attempt import Outcome
from orchestrator_action.protocol.review import FINDINGS_SCHEMA

TOOLS = ("Read", "Grep", "Glob")


def argv(
    executable: str, told: str, folder: Path, *, session: str, turns: int, more: tuple[str, ...]
) -> tuple[str, ...]:
    """The exact argv of a review session: no plugin, no permission to do anything but read."""
    return (
        executable,
        "-p",
        told,
        "--add-dir",
        str(folder),
        "--tools",
        ",".join(TOOLS),
        "--json-schema",
        json.dumps(FINDINGS_SCHEMA),
        "--verbose",
        f"--max-turns={turns}",
        "--output-format=stream-json",
        "--setting-sources",
        "user",
        *(["--session-id", session] if session else []),
        *more,
    )


def review_findings_in(request: ReviewRequest, log: Path, outcome: Outcome) -> str:
    """The raw JSON text of the answer, from the log of a session that succeeded.

    Raises AgentError when it did not, by the same rule as for any session.
    """
    reader = ClaudeReader("")
    report = read_findings(reader, request, log, outcome)
    answer = reader.results[-1].get("structured_output")
    return json.dumps(answer) if answer is not None else bare_json(report.text)
