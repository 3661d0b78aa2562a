"""Whether a test that is gone lives on under another name: its body has to be there still. Pure.

Text is compared, in any language: the test's own lines at the base, and those of the new test at the head. A test
that was swapped for an emptier one has lost most of its words; one whose expected values changed has lost those.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

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
    """The test's own name: without file, class, parameters, data set and subtest."""
    plain = re.sub(r"\[.*\]$|\(.*\)$| with data set [#\"'].*$", "", case_id.strip())
    plain = re.sub(r"((?:^|[.:\s])(?:Test|Fuzz|Example)\w*)/.*$", r"\1", plain)
    return re.split(r"::|(?<=\w)\.(?=\w)| > | › ", plain)[-1].strip()


def _block(case_id: str, texts: list[str]) -> list[str]:
    """The lines of the test, with what stands above it; empty when it is not found or not alone."""
    name = re.escape(bare_name(case_id))
    wanted = re.compile(rf"{_DEFINES}.*?(?<!\w){name}(?!\w)|^\s*@test\s+[\"']{name}")
    files = [text.splitlines() for text in texts]
    found = [(lines, n) for lines in files for n, line in enumerate(lines) if wanted.search(line)]
    found = found or [
        (lines, n) for lines in files for n, line in enumerate(lines) if _makes(line, bare_name(case_id))
    ]
    found = found or [
        (lines, n) for lines in files for n, line in enumerate(lines) if _ends(line, bare_name(case_id))
    ]
    if len(found) > 1:  # of the same words in several groups, the one whose groups are named
        whole = _SEPARATOR.sub(" ", case_id)
        found = [(lines, n) for lines, n in found if whole.endswith(_whole_title(lines, n))]
    if len(found) != 1:
        return []
    lines, at = found[0]
    return lines[_first(lines, at) : _last(lines, at)]


_TITLE = re.compile(r"(['\"`])((?:(?!\1)[^\\\n]|\\.)*)\1")
_HOLE = re.compile(r"%[sdifjoOpc#]|\$\{[^}\n]*\}|#\{[^}\n]*\}|\$[A-Za-z][\w.]*")


_SEPARATOR = re.compile(r"\s*(?:::| > | › )\s*")


def _whole_title(lines: list[str], at: int) -> str:
    """The titles of the groups around a test and its own, as runners join them."""
    titles, depth = [_title(lines[at])], _indent(lines[at])
    for line in reversed(lines[:at]):
        if line.strip() and _indent(line) < depth:
            depth = _indent(line)
            titles += [_title(line)] if re.search(_DEFINES, line) else []
    return " ".join(reversed([t for t in titles if t])) or "\0"


def _title(line: str) -> str:
    titled = _TITLE.search(line)
    return titled[2] if titled else ""


_LOOP = re.compile(r"^\s*for\b|\.(?:forEach|each)\b[^\n]*(?:=>|function|\bdo\b|\{)")


_TABLE_OF = re.compile(r"\b(?:of|range|in)\s+(\w+)\s*[){]|\beach\(\s*(\w+)\s*\)|\b(\w+)\.(?:forEach|each)\b")


def block_with_rows(case_id: str, text: str) -> str:
    """The lines of a test with the loop around it and the table that this goes through; empty where there is none."""
    block = _with_loop(case_id, text)
    lines, names = text.splitlines(), {n for m in _TABLE_OF.findall(block) for n in m if n}
    made = (
        re.compile(rf"^(?:export\s+)?(?:const|let|var)\s+(?:{'|'.join(names)})\b[^=]*=\s*[\[\w]")
        if names
        else None
    )
    tables = [
        "\n".join(lines[n : _last(lines, n)]) for n, line in enumerate(lines) if made and made.match(line)
    ]
    return "\n".join([block, *(t for t in tables if t not in block)]) if block else ""


def _with_loop(case_id: str, text: str) -> str:
    block = _block(case_id, [text])
    lines = text.splitlines()
    at = next((n for n in range(len(lines)) if lines[n : n + len(block)] == block), 0) if block else 0
    for n in range(at - 1, -1, -1):
        if lines[n].strip() and _indent(lines[n]) < _indent(lines[at]):
            if not _LOOP.search(lines[n]):
                break
            first = _first(lines, n)
            return "\n".join(lines[first : max(_last(lines, n), at + len(block))])
    return "\n".join(block)


def _ends(line: str, name: str) -> bool:
    """Whether a test's title stands at the end of its whole description, as RSpec has it."""
    titled = re.search(_DEFINES, line)
    return titled is not None and any(name.endswith(f" {m[2]}") for m in _TITLE.finditer(line) if m[2])


