"""A new user's way: an empty HOME, no identity, `init`, the first push and what follows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import need
from tests.kit.tables import few

TOOL = str(Path(sys.executable).with_name("orchestrator-action"))
PYTHON = {
    "calc.py": "def double(x):\n    return 2 * x\n",
    "test_calc.py": (
        "import unittest\nfrom calc import double\n\nclass Calc(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(4, double(2))\n"
    ),
}
LOCK = {
    "name": "np", "version": "1.0.0", "lockfileVersion": 3,
    "packages": {"": {"devDependencies": {"two": "1.0.0"}}, "node_modules/two": {"version": "1.0.0"}},
}  # fmt: skip
NODE = {
    "package.json": json.dumps(
        {
            "name": "np",
            "version": "1.0.0",
            "scripts": {"test": "node --test"},
            "devDependencies": {"two": "1.0.0"},
        }
    ),
    "package-lock.json": json.dumps(LOCK),
    ".gitignore": "node_modules\n",
    "node_modules/two/package.json": '{"name": "two", "version": "1.0.0", "main": "i.js"}',
    "node_modules/two/i.js": "module.exports = 2;\n",
    "calc.js": "exports.double = (x) => require('two') * x;\n",
    "calc.test.js": (
        "const test = require('node:test'); const assert = require('node:assert');\n"
        "test('double', () => assert.equal(require('./calc').double(2), 4));\n"
    ),
}
SOMEBODY = ("-c", "user.name=n", "-c", "user.email=n@example.invalid")


class Newcomer:
    """A project in a fresh HOME; every command as it is typed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "np"
        self.remote = folder / "np.git"
        self.env = {
            "HOME": str(folder / "home"), "PATH": f"{Path(TOOL).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder / "temp"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        }  # fmt: skip
        for name in ("home", "temp", "np"):
            (folder / name).mkdir()
        self.run("git", "init", "-q", "--bare", "-b", "main", str(self.remote))
        self.run("git", "init", "-q", "-b", "main")
        self.run("git", "remote", "add", "origin", str(self.remote))

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.path, env=self.env, capture_output=True, text=True, timeout=100, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def commit(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.run("git", "add", "-A")
        done = self.run("git", *SOMEBODY, "commit", "-q", "-m", "work")
        assert 0 == done.returncode, done.stderr

    def at_remote(self) -> str:
        return self.run("git", "ls-remote", "--heads", "origin").stdout


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Newcomer]:
    made = Newcomer(tmp_path)
    yield made
    assert [] == [p.name for p in (tmp_path / "home").iterdir() if p.name != ".npm"]


@pytest.mark.parametrize("kind", few(["python", "node"], 1))
def test_from_init_to_the_third_push(new: Newcomer, kind: str):
    """Each step as the step before says it; no push of good work is refused, and none of bad work goes."""
    if kind == "node":
        need(shutil.which("npm"), "npm")
    early = new.run(TOOL, "init", "--yes")
    new.commit(PYTHON if kind == "python" else NODE)
    begun = new.run(TOOL, "init", "--yes")
    installed = new.run(TOOL, "hook", "install")
    status = new.run(TOOL, "hook", "status")
    new.commit({"README": "np\n"})
    name = "calc.py" if kind == "python" else "calc.js"

    first = new.run("git", "push", "-u", "origin", "main")
    new.run("git", "checkout", "-q", "-b", "task")
    new.commit({"notes": "more\n"})
    second = new.run("git", "push", "-u", "origin", "task")
    new.commit({name: (new.path / name).read_text().replace(" * x", " + x + 1")})
    third = new.run("git", "push")
    direct = new.run("git", "push", "origin", "task~:main")

    assert 2 == early.returncode
    assert "hint: commit, and run init again" in early.stderr
    assert 0 == begun.returncode, begun.stderr
    assert "orchestrator-action hook install" in begun.stderr
    assert 0 == installed.returncode, installed.stderr
    assert 0 == status.returncode, status.stdout
    assert 0 == first.returncode, first.stderr
    assert ": tests" in first.stderr
    assert 0 == second.returncode, second.stderr
    assert 1 == third.returncode
    assert "gate tests failed" in third.stderr
    assert "refs/heads/main is protected" in direct.stderr
    assert 2 == len(new.at_remote().splitlines())


def test_a_configuration_that_is_not_on_the_default_branch_is_said_not_to_count(new: Newcomer):
    """Whoever begins in a repository that is there already, and looks why nothing is judged."""
    new.commit(PYTHON)
    assert 0 == new.run("git", "push", "-u", "origin", "main").returncode
    assert 0 == new.run(TOOL, "init", "--yes").returncode
    assert 0 == new.run(TOOL, "hook", "install").returncode
    said = "not yet: .github/orchestrator.yml in your checkout; it counts once it is on origin/main"

    written = new.run(TOOL, "hook", "status")
    new.run("git", "checkout", "-q", "-b", "task")
    new.commit({})
    by_hand = new.run(TOOL, "hook", "run")
    pushed = new.run("git", "push", "-u", "origin", "task")
    new.run("git", "push", "--no-verify", "origin", "task:main")
    arrived = new.run(TOOL, "hook", "status")

    assert said in written.stdout
    assert said in by_hand.stderr
    assert 0 == pushed.returncode
    assert "the gates in refs/heads/task count once they are on the default branch" in pushed.stderr
    assert "not yet" not in arrived.stdout
    assert "gates: tests" in arrived.stdout


@pytest.mark.slow
def test_a_gate_that_lacks_the_installed_packages_says_how_it_gets_them(new: Newcomer):
    """A gate written by hand: what the checkout has and the gate's tree has not is named."""
    new.commit({
        **NODE, ".github/orchestrator.yml": "hook: {gates: [{name: two, command: test -d node_modules/two}]}\n",
    })  # fmt: skip
    assert 0 == new.run(TOOL, "hook", "install").returncode

    done = new.run("git", "push", "origin", "main")

    assert done.returncode != 0
    assert "`link: [node_modules]` brings it in" in done.stderr
