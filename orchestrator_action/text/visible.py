"""What of an issue's text may reach an agent: what a person reading the issue sees, and no more.

Fenced code stays as it is but for characters nobody sees and for secrets, as agents apply it. In
prose goes whatever the rendered page does not show: comments, hidden elements, attributes, titles,
definitions. Taking something out can bring a new thing together, so the steps are repeated until
nothing changes; `sanitise` is idempotent.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator_action.text.drawn import unshown_remarks
from orchestrator_action.text.lookalikes import marker_spans
from orchestrator_action.text.redact import mask_shapes
from orchestrator_action.text.references import definitions, footnotes, titles
from orchestrator_action.text.tags import stray_comments, unseen_html
from orchestrator_action.text.unicode import clean, strip_invisible
from orchestrator_action.text.view import Edit, View, apply, view

_MANY_PASSES = 8
"""After so many rounds a text is built to resist; then all between its first `<` and last `>` goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised:
    """A text an agent may read, and the kinds of what was taken out of it."""

    text: str
    removed: tuple[str, ...] = ()


_ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|shy;?|[A-Za-z][A-Za-z0-9]{1,31};)")
"""In raw HTML a browser reads some without their semicolon, too."""


def _entities(seen: View) -> list[Edit]:
    """Character references to what nobody sees."""
    edits = []
    for entity in _ENTITY.finditer(seen.text):
        shown = html.unescape(entity[0])
        unseen = not strip_invisible(shown) or unicodedata.category(shown[0]) in {"Cc", "Cs", "Cn"}
        if unseen and shown not in "\n\t" and not seen.code_end(entity.start()):
            edits.append(Edit(*entity.span(), "", "invisible character"))
    return edits


def _markers(seen: View) -> list[Edit]:
    """Our own markers, however they are spelled, outside fences."""
    return [
        Edit(start, end, "[marker]", "marker")
        for start, end in marker_spans(seen.text)
        if not seen.in_fence(start)
    ]


_STEPS: tuple[Callable[[View], list[Edit]], ...] = (
    definitions,
    unseen_html,
    footnotes,
    titles,
    stray_comments,
    _entities,
    unshown_remarks,
    _markers,
)


def _pass(text: str, removed: dict[str, None]) -> str:
    text, kinds = clean(text)
    removed.update(dict.fromkeys(kinds))
    for step in _STEPS:
        edits = step(view(text))
        removed.update(dict.fromkeys(e.kind for e in edits))
        text = apply(text, edits)
    masked = mask_shapes(text)
    if masked != text:
        removed["secret"] = None
    return masked


def sanitise(text: str) -> Sanitised:
    """The text as an agent may read it, and what kinds of things were taken out.

    Fenced code keeps every byte a person can see, line ends included. Idempotent.
    """
    removed: dict[str, None] = {}
    for _ in range(_MANY_PASSES):
        before, text = text, _pass(text, removed)
        if text == before:
            return Sanitised(text=text, removed=tuple(removed))
    removed["nested markup"] = None
    if "<" in text:
        start = text.index("<")
        text = text[:start] + text[max(start, text.rfind(">") + 1) :]
    while True:
        before, text = text, _pass(text.replace("<", "").replace("[", "("), removed)
        if text == before:
            return Sanitised(text=text, removed=tuple(removed))
