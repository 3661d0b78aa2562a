"""Which paths belong to the tests and to what chooses and runs them. Everything else is the code under test.

A file belongs to the tests by its name, by the folder it is in, or because only tests name it (a case file, a
script that the test command starts). What a branch brings of that does not count when the base's own tests are
run on its sources; see `overlay`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.doctests import document_patterns
from orchestrator_action.verify.ecosystems.test_tools import in_a_tools_place
from orchestrator_action.verify.ecosystems.testfiles import is_test_config, is_test_path
from orchestrator_action.verify.helpers_of_tests import only_for_tests
from orchestrator_action.verify.started_files import started_files

CONFIG_FILES = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "noxfile.py", "tox.toml",
    "unittest.cfg", "nose2.cfg", ".coveragerc", "sitecustomize.py", "usercustomize.py", "*.pth",
    "**/*.egg-info/**", "**/*.dist-info/**",
    "jest.config.*", "jest.setup.*", "vitest.config.*", "vitest.workspace.*", "vitest.setup.*", ".mocharc*",
    "karma.conf.*", "playwright.config.*", "ava.config.*", ".taprc", ".nycrc*", ".c8rc*", "jasmine.json",
    "cypress.config.*", "cucumber.js", ".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", "setupTests.*",
    "phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml", "pest.php", "behat.yml",
    ".rspec", ".rspec-local", "Rakefile", "rakelib/**",
    "**/.config/nextest.toml", "**/.cargo/config", "**/.cargo/config.toml",
    "**/.mvn/**", "CTestConfig.cmake", "CTestCustom.cmake", "CTestTestfile.cmake",
    "!**/node_modules/**",
)  # fmt: skip
"""Files that say nothing but how tests or their runner start, whatever folder they are in."""

MIXED_FILES = frozenset(
    {
        "pyproject.toml", "setup.cfg", "tox.ini", "package.json", "Cargo.toml", "Makefile", "makefile",
        "GNUmakefile", "justfile", "Justfile", ".justfile", "CMakeLists.txt", "pom.xml", "build.gradle",
        "build.gradle.kts", "meson.build", "Taskfile.yml", "Taskfile.yaml", "Makefile.am", "deno.json",
    }
)  # fmt: skip
"""Files of which a part says how tests run."""

DATA_FOLDERS = frozenset(
    {
        "testdata", "test-data", "test_data", "tests-data", "fixtures", "fixture", "__fixtures__", "__snapshots__",
        "__image_snapshots__", "__mocks__", "golden", "goldens", "cassettes", "snapshots", "test-fixtures",
    }
)  # fmt: skip
DATA_FILES = ("*.snap", "*.golden", "*.approved.*", "*.ambr", "*.snapshot")
FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "t", "e2e", "testsuite", "unittests"})
"""Folders that hold tests where a file in them is one by its name; `test` and `tests` at the top always do."""
_IN_THE_RUNNERS_PLACE = re.compile(
    r"(?:_?pytest|unittest|tox|nox|nose2|coverage|trial|pluggy|iniconfig|xdist)(?:\.py|/.*)"
)
"""What `python -m RUNNER` would import from the checkout before the runner itself."""
_SUPPORT = re.compile(
    r"(?:.*[_-])?tests?[_-]?(?:utils?|helpers?|support|base|case|lib|common|runner|setup|hooks?|plugin)s?\.\w+"
    r"|(?:spec|test|rails|swift)_helper\.\w+|run[_-]?tests?(?:\.\w+)?|(?:pytest|unittest)_\w+\.py|all_?tests\.\w+"
)
"""Names that say that a file outside of the tests' folders helps them."""
_CODE = frozenset(
    {
        "py", "js", "cjs", "mjs", "jsx", "ts", "cts", "mts", "tsx", "go", "rs", "rb", "php", "java", "kt", "scala",
        "groovy", "c", "cc", "cpp", "cxx", "h", "hpp", "cs", "fs", "swift", "ex", "exs", "erl", "dart", "vue", "svelte",
        "md", "rst", "lock",
    }
)  # fmt: skip
"""Endings of files that are no data for tests."""
_DOCSTRINGS = re.compile(
    r"--doctest-modules\b|\bDocTestSuite\b|\bdoctest\.testmod\b|\bxdoctest\b|-m\s+doctest\b"
)
_HAVE_DOCTESTS = (".py", ".rst", ".md", ".txt")
_SHADOWS = {"GNUmakefile": ("makefile", "Makefile"), "makefile": ("Makefile",)}
"""A new file that is read in the place of one that is there."""
_MAX_READ = 400
"""How many test files are read for the names of data files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPaths:
    """The paths of one repository that belong to its tests, by a trusted commit."""

    __test__ = False

    folders: frozenset[str] = frozenset()
    """Folders that hold tests at that commit."""
    started: frozenset[str] = frozenset()
    """Files that the test commands start, directly or through scripts."""
    imported: frozenset[str] = frozenset()
    """Modules that the runner is told to load as plugins."""
    helpers: frozenset[str] = frozenset()
    """Files outside of the tests' folders that only tests name, and that say that they help them."""
    placed: frozenset[str] = frozenset()
    """Files that are not there at that commit, and that would be loaded in the place of a test tool."""
    documents: tuple[str, ...] = ()
    """Patterns of documents whose examples the tests run."""
    runs_docstrings: bool = False
    """Whether the examples in docstrings are tests, too."""
    words: frozenset[str] = field(default_factory=frozenset)
    """What tests name in their text, and no source does: names of data files and their folders."""

    @classmethod
    def at(cls, git: Git, commit: str, commands: Sequence[str], changed: Iterable[str] = ()) -> TestPaths:
        """As `commit` has them. `changed` are the paths that will be asked about: only these are looked up."""
        paths = git.paths(commit)
        tests = [p for p in paths if is_test_path(p)]
        folders = frozenset(f for p in tests for f in _named_folders(p)) | {"test", "tests"}
        plain = cls(folders=folders)
        asked, there = tuple(changed), frozenset(paths)
        started = started_files(git, commit, commands, there, frozenset(asked) - there, is_mixed)
        ours = [p for p in paths if plain.belongs(p) or p in started]
        may_have = any(p.endswith(_HAVE_DOCTESTS) for p in asked)
        said = _said_of_doctests(git, commit, commands, paths, ours) if may_have else ""
        return cls(
            folders=folders,
            started=started,
            documents=document_patterns(said),
            runs_docstrings=bool(_DOCSTRINGS.search(said)),
            imported=_plugins(git, commit, paths),
            helpers=only_for_tests(
                git,
                commit,
                [p for p in asked if p in there and not plain.belongs(p)],
                lambda p: plain.belongs(p) or p in started,
            ),
            placed=frozenset(
                p for p in asked if p not in there and (in_a_tools_place(p) or _shadows(p, there))
            ),
            words=_data_words(git, commit, ours, asked, plain),
        )

    def belongs(self, path: str) -> bool:
        """Whether a file is a test, its data, its help, or its configuration as a whole."""
        return self.is_test(path) or self.is_config(path)

    def is_test(self, path: str) -> bool:
        """Whether a file is a test, its data, or its help."""
        parts = path.split("/")
        if "node_modules" in parts:
            return False
        if path in self.helpers:
            return True
        if is_test_path(path) or matches(path, DATA_FILES) or DATA_FOLDERS & set(parts[:-1]):
            return True
        if any("/".join(parts[: n + 1]) in self.folders for n in range(len(parts) - 1)):
            return True
        if self.documents and matches(path, self.documents):
            return True
        return bool(_SUPPORT.fullmatch(parts[-1].lower())) or self._is_named_data(path)

    def is_config(self, path: str) -> bool:
        """Whether a file says how tests are chosen or run, and nothing else."""
        return (
            bool(matches(path, CONFIG_FILES))
            or (is_test_config(path, ()) and not is_mixed(path))
            or path in self.started
            or path in self.imported
            or path in self.placed
            or bool(_IN_THE_RUNNERS_PLACE.fullmatch(path))
        )

    def _is_named_data(self, path: str) -> bool:
        return bool(self.words) and _is_data(path) and bool(_names(path) & self.words)


