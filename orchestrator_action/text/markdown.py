"""Which lines of a Markdown text are fenced code, raw HTML or prose, as CommonMark has it; its headings and code.

Headings and code blocks come from markdown-it-py. The lines do not: cleaning needs for each the column at which its
content begins, inside quotes and lists, and a reader that counts as prose whatever is in doubt. So they are read by
the block phase of the CommonMark reference parser, reduced to what decides where code is: what a person sees as
code on the forge must be what we keep untouched, and nothing else. Source: spec.commonmark.org 0.31, appendix
"A parsing strategy"; the tests compare it with markdown-it-py.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FENCE = re.compile(r"(`{3,})([^`]*)$|(~{3,})(.*)$")
_ATX = re.compile(r"#{1,6}(?: |$)")
_SETEXT = re.compile(r"(?:=+|-+) *$")
_BREAK = re.compile(r"(?:(?:\* *){3,}|(?:_ *){3,}|(?:- *){3,})$")
_BULLET = re.compile(r"[-+*](?= |$)")
_ORDERED = re.compile(r"(\d{1,9})[.)](?= |$)")

_ATTRIBUTE = r"""(?:\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)"""
_BLOCK_TAGS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir"
    "|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe"
    "|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary"
    "|table|tbody|td|tfoot|th|thead|title|tr|track|ul"
)
_HTML_STARTS = tuple(
    re.compile(p, re.IGNORECASE)
    for p in (
        r"<(?:script|pre|textarea|style)(?:\s|>|$)",
        r"<!--",
        r"<\?",
        r"<![A-Za-z]",
        r"<!\[CDATA\[",
        rf"</?(?:{_BLOCK_TAGS})(?:\s|/?>|$)",
        rf"(?:<[A-Za-z][A-Za-z0-9-]*{_ATTRIBUTE}*\s*/?>|</[A-Za-z][A-Za-z0-9-]*\s*>)\s*$",
    )
)
_HTML_ENDS = tuple(
    re.compile(p, re.IGNORECASE)
    for p in (r"</(?:script|pre|textarea|style)>", r"-->", r"\?>", r">", r"\]\]>")
)
_ENDS_AT_BLANK = (5, 6)
_DEEPEST = 60
"""Quotes and lists inside each other; nobody writes more, and what is deeper counts as prose."""


class Kind(StrEnum):
    """What a line is."""

    TEXT = "text"
    BLANK = "blank"
    HTML = "html"
    INDENTED = "indented"
    FENCE_OPEN = "fence-open"
    FENCE = "fence"
    FENCE_CLOSE = "fence-close"


FENCED = frozenset({Kind.FENCE_OPEN, Kind.FENCE, Kind.FENCE_CLOSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: `text[start:end]`, its line end included; its content, without the marks of quotes and
    lists around it, begins at `content`. Lines of one leaf block carry the same `leaf`."""

    start: int
    end: int
    content: int
    kind: Kind
    leaf: int
    depth: int
    """How many quotes and list items it stands in."""
    fence: str = ""
    """The run of backticks or tildes, on the lines of a fence."""


@dataclass(slots=True)
class _Container:
    """A quote (`width` 0) or a list item whose content is indented by `width`."""

    width: int
    filled: bool = True


