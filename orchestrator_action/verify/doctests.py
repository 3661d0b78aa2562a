"""Examples in the documentation of code that a runner tests: found and exchanged as a test file is. Pure.

Those of Python's docstrings (`>>>`), where the base's commands or settings run them, and of Rust's `///` comments.
A docstring belongs to the sources, its examples to the tests: where a branch changes or drops one, the base's own
documentation is put back before the base's tests are run on the new code. What a branch only adds stays.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from orchestrator_action.verify.ecosystems.functions import offsets

ENDINGS = (".py", ".rs")
_GLOB = re.compile(r"--doctest-glob[=\s]+['\"]?([^\s'\",\]]+)")
_FILES = re.compile(r"\b(?:DocFileSuite|DocFileTest|testfile)\(([^)]*)\)")
_RUST = re.compile(
    r"(?m)(?P<doc>(?:^[ \t]*///[^\n]*\n)+)(?:[ \t]*#\[[^\n]*\n)*[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?"
    r"(?:(?:async|const|unsafe|extern(?:[ \t]+\"\w+\")?)[ \t]+)*"
    r"(?P<kind>fn|struct|enum|trait|mod|type|static|union|macro_rules!)[ \t]+(?P<name>\w+)"
)
_FENCED = re.compile(r"(?ms)^```([^\n]*\n.*?)^```")


class _Doc(NamedTuple):
    start: int
    end: int
    examples: tuple[str, ...]


def document_patterns(texts: str) -> tuple[str, ...]:
    """The documents whose examples are tests, as patterns of file names, by commands, settings and test files."""
    files = [name for said in _FILES.findall(texts) for name in re.findall(r"['\"]([\w./-]+)['\"]", said)]
    return tuple(dict.fromkeys([*_GLOB.findall(texts), *(f.rpartition("/")[2] for f in files)]))


def with_doctests_of(path: str, text: str, other: str) -> str:
    """`text` with the documentation of `other` in the place of its own, wherever an example of `other` is not in it."""
    find = _of_python if path.endswith(".py") else _of_rust
    mine, theirs = dict(find(text)), dict(find(other))
    for key, doc in sorted(mine.items(), key=lambda item: item[1].start, reverse=True):
        old = theirs.get(key)
        if old and Counter(old.examples) - Counter(doc.examples):
            text = text[: doc.start] + other[old.start : old.end] + text[doc.end :]
    return text


def _of_python(text: str) -> Iterator[tuple[str, _Doc]]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    offset, parser = offsets(text), doctest.DocTestParser()
    left: list[tuple[str, ast.AST]] = [("", module)]
    while left:
        name, node = left.pop()
        for child in ast.iter_child_nodes(node):
            own = getattr(child, "name", "")
            left.append((f"{name}.{own}" if own else name, child))
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
            continue
        said, end = first.value.value, (first.end_lineno or 1, first.end_col_offset or 0)
        if isinstance(said, str):
            try:
                examples = tuple(f"{e.source}\n{e.want}" for e in parser.get_examples(said))
            except ValueError:
                examples = (said,)
            yield name, _Doc(offset(first.lineno, first.col_offset), offset(*end), examples)


def _of_rust(text: str) -> Iterator[tuple[str, _Doc]]:
    seen: Counter[str] = Counter()
    for match in _RUST.finditer(text):
        lines = "".join(line.strip()[3:].removeprefix(" ") + "\n" for line in match["doc"].splitlines())
        name = f"{match['kind']} {match['name']}"
        seen[name] += 1
        examples = tuple(m.strip() for m in _FENCED.findall(lines))
        yield f"{name} {seen[name]}", _Doc(match.start("doc"), match.end("doc"), examples)
