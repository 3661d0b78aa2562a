"""What any reviewer is told, and how its answer is read out of what it said."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

from orchestrator_action.agents.base import Reader, ReviewRequest
from orchestrator_action.errors import AgentError
from orchestrator_action.process.tail import whole_lines
from orchestrator_action.protocol.attempt import AgentReport, Outcome

_INSTRUCTIONS = Path(__file__).with_name("review.md")
_INLINE_BYTES = {
    "task.md": 24_000,
    "plan.md": 16_000,
    "exceptions.md": 8_000,
    "no-change.md": 8_000,
    "change.diff": 60_000,
}
"""Of each part in the prompt. Linux takes 131,072 bytes in one argument (MAX_ARG_STRLEN)."""
MOST_REVIEW_BYTES = 4 * 1024**2
"""Of what a reviewer says, in a file or in what it prints."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


def prompt(request: ReviewRequest, folder: Path) -> str:
    """Everything the reviewer is told. Diff, task and plan are copied into `folder`, which it may read."""
    boundary = secrets.token_hex(8)
    parts = []
    sources = {
        "task.md": request.task_path, "plan.md": request.plan_path, "exceptions.md": request.exceptions_path,
        "no-change.md": request.no_change_path, "change.diff": request.diff_path,
    }  # fmt: skip
    optional = ("exceptions.md", "no-change.md")
    for name, source in sources.items():
        if name in optional and not source:
            continue
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
    whole = given[:limit].decode("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")
    text = whole.encode()[:limit].decode("utf-8", "ignore")  # what is no UTF-8 takes three bytes for one
    if len(given) > limit or text != whole:
        text = f"{text.rpartition(chr(10))[0] or text}\n(cut here; the whole is in {copy})"
    return text or "(nothing was handed in)"


def read_findings(reader: Reader, request: ReviewRequest, log: Path, outcome: Outcome) -> AgentReport:
    """What a reviewer's log says, by the same rule as for any session.

    Raises AgentError when the review did not take place.
    """
    at = f"the review of {request.head_sha[:12]}"
    if not log.is_file():
        raise AgentError(f"{at} left no log", hint="is the disk full?")
    for line in whole_lines(log):
        reader.feed(line.rstrip(b"\r"))
    report = reader.report(outcome)
    if report.problems:
        raise AgentError(f"{at} did not take place: {'; '.join(report.problems)}", hint=f"see {log}")
    return report


def bare_json(text: str) -> str:
    """The JSON of an answer that may be fenced or have words around it; else the text as it is."""
    for candidate in (text, *_FENCED.findall(text), text[text.find("{") : text.rfind("}") + 1]):
        try:
            json.loads(candidate)
        except ValueError:
            continue
        return str(candidate).strip()
    return text