@dataclass(slots=True)
class _Scanner:
    """The state between two lines."""

    containers: list[_Container] = field(default_factory=list)
    leaf: Kind | None = None
    """TEXT is an open paragraph."""
    fence: str = ""
    html: int = 0
    number: int = 0

    def line(self, s: str) -> tuple[Kind, int]:
        """Take one line (tabs expanded, no line end); its kind and the column of its content."""
        pos, matched = self._walk(s)
        all_matched = matched == len(self.containers)
        if all_matched and self.leaf in {Kind.FENCE, Kind.HTML}:
            kind = self._inside(s[pos:])
            if kind is not None:
                return kind, pos
        return self._open(s, pos, matched)

    def _walk(self, s: str) -> tuple[int, int]:
        """How far the open containers go on in this line."""
        pos = matched = 0
        for container in self.containers:
            indent = _indent(s, pos)
            blank = pos + indent >= len(s)
            if not container.width:
                if blank or indent > 3 or s[pos + indent] != ">":
                    break
                pos += indent + 1
                pos += s[pos : pos + 1] == " "
            elif blank:
                if not container.filled:
                    break
                pos = min(len(s), pos + container.width)
            elif indent >= container.width:
                pos += container.width
            else:
                break
            matched += 1
        return pos, matched

    def _inside(self, rest: str) -> Kind | None:
        """A line inside an open fence or HTML block; None when a blank line ends the HTML."""
        if self.leaf is Kind.FENCE:
            indent = _indent(rest, 0)
            mark = rest[indent:].rstrip(" ")
            if indent <= 3 and len(mark) >= len(self.fence) and mark == self.fence[0] * len(mark):
                self.leaf = None
                return Kind.FENCE_CLOSE
            return Kind.FENCE
        if self.html in _ENDS_AT_BLANK:
            if not rest.strip(" "):
                self.leaf = None
                return None
        elif _HTML_ENDS[self.html].search(rest):
            self.leaf = None
        return Kind.HTML

    def _open(self, s: str, pos: int, matched: int) -> tuple[Kind, int]:
        """Try what may begin here: containers first, then a leaf."""
        paragraph = self.leaf is Kind.TEXT
        lazy = paragraph and matched < len(self.containers)
        interrupts = paragraph and not lazy
        while True:
            indent = _indent(s, pos)
            rest = s[pos + indent :]
            if not rest:
                return self._blank(matched), pos
            if indent >= 4 or len(self.containers) > _DEEPEST:
                break
            if rest[0] == ">":
                self._close(matched)
                self.containers.append(_Container(0))
                pos += indent + 1
                pos += s[pos : pos + 1] == " "
            elif self._starts_leaf(rest, interrupts=interrupts, lazy=lazy):
                break
            elif width := _item_width(rest, indent, interrupts=interrupts):
                self._close(matched)
                self.containers.append(_Container(width, filled=False))
                pos = min(len(s), pos + width)
            else:
                break
            matched, interrupts, lazy, paragraph = len(self.containers), False, False, False
        return self._leaf(s, pos, matched, interrupts=interrupts, lazy=lazy, paragraph=paragraph)

    def _close(self, matched: int) -> None:
        del self.containers[matched:]
        self._fill()
        self.leaf = None

    def _fill(self) -> None:
        for container in self.containers:
            container.filled = True

    def _blank(self, matched: int) -> Kind:
        opened = matched == len(self.containers) and bool(self.containers) and not self.containers[-1].filled
        if not opened:
            del self.containers[matched:]
        if self.leaf is not Kind.INDENTED:
            self.leaf = None
        return Kind.BLANK

    @staticmethod
    def _starts_leaf(rest: str, *, interrupts: bool, lazy: bool) -> bool:
        if rest[0] not in "#`~*_-=<":
            return False
        if _ATX.match(rest) or _FENCE.match(rest) or _BREAK.match(rest):
            return True
        if interrupts and _SETEXT.match(rest):
            return True
        return _html_start(rest, paragraph=interrupts or lazy) is not None

    def _leaf(
        self, s: str, pos: int, matched: int, *, interrupts: bool, lazy: bool, paragraph: bool
    ) -> tuple[Kind, int]:
        indent = _indent(s, pos)
        rest = s[pos + indent :]
        if indent >= 4 and not paragraph:
            if self.leaf is not Kind.INDENTED or matched < len(self.containers):
                self.number += 1
            self._close(matched)
            self.leaf = Kind.INDENTED
            return Kind.INDENTED, pos
        starts = indent < 4 and self._starts_leaf(rest, interrupts=interrupts, lazy=lazy)
        if not starts:
            if paragraph:  # goes on, lazily or not: its containers stay open
                return Kind.TEXT, pos
            self._close(matched)
            self.number += 1
            self.leaf = Kind.TEXT
            return Kind.TEXT, pos
        self._close(matched)
        self.number += 1
        if fence := _FENCE.match(rest):
            self.leaf, self.fence = Kind.FENCE, fence[1] or fence[3]
            return Kind.FENCE_OPEN, pos
        html = _html_start(rest, paragraph=interrupts or lazy)
        if html is None or _ATX.match(rest):
            return Kind.TEXT, pos  # a heading or a break: a leaf of one line
        ended = html not in _ENDS_AT_BLANK and _HTML_ENDS[html].search(rest)
        self.leaf, self.html = (None if ended else Kind.HTML), html
        return Kind.HTML, pos


