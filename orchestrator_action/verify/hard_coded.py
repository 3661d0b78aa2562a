"""Code that knows the tests' own inputs and answers: a table, or a chain of conditions, made from the tests.

Static and for any language: it looks at literals only. Of each line of a changed test that compares something,
the literals are a *pair* (what goes in, what comes out). Code is hard-coded when most pairs of the tests stand
in it, and when what stands there is little else. A real table (countries, numerals) holds more than the tests ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FEWEST_PAIRS = 2
"""One example in code may be a default, a constant or a joke; two are a habit."""
MOST_OF_THE_TESTS = 0.6
MOST_OF_THE_TABLE = 0.6
EACH_BY_ITSELF = 0.75
"""Literals of the table for each one of its pairs: a list of names that many tests draw from has fewer."""
WINDOW = 2
"""Lines within which input and answer of one pair stand: a condition and its return."""
_MOST_LINES = 20_000

_LITERAL = re.compile(
    r"""
    (?P<text>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`\n]*`)
    | (?<![\w.])(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|[Tt]rue|[Ff]alse|None|null|nil)(?![\w.])
    """,
    re.VERBOSE,
)
_COMPARES = re.compile(
    r"==|\bassert|\bexpect\b|\bshould\b|\.(?:to|is)[A-Z]\w*\(|\bwant\b|\bEXPECT_|\bASSERT_|\beq!?\(|\bequal",
    re.IGNORECASE,
)
_TRIVIAL = frozenset({"0", "1", "", " "})


@dataclass(frozen=True, slots=True, kw_only=True)
class HardCoded:
    """One line of code that answers a pair of the tests."""

    path: str
    line: int
    text: str


def hard_coded(tests: Iterable[str], sources: Mapping[str, Sequence[tuple[int, str]]]) -> list[HardCoded]:
    """Lines that answer the tests' own inputs; empty when there are few of them.

    `tests` are texts of changed and new tests, `sources` the added lines of other code: number and text, by path.
    """
    pairs = {pair for text in tests for pair in pairs_of(text)}
    if len(pairs) < FEWEST_PAIRS:
        return []
    found: list[HardCoded] = []
    answered: set[frozenset[str]] = set()
    for path, lines in sources.items():
        for run in _literal_runs(list(_code(lines[:_MOST_LINES]))):
            here, where = _answered(run, pairs)
            asked = {literal for pair in here for literal in pair}
            known = [literal for _, text in run for literal in _literals(text)]
            each_by_itself = len(known) >= EACH_BY_ITSELF * sum(map(len, here))
            if here and each_by_itself and sum(k in asked for k in known) >= MOST_OF_THE_TABLE * len(known):
                answered |= here
                found += [HardCoded(path=path, line=n, text=t.strip()[:120]) for n, t in where]
    enough = len(answered) >= max(FEWEST_PAIRS, MOST_OF_THE_TESTS * len(pairs))
    return found if enough else []


def pairs_of(test: str) -> list[frozenset[str]]:
    """The literals of each line that compares something; lines with fewer than two say nothing."""
    found = (frozenset(_literals(line)) for line in test.splitlines() if _COMPARES.search(line))
    return [pair for pair in found if len(pair) >= 2]


_COMMENT = re.compile(r"\s*(?:#(?!\[)|//|/?\*|>>>|\.\.\.|--\s|;)")


def _code(lines: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str]]:
    """Lines without comments and documentation: an example in a docstring answers nobody."""
    inside = ""
    for number, text in lines:
        if inside:
            inside = "" if inside in text else inside
            continue
        mark = next((m for m in ('"""', "'''", "/*") if m in text), "")
        if mark and text.count(mark) == 1 and "*/" not in text:
            inside = "*/" if mark == "/*" else mark
        elif not mark and not _COMMENT.match(text):
            yield number, text


def _literals(line: str) -> list[str]:
    """Values of the literals of a line, without those that stand everywhere."""
    found = []
    for match in _LITERAL.finditer(line):
        inner = [match["number"]] if match["number"] else _inside(match["text"][1:-1])
        found += [value for value in inner if value not in _TRIVIAL]
    return found


def _inside(text: str) -> list[str]:
    """A text's value; of one that spells out a list or a call, the literals in it."""
    nested = list(_LITERAL.finditer(text)) if re.search(r"[\[({,]", text) else []
    return [m["number"] or m["text"][1:-1] for m in nested] or [text]


def _literal_runs(lines: Sequence[tuple[int, str]]) -> Iterable[list[tuple[int, str]]]:
    """Stretches of added lines that hold literals; one line without any does not end one."""
    run: list[tuple[int, str]] = []
    for number, text in lines:
        if _literals(text):
            if run and number - run[-1][0] > WINDOW:
                yield run
                run = []
            run.append((number, text))
    if run:
        yield run


def _answered(
    run: Sequence[tuple[int, str]], pairs: Iterable[frozenset[str]]
) -> tuple[set[frozenset[str]], list[tuple[int, str]]]:
    """The pairs whose literals stand within a window of these lines, and the lines where they begin."""
    known = [frozenset(_literals(text)) for _, text in run]
    windows = [
        frozenset().union(*(known[i] for i in range(at, min(at + WINDOW, len(run))) if run[i][0] - run[at][0] < WINDOW))
        for at in range(len(run))
    ]  # fmt: skip
    holding: dict[str, list[int]] = {}
    for at, literals in enumerate(windows):
        for literal in literals:
            holding.setdefault(literal, []).append(at)
    found: set[frozenset[str]] = set()
    where: dict[int, str] = {}
    for pair in pairs:
        rarest = min((holding.get(literal, []) for literal in pair), key=len)
        if (first := next((at for at in rarest if pair <= windows[at]), None)) is not None:
            found.add(pair)
            where[run[first][0]] = run[first][1]
    return found, sorted(where.items())
