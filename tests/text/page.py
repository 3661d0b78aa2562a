"""What a page shows of a Markdown text: markdown-it-py renders it, the standard library's parser reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["strikethrough", "table"])
VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)


@dataclass
class Page:
    """The text a person sees, where links lead, the languages of fences, and the elements there are."""

    text: str = ""
    targets: str = ""
    languages: str = ""
    prose: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.page.tags.add(tag)
        self.page.targets += f" {values.get('href') or ''} {values.get('src') or ''}"
        self.page.languages += f" {values.get('class') or ''}"
        hidden = (
            "hidden" in values
            or "display:none" in (values.get("style") or "").replace(" ", "")
            or tag in {"script", "style", "template"}
        )
        if tag not in VOID:
            self.open.append((tag, hidden))
        self.page.prose.append("")

    def handle_endtag(self, tag: str) -> None:
        for index in range(len(self.open) - 1, -1, -1):
            if self.open[index][0] == tag:
                del self.open[index:]
                break
        self.page.prose.append("")

    def handle_data(self, data: str) -> None:
        if any(hidden for _, hidden in self.open):
            return
        self.page.text += data
        if not any(tag in {"code", "pre"} for tag, _ in self.open):
            self.page.prose.append(data)

    def handle_comment(self, data: str) -> None:
        self.page.tags.add("comment")

    def handle_decl(self, decl: str) -> None:
        self.page.tags.add("declaration")

    def handle_pi(self, data: str) -> None:
        self.page.tags.add("instruction")


def shown(text: str) -> Page:
    """Render and read a text."""
    reader = _Reader()
    reader.feed(MARKDOWN.render(text))
    reader.close()
    reader.page.targets = re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), reader.page.targets)
    return reader.page
