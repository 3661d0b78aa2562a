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
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator_action.core import blocks
from orchestrator_action.core.blocks import FENCED, Kind, Line
from orchestrator_action.core.characters import clean, strip_invisible
from orchestrator_action.core.inline import Span, code_spans
from orchestrator_action.core.lookalikes import marker_spans
from orchestrator_action.core.masking import mask_shapes

_MANY_PASSES = 8
"""After so many rounds a text is built to resist; then its prose loses every `<`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised:
    """A text an agent may read, and the kinds of what was taken out of it."""

    text: str
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    new: str
    kind: str


@dataclass(frozen=True, slots=True)
class _View:
    """A text with what of it is code."""

    text: str
    lines: tuple[Line, ...]
    fences: tuple[Span, ...]
    code: tuple[Span, ...]
    """Fences and code spans together, in order."""

    def in_code(self, at: int) -> int:
        """The end of the code that `at` lies in, or 0."""
        index = bisect_right(self.code, (at, len(self.text) + 1)) - 1
        if index >= 0 and at < self.code[index][1]:
            return self.code[index][1]
        return 0

    def next_fence(self, at: int) -> int:
        """Where the next fence begins, or the end of the text."""
        index = bisect_right(self.fences, (at, 0))
        return self.fences[index][0] if index < len(self.fences) else len(self.text)

    def line_at(self, at: int) -> int:
        """The index of the line that `at` lies in."""
        return max(0, bisect_right(self.lines, at, key=lambda line: line.start) - 1)


def _view(text: str) -> _View:
    lines = blocks.lines(text)
    fences: list[Span] = []
    leaf = -1
    for line in lines:
        if line.kind in FENCED:
            if line.leaf == leaf:
                fences[-1] = (fences[-1][0], line.end)
            else:
                fences.append((line.start, line.end))
            leaf = line.leaf
    spans = code_spans(text, lines)
    return _View(text, lines, tuple(fences), tuple(sorted((*fences, *spans))))


# --- HTML ---------------------------------------------------------------------------------------------

_TAG = re.compile(
    r"""<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*(?::[A-Za-z][\w-]*)*)(?P<attrs>(?=[\s/>])(?:[^<>"']|"[^"]*"|'[^']*')*)>"""
)
_ATTR = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_SHOWN = _words(
    "script style template noscript iframe object embed applet head title meta link base noembed noframes"
    " datalist dialog audio video canvas map area svg math frame frameset param source track"
)
_VOID = _words("area base br col embed hr img input link meta param source track wbr frame")
_KEPT_ATTRIBUTES = _words("href src open start align colspan rowspan")
_HIDING_CLASSES = _words("hidden hide d-none sr-only visually-hidden invisible screen-reader-text offscreen")
_HIDING_STYLE = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0?\.?0*(?:%|;|!|$)|content-visibility:hidden"
    r"|font-size:0?\.?0*[a-z%]*(?:;|!|$)|font-size:[01](?:\.\d+)?px|(?:max-)?(?:width|height):0?\.?0*[a-z%]*(?:;|!|$)"
    r"|(?:^|;)color:(?:transparent|white|#fff\b|#ffffff\b|#0000\b|rgba?\([^)]*,0(?:\.0+)?\))"
    r"|text-indent:-|(?:left|top|right|bottom|margin-left|margin-top):-\d{3,}|clip:rect|clip-path:|scale\(0"
    r"|filter:opacity\(0|line-height:0(?:[a-z%]*)(?:;|!|$)|mask"
)


def _attributes(raw: str) -> dict[str, str]:
    """Names in lower case, values as a browser reads them; the first of two wins."""
    found: dict[str, str] = {}
    for name, value in _ATTR.findall(raw):
        found.setdefault(name.lower(), html.unescape(value.strip("\"'")))
    return found


def _css(style: str) -> str:
    """A style with comments, escapes and spaces gone."""
    style = re.sub(r"/\*[\s\S]*?\*/", "", style)
    style = re.sub(r"\\([0-9a-fA-F]{1,6})\s?", lambda m: chr(min(int(m[1], 16), 0x10FFFF)), style)
    return re.sub(r"[\s\\]+", "", style).lower()


def _is_hidden(name: str, attributes: dict[str, str]) -> bool:
    """Whether nobody would see the element."""
    if name in _NEVER_SHOWN or "hidden" in attributes:
        return True
    if name == "input" and attributes.get("type", "").lower() == "hidden":
        return True
    if attributes.get("aria-hidden", "").strip().lower() == "true":
        return True
    if _HIDING_CLASSES & set(attributes.get("class", "").lower().split()):
        return True
    zero = {attributes.get("width", "").strip(), attributes.get("height", "").strip()}
    if zero & {"0", "0px", "0%"}:
        return True
    return bool(_HIDING_STYLE.search(_css(attributes.get("style", ""))))


def _element_end(view: _View, after: int, name: str) -> int:
    """Where the element opened just before `after` ends; the end of the text when it is never closed."""
    depth = 1
    at = after
    while (tag := _TAG.search(view.text, at)) is not None:
        at = tag.end()
        if view.in_code(tag.start()) or tag["name"].lower() != name:
            continue
        if tag["close"]:
            depth -= 1
        elif not tag["attrs"].endswith("/"):
            depth += 1
        if not depth:
            return tag.end()
    return len(view.text)


def _html_block_end(view: _View, at: int) -> int:
    """The end of the raw HTML block `at` lies in, or `at` when it lies in prose."""
    index = view.line_at(at)
    if view.lines[index].kind is not Kind.HTML:
        return at
    leaf, end = view.lines[index].leaf, at
    while index < len(view.lines) and view.lines[index].leaf == leaf:
        end = view.lines[index].end
        index += 1
    return end


_UNSEEN = (("<!--", "-->", 2), ("<![CDATA[", "]]>", 9), ("<?", "?>", 2), ("<!", ">", 2))


def _unseen(view: _View, at: int) -> _Edit | None:
    """The comment, instruction or declaration that begins at `at`; None when none does."""
    text = view.text
    for opener, closer, skip in _UNSEEN:
        if not text.startswith(opener, at):
            continue
        if opener == "<!" and not text[at + 2 : at + 3].isalpha():
            return None
        found = text.find(closer, at + skip)
        end = found + len(closer) if found >= 0 else len(text) + 1
        if end <= view.next_fence(at):
            return _Edit(at, end, "", "html comment")
        block = _html_block_end(view, at)
        if block > at:
            return _Edit(at, block, "", "html comment")
        return _Edit(at, at + len(opener), "", "html comment") if opener == "<!--" else None
    return None


def _tag_edit(view: _View, tag: re.Match[str]) -> _Edit | None:
    """What becomes of a tag: gone with its element, gone, or without what it hides."""
    name = tag["name"].lower()
    attributes = _attributes(tag["attrs"])
    if tag["close"]:
        new = "" if name in _NEVER_SHOWN else f"</{tag['name']}>"
        return _Edit(tag.start(), tag.end(), new, "hidden element") if new != tag[0] else None
    if _is_hidden(name, attributes):
        alone = name in _VOID
        end = tag.end() if alone else _element_end(view, tag.end(), name)
        return _Edit(tag.start(), end, "", "hidden element")
    if not tag["attrs"].strip("/ \t\r\n"):
        return None
    kept = "".join(
        f' {n}="{html.escape(v)}"' if v else f" {n}"
        for n, v in attributes.items()
        if n in _KEPT_ATTRIBUTES and not re.search(r"\s", v)
    )
    new = f"<{tag['name']}{kept}>"
    return _Edit(tag.start(), tag.end(), new, "html attribute") if new != tag[0] else None


def _without_html(view: _View) -> list[_Edit]:
    """Comments, hidden elements and attributes, found from left to right outside code."""
    edits: list[_Edit] = []
    at = 0
    while (at := view.text.find("<", at)) >= 0:
        if skip := view.in_code(at):
            at = skip
            continue
        edit = _unseen(view, at)
        tag = None if edit else _TAG.match(view.text, at)
        if tag:
            edit = _tag_edit(view, tag)
        if edit:
            edits.append(edit)
        at = max(at + 1, edit.end if edit else (tag.end() if tag else 0))
    return edits


# --- Markdown -----------------------------------------------------------------------------------------

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
_BRACKETED = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:[^\[\]\\]|\\[\s\S])*)\](?:\[(?P<label>(?:[^\[\]\\]|\\[\s\S])*)\])?(?![(:])"
)
_IMAGE = re.compile(r"!\[(?P<alt>(?:[^\[\]\\]|\\[\s\S]|\[[^\[\]]*\])+)\](?=\()")


