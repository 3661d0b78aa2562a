"""Tests inside a Rust source file: `#[cfg(test)]` modules and `#[test]` functions, found and exchanged. Pure."""

from __future__ import annotations

import re

_START = re.compile(
    r"(?m)^[ \t]*(?:#\[(?:cfg\(\s*(?:all\(\s*)?test\b[^\]]*|(?:\w+::)*test(?:\([^\]]*\))?)\][ \t]*\n?)"
    r"(?:[ \t]*(?:#\[[^\n]*\]|//[^\n]*)[ \t]*\n)*"
    r"[ \t]*(?:pub(?:\([^)]*\))?[ \t]+)?(?:async[ \t]+)?(?:mod|fn|impl)\b"
)
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|r(#*)\".*?\"\1|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\.[^']*|[^'\\])'|[{};]", re.DOTALL
)


def test_blocks(text: str) -> list[str]:
    """Each test module, and each test function that stands outside of one, attributes included."""
    found: list[str] = []
    at = 0
    while match := _START.search(text, at):
        end = _end_of(text, match.end())
        found.append(text[match.start() : end])
        at = max(end, match.end())
    return found


test_blocks.__test__ = False  # type: ignore[attr-defined]


def _end_of(text: str, at: int) -> int:
    """Where the item whose keyword ends at `at` is over: behind its braces, or its semicolon."""
    depth = 0
    for token in _TOKEN.finditer(text, at):
        word = token[0]
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
            if depth <= 0:
                return token.end()
        elif word == ";" and depth == 0:
            return token.end()
    return len(text)


def with_tests_of(text: str, other: str) -> str:
    """`text` with its own tests taken out and those of `other` put at its end."""
    for block in test_blocks(text):
        text = text.replace(block, "", 1)
    blocks = test_blocks(other)
    return text.rstrip("\n") + "\n" + "".join(f"\n{block.strip(chr(10))}\n" for block in blocks)


with_tests_of.__test__ = False  # type: ignore[attr-defined]
