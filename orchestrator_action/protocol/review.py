"""What a reviewer hands in and what an author answers: parsed strictly, identified by us.

Pure: texts come in, values go out; ValueError in words for whoever wrote the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator_action.protocol.events import FindingAnswer
from orchestrator_action.protocol.forge_values import ReviewFinding

SEVERITIES = ("error", "warning", "note")
MAX_FINDINGS = 100
MAX_TEXT_CHARS = 4000

FINDINGS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["findings"],
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": MAX_FINDINGS,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "line", "severity", "text"],
                "properties": {
                    "path": {"type": "string"},
                    "line": {"type": "integer", "minimum": 0},
                    "severity": {"type": "string", "enum": list(SEVERITIES)},
                    "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS},
                },
            },
        }
    },
}
"""What a reviewer returns. `line` is of the file at the head commit, 0 for the whole file."""


def parse_findings(
    text: str, known: Sequence[ReviewFinding] = (), *, after: int | None = None
) -> tuple[ReviewFinding, ...]:
    """The findings of a reviewer's JSON, numbered on from the ones that are known, or from number `after`.

    A finding that says word for word what a known one says is that one and not new.
    Raises ValueError naming the first thing that is not as SCHEMA says.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the review is not JSON") from None
    rows = body.get("findings") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise ValueError('the review is not an object with a list "findings"')
    if len(rows) > MAX_FINDINGS:
        raise ValueError(f"the review holds {len(rows)} findings, more than {MAX_FINDINGS}")
    said = {(f.path, f.line, f.text) for f in known}
    fresh: list[ReviewFinding] = []
    for number, row in enumerate(rows, 1):
        path, line, severity, words = _row(row, number)
        if (path, line, words) in said:
            continue
        said.add((path, line, words))
        name = f"f{(len(known) if after is None else after) + len(fresh) + 1}"
        fresh.append(ReviewFinding(id=name, path=path, line=line, severity=severity, text=words))
    return tuple(fresh)


def _row(row: object, number: int) -> tuple[str, int, str, str]:
    if not isinstance(row, dict) or set(row) != {"path", "line", "severity", "text"}:
        raise ValueError(f"finding {number} does not have exactly path, line, severity and text")
    path, line, severity, text = row["path"], row["line"], row["severity"], row["text"]
    if not isinstance(path, str) or not isinstance(text, str) or not text.strip():
        raise ValueError(f"finding {number}: path and text must be text, and text not empty")
    if isinstance(line, bool) or not isinstance(line, int) or line < 0:
        raise ValueError(f"finding {number}: line must be a whole number of 0 or more")
    if severity not in SEVERITIES:
        raise ValueError(f"finding {number}: severity must be one of {', '.join(SEVERITIES)}")
    return path, line, severity, text[:MAX_TEXT_CHARS]


_ANSWER = re.compile(
    r"^\s*(?:[-*]\s*)?(?P<id>f\d+)\s*[:=-]\s*"
    r"(?:fixed\s+in\s+(?P<sha>[0-9a-fA-F]{4,64}|HEAD)|declined\s*[:,-]\s*(?P<why>.*\S))\s*$",
    re.IGNORECASE,
)


def parse_answers(text: str) -> tuple[FindingAnswer, ...]:
    """The answers of an author: lines (or `;`-separated) `f1: fixed in SHA` and `f2: declined: WHY`.

    Lines that do not begin with a finding's id are passed over as prose.
    Raises ValueError for a line that names a finding and is neither.
    """
    answers: dict[str, FindingAnswer] = {}
    for line in _statements(text):
        match = _ANSWER.match(line)
        if not match or not (match["sha"] or any(c.isalnum() for c in match["why"])):
            raise ValueError(
                f"{line.strip()[:80]!r} is neither `fN: fixed in <sha>` nor `fN: declined: reason`"
            )
        name = match["id"].lower()
        answers[name] = FindingAnswer(finding=name, fixed_in=match["sha"] or "", declined=match["why"] or "")
    return tuple(answers.values())


def _statements(text: str) -> Iterable[str]:
    pieces = re.split(r"\n|;(?=\s*f\d+\s*[:=-])", text)
    return [p for p in pieces if re.match(r"\s*(?:[-*]\s*)?f\d+\s*[:=-]", p, re.IGNORECASE)]
