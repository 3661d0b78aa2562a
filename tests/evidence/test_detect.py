"""The test command of a repository that names none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.detection import detect, detect_at
from orchestrator_action.verify.ecosystems.results import counts_in
from tests.kit.repos import Repo

PYTEST = "python3 -m pytest -q"
CMAKE = "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure"
CASES: list[tuple[dict[str, str], str]] = [
    ({"pytest.ini": "[pytest]\n"}, PYTEST),
    ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, PYTEST),
    ({"setup.cfg": "[tool:pytest]\n"}, PYTEST),
    ({"tox.ini": "[pytest]\n"}, PYTEST),
    ({"tests/test_a.py": "def test_a(): pass"}, PYTEST),
    ({"test_a.py": "import pytest\nimport unittest\n"}, PYTEST),
    ({"tests/test_a.py": "import unittest\n"}, "python3 -m unittest discover -s tests"),
    (
        {"tests/test_a.py": "import unittest\n", "tests/__init__.py": ""},
        "python3 -m unittest discover -s tests -t .",
    ),
    ({"test_a.py": "import unittest\n"}, "python3 -m unittest discover"),
    ({"a_test.py": "import unittest\n"}, "python3 -m unittest discover -p '*test*.py'"),
    ({"manage.py": "", "app/tests.py": "from django.test import TestCase"}, "python3 manage.py test"),
    ({"uv.lock": "", "pytest.ini": "[pytest]"}, PYTEST),
    ({"poetry.lock": "", "tests/test_a.py": "import pytest"}, PYTEST),
    ({"tox.ini": "[tox]\nenvlist=py\n", "tests/test_a.py": "x"}, "tox"),
    ({"tox.ini": "[tox]\n"}, "tox"),
    (
        {"tox.ini": "[tox]\n[testenv]\ncommands = {envpython} -m unittest -v {posargs}\n", "a_test.py": ""},
        "python3 -m unittest -v",
    ),
    (
        {
            "pyproject.toml": "[tool.tox.env_run_base]\ncommands=[['python', '-m', 'unittest', {replace='posargs'}]]\n",
            "tests/test_a.py": "import unittest\n",
        },
        "python3 -m unittest",
    ),
    (
        {"tox.ini": "[tox]\n[testenv]\nsetenv = A=1\ncommands = python run.py\n", "tests/test_a.py": "x"},
        "tox",
    ),
    ({"CMakeLists.txt": "enable_testing()\n", "a.c": "", "contrib/net/x.csproj": ""}, CMAKE),
    ({"Makefile.PL": "", "lib/A.pm": "", "t/a.t": "", "t/run_test.py": "import unittest\n"}, "prove -lr t"),
    ({"Makefile": "test:\n\ttrue\n", "a.c": "", "b.c": "", "scripts/test_a.py": ""}, "make test"),
    ({"Makefile": "test:\n\ttrue\n", "b.c": "", "a/a.py": "", "a/test_a.py": ""}, PYTEST),
    ({"noxfile.py": ""}, "nox"),
    ({"package.json": '{"scripts": {"test": "node --test"}}'}, "npm test"),
    ({"package.json": '{"scripts": {"test": "jest"}}', "yarn.lock": ""}, "yarn test"),
    ({"package.json": '{"scripts": {"test": "jest"}}', "pnpm-lock.yaml": ""}, "pnpm test"),
    ({"package.json": '{"scripts": {"test": "jest"}}', "bun.lock": ""}, "bun run test"),
    ({"package.json": '{"scripts": {"test": "jest"}, "packageManager": "pnpm@9"}'}, "pnpm test"),
    ({"Cargo.toml": "[package]"}, "cargo test --workspace"),
    ({"Cargo.toml": "", ".config/nextest.toml": ""}, "cargo nextest run --workspace"),
    ({"go.mod": "module x"}, "go test -v ./..."),
    ({"go.work": "go 1.21\n\nuse (\n\t.\n\t./a // one\n\tb/c\n)\n"}, "go test -v ./... ./a/... ./b/c/..."),
    ({"go.work": "use ./a\n", "go.mod": ""}, "go test -v ./a/..."),
    ({"build.gradle.kts": "", "gradlew": ""}, "./gradlew test"),
    ({"build.gradle": ""}, "gradle test"),
    ({"pom.xml": ""}, "mvn -B test"),
    ({"pom.xml": "", "mvnw": ""}, "./mvnw -B test"),
    ({"mix.exs": ""}, "mix test"),
    ({"spec/a_spec.rb": "", "Gemfile": ""}, "bundle exec rspec"),
    ({"test/a_test.rb": "", "Rakefile": ""}, "rake test"),
    ({"phpunit.xml.dist": "", "composer.json": "{}"}, "vendor/bin/phpunit"),
    ({"phpunit.xml.dist": ""}, "phpunit"),
    ({"composer.json": '{"scripts": {"test": "pest"}}'}, "composer test"),
    ({"x.sln": ""}, "dotnet test"),
    ({"src/x.csproj": ""}, "cd src && dotnet test"),
    ({"sub/package.json": '{"scripts": {"test": "x"}}'}, "cd sub && npm test"),
    ({"a b/go.mod": "module x"}, "cd 'a b' && go test -v ./..."),
    (
        {
            "README.md": "",
            "package.json": "{}",
            "api/go.mod": "",
            "api/x/go.mod": "",
            "docs/package.json": '{"scripts": {"test": "x"}}',
        },
        "cd api && go test -v ./...",
    ),
    (
        {
            "Makefile": "test:\n\tcd py && pytest\n",
            "py/setup.py": "",
            "py/tests/test_a.py": "",
            "web/package.json": "{}",
        },
        "make test",
    ),
    (
        {"lib/a.py": "", "setup.cfg": "[tool:pytest]\n", "web/package.json": '{"scripts": {"test": "x"}}'},
        PYTEST,
    ),
    ({"Package.swift": ""}, "swift test"),
    ({"Makefile": "all:\n\ttrue\ntest: all\n\t./run\n"}, "make test"),
    ({"Makefile": "check:\n\ttrue\n"}, "make check"),
    ({"justfile": "build:\n  true\ntest *args: build\n  true\n"}, "just test"),
    ({"CMakeLists.txt": "enable_testing()\n"}, CMAKE),
    (
        {
            "CMakeLists.txt": 'project(abc)\nenable_testing()\noption(A_BUILD_TESTS "tests" OFF)\n'
            'option(ENABLE_SSL_TESTS "more" OFF)\noption(BUILD_ABC_TESTS "" OFF)\noption(JSON_BuildTests "" OFF)\n'
        },
        CMAKE.replace("build &&", "build -DA_BUILD_TESTS=ON -DBUILD_ABC_TESTS=ON -DJSON_BuildTests=ON &&", 1),
    ),
    (
        {
            "CMakeLists.txt": "enable_testing()\n",
            "tests/unity/test/test_a.rb": "",
            "Makefile": "test:\n\ttrue\n",
        },
        CMAKE,
    ),
    ({"t/a.t": ""}, "prove -lr t"),
    ({"test/a.bats": ""}, "bats --recursive test"),
    ({"deno.json": "{}"}, "deno test"),
    ({"Makefile": "all: test\nbuild test: deps\n\ttrue\n"}, "make test"),
    ({"Makefile": ".PHONY: tests\ntests::\n\ttrue\n"}, "make tests"),
    ({"pubspec.yaml": "name: a\n", "test/a_test.dart": ""}, "dart test"),
    (
        {"pubspec.yaml": "dependencies:\n  flutter:\n    sdk: flutter\n", "test/a_test.dart": ""},
        "flutter test",
    ),
    ({"Taskfile.yml": "version: 3\ntasks:\n  test:\n    cmds: [true]\n"}, "task test"),
    ({"script/test": "#!/bin/sh\n"}, "./script/test"),
    ({"test_runner": "#!/bin/sh\n", "a_test.sh": ""}, "./test_runner"),
    ({"src/a.h": "", "tests/Makefile": "all: a run_tests\nrun_tests: a\n\t./a\n"}, "make -C tests run_tests"),
    ({"scripts/test.sh": "#!/bin/sh\n", "README.md": ""}, "./scripts/test.sh"),
]


@pytest.mark.parametrize(("files", "command"), CASES, ids=[c for _, c in CASES])
def test_the_command_is_found(files: dict[str, str], command: str):
    """And it is said by what."""
    found = detect(list(files), files)

    assert (command,) == found.commands
    assert any(name.rpartition("/")[2] in found.how or name.split("/")[0] in found.how for name in files)


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": "x"},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": "{broken"},
        {"package.json": "[]"},
        {"package.json": '{"scripts": {"test": 5}}'},
        {"pyproject.toml": "not toml ["},
        {"Makefile": "test := 5\nbuild:\n\ttrue\n"},
        {"examples/a/package.json": '{"scripts": {"test": "x"}}', "vendor/x/go.mod": ""},
        {"CMakeLists.txt": "project(x)"},
    ],
)
def test_nothing_found_is_said(files: dict[str, str]):
    """With what to do; a placeholder or a broken file is no test command."""
    found = detect(list(files), files)

    assert found.commands == ()
    assert "set `test`" in found.how


def test_folders_of_several_languages_are_each_tested_where_they_are():
    """Where nothing at the top knows a command; a manifest inside one of these belongs to it."""
    files = {
        "README.md": "", "go/go.mod": "", "py/pyproject.toml": "[tool.pytest.ini_options]\n", "py/more/setup.py": "",
        "js/package.json": '{"scripts": {"test": "jest"}}', "js/pnpm-lock.yaml": "", "nothing/package.json": "{}",
    }  # fmt: skip

    found = detect(list(files), files)

    assert found.commands == ("cd go && go test -v ./...", "cd js && pnpm test", f"cd py && {PYTEST}")
    assert (
        found.how
        == "go: Go: go.mod; js: package.json: scripts.test; py: pytest: [tool.pytest] in pyproject.toml"
    )


def test_so_many_folders_that_a_person_has_to_choose():
    """Nobody waits for forty set-ups that were guessed."""
    files = {f"m{n}/go.mod": "" for n in range(31)}

    found = detect(list(files), files)

    assert found.commands == () and "tests lie in 31 folders: set `test`" in found.how


def test_the_files_of_a_folders_project_are_read_as_those_of_the_top(make: Callable[..., Repo]):
    """`requirements/` and a Makefile are looked for at a project's own top."""
    repo = make({"py/requirements.txt": "", "py/requirements/test.txt": "pytest", "py/tests/test_a.py": "import pytest",
                 "c/CMakeLists.txt": "", "c/Makefile": "test:\n\ttrue\n"})  # fmt: skip

    found = detect_at(Git.open(repo.path), "HEAD")

    assert found.commands == ("cd c && make test", f"cd py && {PYTEST}")


