"""A review by a separate Claude session: what it is given, how it is started, what it answered.

The reviewer reads text that others wrote, so it gets tools that read and nothing else, no permission
beyond its worktree and the folder of copies it is handed, and an answer bound to a schema. What it
finds is posted where everyone can read it: that is why it must not read anywhere else.
"""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

from orchestrator_action.agents.base import ReviewRequest
from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.errors import AgentError
from orchestrator_action.protocol.model import Outcome
from orchestrator_action.protocol.review import SCHEMA

TOOLS = ("Read", "Grep", "Glob")
_INSTRUCTIONS = Path(__file__).with_name("review.md")
_INLINE_BYTES = {"task.md": 24_000, "plan.md": 16_000, "change.diff": 60_000}
"""Of each part in the prompt. Linux takes 131,072 bytes in one argument (MAX_ARG_STRLEN)."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


def prompt(request: ReviewRequest, folder: Path) -> str:
    """Everything the reviewer is told. Diff, task and plan are copied into `folder`, which it may read."""
    boundary = secrets.token_hex(8)
    parts = []
    sources = {"task.md": request.task_path, "plan.md": request.plan_path, "change.diff": request.diff_path}
    for name, source in sources.items():
        copy = folder / name
        copy.write_bytes(Path(source).read_bytes() if source and Path(source).is_file() else b"")
        parts.append(f"===== {name} {boundary}\n{_inline(copy, _INLINE_BYTES[name])}\n===== end {boundary}\n")
    told = _INSTRUCTIONS.read_text(encoding="utf-8")
    told = told.replace("{boundary}", boundary).replace("{worktree}", request.worktree_path)
    told = told.replace("{base}", request.base_sha).replace("{head}", request.head_sha)
    return "\n".join([told, *parts])


def _inline(copy: Path, limit: int) -> str:
    """The text of a file as an argument can hold it: UTF-8, without NUL, cut at a line's end."""
    given = copy.read_bytes()
    text = given[:limit].decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")
    if len(given) > limit:
        text = f"{text.rpartition(chr(10))[0] or text}\n(cut here; the whole is in {copy})"
    return text or "(nothing was handed in)"


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
    reader = ClaudeReader("")
    try:
        with log.open("rb") as lines:
            for line in lines:
                reader.feed(line.rstrip(b"\r\n"))
    except OSError as exc:
        raise AgentError(
            f"the review of {request.head_sha[:12]} left no log: {exc}", hint="is the disk full?"
        ) from exc
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
