"""Whether tests that are gone became the rows of one table: a loop or subtests that check the same of each. Pure.

Text is compared, in any language whose tests are no Python. The new test has to call what each of the old ones called
and as often, to hold every value that they compared with, and to say nothing by which a test can pass more easily:
no other condition, jump or comparison, nothing that is set. What its assertions print may differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

_TOKEN = re.compile(
    r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`\n]*`|\w+(?:\.\d+)?|[=!<>]=+|&&|\|\||\+\+|--|[^\w\s]"
)
_CALL = re.compile(r"\b(\w+)\s*!?\(")
_PRINTS = re.compile(
    r"\b(Errorf|Fatalf|Error|Fatal|Logf|Log)\((?:[^()\n\"]|\"(?:[^\"\\\n]|\\.)*\"|\([^()\n]*\))*\)"
)
_DECLARES = re.compile(
    r"\b(?:const|let|var)\s+[\w$]+\s*=(?!=)|:=|=>|->|\bfor\s*\(\s*(?:const|let|var)\b[^=\n]*?\bof\b"
)
_TITLE = re.compile(
    r"\b(?:it|test|specify|Run|each|scenario)\b[\w.]*\(?\s*(\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`)"
)
_AROUND = frozenset(
    {"it", "test", "specify", "scenario", "each", "Run", "Parallel", "forEach", "function", "func", "for"}
)
"""Calls that stand around a check and are none."""
_EASIER = frozenset({
    *("&&", "||", "<", ">", "<=", ">=", "==", "===", "!=", "!==", "=", "!", "?", "++", "--", "and", "or", "not", "is"),
    *("if", "else", "elif", "unless", "switch", "case", "when", "while", "until", "try", "catch", "except", "rescue"),
    *("recover", "defer", "finally", "continue", "break", "next", "return", "goto", "pass", "skip", "todo", "only"),
    *("true", "false", "nil", "null", "undefined", "None", "range_", "slice", "async", "await", "filter", "delete"),
})  # fmt: skip
_PART = re.compile(r"(?<!\bmap)(?<=\w)\[")
"""A part of a table, or of whatever it is: its other rows may never be looked at."""


def became_rows(olds: Sequence[str], new: str, names: Collection[str]) -> bool:
    """Whether the block `new` does for each of its rows what one of the blocks `olds` did, and has rows for all.

    `names` are the tests' own. Blocks are lines of code with what stands around them.
    """
    before, after = [_words(old, names) for old in olds], _words(new, names)
    calls, made = [_calls(old, names) for old in olds], _calls(new, names)
    most = Counter[str]()
    for one in calls:
        most |= one
    if not before or not most or any(one != most for one in calls) or made != most:
        return False
    allowed = Counter[str]()
    for one in before:
        allowed |= one
    if any(after[word] > allowed[word] for word in _EASIER) or len(_PART.findall(new)) > max(
        len(_PART.findall(old)) for old in olds
    ):
        return False
    checks = (word for word in _EASIER if any(one[word] for one in before))
    if any(after[word] < max(one[word] for one in before) for word in checks):
        return False
    wanted = Counter[str]()
    for one in before:
        wanted += Counter({word: n for word, n in one.items() if word[0] in "\"'`" or word[0].isdigit()})
    return all(after[word] >= number for word, number in wanted.items())


def _plain(block: str) -> str:
    """Without what is printed, what a test is called, and what is only declared."""
    bare = _PRINTS.sub(lambda m: f"{m[1]}()", re.sub(r"//[^\n]*", "", block))
    return _DECLARES.sub(" ", _TITLE.sub(lambda m: m[0].replace(m[1], ""), bare))


def _words(block: str, names: Collection[str]) -> Counter[str]:
    found = (word for word in _TOKEN.findall(_plain(block)))
    return Counter(word for word in found if word.strip("\"'`") not in names)


def _calls(block: str, names: Collection[str]) -> Counter[str]:
    found = _CALL.findall(_plain(block))
    return Counter(name for name in found if name not in _AROUND and name not in names)
