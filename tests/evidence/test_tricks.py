"""Ways to make tests pass without passing them: each is named, and allowed only once the claim names it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping

import pytest

from orchestrator_action.git.repo import Git
from tests.evidence import judge
from tests.evidence.judge import Kept
from tests.kit.repos import Repo, clean_env

MAKEFILE = """PY ?= python3
ARGS = -q

all: build

build:
	echo building

test: build
	$(PY) -m pytest $(ARGS)
"""
TEST = "from app import f\n\n\ndef test_a():\n    assert f(1) == 1\n\n\ndef test_b():\n    assert f(2) == 2\n"
BASE = {
    "app.py": "def f(x):\n    return x\n",
    "tests/test_app.py": TEST,
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef one():\n    return 1\n",
    "pyproject.toml": "[project]\nname = 'a'\n\n[tool.pytest.ini_options]\ntestpaths = ['tests']\nmarkers = ['slow']\n",
    "package.json": '{"name": "a", "scripts": {"test": "jest", "build": "tsc"}, "dependencies": {}}\n',
    "Makefile": MAKEFILE,
    "tox.ini": "[tox]\nenvlist = py\n\n[testenv]\ndeps = pytest\ncommands = pytest {posargs}\n",
    "script/test": "#!/bin/sh\nexec python3 -m pytest\n",
    "Cargo.toml": "[package]\nname = 'a'\nversion = '1.0.0'\n\n[dependencies]\n",
    "CMakeLists.txt": "project(a)\nenable_testing()\nadd_test(NAME a COMMAND a)\n",
    "web/a.test.js": "test('a', () => { expect(1).toBe(1) })\ntest('b', () => { expect(2).toBe(2) })\n",
    "go/a_test.go": 'package a\n\nfunc TestA(t *testing.T) {\n\tif f() != 1 {\n\t\tt.Fatal("no")\n\t}\n}\n',
}
APP = "tests/test_app.py"
COMMANDS = ("make test", "./script/test --all")


@pytest.fixture
def branch(make: Callable[..., Repo]) -> Callable[[Mapping[str, str] | str], Repo]:
    """A branch on which some files are changed, or on which a line of shell was run."""

    def changed(change: Mapping[str, str] | str) -> Repo:
        repo = make(BASE)
        repo.git("checkout", "-q", "-b", "work")
        if isinstance(change, str):
            subprocess.run(["sh", "-ec", change], cwd=repo.path, env=clean_env(), check=True)
        repo.commit({} if isinstance(change, str) else change)
        return repo

    return changed


def kept(repo: Repo, note: str = "") -> Kept:
    seen = Git.open(repo.path)
    found = judge.kept(seen, base=seen.rev_parse("main"), head=seen.head(), note=note, commands=COMMANDS)
    assert "\n" not in found.message
    return found


HOOK = "\n\ndef pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"tests/conftest.py": BASE["tests/conftest.py"] + HOOK}, "tests/conftest.py", "pytest_collection_modifyitems"),
        ({"conftest.py": "collect_ignore = ['tests']\n"}, "conftest.py", "collect_ignore"),
        ({"conftest.py": "import pytest\npytest.skip('x', allow_module_level=True)\n"}, "conftest.py", "pytest.skip"),
        (
            {"pyproject.toml": BASE["pyproject.toml"].replace("['tests']", "['docs']")}, "pyproject.toml", "testpaths"
        ),
        ({"pyproject.toml": BASE["pyproject.toml"] + "addopts = '-k test_a'\n"}, "pyproject.toml", "addopts"),
        ({"pytest.ini": "[pytest]\naddopts = --deselect tests/test_app.py\n"}, "pytest.ini", "addopts"),
        ({"pytest.ini": "# nothing\n"}, "pytest.ini", "that it is there"),
        ("git rm -q pyproject.toml", "pyproject.toml", "testpaths"),
        ("git mv pyproject.toml old.toml", "pyproject.toml", "testpaths"),
        ({"package.json": BASE["package.json"].replace('"jest"', '"echo 5 passed, 0 failed"')}, "package.json", "test"),
        (
            {"package.json": BASE["package.json"].replace("{}", '{}, "jest": {"testMatch": ["x"]}')},
            "package.json",
            "jest",
        ),
        ({"jest.config.js": "module.exports = {testMatch: []}\n"}, "jest.config.js", "how the tests are run"),
        ({"Makefile": MAKEFILE.replace("$(PY) -m pytest", "echo 5 passed #")}, "Makefile", "target test"),
        ({"Makefile": MAKEFILE.replace("PY ?= python3", "PY = true python3")}, "Makefile", "PY"),
        ({"Makefile": MAKEFILE.replace("ARGS = -q", "ARGS = -q --co")}, "Makefile", "ARGS"),
        ({"Makefile": "SHELL = /bin/true\n" + MAKEFILE}, "Makefile", "SHELL"),
        ({"Makefile": MAKEFILE + "\ntest:\n\ttrue\n"}, "Makefile", "target test"),
        ({"Makefile": MAKEFILE + "\n-include more.inc\n", "more.inc": "test:\n\ttrue\n"}, "Makefile", "include"),
        ({"GNUmakefile": "test:\n\ttrue\n"}, "GNUmakefile", "target test"),
        ({"tox.ini": BASE["tox.ini"].replace("pytest {posargs}", "true")}, "tox.ini", "commands of [testenv]"),
        ({"script/test": "#!/bin/sh\necho 5 passed, 0 failed\n"}, "script/test", "what the test command runs"),
        ("git rm -q script/test", "script/test", "what the test command runs"),
        ({"pytest.py": "print('5 passed in 0.01s')\n"}, "pytest.py", "in the place of the test runner"),
        ({"unittest/__init__.py": ""}, "unittest/__init__.py", "in the place of the test runner"),
        ({"sitecustomize.py": "import os\n"}, "sitecustomize.py", "in the place of the test runner"),
        ({".npmrc": "script-shell=/bin/true\n"}, ".npmrc", "how the tests are run"),
        ({"Cargo.toml": BASE["Cargo.toml"] + "\n[lib]\ntest = false\n"}, "Cargo.toml", "lib.test"),
        ({"CMakeLists.txt": "project(a)\nenable_testing()\n"}, "CMakeLists.txt", "add_test"),
        ({"web/a.test.js": BASE["web/a.test.js"].replace("test('b'", "test.only('b'")}, "web/a.test.js", "skip mark"),
        ({"web/b.test.js": "describe.only('x', () => { test('c', f) })\n"}, "web/b.test.js", "singles out"),
        (
            {"web/a.test.js": BASE["web/a.test.js"].replace("{ expect(2).toBe(2) }", "{ /* later */ }")},
            "web/a.test.js",
            "1 of 2 tests emptied (b)",
        ),
        ({"go/a_test.go": "package a\n\nfunc TestA(t *testing.T) {\n\t// ok\n}\n"}, "go/a_test.go", "emptied (TestA)"),
        ({"go/a_test.go": "//go:build never\n" + BASE["go/a_test.go"]}, "go/a_test.go", "skip mark"),
        ({"tests/test_app.py": TEST.replace("assert f(2) == 2", "pass")}, "tests/test_app.py", "emptied (test_b)"),
        ({"tests/test_app.py": TEST.replace("f(2) == 2", "True")}, "tests/test_app.py", "emptied (test_b)"),
        ({"tests/test_app.py": TEST.replace("assert f(2) == 2", "f(2)")}, "tests/test_app.py", "emptied (test_b)"),
        ({"tests/test_app.py": TEST + "\n\ndef test_b():\n    ...\n"}, "tests/test_app.py", "emptied (test_b)"),
        (
            {"tests/test_app.py": "from app import f\n\n\nif False:\n" + "".join(
                f"    {line}\n" if line else "\n" for line in TEST.split("\n")[3:]
            )},
            "tests/test_app.py",
            "2 of 2 tests removed",
        ),
        (
            {"tests/test_app.py": TEST.replace("def test_b():\n", "def not_called():\n  def test_b():\n")},
            "tests/test_app.py",
            "1 of 2 tests removed (test_b)",
        ),
        ("mkdir attic && git mv tests/test_app.py attic", "tests/test_app.py", "moved to attic/test_app.py"),
        (
            f"git rm -q {APP} && mkdir attic && printf 'def test_a(): 1\\ndef test_b(): 2' > attic/test_z.py",
            "tests/test_app.py",
            "deleted",
        ),
        ("rm tests/test_app.py && ln -s ../app.py tests/test_app.py", "tests/test_app.py", "2 of 2 tests removed"),
        (
            f"git rm -q {APP} && mkdir -p {APP} && git update-index --add --cacheinfo 160000,{'1' * 40},{APP}",
            "tests/test_app.py",
            "emptied",
        ),
        ("head -c 9000000 /dev/zero | tr '\\0' '#' > tests/test_app.py", "tests/test_app.py", "emptied"),
        ({"tests/test_app.py": TEST + "\n\n__test__ = False\n"}, "tests/test_app.py", "1 new skip mark"),
        ({"tests/test_app.py": "pytestmark = mark.skip\n" + TEST}, "tests/test_app.py", "skip mark"),
        ({"tests/test_app.py": TEST + "\n\ndef load_tests(*_):\n    return None\n"}, "tests/test_app.py", "skip mark"),
    ],
)  # fmt: skip
def test_a_test_that_is_left_out_or_says_nothing_is_named(branch, change, path: str, words: str):
    repo = branch(change)
    found = kept(repo)

    assert (False, True) == (found.holds, f"{path}: " in found.message and words in found.message), (
        found.message
    )
    told = kept(repo, note=f"{path}: that is what the issue asks for")
    assert told.holds, told.message


@pytest.mark.parametrize(
    "change",
    [
        {"pyproject.toml": BASE["pyproject.toml"].replace("'slow'", "'slow', 'fast'").replace("'a'", "'b'")},
        {
            "package.json": BASE["package.json"]
            .replace("{}", '{"left-pad": "1.0.0"}')
            .replace('"tsc"', '"tsc -b"')
        },
        {"Makefile": MAKEFILE + "\nclean:\n\trm -rf build\n"},
        {"tests/conftest.py": BASE["tests/conftest.py"] + "\n\n@pytest.fixture\ndef two():\n    return 2\n"},
        {"tox.ini": BASE["tox.ini"].replace("py\n", "py, py3\n")},
        {"Cargo.toml": BASE["Cargo.toml"] + "serde = '1'\n"},
        {"CMakeLists.txt": BASE["CMakeLists.txt"] + "add_library(b b.c)\n"},
        {"tests/test_app.py": TEST.replace("assert f(2) == 2", "check_double(2)")},
        {
            "tests/test_app.py": TEST
            + "\n\nclass TestMore:\n    def test_c(self):\n        assert f(3) == 3\n"
        },
        {"web/c.test.js": "test('c', () => { expect(3).toBe(3) })\n"},
        {
            "script/other": "#!/bin/sh\n",
            "lib/pytest.py": "x = 1\n",
            "app.py": "def f(x):\n    return 0 + x\n",
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_ordinary_change_of_the_same_files_needs_no_word(branch, change: dict[str, str]):
    found = kept(branch(change))

    assert found.holds, found.message


def test_files_no_parser_understands_are_compared_whole(branch):
    """A syntax error, a huge nesting, bytes that are no text."""
    broken = {
        "tests/conftest.py": "def (\n", "pyproject.toml": "[[[", "package.json": "[" * 5000, "tox.ini": "x",
        "Makefile": "\tlonely\n\x00", "Cargo.toml": "= 1", "tests/test_app.py": "def test_a(:\n",
    }  # fmt: skip
    found = kept(branch(broken))

    assert not found.holds
    assert {p for p in broken if p != "tests/test_app.py"} <= set(found.lost)