TestPaths.at.__func__.__test__ = False  # type: ignore[attr-defined]


def _said_of_doctests(
    git: Git, commit: str, commands: Sequence[str], paths: Sequence[str], ours: Sequence[str]
) -> str:
    """Commands, settings and test files, as far as they say that examples of documentation are run."""
    texts = _texts(git, commit, [*filter(is_mixed, paths), *ours][:_MAX_READ])
    return "\n".join([*commands, *(t for t in texts.values() if "doctest" in t or "DocFile" in t)])


def _shadows(path: str, there: frozenset[str]) -> bool:
    folder, name = posixpath.split(path)
    return any(posixpath.join(folder, other) in there for other in _SHADOWS.get(name, ()))


def is_mixed(path: str) -> bool:
    """Whether a part of this file may say how tests run."""
    name = path.rpartition("/")[2]
    return (name in MIXED_FILES or path.endswith((".mk", ".cmake"))) and "node_modules/" not in path


def _named_folders(path: str) -> Iterable[str]:
    """The folders above a test file that are named as such, and that are no top of everything."""
    parts = path.split("/")[:-1]
    return ("/".join(parts[: n + 1]) for n, part in enumerate(parts) if part.lower() in FOLDERS)


def _is_data(path: str) -> bool:
    return path.rpartition(".")[2].lower() not in _CODE and not is_mixed(path)


