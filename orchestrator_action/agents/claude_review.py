"""A review by a separate Claude session: what it is given, how it is started, what it answered.

The reviewer reads text that others wrote, so it gets tools that read and nothing else, no permission
beyond its worktree and the folder of copies it is handed, and an answer bound to a schema. What it
finds is posted where everyone can read it: that is why it must not read anywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator_action.agents.base import ReviewRequest
from orchestrator_action.agents.claude_stream import ClaudeReader
from orchestrator_action.core.model import Outcome
from orchestrator_action.errors import AgentError

COMMAND = "agent:reviewer"
TOOLS = ("Read", "Grep", "Glob")
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["findings"],
    "properties": {
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "line", "severity", "text"],
                "properties": {
                    "path": {"type": "string"},
                    "line": {"type": "integer", "minimum": 0},
                    "severity": {"type": "string", "enum": ["error", "warning", "note"]},
                    "text": {"type": "string", "minLength": 1},
                },
            },
        }
    },
}
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


def lay_out(request: ReviewRequest, folder: Path) -> Path:
    """Copy diff, task and plan into `folder` and write the request beside them; returns its path."""
    for name, source in (
        ("task.md", request.task_path),
        ("plan.md", request.plan_path),
        ("change.diff", request.diff_path),
    ):
        text = Path(source).read_bytes() if source and Path(source).is_file() else b""
        (folder / name).write_bytes(text or b"(nothing was handed in)\n")
    request_file = folder / "request.md"
    request_file.write_text(
        f"Review the change from {request.base_sha} to {request.head_sha}.\n\n"
        f"- the task, as people wrote it: {folder / 'task.md'}\n"
        f"- the author's plan: {folder / 'plan.md'}\n"
        f"- the change: {folder / 'change.diff'}\n"
        f"- the code at the head commit: {request.worktree_path}\n",
        encoding="utf-8",
    )
    return request_file


def argv(
    executable: str, plugin: Path, given: Path, *, session: str, turns: int, more: tuple[str, ...]
) -> tuple[str, ...]:
    """The exact argv of a review session."""
    return (
        executable,
        "-p",
        f"/{COMMAND} {given}",
        "--plugin-dir",
        str(plugin),
        "--add-dir",
        str(given.parent),
        "--tools",
        ",".join(TOOLS),
        "--json-schema",
        json.dumps(SCHEMA),
        "--verbose",
        f"--max-turns={turns}",
        "--output-format=stream-json",
        "--setting-sources",
        "user",
        *(["--session-id", session] if session else []),
        *more,
    )


def findings(request: ReviewRequest, log: Path, outcome: Outcome) -> str:
    """The raw JSON text of the answer, from the log of a session that succeeded.

    Raises AgentError when it did not, by the same rule as for any session.
    """
    reader = ClaudeReader(COMMAND)
    try:
        with log.open("rb") as lines:
            for line in lines:
                reader.feed(line.rstrip(b"\r\n"))
    except OSError as exc:
        raise AgentError(f"the review of {request.head_sha[:12]} left no log: {exc}") from exc
    report = reader.report(outcome)
    if report.problems:
        raise AgentError(
            f"the review of {request.head_sha[:12]} did not take place: {'; '.join(report.problems)}",
            hint=f"see {log}",
        )
    answer = reader.results[-1].get("structured_output")
    return json.dumps(answer) if answer is not None else bare_json(report.text)


def bare_json(text: str) -> str:
    """The JSON of an answer that may be fenced or have words around it; else the text as it is."""
    for candidate in (text, *_FENCED.findall(text), text[text.find("{") : text.rfind("}") + 1]):
        try:
            json.loads(candidate)
        except ValueError:
            continue
        return str(candidate).strip()
    return text
