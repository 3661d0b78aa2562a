"""Code spans, the one inline construct that must be told from prose: what stands in them is shown as it is.

A span counts only when the line read alone and the paragraph read as a whole agree on it, so that no
trick with block boundaries makes prose look like code.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby

from orchestrator_action.core.blocks import Kind, Line

Span = tuple[int, int]

# What takes precedence over backticks when it comes first: escapes, comments and their kin, tags.
_TOKEN = re.compile(
    r"\\[!-/:-@\[-`{-~]"
    r"|(?P<opener><!-->|<!--->|<!--|<\?|<!\[CDATA\[|<![A-Za-z])"
    r"""|<[A-Za-z/](?:[^<>"'`]|"[^"]*"|'[^']*')*>"""
    r"|(?P<ticks>`+)"
)
_RUN = re.compile("`+")
_CLOSERS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}


def _code_in(text: str, start: int, end: int) -> Iterator[Span]:
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


def code_spans(text: str, block_lines: Sequence[Line]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The spans of code in prose, backticks included, in order: those on which line and paragraph agree,
    and all that either of them sees."""
    alone: set[Span] = set()
    whole: set[Span] = set()
    prose = [line for line in block_lines if line.kind is Kind.TEXT]
    for _, group in groupby(prose, key=lambda line: line.leaf):
        members = list(group)
        for line in members:
            alone.update(_code_in(text, line.content, line.end))
        whole.update(_code_in(text, members[0].content, members[-1].end))
    return tuple(sorted(alone & whole)), tuple(sorted(alone | whole))
