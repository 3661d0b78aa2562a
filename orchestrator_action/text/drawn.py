"""What a forge draws in place of its source, diagrams and formulas, and what of the source it does not show.

Also a fence's line says more than is shown: only its language is. Source: docs.github.com, "Creating
diagrams" and "Writing mathematical expressions"; mermaid.js.org; docs.mathjax.org.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from orchestrator_action.text.markdown import FENCED, Kind, Line
from orchestrator_action.text.styles import is_paper
from orchestrator_action.text.view import Edit, View

_REMARK = re.compile(r"\s*(?:%%|click\s|acc(?:Title|Descr)\s*[:{])")
_FORMULA = re.compile(r"\$\$(?:[^$]|\$(?!\$))*\$\$")
_COMMENT = re.compile(r"(?<!\\)%[^\r\n]*")
_GROUP = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_COMMAND = re.compile(
    rf"\\(?:[hv]?phantom|label|tiny|(?:re)?newcommand\*?\s*(?:\{{\\\w+\}}|\\\w+)|def\s*\\\w+)\s*{_GROUP}"
    rf"|\\(?:text)?color\s*\{{(?P<ink>[^{{}}]*)\}}\s*(?:{_GROUP}|[^{{}}$\r\n`]*)"
)


def unshown_remarks(seen: View) -> list[Edit]:
    """Words after a fence's language; comments and such of diagrams and formulas."""
    edits: list[Edit] = []
    fenced = (line for line in seen.lines if line.kind in FENCED)
    for _, group in groupby(fenced, key=lambda line: line.leaf):
        lines = list(group)
        language = ""
        if lines[0].kind is Kind.FENCE_OPEN:
            language, found = _language(seen, lines[0])
            edits += found
        body = [line for line in lines if line.kind is Kind.FENCE]
        if language == "mermaid":
            edits += _of_diagram(seen, body)
        elif language == "math" and body:
            edits += _of_formula(seen.text, body[0].start, body[-1].end)
    return edits + list(_of_prose(seen))


def _language(seen: View, line: Line) -> tuple[str, list[Edit]]:
    raw = _raw(seen, line)
    lead = len(raw) - len(raw.lstrip(" \t")) + len(line.fence)
    info = raw[lead:]
    first = re.match(r"[ \t]*\S{0,40}", info)
    kept = lead + (first.end() if first else 0)
    words = info.split()
    edits = []
    if raw[kept:].strip():
        edits = [Edit(line.content + kept, line.content + len(raw), "", "fence remark")]
    return words[0].lower() if words else "", edits


def _raw(seen: View, line: Line) -> str:
    return seen.text[line.content : line.end].rstrip("\r\n")


def _of_diagram(seen: View, body: list[Line]) -> Iterator[Edit]:
    """Comments, links' hints, texts for screen readers, and all of a front matter but its title."""
    front = bool(body) and _raw(seen, body[0]).strip() == "---"
    description = False
    for number, line in enumerate(body):
        raw = _raw(seen, line)
        if front:
            front = number == 0 or raw.strip() != "---"
            unshown = raw.strip() != "---" and not re.match(r"title\s*:", raw)
        else:
            unshown = description or bool(_REMARK.match(raw))
            opened = description or (unshown and raw.rstrip().endswith("{"))
            description = opened and "}" not in raw
        if unshown:
            yield Edit(line.content, line.end, "", "diagram comment")


def _of_formula(text: str, start: int, end: int) -> list[Edit]:
    commands = [m for m in _COMMAND.finditer(text, start, end) if m["ink"] is None or is_paper(m["ink"])]
    return [
        Edit(*found.span(), "", "formula comment")
        for found in (*_COMMENT.finditer(text, start, end), *commands)
    ]


def _of_prose(seen: View) -> Iterator[Edit]:
    for formula in _FORMULA.finditer(seen.text):
        if not seen.code_end(formula.start()):
            for found in _COMMENT.finditer(seen.text, formula.start(), formula.end() - 2):
                yield Edit(found.start(), min(found.end(), formula.end() - 2), "", "formula comment")
    for command in _COMMAND.finditer(seen.text):
        if command["ink"] is not None and not is_paper(command["ink"]):
            continue
        if not seen.code_end(command.start()) or _drawn_span(seen, command.start()):
            yield Edit(*command.span(), "", "formula comment")


def _drawn_span(seen: View, at: int) -> bool:
    r"""Whether the code that `at` lies in is a formula: $`x`$."""
    end = seen.code_end(at)
    start = next((a for a, b in seen.code if b == end), 0)
    return seen.text[start - 1 : start] == "$" and seen.text[end : end + 1] == "$"