def _makes(line: str, name: str) -> bool:
    """Whether a title with places for values, such as `doubles %i`, comes to this name for some values."""
    titles = (match[2] for match in _TITLE.finditer(line) if _HOLE.search(match[2]))
    parts = (_HOLE.split(title) for title in titles)
    return any(
        len("".join(p).strip()) > 2 and re.fullmatch(".+?".join(map(re.escape, p)), name) is not None
        for p in parts
    )


_IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t][^\n]*import[ \t]*\([^)]*\)|import[ \t]*[({][^)}]*[)}][^\n]*"
    r"|(?:const|let|var)[ \t]*\{[^}]*\}[ \t]*=[ \t]*require[^\n]*"
    r"|(?:import|from|use|using|package|require\w*)\b[^\n]*|[^\n]*\brequire\([^\n]*|(?:#|//)[^\n]*)$",
    re.MULTILINE,
)
_WORD = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|([A-Za-z_][\w.]*)|\d[\w.]*|[^\w\s]")
_DECIDES = re.compile(
    r"assert|expect|raise|throw|check|verify|should|fail|must|skip|xfail|same|equal|match"
    r"|^(?:return|if|else|elif|for|while|try|except|catch|not|and|or|is|in|True|False|None|true|false|null|undefined)$",
    re.IGNORECASE,
)
"""Words on which it depends whether a test can fail: none of them is a name that became another."""


def only_names_differ(old: str, new: str, before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether two texts of a test file say the same, with some names exchanged for others, the same way everywhere.

    `before` and `after` name the tests in each. Imports and comments may differ, and there may be more tests.
    """
    names: dict[str, str] = {}
    there = {test: "\n".join(_block(test, [new])) for test in dict.fromkeys(after)}
    free = [test for test in there if test not in set(before)]
    for test in dict.fromkeys(before):
        block = "\n".join(_block(test, [old]))
        candidates = [test] if test in there else free
        now = next((t for t in candidates if _exchanged(block, there[t], learnt := dict(names))), None)
        if block and now is None:
            return False
        if block and now is not None:
            names = learnt
            old = old.replace(block, "", 1)
            free = [t for t in free if t != now]
    for block in there.values():
        new = new.replace(block, "", 1)
    return _exchanged(_IMPORTS.sub("", old), _IMPORTS.sub("", new), names)


def _exchanged(old: str, new: str, names: dict[str, str]) -> bool:
    """Whether `new` is `old` with names exchanged as `names` says, which learns those it does not have."""
    words = [[m for m in _WORD.finditer(text) if m[0] != ","] for text in (old, new)]
    if len(words[0]) != len(words[1]):
        return False
    for one, other in zip(*words, strict=True):
        if one[3] and other[3]:
            if one[3] != other[3] and (_DECIDES.search(one[3]) or _DECIDES.search(other[3])):
                return False
            if names.setdefault(one[3], other[3]) != other[3]:
                return False
        elif (one[1] or one[2] or one[0].strip("'\"")) != (other[1] or other[2] or other[0].strip("'\"")):
            return False
    return len(set(names.values())) == len(names)


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
    """Whether `after` has most words of `before`, everything that it calls, and every value that it compares with."""
    calls = [Counter(name for line in lines for name in _CALL.findall(line)) for lines in (before, after)]
    if {name for name in calls[0] - calls[1] if name not in names | _FRAMES}:
        return False
    old, new = _words(before, names), _words(after, names)
    kept = sum(min(count, new[token]) for token, count in old.items())
    values = [t for t in old if t[0] in "\"'" or t[0].isdigit()]
    return kept >= MOST_OF_ITS_WORDS * old.total() and all(new[v] >= old[v] for v in values)


_CALL = re.compile(r"\b(\w+)\s*\(")
_FRAMES = frozenset(
    {
        "it",
        "test",
        "specify",
        "scenario",
        "each",
        "describe",
        "context",
        "function",
        "func",
        "parametrize",
        "param",
        "Run",
    }
)
"""What stands around a test and not in it."""


_SUBTEST = re.compile(r"\bRun\(\s*\"[^\"\n]*\"")
"""A subtest's own title is no value that it compares with."""


def _words(lines: list[str], names: set[str]) -> Counter[str]:
    found = (token for line in lines for token in _TOKEN.findall(_SUBTEST.sub("Run(", line)))
    return Counter(
        token
        for token in found
        if token.strip("\"'") not in names and not any(_makes(token, name) for name in names)
    )
