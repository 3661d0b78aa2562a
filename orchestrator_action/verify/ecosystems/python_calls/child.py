"""One call asked again in a forked child, which has no open files and may write, start and connect nothing."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import resource
import select
import signal
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any, Optional

from .others import kinds_with, spelled, variations

CHILD_S, CALL_S = 10.0, 0.2
"""Of the clock for a child, of CPU for each of its calls."""
NO_ANSWER = "?"
"""A call that took too long, or that would have had an effect."""
_INVISIBLE = ("\u2063", "\u2064\u2064", "\u2062\u2062\u2062")
Given = tuple[Any, ...]
Named = dict[str, Any]
_Answer = Optional[tuple[str, Any]]  # noqa: UP045 - Python 3.9 has no `|` for types


class _Stop(BaseException):
    """The time of a call is over, or it tried to have an effect."""


_NO_EFFECT = re.compile(
    r"(?:import|compile|exec|marshal\..*|code\.__new__|object\.__\w+__|sys\._getframe|sys\._current_frames"
    r"|os\.(?:listdir|scandir|walk|fwalk|getxattr|listxattr)|glob\..*|pathlib\..*|builtins\.id|function\.__new__"
    r"|array\.__new__|pickle\.find_class|sys\.(?:unraisablehook|excepthook)|gc\..*|re\..*|time\.sleep)"
)


def _forbid_effects(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        mode, flags = args[1], args[2]
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if not (isinstance(mode, str) and set(mode) & set("wax+")) and not (flags or 0) & writes:
            return
    elif _NO_EFFECT.fullmatch(event):
        return
    raise _Stop


def _stop(*_: object) -> None:
    raise _Stop


def _answer(function: types.FunctionType, owner: Any, given: Given, named: Named) -> _Answer:
    """The value, or the kind of error; None where there is no answer."""
    try:
        own = () if owner is None else (owner if isinstance(owner, type) else copy.deepcopy(owner),)
        signal.setitimer(signal.ITIMER_PROF, CALL_S)
        value = function(*own, *given, **named)
        if isinstance(value, types.GeneratorType):
            value = [next(value, None) for _ in range(200)]
        return _awaited(value) if isinstance(value, types.CoroutineType) else ("=", value)
    except (_Stop, OSError, MemoryError, RecursionError):
        return None
    except Exception as exc:  # noqa: BLE001 - any error is an answer
        return ("!", type(exc).__name__)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _awaited(coroutine: types.CoroutineType[Any, Any, Any]) -> _Answer:
    """What it comes to, where it waits for nothing but its turn: there is no event loop."""
    try:
        for _ in range(200):
            if coroutine.send(None) is not None:
                return None
    except StopIteration as end:
        return ("=", end.value)
    except RuntimeError as exc:
        if "event loop" not in str(exc):
            raise
    finally:
        coroutine.close()
    return None


def _words(answer: _Answer) -> str:
    if answer is None:
        return NO_ANSWER
    try:
        told = answer[1] if answer[0] == "!" else f"{type(answer[1]).__name__} {answer[1]!r}"
    except Exception:  # noqa: BLE001 - a `__repr__` of the code under test
        return NO_ANSWER
    for mark in reversed(_INVISIBLE):
        told = told.replace(mark, "")
    return answer[0] + re.sub(r"\b0x[0-9a-f]+", "0x", told)[:400]


def _other_spelling(ask: Callable[..., _Answer], given: Given, named: Named) -> bool | None:
    """Whether equal arguments that are spelled in another way get another answer; None where nobody can say."""
    plain, control = ask(given, named), ask(*spelled((given, named), kinds_with("")))
    if plain is None or not _same(plain, control):
        return None
    for mark in _INVISIBLE:
        other = ask(*spelled((given, named), kinds_with(mark)))
        if other is not None and not _same(plain, other):
            return True
    return False


def _same(one: _Answer, other: _Answer) -> bool:
    if one is None or other is None or one[0] != other[0]:
        return False
    with contextlib.suppress(Exception):
        if one[1] == other[1]:
            return True
    return _words(one).partition(" ")[2] == _words(other).partition(" ")[2] != ""


def arguments_text(given: Given, named: Named) -> str:
    """Arguments as a call writes them, cut."""
    return ", ".join([*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())])[:300]


def _in_child(
    function: types.FunctionType, owner: Any, given: Given, named: Named, out: int
) -> dict[str, Any]:
    for limit, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CPU, 4), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))
    nothing = os.open(os.devnull, os.O_RDWR)
    for n in (0, 1, 2):
        os.dup2(nothing, n)
    os.closerange(3, out)
    os.closerange(out + 1, 4096)
    signal.signal(signal.SIGPROF, _stop)
    sys.addaudithook(_forbid_effects)

    def ask(given: Given, named: Named) -> _Answer:
        return _answer(function, owner, copy.deepcopy(given), copy.deepcopy(named))

    first, second = ask(given, named), ask(given, named)
    if first is None or _words(first) != _words(second):
        return {}
    varied = []
    for other in variations((*given, *named.values())):
        plain, more = other[: len(given)], dict(zip(named, other[len(given) :]))  # noqa: B905
        varied.append([arguments_text(plain, more), _words(ask(plain, more))])
    last = ask(given, named)
    return {
        "answer": _words(first), "varied": varied, "last": _words(last),
        "spelling": _other_spelling(ask, given, named),
    }  # fmt: skip


def ask_child(function: types.FunctionType, owner: Any, given: Given, named: Named) -> dict[str, Any]:
    """What a child found; empty where it came to no end, or where the same call has no answer of its own."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        try:
            sys.setprofile(None)
            told = json.dumps(_in_child(function, owner, given, named, write)).encode()
            while told:
                told = told[os.write(write, told) :]
        finally:
            os._exit(0)
    os.close(write)
    try:
        found: dict[str, Any] = json.loads(_read(read, child) or b"{}")
        return found
    finally:
        os.close(read)
        os.waitpid(child, 0)


def _read(pipe: int, child: int) -> bytes:
    told, end = b"", time.monotonic() + CHILD_S
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        more = os.read(pipe, 65536) if ready else b""
        if not more:
            if not ready:
                os.kill(child, signal.SIGKILL)
                return b""
            return told
        told += more
