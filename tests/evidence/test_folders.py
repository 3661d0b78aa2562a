"""A command that goes into a folder first is measured there: by id, alone, and with what it starts held fast."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.base import go_inside, inside
from orchestrator_action.verify.ecosystems.results import instrument, only_tests
from orchestrator_action.verify.test_paths import TestPaths
from tests.conftest import need
from tests.evidence.judge import PYTEST, Court
from tests.kit.tables import few

APP = "def double(x):\n    return 2 * x\n"
TEST = (
    "import pytest\nfrom app import double\n\n@pytest.mark.parametrize('x', [1, 2, 3])\n"
    "def test_double(x):\n    assert double(x) == x + x\n"
)
PYTHON = {"README.md": "", "py/app.py": APP, "py/test_app.py": TEST, "py/conftest.py": ""}
NODE = {
    "README.md": "", "web/package.json": '{"scripts": {"test": "node check.js"}}',
    "web/app.js": "exports.double = (x) => 2 * x;\n",
    "web/check.js": "const { double } = require('./app.js');\nif (double(2) !== 4) throw new Error('no');\n"
    "console.log('1 passed, 0 failed');\n",
}  # fmt: skip
WRONG = APP.replace("2 * x", "5 if x == 2 else 2 * x")
IN_PY, IN_WEB = f"cd py && {PYTEST}", "cd web && npm test"
LIES: dict[str, tuple[str, dict[str, str], str, dict[str, str | None]]] = {
    "a case removed": ("git", PYTHON, IN_PY, {"py/app.py": WRONG, "py/test_app.py": TEST.replace("1, 2, 3", "1, 3")}),
    "a case swapped": ("git", PYTHON, IN_PY, {"py/app.py": WRONG, "py/test_app.py": TEST.replace("2, 3", "3, 4")}),
    "a setting of the folder's": ("git", PYTHON, IN_PY, {
        "py/app.py": WRONG, "py/pytest.ini": "[pytest]\naddopts = -k 'not 2'\n"}),
    "the script that npm starts": ("npm", NODE, IN_WEB, {
        "web/app.js": "exports.double = (x) => 5;\n", "web/check.js": "console.log('1 passed, 0 failed');\n"}),
    "the folder gone": ("git", PYTHON, IN_PY, {"py/app.py": None, "py/test_app.py": None, "py/conftest.py": None}),
}  # fmt: skip
HONEST: dict[str, tuple[str, dict[str, str], str, dict[str, str | None]]] = {
    "code and a test": ("git", PYTHON, IN_PY, {
        "py/app.py": APP + "\n\ndef half(x):\n    return x / 2\n",
        "py/test_app.py": TEST + "\n\ndef test_half():\n    from app import half\n\n    assert half(4) == 2\n"}),
    "another folder's words": ("git", {**PYTHON, "web/a.md": "a"}, IN_PY, {"web/a.md": "b"}),
    "the code that npm tests": ("npm", NODE, IN_WEB, {"web/app.js": "exports.double = (x) => x + x;\n"}),
}  # fmt: skip


@pytest.mark.parametrize("name", few(LIES, 2))
def test_a_lie_in_a_folder_is_refuted(court: Court, name: str):
    program, base, command, change = LIES[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change, command, repeats=1)

    assert "refuted" == judged.end, str(judged)


@pytest.mark.parametrize("name", few(HONEST, 1))
def test_an_honest_change_in_a_folder_is_proven(court: Court, name: str):
    program, base, command, change = HONEST[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change, command)

    assert "proven" == judged.end, str(judged)


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("cd py && pytest", "py"),
        ("cd py/a && FOO=1 pytest -q | cat", "py/a"),
        ("cd 'a b' && go test ./...", "a b"),
        ("cd -- py && pytest", "py"),
        ("cd .. && pytest", ""),
        ("cd py/../.. && pytest", ""),
        ("cd /tmp && pytest", ""),
        ("cd $HOME && pytest", ""),
        ("cd py && pytest && cd ../web && npm test", ""),
        ("cd py; pytest", ""),
        ("pytest", ""),
    ],
)
def test_the_folder_of_a_command_is_known_where_all_of_it_runs_there(command: str, folder: str):
    """A command that moves on is one of the whole tree, and so is one that leaves it."""
    assert folder == inside(command)[0]
    assert go_inside(*inside(command)) == (command.replace("-- ", "") if folder else command)


def test_only_this_folders_tests_are_asked_of_its_command(tmp_path: Path):
    """By their names there; a test of another folder is none of its own."""
    assert only_tests("cd py && pytest -q", ["py/test_a.py"]) == "cd py && pytest -q test_a.py"
    assert (
        only_tests("cd py && pytest -q", ["py/test_a.py::T::test_b"])
        == "cd py && pytest -q test_a.py::T::test_b"
    )
    assert only_tests("cd py && pytest -q", ["py/test_a.py", "web/test_b.py"]) is None


def test_the_programs_of_its_own_folder_come_first(tmp_path: Path):
    """Two environments are on PATH; a command in `b` gets that of `b`."""
    for name in ("a", "b"):
        python = tmp_path / name / ".venv/bin/which-one"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {name} $VIRTUAL_ENV\n")
        python.chmod(0o755)
    path = os.pathsep.join([str(tmp_path / n / ".venv/bin") for n in ("a", "b")] + [os.environ["PATH"]])

    said = []
    for name in ("a", "b"):
        asked = instrument(
            f"cd {name} && which-one",
            tree=tmp_path,
            env={"PATH": path},
            report_dir=tmp_path / f"reports-{name}",
        )
        done = subprocess.run(
            ["/bin/sh", "-c", asked.command],
            cwd=tmp_path,
            env=asked.env,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.split())

    assert said == [["a", f"{tmp_path}/a/.venv"], ["b", f"{tmp_path}/b/.venv"]]


def test_what_a_folders_script_starts_belongs_to_its_tests(make):
    """`npm test` in `web` starts `web/scripts/run.js`, and that starts nothing of the top."""
    repo = make(
        {
            "web/package.json": '{"scripts": {"test": "node scripts/run.js"}}',
            "web/scripts/run.js": "",
            "scripts/run.js": "",
        }
    )
    git = Git.open(repo.path)
    paths = ["web/scripts/run.js", "web/package.json"]

    tests = TestPaths.at(git, git.head(), ("cd web && npm test",), paths)

    assert ["web/scripts/run.js"] == [p for p in paths if tests.belongs(p)]


@pytest.mark.parametrize(
    ("command", "only"),
    [
        ("node_modules/.bin/jest", "node_modules/.bin/jest test/a.test.js"),
        ("node node_modules/.bin/jest", "node node_modules/.bin/jest test/a.test.js"),
        ("./node_modules/.bin/mocha test", "./node_modules/.bin/mocha test/a.test.js"),
        ("env CI=1 npx vitest run", "env CI=1 npx vitest run test/a.test.js"),
        ("vitest run", "npx --no-install vitest run test/a.test.js"),
    ],
)
def test_a_runner_that_is_named_by_its_path_is_started_as_it_is(command: str, only: str):
    """npx finds a name, and no path: with it the changed tests could not be run by themselves."""
    assert only == only_tests(command, ["test/a.test.js"])
