"""Where the bodies of functions begin in a source, and what makes one do nothing when it stands there first. Pure.

By the endings of files. What a function gives then is a value that is like no other, or an end that nobody expects:
a test that looks at what the function does fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestrator_action.verify.ecosystems.defeats import SCRIPTS
from orchestrator_action.verify.rust_tests import test_blocks


class Body(NamedTuple):
    """One function: its own name, the offset at which its body begins, and what is put there."""

    name: str
    at: int
    nothing: str


def bodies_in(path: str, text: str) -> list[Body]:
    """Every function of a source, in its order; none where the language is not known or the text does not parse."""
    ending = path.rpartition(".")[2].lower()
    if ending == "py":
        return sorted(_of_python(text), key=lambda b: b.at)
    blocks = test_blocks(text) if ending == "rs" else ()
    spans = [(at, at + len(b)) for b in blocks if (at := text.find(b)) >= 0]
    found = [
        Body(next(filter(None, m.groups())), m.end(), nothing)
        for endings, pattern, nothing in _DEFINED
        if ending in endings
        for m in pattern.finditer(text)
        if not any(start <= m.end() <= end for start, end in spans)
    ]
    return sorted((b for b in found if b.name not in _NO_NAMES), key=lambda b: b.at)


def without(text: str, bodies: list[Body]) -> str:
    """The text with these functions of it made to do nothing."""
    for body in sorted(bodies, key=lambda b: b.at, reverse=True):
        text = text[: body.at] + body.nothing + text[body.at :]
    return text


_NO_NAMES = frozenset(
    {"if", "for", "while", "switch", "catch", "with", "function", "constructor", "return", "else"}
)
_NO_VALUE = "Symbol.iterator"
_DEFINED: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (SCRIPTS, re.compile(
        r"(?:\bfunction\s*\*?\s*(\w+)|(?:\b(?:const|let|var)\s+|\.)(\w+)\s*(?::[^=\n]+)?=\s*(?:async\s+)?function\b[^(\n]*)"
        r"\s*\([^)]*\)[^{;\n]*\{"
        r"|(?:\b(?:const|let|var)\s+|\.)(\w+)\s*(?::[^=\n]+)?=\s*(?:async\s*)?(?:\([^)]*\)[^=\n]*|\w+\s*)=>\s*\{"
        r"|^[ \t]+(?:(?:async|static|public|private)\s+)*(\w+)\s*\([^)]*\)(?:\s*:[^{;\n]+)?\s*\{", re.MULTILINE),
     f" return {_NO_VALUE}; "),
    (SCRIPTS, re.compile(
        r"(?:\b(?:const|let|var)\s+|\.)(\w+)\s*=\s*(?:async\s*)?(?:\([^)]*\)|\w+)\s*=>\s*(?![\s{])"),
     f"true ? {_NO_VALUE} : "),
    (("rb",), re.compile(r"^[ \t]*def\s+(?:self\.)?(\w+[?!]?)[ \t]*(?:\([^)\n]*\))?[ \t]*(?=\n)", re.MULTILINE), "\n return Object"),
    (("php",), re.compile(r"\bfunction\s+&?(\w+)\s*\([^)]*\)[^{;]*\{"), " throw new \\Error('nothing'); "),
    (("go",), re.compile(r"^func\s+(?:\([^)]*\)\s*)?(\w+)\s*\([^{\n]*\{", re.MULTILINE), ' panic("nothing"); '),
    (("pm", "pl"), re.compile(r"\bsub\s+(\w+)\s*(?:\([^)]*\)\s*)?\{"), " return \\0; "),
    (("rs",), re.compile(
        r"^[ \t]*(?:pub(?:\([^)\n]*\))?\s+)?(?:(?:async|const|unsafe|extern(?:\s+\"\w+\")?)\s+)*fn\s+(\w+)[^{};]*\{", re.MULTILINE),
     ' panic!("nothing"); '),
    (("c", "cc", "cpp", "cxx", "h", "hpp"), re.compile(
        r"^(?![ \t#}]|typedef\b|return\b|else\b)[\w:<>,&*~ \t]*?[\s*&]\**(?:\w+::)*(\w+)\s*\([^;{}()]*(?:\([^;{}()]*\)[^;{}()]*)*\)[\w\s&]*\{", re.MULTILINE),
     " __builtin_trap(); "),
    (("java",), re.compile(
        r"^[ \t]*(?:@\w+\s+)*(?:(?:public|protected|private|static|final|synchronized|default)\s+)*(?:<[^>\n]*>\s*)?"
        r"(?!(?:return|new|else|throw|case)\b)[\w.]+(?:<[^;{}()]*>)?(?:\[\])*\s+(\w+)\s*\([^;{}]*\)\s*(?:throws\s+[\w.,\s]+)?\{", re.MULTILINE),
     ' if (true) throw new IllegalStateException("nothing"); '),
    (("sh", "bash"), re.compile(r"^[ \t]*(?:function\s+)?([\w:-]+)\s*\(\)\s*\{", re.MULTILINE), " return 99; "),
)  # fmt: skip
"""Endings, how a function is defined up to where its body begins, and what is put there."""


def _of_python(text: str) -> Iterator[Body]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    offset = offsets(text)
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
            first = node.body[0]
            above = getattr(first, "decorator_list", [])
            at = min((n.lineno, n.col_offset) for n in (first, *above))
            at = (at[0], at[1] - 1) if above else at
            indent = "\n" + " " * at[1] if at[0] > node.lineno else "; "
            yield Body(node.name, offset(*at), f"return Ellipsis{indent}")


def offsets(text: str) -> Callable[[int, int], int]:
    """Gives where a line and a column of the parser, which counts bytes, are in the text."""
    lines = text.splitlines(keepends=True) if "\f" not in text else re.split(r"(?<=\n)", text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode(errors="replace"))

    return offset
