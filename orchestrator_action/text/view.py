"""A Markdown text with what of it is code, and edits to it. What `sanitise` and its steps work on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator_action.text import markdown as blocks
from orchestrator_action.text.inline import InlineSpan, code_spans
from orchestrator_action.text.markdown import FENCED, Kind, Line


@dataclass(frozen=True, slots=True)
class Edit:
    """`text[start:end]` becomes `new`; `kind` says what was taken out."""

    start: int
    end: int
    new: str
    kind: str


@dataclass(frozen=True, slots=True)
class View:
    """A text, its lines, its fences, and all its code (fences and code spans), in order."""

    text: str
    lines: tuple[Line, ...]
    fences: tuple[InlineSpan, ...]
    code: tuple[InlineSpan, ...]
    maybe: tuple[InlineSpan, ...]
    """What may be a code span, depending on how its paragraph is read."""
    starts: tuple[int, ...]
    """Where each line begins."""
    ends: tuple[int, ...]
    """Where the block of each line ends."""

    def code_end(self, at: int) -> int:
        """The end of the code that `at` lies in, or 0 when it lies in none."""
        index = bisect_right(self.code, (at, len(self.text) + 1)) - 1
        if index >= 0 and at < self.code[index][1]:
            return self.code[index][1]
        return 0

    def maybe_code(self, at: int) -> bool:
        """Whether some reading of the paragraph has `at` in a code span."""
        index = bisect_right(self.maybe, (at, len(self.text) + 1)) - 1
        return index >= 0 and at < self.maybe[index][1]

    def content(self, at: int) -> int:
        """Where the content of the block's line that `at` lies in begins, spaces passed over."""
        line = self.lines[max(0, bisect_right(self.starts, at) - 1)]
        rest = self.text[line.content : line.end]
        return line.content + len(rest) - len(rest.lstrip(" \t"))

    def in_fence(self, at: int) -> bool:
        """Whether `at` lies in a fenced block."""
        index = bisect_right(self.fences, (at, len(self.text) + 1)) - 1
        return index >= 0 and at < self.fences[index][1]

    def next_fence(self, at: int) -> int:
        """Where the next fence after `at` begins, or the end of the text."""
        index = bisect_right(self.fences, (at, 0))
        return self.fences[index][0] if index < len(self.fences) else len(self.text)

    def leaf(self, at: int) -> tuple[Kind, int]:
        """What kind of block `at` lies in, and where that block ends."""
        index = max(0, bisect_right(self.starts, at) - 1)
        return self.lines[index].kind, self.ends[index]


def _merged(spans: Iterable[InlineSpan]) -> tuple[InlineSpan, ...]:
    """Sorted spans, those that overlap made one."""
    merged: list[InlineSpan] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def view(text: str) -> View:
    """Read a text."""
    lines = blocks.line_kinds(text)
    fences: list[InlineSpan] = []
    leaf = -1
    for line in lines:
        if line.kind in FENCED:
            if line.leaf == leaf:
                fences[-1] = (fences[-1][0], line.end)
            else:
                fences.append((line.start, line.end))
            leaf = line.leaf
    sure, maybe = code_spans(text, lines)
    ends: list[int] = []
    following = -1
    for line in reversed(lines):
        same = ends and line.leaf == following
        ends.append(ends[-1] if same else line.end)
        following = line.leaf
    return View(
        text=text,
        lines=lines,
        fences=tuple(fences),
        code=tuple(sorted((*fences, *sure))),
        maybe=_merged(maybe),
        starts=tuple(line.start for line in lines),
        ends=tuple(reversed(ends)),
    )


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Carry out edits from left to right; one that overlaps an earlier one waits for the next pass."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: (e.start, -e.end)):
        if edit.start < at:
            continue
        parts += [text[at : edit.start], edit.new]
        at = edit.end
    return "".join((*parts, text[at:]))
