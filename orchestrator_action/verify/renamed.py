"""Whether a test that is gone lives on under another name: its body has to be there still. Pure.

Text is compared, in any language: the test's own lines at the base, and those of the new test at the head. A test
that was swapped for an emptier one has lost most of its words; one whose expected values changed has lost those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

MOST_OF_ITS_WORDS = 0.75
_MOST_LINES = 80
_TOKEN = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|\w+(?:\.\d+)?|[^\w\s]")
_DEFINES = (
    r"\b(?:def|fn|func|function|sub|void|fun|class|it|test|specify|scenario|context|describe|TEST\w*|@test)\b"
)
_ABOVE = ("@", "#[", "[<", "[Fact", "[Test", "[Theory")

Texts = Mapping[str, tuple[str, str]]
"""By path: a changed test file's text at the base and at the head; empty where it is not there."""


def lives_on(
    old: str, new: str, texts: Texts, file: str = "", renames: Mapping[str, str] | None = None
) -> bool:
    """Whether the test with the id `old` is the one that is now called `new`."""
    now = (renames or {}).get(file, file)
    before = _block(old, [pair[0] for path, pair in texts.items() if not file or path == file])
    after = _block(new, [pair[1] for path, pair in texts.items() if not now or path == now])
    return bool(before and after) and _holds(before, after, {bare_name(old), bare_name(new)})


def text_of_test(case_id: str, text: str) -> str:
    """The lines of one test in its file, with what stands above it; empty when it is not found or not alone."""
    return "\n".join(_block(case_id, [text]))


def bare_name(case_id: str) -> str:
    """The test's own name: without file, class and parameters."""
    plain = re.sub(r"\[.*\]$|\(.*\)$", "", case_id.strip())
    return re.split(r"::|(?<=\w)\.(?=\w)| > | › ", plain)[-1].strip()


def _block(case_id: str, texts: list[str]) -> list[str]:
    """The lines of the test, with what stands above it; empty when it is not found or not alone."""
    name = re.escape(bare_name(case_id))
    wanted = re.compile(rf"{_DEFINES}.*?(?<!\w){name}(?!\w)|^\s*@test\s+[\"']{name}")
    files = [text.splitlines() for text in texts]
    found = [(lines, n) for lines in files for n, line in enumerate(lines) if wanted.search(line)]
    if len(found) != 1:
        return []
    lines, at = found[0]
    return lines[_first(lines, at) : _last(lines, at)]


def _first(lines: list[str], at: int) -> int:
    """Where decorators and attributes above a definition begin, over several lines too."""
    depth, first = _indent(lines[at]), at
    while first and (above := lines[first - 1]).strip():
        deeper = _indent(above) > depth or above.strip() in {")", "])", "]"}
        if not deeper and not above.lstrip().startswith(_ABOVE):
            break
        first -= 1
    return first


def _last(lines: list[str], at: int) -> int:
    """Where a definition's body ends, by its indentation."""
    depth, end = _indent(lines[at]), at + 1
    while end < min(len(lines), at + _MOST_LINES):
        line = lines[end]
        if line.strip() and _indent(line) <= depth and not re.match(r"\s*[)\]}]", line):
            break
        end += 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _holds(before: list[str], after: list[str], names: set[str]) -> bool:
    """Whether `after` has most words of `before`, and every value that it compares with."""
    old, new = _words(before, names), _words(after, names)
    kept = sum(min(count, new[token]) for token, count in old.items())
    values = [t for t in old if t[0] in "\"'" or t[0].isdigit()]
    return kept >= MOST_OF_ITS_WORDS * old.total() and all(new[v] >= old[v] for v in values)


def _words(lines: list[str], names: set[str]) -> Counter[str]:
    found = (token for line in lines for token in _TOKEN.findall(line))
    return Counter(token for token in found if token.strip("\"'") not in names)
