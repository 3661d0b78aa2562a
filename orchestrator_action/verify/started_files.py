"""Which files of a repository the test commands start, and what runners and scripts load in turn.

These say how tests are run. A program that a script tries out is none of them, nor a source that is compiled, checked
or measured on the way: what a script starts has to say itself that it is there for tests.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.base import folders_of, go_inside, inside
from orchestrator_action.verify.ecosystems.started import FOR_TESTS, loaded_words
from orchestrator_action.verify.ecosystems.testfiles import (
    is_test_config,
    is_test_path,
    named_words,
    ways_text,
)

_SOURCE_FOLDERS = frozenset({"src", "lib", "bin", "app", "pkg", "cmd", "internal", "dist", "include"})
_DEEPEST = 4
"""How often scripts of scripts are read."""
_MAX_READ = 400
_SCRIPT = re.compile(r".*\.(?:sh|bash|zsh|mk|bat|ps1)|(?:.*/)?[^./]+")
_RUNS_TESTS = re.compile(
    r"\b(?:pytest|unittest|nose2|jest|mocha|vitest|ava|tap|rspec|minitest|rake|phpunit|pest|prove|bats|ctest|tox|nox"
    r"|gradlew?|mvnw?|cargo|coverage|tests?|specs?)\b|--test\b|\bgo test\b",
    re.IGNORECASE,
)
_STARTS_THINGS = re.compile(
    r"(?:run|build|ci|do|dev|make|tasks?|[gG]ulpfile|Gruntfile|Jakefile|fabfile)(?:\.\w+)*"
)
_ENDINGS = (
    *("", ".rb", ".php"),
    *(
        f"{index}.{ending}"
        for index in ("", "/index")
        for ending in ("js", "cjs", "mjs", "ts", "mts", "json")
    ),
)
"""What a configuration may leave out of the name of a file."""
_Said = tuple[str, str]
"""A folder, and commands as they are started there."""


def started_files(
    git: Git,
    commit: str,
    commands: Sequence[str],
    paths: frozenset[str],
    asked: frozenset[str],
    is_mixed: Callable[[str], bool],
) -> frozenset[str]:
    """By the base `commit`, which has `paths`. Of `asked`, which it does not have, those that would be started."""
    places = ("", *folders_of(commands))
    there = paths | asked
    mixed = [p for p in paths if posixpath.dirname(p) in places and is_mixed(p)]
    said = [inside(c) for c in commands]
    said += [(posixpath.dirname(p), ways_text(p, t, commands)) for p, t in _texts(git, commit, mixed).items()]
    found = {p for p in _loaded(git, commit, said, paths, there) if not is_mixed(p)}
    scripts = [(p, "") for p in found]
    for depth in range(_DEEPEST):
        named = {p: folder for folder, text in said for p in named_words([go_inside(folder, text)]) & there}
        fresh = {p: folder for p, folder in named.items() if p not in found and not is_mixed(p)}
        texts = _texts(git, commit, [p for p in fresh if p in paths])
        new = {p for p in fresh if p in asked or _for_tests(p, texts.get(p, ""), fresh[p] if depth else None)}
        scripts = [(p, texts[p]) for p in new if p in texts and _SCRIPT.fullmatch(p)]
        scripts += [
            (p, t)
            for p, t in _texts(git, commit, [p for p in found if not depth and _SCRIPT.fullmatch(p)]).items()
        ]
        found |= new
        said = [(folder, text) for path, text in scripts for folder in {*places, posixpath.dirname(path)}]
    return frozenset(found)


def _for_tests(path: str, text: str, near: str | None) -> bool:
    """Whether what is started is a help of the tests, and no program that they try out.

    `near` is the folder of the script that starts it; None where a test command does so itself.
    """
    folder = posixpath.dirname(path)
    if is_test_path(path):
        return True
    if folder and path.split("/")[0] in _SOURCE_FOLDERS:
        return bool(FOR_TESTS.search(path))
    if FOR_TESTS.search(path) or _RUNS_TESTS.search(text) or (near and near == folder):
        return True
    return near is None and bool(folder or _STARTS_THINGS.fullmatch(path))


def _loaded(
    git: Git, commit: str, said: Sequence[_Said], paths: frozenset[str], there: frozenset[str]
) -> set[str]:
    """Files that a runner's configuration has it load: a set-up, a transform, what it requires or extends."""
    own = [p for p in paths if is_test_config(p, ()) and not is_test_path(p) and not p.endswith(".py")]
    texts = [*said, *((posixpath.dirname(p), t) for p, t in _texts(git, commit, own[:_MAX_READ]).items())]
    words = {
        posixpath.normpath(posixpath.join(folder, word))
        for near, text in texts
        for word in loaded_words(text)
        for folder in {near, ""}
    }
    named = {word + ending for word in words for ending in _ENDINGS} & there
    return {p for p in named if p.split("/")[0] not in _SOURCE_FOLDERS or FOR_TESTS.search(p)}


def _texts(git: Git, commit: str, paths: Sequence[str]) -> Mapping[str, str]:
    return {p: (b or b"").decode("utf-8", "replace") for p, b in git.files(commit, paths).items()}
