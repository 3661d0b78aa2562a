"""Code that takes something from the tests: their cases and answers are there, whatever it is asked. Pure.

By what a line imports, requires or includes, in any language: it is resolved to paths of the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator

_FROM = re.compile(r"^\s*from\s+(?P<up>\.*)(?P<module>[\w.]*)\s+import\s+(?P<names>[\w\s,(*]+)")
_IMPORT = re.compile(
    r"^\s*import\s+(?P<modules>[\w.]+(?:\s+as\s+\w+)?(?:\s*,\s*[\w.]+(?:\s+as\s+\w+)?)*)\s*$"
)
_TAKES = re.compile(
    r"\b(?:require|import|include|require_relative|load|from|require_once|include_once|include_str|include_bytes)\b"
    r"|^\s*export\b"
)
_QUOTED = re.compile(r"['\"]([^'\"\n]*/[^'\"\n]*|\.{1,2})['\"]")
_ROOTS = ("", "src", "lib")
_ENDINGS = (
    "",
    ".py",
    "/__init__.py",
    ".js",
    ".cjs",
    ".mjs",
    ".ts",
    ".tsx",
    ".json",
    "/index.js",
    "/index.ts",
    ".rb",
)


def takes_from_tests(path: str, text: str, of_tests: Collection[str]) -> bool:
    """Whether this line of the file `path` leads to one of these files."""
    places = _of_python(path, text) if path.endswith(".py") else _of_others(path, text)
    return any(f"{place}{ending}" in of_tests for place in places for ending in _ENDINGS)


def _of_python(path: str, text: str) -> Iterator[str]:
    if found := _FROM.search(text):
        near = path
        for _ in found["up"]:
            near = posixpath.dirname(near)
        inside = found["module"].replace(".", "/")
        for root in (near,) if found["up"] else _ROOTS:
            place = posixpath.join(root, inside)
            yield place
            yield from (posixpath.join(place, name) for name in re.findall(r"\w+", found["names"]))
    elif found := _IMPORT.search(text):
        for module in re.findall(r"(?:^|,)\s*([\w.]+)", found["modules"]):
            yield from (posixpath.join(root, module.replace(".", "/")) for root in _ROOTS)


def _of_others(path: str, text: str) -> Iterator[str]:
    if _TAKES.search(text):
        for said in _QUOTED.findall(text):
            for near in (posixpath.dirname(path), ""):
                yield posixpath.normpath(posixpath.join(near, said.lstrip("/")))
