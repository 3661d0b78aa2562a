"""Names in manifests that lead to other code than at the base, and tests that are built otherwise. Pure.

A manifest may give one name to two files: the one that tests reach, and the one that is shipped. Where a name led to
a file that is still there, and leads elsewhere now, no comparison of ours can tell which of them counts: a person
reads it. A patch of an installed library, and a program that a package manager loads, are of the same kind.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

OTHER = "leads to other code than before"
BUILT = "is built otherwise for its tests"
PATCHED = "changes what is installed"
HIDES = "stands before another file of its name, which nothing imports any more"
_JSON = re.compile(r"(?:.*/)?(?:package|[jt]sconfig(?:\.[\w-]+)?|deno|import[_-]?map|composer)\.jsonc?")
_NAMES = (
    "main",
    "module",
    "exports",
    "imports",
    "_moduleAliases",
    "browser",
    "paths",
    "autoload",
    "autoload-dev",
)
_ONLY_SOMETIMES = frozenset({"node", "test", "testing", "development", "vitest", "jest"})
_LINES = (
    (
        re.compile(r"(?:.*/)?go\.(?:mod|work)"),
        re.compile(r"^\s*(?:replace\s+)?(\S+)(?:\s+v\S+)?\s+=>\s+(\.\S*)", re.MULTILINE),
    ),
    (
        re.compile(r"(?:.*/)?(?:Cargo|pyproject)\.toml"),
        re.compile(r"^\s*([\w.\"'-]+)\s*=\s*\{[^}\n]*\bpath\s*=\s*\"([^\"\n]+)\"", re.MULTILINE),
    ),
)
"""Manifests of lines: which files, and a name with the folder that it leads to."""
_INSTALLS = re.compile(
    r"(?:.*/)?(?:patches/[^/]+\.patch|\.yarn/(?:patches|plugins|releases|sdks)/.*|\.pnpmfile\.cjs|\.pnp\.(?:c?js|loader\.mjs))"
)


def leads_elsewhere(path: str, before: str, after: str, there: frozenset[str]) -> Iterable[tuple[int, str]]:
    """Line at the head, and what it does. `there` are the paths of the head."""
    if _INSTALLS.fullmatch(path):
        yield 1, PATCHED
    elif path.rpartition("/")[2] == "CMakeLists.txt" and before:
        yield from _of_cmake(before, after)
    elif not before and _hides(path, there):
        yield 1, HIDES
    elif before:
        old, new = _names_of(path, before), _names_of(path, after)
        for name, targets in new.items():
            if _moved(old.get(name, ()), targets, posixpath.dirname(path), there):
                yield _line_of(after, [t for t in targets if t not in old.get(name, ())]), OTHER


def _hides(path: str, there: frozenset[str]) -> bool:
    """Whether a new file takes the place of one that is still there: a package before a module of Python, JavaScript
    before TypeScript. Source: docs.python.org/3/reference/import.html; vite.dev/config, `resolve.extensions`."""
    if path.endswith("/__init__.py"):
        return f"{path.removesuffix('/__init__.py')}.py" in there
    stem, dot, ending = path.rpartition(".")
    return bool(dot) and ending in _BEFORE_TYPED and any(f"{stem}.{typed}" in there for typed in _TYPED)


_BEFORE_TYPED, _TYPED = frozenset({"js", "mjs", "cjs", "jsx"}), ("ts", "tsx", "mts", "cts")


def _moved(old: Iterable[str], new: Iterable[str], folder: str, there: frozenset[str]) -> bool:
    """Whether a name leads to something that it did not lead to, although what it led to is still there."""
    was, now = ({_plain(t, folder) for t in targets} for targets in (old, new))
    return all(any(_is_there(t, there) for t in targets) for targets in (was, now - was))


def _plain(target: str, folder: str) -> str:
    return posixpath.normpath(posixpath.join(folder, target.split("*")[0]))


def _is_there(target: str, there: frozenset[str]) -> bool:
    return target in there or any(p.startswith(f"{target}/") for p in there)


def _line_of(text: str, words: list[str]) -> int:
    at = min((found for w in words if (found := text.find(w)) >= 0), default=0)
    return text.count("\n", 0, at) + 1


def _names_of(path: str, text: str) -> Mapping[str, tuple[str, ...]]:
    """Each name of a manifest, with what tests may reach by it."""
    for files, line in _LINES:
        if files.fullmatch(path):
            return {m[1]: (m[2],) for m in line.finditer(text)}
    if not _JSON.fullmatch(path):
        return {}
    try:
        said = json.loads(re.sub(r"^\s*//[^\n]*$", "", text, flags=re.MULTILINE) or "{}")
    except (ValueError, RecursionError):
        return {}
    tables = [said, said.get("compilerOptions")] if isinstance(said, dict) else []
    found: dict[str, tuple[str, ...]] = {}
    for one in (t for t in tables if isinstance(t, dict)):
        for key in (k for k in _NAMES if k in one):
            found.update(_flat(key, one[key]))
    return found


def _flat(name: str, value: Any) -> Mapping[str, tuple[str, ...]]:
    """Names with their targets; of conditions those that hold sometimes only, or the first where none is such a one."""
    if isinstance(value, str):
        return {name: (value,)}
    if isinstance(value, list):
        return {name: tuple(v for v in value if isinstance(v, str))}
    if not isinstance(value, dict):
        return {}
    are_names = name == "paths" or any(re.search(r"^[.#@]|[/\\]", key) for key in value)
    if value and not are_names:
        if not (_ONLY_SOMETIMES & value.keys()) and not name.startswith(("autoload", "browser", "_module")):
            value = {key: v for key, v in value.items() if key in {"default", "require"}}
        flat = [t for key, v in value.items() for ts in _flat(name, v).values() for t in ts if key != "types"]
        return {name: tuple(flat)}
    return {n: t for key, v in value.items() for n, t in _flat(f"{name} {key}", v).items()}


_HOW_IT_IS_BUILT = frozenset(
    {
        "target_compile_definitions",
        "target_compile_options",
        "target_link_options",
        "set_target_properties",
    }
)
_COMMAND = re.compile(r"\b(\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


def _of_cmake(before: str, after: str) -> Iterable[tuple[int, str]]:
    """What only a test's own program is compiled with, and sources of others that it has no longer."""
    names = {
        m[1]
        for m in re.finditer(
            r"(?:\bCOMMAND\s+|_discover_tests\s*\(\s*)\"?(?:\$<TARGET_FILE:)?(\w[\w.-]*)", after
        )
    }
    old, new = (list(_COMMAND.finditer(re.sub(r"#[^\n]*", "", text))) for text in (before, after))
    known = {(m[1].lower(), " ".join(m[2].split())) for m in old}
    made = [m[2].split() for m in old if m[1].lower() == "add_executable"]
    programs = {words[0]: set(words[1:]) for words in made if words}
    for match in new:
        command, words = match[1].lower(), match[2].split()
        if not words or words[0] not in names or (command, " ".join(words)) in known:
            continue
        line = after.count("\n", 0, after.find(match[0])) + 1
        fewer = command == "add_executable" and programs.get(words[0], set()) - set(words[1:])
        if fewer or command in _HOW_IT_IS_BUILT:
            yield line, BUILT
