"""Tables whose every row takes a whole run or a real runner: some at every `make test`, all in `make test-all`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def few(rows: Iterable[Any], quick: int) -> list[Any]:
    """The rows for `parametrize`; `quick` of them, evenly spread from the first one on, are not slow."""
    table = list(rows)
    return _slow_but(table, {n * len(table) // quick for n in range(quick)})


def one_of_each(rows: Iterable[str]) -> list[Any]:
    """The rows for `parametrize`, named `kind: words`; the first of each kind is not slow."""
    table = list(rows)
    firsts = {row.partition(": ")[0]: n for n, row in reversed([*enumerate(table)])}
    return _slow_but(table, firsts.values())


def _slow_but(table: list[Any], kept: Collection[int]) -> list[Any]:
    return [row if n in kept else _slow(row) for n, row in enumerate(table)]


def _slow(row: Any) -> Any:
    """A tuple is a row of several values."""
    if hasattr(row, "marks"):  # a `pytest.param`
        return pytest.param(*row.values, id=row.id, marks=[*row.marks, pytest.mark.slow])
    return pytest.param(*(row if isinstance(row, tuple) else [row]), marks=pytest.mark.slow)