def test_only_the_commit_is_looked_at(make: Callable[..., Repo]):
    """What lies in the checkout, or was added later, has no say."""
    repo = make({"tests/test_a.py": "import unittest\n"})
    base = repo.git("rev-parse", "HEAD")
    repo.commit({"pytest.ini": "[pytest]\n"})
    (repo.path / "tox.ini").write_text("[tox]\n")
    seen = Git.open(repo.path)

    assert detect_at(seen, base).commands == ("python3 -m unittest discover -s tests",)
    assert detect_at(seen, "HEAD").commands == (PYTEST,)


def test_unittest_folders_that_are_no_packages_are_run_one_by_one(make: Callable[..., Repo], tmp_path: Path):
    """And what is detected really runs: every test of every folder."""
    case = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        import app\n"
    layouts = [
        {"app.py": "", "test_a.py": case},
        {"app.py": "", "tests/test_a.py": case},
        {"app.py": "", "tests/__init__.py": "", "tests/test_a.py": case},
        {"app.py": "", "tests/__init__.py": "", "tests/u/__init__.py": "", "tests/u/test_b.py": case},
        {"app.py": "", "tests/u/test_a.py": case, "tests/v/test_b.py": case},
        {"app.py": "", "lib/tests/test_a.py": case, "test_b.py": case},
    ]
    for n, files in enumerate(layouts):
        repo = make(files, name=f"layout{n}")
        commands = detect_at(Git.open(repo.path), "HEAD").commands
        ran = 0
        for command in commands:
            done = subprocess.run(["sh", "-c", command], cwd=repo.path, capture_output=True, text=True)
            assert done.returncode == 0, (files, command, done.stderr)
            counts = counts_in(done.stderr)
            assert counts is not None
            ran += counts.passed
        assert ran == sum("test_" in name for name in files), (files, commands)
