"""What is a test, what says how tests run, and what stands in a test file: asked by path and text. Pure.

A suite passes as well when its configuration leaves the failing test out, when `make test` became `echo`, or
when a module of the repository stands in the runner's place. The command itself is the base's; what it reads
on its way is not.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator_action.process.files import open_in
from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.ecosystems.base import Source, Way, Ways, inside
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS
from orchestrator_action.verify.ecosystems.sources import hollow_in, marks_in, names_in
from orchestrator_action.verify.ecosystems.started import started_words

_NOT_TESTS = (
    "!**/node_modules/**",
    "!**/testdata/**",
    "!**/fixtures/**",
    "!**/__snapshots__/**",
    "!**/vendor/**",
)
TEST_FILES = tuple(p for e in ECOSYSTEMS for p in e.test_files) + _NOT_TESTS
"""Names that test runners find tests by. A data file in a tests folder is no test."""
_CONFIG_FILES = (*tuple(p for e in ECOSYSTEMS for p in e.config_files), "!**/node_modules/**")
_WAYS: Mapping[str, Ways] = {name: ways for e in ECOSYSTEMS for name, ways in e.config_ways.items()}
_SOURCES: Mapping[str, Source] = {end: e.source for e in ECOSYSTEMS if e.source for end in e.source.endings}


def is_test_path(path: str) -> bool:
    """Whether test runners would look for tests in this file."""
    return bool(matches(path, TEST_FILES))


def is_test_config(path: str, commands: Sequence[str], tree: Path | None = None) -> bool:
    """Whether a file says how `commands` choose or run tests: as a whole, in part, or because they name it.

    `tree` has the Makefile or package.json whose own test rule may name the file.
    """
    name = path.rpartition("/")[2]
    known = matches(path, _CONFIG_FILES) or ways_of(path) is not None or bool(_IN_ITS_PLACE.fullmatch(path))
    if known or name == "package.json":
        return bool(known)
    said = [*commands]
    for other in NAMES_OTHERS:
        with contextlib.suppress(OSError), open_in(tree or "/dev/null", other) as file:
            said.append(ways_text(other, file.read().decode("utf-8", "replace"), commands))
    return path in named_words(said)


NAMES_OTHERS = ("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "package.json", "tox.ini")
"""Files whose way of testing may name further files, such as `./script/test`."""
_IN_ITS_PLACE = re.compile(
    r"(?:_?pytest|unittest|tox|nox|nose2|coverage|trial)(?:\.py|/.*)|(?:.*/)?(?:site|user)customize\.py|.*\.pth"
    r"|(?:.*/)?[\w.-]+\.(?:dist|egg)-info/entry_points\.txt"
)
"""What a runner imports from the checkout before it reads a test."""


_READ_LIKE = {"mk": "*.mk", "cmake": "CMakeLists.txt"}
"""By ending: files that others include, and that say the same things."""


def ways_of(path: str) -> Ways | None:
    """How to read what a file says about how tests run, besides other things; None for other files."""
    name = path.rpartition("/")[2]
    if "node_modules/" in path:
        return None
    return _WAYS.get(name) or _WAYS.get(_READ_LIKE.get(name.rpartition(".")[2], ""))


def ways_text(path: str, text: str, commands: Sequence[str]) -> str:
    """What of a file says how tests are run, as text."""
    ways = ways_of(path)
    return "\n".join(said for _, said in ways(text, commands)) if ways else ""


def named_words(said: Iterable[str]) -> frozenset[str]:
    """The paths that commands start or load, normalised, as seen from the folder that each goes into."""
    return frozenset(
        posixpath.normpath(posixpath.join(folder, word))
        for folder, text in map(inside, said)
        for word in started_words(text)
    )


def changed_ways(
    texts: Sequence[tuple[str, str, str]], commands: Sequence[str], named: Iterable[str] = ()
) -> list[Way]:
    """Path and words for every change of how tests are chosen or run.

    `texts` holds path, old and new contents of every changed file, an empty text for one that is not there.
    `commands` are the test commands; a changed file that they name is one of the ways. `named` are further
    texts of the base that name such files, as a Makefile does.
    """
    words = named_words([*commands, *named])
    found: list[Way] = []
    for path, old, new in texts:
        if not old and _IN_ITS_PLACE.fullmatch(path):
            found.append((path, "would be run in the place of the test runner"))
        elif old != new and matches(path, _CONFIG_FILES):
            found.append((path, "changes how the tests are run"))
        elif old != new and path in words:
            found.append((path, "is what the test command runs, and was changed"))
        elif (ways := ways_of(path)) is not None and (differing := _differing(ways, old, new, commands)):
            found.append((path, f"changes how the tests are chosen or run: {', '.join(differing)}"))
    return found


def _differing(ways: Ways, old: str, new: str, commands: Sequence[str]) -> list[str]:
    before, after = Counter(ways(old, commands)), Counter(ways(new, commands))
    return sorted({name for name, _ in (before - after) + (after - before)})


def _source(path: str) -> Source | None:
    return _SOURCES.get(path.rpartition(".")[2])


def test_names(path: str, text: str) -> list[str]:
    """The names of the tests a file defines, as far as its language is known."""
    source = _source(path)
    return names_in(source, text) if source else []


def hollow_tests(path: str, text: str) -> list[str]:
    """The names of tests that are there and can tell nothing."""
    source = _source(path)
    return hollow_in(source, text) if source else []


def skip_marks(path: str, text: str) -> int:
    """How many marks that skip or single out tests a file has."""
    source = _source(path)
    return marks_in(source.skips, text) if source else 0


def singled_out(path: str, text: str) -> int:
    """How many marks leave every other test out."""
    source = _source(path)
    return marks_in(source.singled, text) if source else 0


test_names.__test__ = False  # type: ignore[attr-defined]
