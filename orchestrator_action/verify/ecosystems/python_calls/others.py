"""Other arguments for a call: varied ones, and equal ones that `repr` writes in another way. Pure."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

MOST_VARIED = 60
MOST_LEAVES = 2_000
_Change = Callable[[Any], Any]


def is_plain(value: Any, left: list[int] | None = None) -> bool:
    """Whether it is made of numbers, texts and containers of them, and is not too large."""
    left = left or [MOST_LEAVES]
    left[0] -= 1
    kind = type(value)
    if left[0] < 0:
        return False
    if kind in (list, tuple, set, frozenset):
        return all(is_plain(v, left) for v in value)
    if kind is dict:
        return all(is_plain(k, left) and is_plain(v, left) for k, v in value.items())
    return value is None or kind in (int, float, str, bool)


def _change(value: Any, change: _Change) -> Any:
    """The value with `change` made wherever it gives another one."""
    changed = change(value)
    if changed is not value:
        return changed
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(_change(v, change) for v in value)
    return {k: _change(v, change) for k, v in value.items()} if kind is dict else value


def _number(change: _Change) -> _Change:
    return lambda v: change(v) if type(v) in (int, float) else v


def _text(change: _Change) -> _Change:
    return lambda v: change(v) if type(v) is str and v else v


def _sequence(change: _Change) -> _Change:
    return lambda v: change(v) if type(v) in (list, tuple, str) and v else v


def _turn(steps: int) -> _Change:
    """Each letter and digit becomes another one of its kind."""

    def turn(c: str) -> str:
        for first, size in (("0", 10), ("a", 26), ("A", 26)):
            if 0 <= ord(c) - ord(first) < size:
                return chr((ord(c) - ord(first) + steps) % size + ord(first))
        return c

    return _text(lambda s: "".join(map(turn, s)))


_EVERYWHERE = (
    _number(lambda n: n + 1), _number(lambda n: n - 1), _number(lambda n: n * 2), _number(lambda n: n + 10),
    _number(lambda n: n + 3), _number(lambda n: -n), _turn(1), _turn(7), _text(str.swapcase),
    _sequence(lambda s: s[::-1]), _sequence(lambda s: s + s[-1:]), _sequence(lambda s: s[:-1]),
    _sequence(lambda s: s[1:]), _sequence(lambda s: s + s), _sequence(lambda s: s[1:] + s[:1]),
    lambda v: not v if type(v) is bool else v,
)  # fmt: skip
"""Changes of all arguments at once: what holds between them often goes on to hold."""


def leaves(value: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Every number and text in lists and tuples, with the way to it."""
    if type(value) in (list, tuple):
        for n, part in enumerate(value):
            yield from leaves(part, (*path, n))
    elif type(value) in (int, float, str):
        yield path, value


def _put(value: Any, path: tuple[int, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    parts = list(value)
    parts[path[0]] = _put(parts[path[0]], path[1:], leaf)
    return type(value)(parts)


def variations(given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Other tuples of arguments of the same kinds: the same ones for the same tuple, in the same order."""
    found, seen = [], {repr(given)}
    for make in _ways(given):
        with contextlib.suppress(Exception):
            other = make()
            if repr(other) not in seen:
                seen.add(repr(other))
                found.append(other)
    return found[:MOST_VARIED]


def _ways(given: tuple[Any, ...]) -> Iterator[Callable[[], tuple[Any, ...]]]:
    for change in _EVERYWHERE:
        yield functools.partial(_changed, given, change)
    for path, leaf in list(leaves(given))[:12]:
        if type(leaf) is str:
            others: list[Any] = [leaf + leaf[-1:], leaf[:-1], leaf[::-1]]
        else:
            others = [leaf + 1, leaf - 1, leaf + 5]
        for other in others:
            yield functools.partial(_put, given, path, other)


def _changed(given: tuple[Any, ...], change: _Change) -> tuple[Any, ...]:
    return tuple(_change(value, change) for value in copy.deepcopy(given))


def kinds_with(mark: str) -> dict[type, type]:
    """Numbers and texts equal to the plain ones, that `repr` writes with `mark` behind them."""

    def kind(plain: Any) -> type:
        body = {
            "__repr__": lambda self: plain.__repr__(self) + mark,
            "__str__": lambda self: str.__str__(self) if plain is str else plain.__repr__(self),
        }
        return type(plain.__name__, (plain,), body)

    return {plain: kind(plain) for plain in (int, float, str)}


def spelled(value: Any, kinds: dict[type, type]) -> Any:
    """The same value, of these kinds."""
    kind = type(value)
    if kind in kinds:
        return kinds[kind](value)
    if kind in (list, tuple, set, frozenset):
        return kind(spelled(v, kinds) for v in value)
    return {spelled(k, kinds): spelled(v, kinds) for k, v in value.items()} if kind is dict else value
