"""Regular expressions work on every Python we promise, Debian 12's 3.11.2 too."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orchestrator_action
from orchestrator_action.text.token_shapes import TOKEN_SHAPES

BROKEN_BEFORE_3_11_5 = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}
"""Source: github.com/python/cpython, issue 106052."""
ROOT = Path(orchestrator_action.__file__).parent


def operations(pattern: str | bytes, flags: int) -> set[str]:
    """The names of all operations a pattern is made of."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, re._parser.SubPattern):  # type: ignore[attr-defined]
            node = node.data
        if isinstance(node, (list, tuple)):
            for part in node:
                walk(part)
        elif isinstance(node, re._constants._NamedIntConstant):  # type: ignore[attr-defined]
            found.add(node.name)

    walk(re._parser.parse(pattern, flags))  # type: ignore[attr-defined]
    return found


def compiled(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from compiled(tuple(value.values()))
    elif isinstance(value, (tuple, list, set, frozenset)):
        for part in value:
            yield from compiled(part)


def of_modules() -> Iterator[tuple[str, str | bytes, int]]:
    for found in pkgutil.walk_packages([str(ROOT)], "orchestrator_action."):
        if not found.name.endswith("__main__"):
            for value in vars(importlib.import_module(found.name)).values():
                for pattern in compiled(value):
                    yield found.name, pattern.pattern, pattern.flags


def of_tokens() -> Iterator[tuple[str, str | bytes, int]]:
    """The table of token shapes, which is compiled row by row when it is needed."""
    for shape in TOKEN_SHAPES:
        for pattern in (shape.shape, shape.real, shape.head):
            yield shape.kind, pattern, 0


def of_calls() -> Iterator[tuple[str, str | bytes, int]]:
    """`re.match("…", …)` and its like, wherever they are called."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re")), args=[ast.Constant(value=str() as text), *_]
                ):
                    yield str(path), text, re.VERBOSE if "re.VERBOSE" in ast.unparse(node) else 0
                case _:
                    pass


def test_no_pattern_needs_what_is_broken_before_python_3_11_5():
    """Possessive quantifiers and atomic groups let hidden text through there."""
    patterns = [*of_modules(), *of_calls(), *of_tokens()]

    assert len(patterns) > 150, "the search finds the patterns of the package"
    assert {"POSSESSIVE_REPEAT"} == BROKEN_BEFORE_3_11_5 & operations("a*+", 0), "and would see one"
    assert [] == [(w, p) for w, p, flags in patterns if BROKEN_BEFORE_3_11_5 & operations(p, flags)]
