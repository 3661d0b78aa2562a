"""A plugin of pytest, and by `unittest_cases` of unittest: what a test asks of the code is asked again.

With other arguments then, and the answers are written down. It runs in the interpreter of the tests (from Python 3.9
on): it needs the standard library only, and the whole folder is copied beside its report `calls.jsonl`. A call from a
test into the repository, with plain values only, is repeated in a child: as it is, with equal values that `repr`
writes otherwise, with some sixty others, and as it is once more. The test sees none of it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

from .child import Given, Named, arguments_text, ask_child
from .others import is_plain, leaves

MOST_OF_ONE, MOST_CALLS, MOST_LOOKS = 8, 60, 50
SECONDS = 30.0
"""For all children together."""
REPORT = "calls.jsonl"
COROUTINE, ASYNC_GENERATOR = 0x80, 0x200
"""Flags of a function's code."""


class Calls:
    """Sees what a test calls, and asks a child about it."""

    def __init__(self, root: str, report: str) -> None:
        self.root, self.report = os.path.realpath(root) + os.sep, report
        self.test_file, self.test_id = "", ""
        self.spent = 0.0
        self.seen: set[tuple[str, str]] = set()
        self.asked: dict[str, int] = {}
        self.looked: dict[types.CodeType, int] = {}

    def __call__(self, frame: types.FrameType, event: str, _: object) -> None:
        """As `sys.setprofile` calls it."""
        if event != "call" or frame.f_back is None:
            return
        code = frame.f_code
        caller = self._who_awaits(frame.f_back) if code.co_flags & COROUTINE else frame.f_back
        if caller is None or caller.f_code.co_filename != self.test_file:
            return
        if not self._is_ours(code) or self.spent > SECONDS or len(self.seen) >= MOST_CALLS:
            return
        self.looked[code] = self.looked.get(code, 0) + 1
        if self.looked[code] > MOST_LOOKS:
            return
        began = time.monotonic()
        with contextlib.suppress(Exception):
            self._see(frame, code)
        self.spent += time.monotonic() - began

    def _who_awaits(self, frame: types.FrameType | None) -> types.FrameType | None:
        """The nearest frame of the repository: an event loop of somebody else's may stand between."""
        while frame is not None and not (
            frame.f_code.co_filename.startswith(self.root) and "site-packages" not in frame.f_code.co_filename
        ):
            frame = frame.f_back
        return frame

    def _is_ours(self, code: types.CodeType) -> bool:
        file = code.co_filename
        if file == self.test_file or code.co_name.startswith(("<", "__")) or code.co_flags & ASYNC_GENERATOR:
            return False
        return file.startswith(self.root) and "site-packages" not in file and not file.endswith("conftest.py")

    def _see(self, frame: types.FrameType, code: types.CodeType) -> None:
        owner, given, named = _arguments(frame, code)
        if not is_plain((given, named)) or not any(True for _ in leaves((*given, *named.values()))):
            return
        file, text = os.path.realpath(code.co_filename)[len(self.root) :], arguments_text(given, named)
        function = _function_of(frame, code, owner)
        if function is None:
            return
        name = f"{function.__module__}.{function.__qualname__}"
        if (name, text) in self.seen or self.asked.get(name, 0) >= MOST_OF_ONE:
            return
        self.seen.add((name, text))
        self.asked[name] = self.asked.get(name, 0) + 1
        found = ask_child(function, owner, given, named)
        if found:
            place = {"file": file, "line": code.co_firstlineno, "test": self.test_id, "args": text}
            called = {"module": str(function.__module__), "name": function.__qualname__}
            self.write({**place, **called, **found})

    def write(self, record: dict[str, Any]) -> None:
        """Add a line to the report."""
        with open(self.report, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _arguments(frame: types.FrameType, code: types.CodeType) -> tuple[Any, Given, Named]:
    there = frame.f_locals
    names = list(code.co_varnames)
    plain, only_named = code.co_argcount, code.co_kwonlyargcount
    given = [there[n] for n in names[:plain]]
    named = {n: there[n] for n in names[plain : plain + only_named]}
    rest = plain + only_named
    if code.co_flags & 0x04:
        given += there[names[rest]]
        rest += 1
    if code.co_flags & 0x08:
        named.update(there[names[rest]])
    if plain and names[0] in ("self", "cls"):
        return given[0], tuple(given[1:]), named
    return None, tuple(given), named


def _function_of(frame: types.FrameType, code: types.CodeType, owner: Any) -> types.FunctionType | None:
    """The function that runs in this frame; None where several could be it."""
    near = [frame.f_globals.get(code.co_name)]
    if owner is not None:
        kind = owner if isinstance(owner, type) else type(owner)
        near += [vars(k).get(code.co_name) for k in kind.__mro__]
    for one in near:
        one = getattr(one, "__func__", one)
        if getattr(one, "__code__", None) is code:
            return one
    there = frame.f_locals
    found = [
        f for f in gc.get_referrers(code)
        if isinstance(f, types.FunctionType) and f.__code__ is code and _closes_over(f, code, there)
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _closes_over(function: types.FunctionType, code: types.CodeType, there: dict[str, Any]) -> bool:
    cells = zip(code.co_freevars, function.__closure__ or ())  # noqa: B905 - Python 3.8 and 3.9 know no `strict`
    with contextlib.suppress(ValueError):
        return all(there.get(name) is cell.cell_contents for name, cell in cells)
    return False


_calls: Calls | None = None


def pytest_configure(config: Any) -> None:
    """Nothing is seen where a process cannot be forked."""
    global _calls
    if hasattr(os, "fork"):
        _calls = Calls(str(config.rootpath), str(Path(__file__).parent.with_name(REPORT)))


def pytest_runtest_call(item: Any) -> None:
    """A test is watched while its own function runs, not its fixtures: plugins are asked before pytest itself."""
    if _calls is not None and sys.getprofile() is None:
        _calls.test_file, _calls.test_id = str(getattr(item, "path", item.fspath)), item.nodeid
        sys.setprofile(_calls)


def pytest_runtest_teardown() -> None:
    """Its function has ended."""
    if _calls is not None and sys.getprofile() is _calls:
        sys.setprofile(None)


def pytest_runtest_logreport(report: Any) -> None:
    """How it ended: only what a test that passes asks is judged."""
    if _calls is not None and report.when == "call" and report.passed:
        _calls.write({"passed": report.nodeid})
