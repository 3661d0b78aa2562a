"""A plugin of pytest: what some functions give to a test is another value, and the tests that met one are written down.

A test that passes with it looks at what a function gives, and takes anything. The functions come by name and file in
`altered.json` beside this folder. Only what the test's own file calls is altered, so that no code is misled.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

from .others import is_plain

NAMES, MET = "altered.json", "met.jsonl"


def other_value(value: Any) -> Any:
    """A value of the same kinds and sizes that equals it nowhere; the same object where there is none."""
    if not is_plain(value):
        return value
    kind = type(value)
    if kind is bool:
        return not value
    if kind is int:
        return value + 1
    if kind is float:
        return value * 1.5 + 1.0
    if kind is str:
        return "".join(map(_other_letter, value))
    if kind is dict:
        return {k: other_value(v) for k, v in value.items()}
    return kind(other_value(v) for v in value) if kind in (list, tuple, set, frozenset) else value


def _other_letter(c: str) -> str:
    if c.isdigit():
        return str((int(c) + 1) % 10) if c in "0123456789" else c
    return chr(ord(c) + 1) if c.isascii() and c.isalpha() and c not in "zZ" else "a" if c in "zZ" else c


class Alters:
    """Puts itself before the functions, and knows which test runs."""

    def __init__(self, root: str, folder: Path) -> None:
        said = json.loads((folder / NAMES).read_text(encoding="utf-8"))
        self.files = {os.path.realpath(f"{root}/{file}") for file in said["files"]}
        self.names, self.report = set(said["functions"]), folder / MET
        self.test_file, self.test_id = "", ""
        self.seen: set[str] = set()
        self.known: dict[types.FunctionType, Any] = {}

    def begin(self, file: str, test_id: str) -> None:
        """A test begins: what was imported since the last one is altered, too."""
        self.test_file, self.test_id = file, test_id
        for name, module in list(sys.modules.items()):
            if name not in self.seen and getattr(module, "__file__", None):
                self.seen.add(name)
                self._alter(module, vars(module))

    def _alter(self, owner: Any, there: Any) -> None:
        for name, value in list(there.items()):
            if isinstance(value, type) and value.__module__ == getattr(owner, "__name__", None):
                self._alter(value, vars(value))
            inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if isinstance(inner, types.FunctionType) and self._is_meant(inner):
                other = self._other(inner)
                setattr(owner, name, type(value)(other) if inner is not value else other)

    def _is_meant(self, function: types.FunctionType) -> bool:
        code = function.__code__
        return code.co_name in self.names and os.path.realpath(code.co_filename) in self.files

    def _other(self, function: types.FunctionType) -> Any:
        @functools.wraps(function)
        def altered(*given: Any, **named: Any) -> Any:
            value = function(*given, **named)
            if sys._getframe(1).f_code.co_filename != self.test_file:  # noqa: SLF001
                return value
            other = other_value(value)
            if other is not value and other != value:
                self.write({"met": self.test_id})
            return other

        return self.known.setdefault(function, altered)

    def write(self, record: dict[str, str]) -> None:
        """Add a line to the report."""
        with open(self.report, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


_alters: Alters | None = None


def pytest_configure(config: Any) -> None:
    """Reads what is to be altered."""
    global _alters
    _alters = Alters(str(config.rootpath), Path(__file__).parent.parent)


def pytest_runtest_call(item: Any) -> None:
    """Plugins are asked before pytest runs the test itself."""
    if _alters is not None:
        _alters.begin(str(getattr(item, "path", item.fspath)), item.nodeid)


def pytest_runtest_teardown() -> None:
    """What a fixture's end calls is given as it is."""
    if _alters is not None:
        _alters.test_file = ""