def _normal(label: str) -> str:
    return " ".join(label.split()).casefold()


def _definitions(view: _View) -> tuple[dict[str, str], list[_Edit]]:
    """Reference definitions: where they point, by label, and the edits that take them out.

    The page shows none of them, whatever their label and title say.
    """
    targets: dict[str, str] = {}
    edits: list[_Edit] = []
    done = 0
    leaf = -1
    for line in view.lines:
        first = line.leaf != leaf or line.content <= done <= line.end
        leaf = line.leaf
        if line.kind is not Kind.TEXT or line.start < done or not first:
            continue
        at = line.content
        while at < line.end and view.text[at] in " \t":
            at += 1
        if _FOOTNOTE.match(view.text, at):
            continue
        found = _DEFINITION.match(view.text, at) or _BARE_DEFINITION.match(view.text, at)
        if not found or found.end() > view.next_fence(at):
            continue
        targets.setdefault(_normal(found["label"]), found["dest"])
        done = found.end() + len(re.match(r"\r?\n?", view.text[found.end() :])[0])  # type: ignore[index]
        edits.append(_Edit(at, done, "", "link definition"))
    return targets, edits


def _footnotes(view: _View) -> list[_Edit]:
    """Footnotes nothing refers to: the page leaves them out."""
    edits: list[_Edit] = []
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
        edits.append(_Edit(at, view.lines[end - 1].end, "", "unused footnote"))
    return edits