def _names(path: str) -> set[str]:
    """How a text may name a file: by its path, its name, or the folder it is in."""
    parts = path.split("/")
    folder = parts[-2] if len(parts) > 1 else ""
    return {path, parts[-1], "/".join(parts[-2:])} | ({folder} if len(folder) > 2 else set())


def _data_words(
    git: Git, commit: str, tests: Sequence[str], changed: Sequence[str], plain: TestPaths
) -> frozenset[str]:
    """Of the changed data files' names, those that a test's text has and no source's."""
    wanted = {n for p in changed if _is_data(p) and not plain.belongs(p) for n in _names(p)}
    if not wanted:
        return frozenset()
    paths = [p for p in git.paths(commit) if p.rpartition(".")[2].lower() in _CODE - {"md", "rst", "lock"}]
    here = set(tests)
    wanted -= {p.split("/")[-2] for p in paths if "/" in p and p not in here}  # tests name it for its sources
    named = _words_in(git, commit, [p for p in paths if p in here][:_MAX_READ], wanted)
    if not named:
        return frozenset()
    return frozenset(named - _words_in(git, commit, [p for p in paths if p not in here][:_MAX_READ], named))


def _words_in(git: Git, commit: str, paths: Sequence[str], wanted: set[str]) -> set[str]:
    bodies = git.files(commit, paths).values()
    text = "\n".join((b or b"").decode("utf-8", "replace") for b in bodies)
    return {w for w in wanted if re.search(rf"(?<![\w.-]){re.escape(w)}(?![\w-])", text)}


def _texts(git: Git, commit: str, paths: Sequence[str]) -> Mapping[str, str]:
    return {p: (b or b"").decode("utf-8", "replace") for p, b in git.files(commit, paths).items()}


def _plugins(git: Git, commit: str, paths: Sequence[str]) -> frozenset[str]:
    """Files of this tree that a conftest takes hooks from, or names as plugins."""
    there = frozenset(paths)
    conftests = [p for p in paths if p.rpartition("/")[2] == "conftest.py"]
    found: set[str] = set()
    for path, text in _texts(git, commit, conftests).items():
        modules = re.findall(r"^\s*from\s+([\w.]+)\s+import\s+(?:\*|[^\n]*\bpytest_\w+)", text, re.MULTILINE)
        modules += [m for line in re.findall(r"pytest_plugins\s*=([^\n]*(?:\n[^\n]*,)*)", text)
                    for m in re.findall(r"['\"]([\w.]+)['\"]", line)]  # fmt: skip
        folder = path.rpartition("/")[0]
        for module in modules:
            file = module.lstrip(".").replace(".", "/")
            places = [
                f"{root}{file}{end}"
                for root in ("", "src/", f"{folder}/" if folder else "")
                for end in (".py", "/__init__.py")
            ]
            found |= there & set(places)
    return frozenset(found)