def _indent(s: str, pos: int) -> int:
    """Spaces from `pos` on."""
    return len(s) - pos - len(s[pos:].lstrip(" "))


def _html_start(rest: str, *, paragraph: bool) -> int | None:
    """Which of CommonMark's seven HTML blocks begins here; the seventh cannot end a paragraph."""
    for number, pattern in enumerate(_HTML_STARTS if rest[0] == "<" else ()):
        if pattern.match(rest):
            return None if number == 6 and paragraph else number
    return None


def _item_width(rest: str, indent: int, *, interrupts: bool) -> int:
    """How far the content of the list item that begins here is indented; 0 when none begins."""
    ordered = _ORDERED.match(rest)
    mark = _BULLET.match(rest) or ordered
    if mark is None:
        return 0
    after = rest[mark.end() :]
    empty = not after.strip(" ")
    if interrupts and (empty or (ordered and int(ordered[1]) != 1)):
        return 0
    spaces = len(after) - len(after.lstrip(" "))
    return indent + mark.end() + (1 if empty or spaces >= 5 else spaces)


def _raw_offset(raw: str, column: int) -> int:
    """The index in `raw` of what stands at `column` once tabs are expanded."""
    at = 0
    for index, char in enumerate(raw):
        if at >= column:
            return index
        at += 4 - at % 4 if char == "\t" else 1
    return len(raw)


@functools.lru_cache(maxsize=4)
def line_kinds(text: str) -> tuple[Line, ...]:
    """All lines of a text, in order; their spans cover it without a gap."""
    scanner = _Scanner()
    found: list[Line] = []
    at = 0
    while at < len(text):
        match = _LINE.match(text, at)
        assert match is not None  # the pattern matches anywhere
        raw = match[0].rstrip("\r\n")
        kind, column = scanner.line(raw.expandtabs(4))
        found.append(
            Line(
                start=at,
                end=match.end(),
                content=at + _raw_offset(raw, column),
                kind=kind,
                leaf=scanner.number,
                depth=len(scanner.containers),
                fence=scanner.fence if kind in FENCED else "",
            )
        )
        at = match.end()
    return tuple(found)


def open_fence(text: str) -> str:
    """The fence still open at the end of a text, outside any quote or list; else an empty string."""
    last = line_kinds(text)[-1:]
    if last and last[0].kind in {Kind.FENCE_OPEN, Kind.FENCE} and last[0].depth == 0:
        return last[0].fence
    return ""


def fences(text: str) -> tuple[tuple[int, int], ...]:
    """The spans of all fenced blocks, their fence lines included."""
    spans: list[tuple[int, int]] = []
    leaf = -1
    for line in line_kinds(text):
        if line.kind not in FENCED:
            continue
        if line.leaf == leaf:
            spans[-1] = (spans[-1][0], line.end)
        else:
            spans.append((line.start, line.end))
        leaf = line.leaf
    return tuple(spans)


# -- what a document says, by the reference parser -------------------------------------------------


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # late: most commands read no document

    return MarkdownIt("commonmark")


def first_heading(text: str) -> str:
    """The text of the first heading, as it is written; empty when there is none."""
    tokens = _parser().parse(text)
    return next(
        (body.content for head, body in pairwise(tokens) if head.type == "heading_open" and body.content), ""
    )


def first_line(text: str) -> str:
    """The first line of the first paragraph, as it is written; empty when there is none."""
    return next(
        (t.content.splitlines()[0] for t in _parser().parse(text) if t.type == "inline" and t.content), ""
    )


def code_blocks(text: str) -> tuple[tuple[str, str], ...]:
    """Language (lower case) and body of each closed fence that stands in no quote or list, in order.

    The body is what was written, line ends included. A fence that the end of the text closes is left out: it
    may have been cut off.
    """
    rows = _LINE.findall(text)
    found = []
    for token in _parser().parse(text):
        if token.type == "fence" and token.level == 0 and token.map:
            first, end = token.map
            closer = rows[end - 1].strip() if end - first > 1 else ""
            if closer and not closer.strip(token.markup[0]) and len(closer) >= len(token.markup):
                found.append(((token.info.split() or [""])[0].lower(), "".join(rows[first + 1 : end - 1])))
    return tuple(found)
