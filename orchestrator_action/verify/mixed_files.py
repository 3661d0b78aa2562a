"""Files of which only a part says how tests run: that part of one text put into another. Pure.

Dependencies, entry points and build settings belong to the sources; scripts and runner options to the tests.
Where nobody can take a file apart, it is taken whole when that part differs.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator_action.verify.ecosystems.testfiles import ways_text

_PACKAGE_KEYS = (
    "scripts", "jest", "mocha", "ava", "vitest", "tap", "nyc", "c8", "jasmine", "test", "wireit", "babel",
)  # fmt: skip
_TOML_SECTIONS = re.compile(
    r"project\.entry-points\.['\"]?pytest11\b|tool\.(?:pytest[\w-]*|tox|coverage|hatch\.envs|poe|pdm\.scripts|taskipy|nox)\b"
)
_INI_SECTIONS = re.compile(r"(?:tool:)?pytest|testenv.*|tox|coverage:.*|nosetests|unittest|aliases")
_CARGO_TESTS = re.compile(r"\[test\]|lib|test|features|profile\.test")


def merged(path: str, mine: str, theirs: str, commands: Sequence[str]) -> str | None:
    """`mine` with what `theirs` says of tests; None when both say the same of them."""
    name = path.rpartition("/")[2]
    merge: Callable[[str, str], str] | None = _BY_NAME.get(name)
    if merge is None:
        same = ways_text(path, mine, commands) == ways_text(path, theirs, commands)
        return None if same or not theirs else theirs
    if not mine:
        return theirs if ways_text(path, theirs, commands) else None
    try:
        text = merge(mine, theirs)
    except (ValueError, RecursionError):
        return theirs or None
    return None if text == mine else text


def _package_json(mine: str, theirs: str) -> str:
    own, other = json.loads(mine), json.loads(theirs or "{}")
    if not isinstance(own, dict) or not isinstance(other, dict):
        raise ValueError("package.json is no object")
    result: dict[str, Any] = {k: v for k, v in own.items() if k not in _PACKAGE_KEYS}
    result |= {k: other[k] for k in _PACKAGE_KEYS if k in other}
    if not theirs and isinstance(scripts := own.get("scripts"), dict):
        # a new package has no test yet, and whoever starts `test` in all of them finds a script that says so
        result["scripts"] = {name: "true" for name in scripts if name.startswith("test")}
    return mine if result == own else json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def _sections(text: str) -> list[tuple[str, str]]:
    """Name and whole text of each `[section]`, the part before the first under an empty name."""
    parts = re.split(r"(?m)^(?=\[)", text)
    found = []
    for part in parts:
        match = re.match(r"\[+\s*([^\]\n]+?)\s*\]+", part)
        found.append((match[1] if match else "", part))
    return found


def _by_section(
    pattern: re.Pattern[str], search: Callable[[re.Pattern[str], str], Any]
) -> Callable[[str, str], str]:
    def merge(mine: str, theirs: str) -> str:
        own = [part for name, part in _sections(mine) if search(pattern, name)]
        other = [part for name, part in _sections(theirs) if search(pattern, name)]
        if Counter(p.strip() for p in own) == Counter(p.strip() for p in other):
            return mine
        kept = [part for name, part in _sections(mine) if not search(pattern, name)]
        return "".join(part if part.endswith("\n") or not part else part + "\n" for part in (*kept, *other))

    return merge


def _toml(
    pattern: re.Pattern[str], search: Callable[[re.Pattern[str], str], Any]
) -> Callable[[str, str], str]:
    sections = _by_section(pattern, search)

    def merge(mine: str, theirs: str) -> str:
        tomllib.loads(mine)
        text = sections(mine, theirs)
        tomllib.loads(text)
        return text

    return merge


_BY_NAME: dict[str, Callable[[str, str], str]] = {
    "package.json": _package_json,
    "pyproject.toml": _toml(_TOML_SECTIONS, re.match),
    "setup.cfg": _by_section(_INI_SECTIONS, re.fullmatch),
    "tox.ini": _by_section(_INI_SECTIONS, re.fullmatch),
    "Cargo.toml": _toml(_CARGO_TESTS, re.fullmatch),
}
