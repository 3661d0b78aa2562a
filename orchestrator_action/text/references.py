"""References of Markdown: titles, image texts, definitions and footnotes, none of which a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator_action.text.markdown import Kind
from orchestrator_action.text.tags import WEB_TARGET
from orchestrator_action.text.view import Edit, View

_TITLE = r"""(?:"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|\((?:[^()\\]|\\[\s\S])*\))"""
_DESTINATION = r"(?:<[^<>\r\n]*>|[^\s<()][^\s()]*(?:\([^\s()]*\)[^\s()]*)*)"
_BREAK = r"[ \t]*(?:\r?\n[ \t>]*)?"
_LINK_TAIL = re.compile(
    rf"\]\({_BREAK}(?P<dest>{_DESTINATION})?(?P<title>[ \t\r\n]{_BREAK}{_TITLE})?{_BREAK}\)"
)
_DEFINITION = re.compile(
    rf"\[(?P<label>(?:[^\[\]\\]|\\[\s\S]){{1,999}})\]:{_BREAK}(?P<dest>{_DESTINATION})"
    rf"(?:[ \t\r\n]{_BREAK}(?P<title>{_TITLE}))?[ \t]*(?=\r?\n|$)"
)
_BARE_DEFINITION = re.compile(
    rf"\[(?P<label>(?:[^\[\]\\]|\\[\s\S]){{1,999}})\]:{_BREAK}(?P<dest>{_DESTINATION})[ \t]*(?=\r?\n|$)"
)
_FOOTNOTE = re.compile(r"\[\^(?P<label>[^\]\s]+)\]:")


_WEB = re.compile(WEB_TARGET, re.IGNORECASE)
_REMARK = re.compile(r"\[(?://|comment)\]:")
"""What people write as a comment, also where it is no definition and so would be shown."""


def _normal(label: str) -> str:
    return " ".join(label.split()).casefold()


def _destination(raw: str) -> str:
    """A link's target, without the words and the quotes one could hide in it; none a page takes away."""
    if not _WEB.match(raw.lstrip("<")):
        return ""
    if raw.startswith("<"):
        return "" if re.search(r"\s", raw) else raw
    return re.sub(r"[\"'<>`]", lambda m: f"%{ord(m[0]):02X}", raw)


def _found(view: View) -> tuple[dict[str, str], list[Edit]]:
    """Reference definitions: where they point, by label, and the edits that take them out.

    The page shows none of them, whatever their label and title say.
    """
    targets: dict[str, str] = {}
    edits: list[Edit] = []
    done = 0
    leaf = -1
    for line in view.lines:
        first = line.leaf != leaf or line.content <= done <= line.end
        leaf = line.leaf
        if line.kind is not Kind.TEXT or line.start < done or not first:
            continue
        at = view.content(line.start)
        limit = view.leaf(line.start)[1]
        if _FOOTNOTE.match(view.text, at):
            continue
        found = _DEFINITION.match(view.text, at, limit) or _BARE_DEFINITION.match(view.text, at, limit)
        if not found:
            if _REMARK.match(view.text, at):
                edits.append(Edit(at, line.end, "", "link definition"))
            continue
        targets.setdefault(_normal(found["label"]), found["dest"])
        done = found.end()
        done += 2 if view.text.startswith("\r\n", done) else view.text.startswith("\n", done)
        edits.append(Edit(at, done, "", "link definition"))
    return targets, edits


_BRACKET = re.compile(r"\\[\s\S]|[\[\]]")


def _pairs(view: View) -> dict[int, int]:
    """Matching square brackets outside code, block by block: where each opens to where it closes."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    limit = 0
    for found in _BRACKET.finditer(view.text):
        at = found.start()
        if len(found[0]) > 1 or view.code_end(at):
            continue
        if at >= limit:
            stack, limit = [], view.leaf(at)[1]
        if found[0] == "[":
            stack.append(at)
        elif stack:
            pairs[stack.pop()] = at
    return pairs


def definitions(view: View) -> list[Edit]:
    """Definitions out, and what referred to them written out, so that no label is left unseen."""
    targets, edits = _found(view)
    if not targets:
        return edits
    text, pairs = view.text, _pairs(view)
    labels: set[int] = set()
    for opened, closed in sorted(pairs.items()):
        if opened in labels:
            continue
        after = closed + 1
        end = pairs.get(after)
        label = text[opened + 1 : closed] if end is None or end == after + 1 else text[after + 1 : end]
        target = targets.get(_normal(label))
        if target is None or text.startswith(("(", ":"), after):
            continue
        if end is not None:
            labels.add(after)
        new = f"]({_destination(target)})"
        edits.append(Edit(closed, after if end is None else end + 1, new, "link label"))
    return edits


def footnotes(view: View) -> list[Edit]:
    """Footnotes nothing refers to: the page leaves them out."""
    edits: list[Edit] = []
    for index, line in enumerate(view.lines):
        if line.kind is not Kind.TEXT:
            continue
        at = line.content
        found = _FOOTNOTE.match(view.text, at)
        if not found or view.text.count(f"[^{found['label']}]") > 1:
            continue
        end = index + 1
        while end < len(view.lines) and view.lines[end].kind in {Kind.TEXT, Kind.INDENTED, Kind.HTML}:
            if view.text[view.lines[end].content :].startswith("[^"):
                break
            end += 1
        edits.append(Edit(at, view.lines[end - 1].end, "", "unused footnote"))
    return edits


def titles(view: View) -> list[Edit]:
    """The titles of links and images, and the texts of images."""
    text = view.text
    edits: list[Edit] = []
    for tail in _LINK_TAIL.finditer(text):
        if view.code_end(tail.start()):
            continue
        given = tail["dest"] or ""
        words = given.startswith("<") and re.search(r"\s", given)
        dest = "" if words or not _WEB.match(given.lstrip("<")) else given
        if tail["title"] or dest != given:
            edits.append(Edit(tail.start() + 1, tail.end(), f"({dest})", "link title"))
    edits += [
        Edit(opened + 1, closed, "", "image text")
        for opened, closed in _pairs(view).items()
        if closed > opened + 1 and text[opened - 1 : opened] == "!" and _LINK_TAIL.match(text, closed)
    ]
    return edits + list(_empty_links(view))


def _empty_links(view: View) -> Iterator[Edit]:
    """Links without a text: the page shows nothing of them, not even where they lead."""
    for opened, closed in _pairs(view).items():
        if view.text[opened - 1 : opened] == "!" or view.text[opened + 1 : closed].strip():
            continue
        if tail := _LINK_TAIL.match(view.text, closed):
            yield Edit(opened, tail.end(), "", "empty link")