def _destination(raw: str) -> str:
    """A link's target, without the words one could hide in it."""
    return "" if raw.startswith("<") and re.search(r"\s", raw) else raw


def _links(view: _View, targets: dict[str, str]) -> list[_Edit]:
    """Titles, image texts, and references written out, so that no label is left unseen."""
    text = view.text
    edits: list[_Edit] = []
    for tail in _LINK_TAIL.finditer(text):
        if view.in_code(tail.start()):
            continue
        dest = _destination(tail["dest"] or "")
        if tail["title"] or dest != (tail["dest"] or ""):
            edits.append(_Edit(tail.start(), tail.end(), f"]({dest})", "link title"))
    edits += [
        _Edit(image.start("alt"), image.end("alt"), "", "image text")
        for image in _IMAGE.finditer(text)
        if not view.in_code(image.start()) and _LINK_TAIL.match(text, image.end() - 1)
    ]
    for use in _BRACKETED.finditer(text):
        if view.in_code(use.start()):
            continue
        target = targets.get(_normal(use["label"] or use["text"]))
        if target is None:
            if use["label"] is None or not use["label"].strip():
                continue
            edits.append(_Edit(use.start("label") - 1, use.end(), "", "link label"))
            continue
        shown = "" if use["image"] else use["text"]
        new = f"{use['image']}[{shown}]({_destination(target)})"
        edits.append(_Edit(use.start(), use.end(), new, "link label"))
    return edits


_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def _entities(view: _View) -> list[_Edit]:
    """Character references to what nobody sees."""
    edits = []
    for entity in _ENTITY.finditer(view.text):
        shown = html.unescape(entity[0])
        unseen = not strip_invisible(shown) or unicodedata.category(shown[0]) in {"Cc", "Cs", "Cn"}
        if unseen and shown not in "\n\t" and not view.in_code(entity.start()):
            edits.append(_Edit(*entity.span(), "", "invisible character"))
    return edits


def _code_remarks(view: _View) -> list[_Edit]:
    """What a rendered fence does not show: words after its language, and comments of a diagram."""
    edits: list[_Edit] = []
    language = ""
    for line in view.lines:
        raw = view.text[line.content : line.end].rstrip("\r\n")
        if line.kind is Kind.FENCE_OPEN:
            lead = len(raw) - len(raw.lstrip(" \t")) + len(line.fence)
            info = raw[lead:]
            language = info.split()[0].lower() if info.split() else ""
            first = re.match(r"[ \t]*\S{0,40}", info)
            kept = lead + (first.end() if first else 0)
            if raw[kept:].strip():
                edits.append(_Edit(line.content + kept, line.content + len(raw), "", "fence remark"))
        elif line.kind is Kind.FENCE and language == "mermaid" and raw.lstrip().startswith("%%"):
            edits.append(_Edit(line.content, line.end, "", "diagram comment"))
    return edits


def _markers(view: _View) -> list[_Edit]:
    """Our own markers, however they are spelled, outside fences."""
    return [
        _Edit(start, end, "[marker]", "marker")
        for start, end in marker_spans(view.text)
        if not any(a <= start < b for a, b in view.fences)
    ]


def _apply(text: str, edits: list[_Edit]) -> str:
    """Carry out edits from left to right; one that overlaps an earlier one waits for the next pass."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: (e.start, -e.end)):
        if edit.start < at:
            continue
        parts += [text[at : edit.start], edit.new]
        at = edit.end
    return "".join((*parts, text[at:]))


def _reference_edits(view: _View) -> list[_Edit]:
    targets, edits = _definitions(view)
    return edits + _links(view, targets)


_STEPS: tuple[Callable[[_View], list[_Edit]], ...] = (
    _without_html,
    _footnotes,
    _reference_edits,
    _entities,
    _code_remarks,
    _markers,
)


def _pass(text: str, removed: dict[str, None]) -> str:
    text, kinds = clean(text)
    removed.update(dict.fromkeys(kinds))
    for step in _STEPS:
        edits = step(_view(text))
        removed.update(dict.fromkeys(e.kind for e in edits))
        text = _apply(text, edits)
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
    while True:
        before, text = text, _pass(text.replace("<", "").replace("[", "("), removed)
        if text == before:
            return Sanitised(text=text, removed=tuple(removed))
