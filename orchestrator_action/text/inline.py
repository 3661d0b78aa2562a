"""Code spans, the one inline construct that must be told from prose: what stands in them is shown as it is.

A span counts only when the line read alone and the paragraph read as a whole agree on it, and in a table
the cell too, so that no trick with boundaries makes prose look like code.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby

from orchestrator_action.text.markdown import Kind, Line

InlineSpan = tuple[int, int]

# What takes precedence over backticks when it comes first: escapes, comments and their kin, tags.
_TOKEN = re.compile(
    r"\\[!-/:-@\[-`{-~]"
    r"|(?P<opener><!-->|<!--->|<!--|<\?|<!\[CDATA\[|<![A-Za-z])"
    r"""|<[A-Za-z/](?:[^<>"'`]|"[^"]*"|'[^']*')*>"""
    r"|(?P<ticks>`+)"
)
_RUN = re.compile("`+")
_CLOSERS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}


def _code_in(text: str, start: int, end: int) -> Iterator[InlineSpan]:
    """The code spans of one stretch of inline text, by the rules of precedence."""
    runs: dict[int, list[int]] = {}
    for run in _RUN.finditer(text, start, end):
        runs.setdefault(len(run[0]), []).append(run.start())
    at = start
    while runs and (token := _TOKEN.search(text, at, end)) is not None:
        at = token.end()
        opener, ticks = token["opener"], token["ticks"]
        if opener and not opener.endswith(">"):
            closer = _CLOSERS.get(opener, ">")
            found = text.find(closer, at, end)
            at = found + len(closer) if found >= 0 else at
        if ticks is None:
            continue
        same = runs.get(len(ticks), [])
        later = bisect_right(same, token.start())
        if later < len(same):
            at = same[later] + len(ticks)
            yield token.start(), at


_DELIMITERS = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*(?::?-+:?)?[ \t]*)*$")
_CELL_END = re.compile(r"\\[\s\S]|\|")


def _cells(text: str, start: int, end: int) -> Iterator[InlineSpan]:
    """The stretches between unescaped bars."""
    at = start
    for bar in _CELL_END.finditer(text, start, end):
        if bar[0] == "|":
            yield at, bar.start()
            at = bar.end()
    yield at, end


def code_spans(
    text: str, block_lines: Sequence[Line]
) -> tuple[tuple[InlineSpan, ...], tuple[InlineSpan, ...]]:
    """The spans of code in prose, backticks included, in order: those on which all readings agree, and
    all that any of them sees. The readings are the line, the paragraph, and in a table the cell."""
    sure: set[InlineSpan] = set()
    maybe: set[InlineSpan] = set()
    prose = [line for line in block_lines if line.kind is Kind.TEXT]
    for _, group in groupby(prose, key=lambda line: line.leaf):
        members = list(group)
        whole = set(_code_in(text, members[0].content, members[-1].end))
        alone = {span for line in members for span in _code_in(text, line.content, line.end)}
        agreed = whole & alone
        if any("-" in row and _DELIMITERS.match(row) for row in (_raw(text, line) for line in members)):
            cells = (cell for line in members for cell in _cells(text, line.content, line.end))
            split = {span for cell in cells for span in _code_in(text, *cell)}
            agreed &= split
            maybe |= split
        sure |= agreed
        maybe |= whole | alone
    return tuple(sorted(sure)), tuple(sorted(maybe))


def _raw(text: str, line: Line) -> str:
    return text[line.content : line.end].rstrip("\r\n")
