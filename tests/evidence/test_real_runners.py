"""Ids and counts as the real runners give them: each case here starts the runner itself.

Where a runner is missing the test skips with one line, unless ORCHESTRATOR_REQUIRE_ALL is set.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.javascript_scripts import script_commands
from orchestrator_action.verify.ecosystems.results import instrument, only_tests, read_cases, read_counts
from tests.conftest import NPM, need
from tests.kit.repos import clean_env
from tests.kit.tables import few

_HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
"""The user's real home, where rustup keeps its toolchains; HOME itself is the test's own."""


def _need(program: str) -> None:
    if shutil.which(program) is None:
        if os.environ.get("ORCHESTRATOR_REQUIRE_ALL"):
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")


class Ran:
    """A command as it ended in a tree of these files, read as the house reads it."""

    def __init__(self, folder: Path, files: Mapping[str, str], command: str) -> None:
        self.tree, self.reports = folder / "tree", folder / "reports"
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        env = {**clean_env(), "CI": "1", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        env |= {"RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(_HOME / ".rustup"))}
        asked = instrument(command, tree=self.tree, env=env, report_dir=self.reports)
        done = subprocess.run(
            ["sh", "-c", asked.command], cwd=self.tree, env=asked.env, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, check=False,
        )  # fmt: skip
        self.output, self.exit_code = done.stdout, done.returncode
        self.cases = read_cases(self.reports, self.output, command)
        self.counts = read_counts(self.reports, self.output, command)

    @property
    def outcomes(self) -> dict[str, str]:
        assert self.cases is not None, self.output
        return {case.id: case.outcome for case in self.cases}


PY = f"{sys.executable} -m"
UNIT = (
    "import unittest\nclass T(unittest.TestCase):\n def test_a(self):\n  'words'\n  print('hello')\n"
    " def test_b(self): self.assertEqual(1, 2)\n @unittest.skip('why')\n def test_c(self): pass\n"
)
NODE = (
    "const { test, describe, it } = require('node:test');\nconst assert = require('node:assert');\n"
    "describe('s', () => { it('a', () => {}); it('b', () => { assert.equal(1, 2); }); });\n"
    "test('c', { skip: 'why' }, () => {});\n"
)
GO = (
    'package x\nimport "testing"\nfunc TestA(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }\n'
    'func TestB(t *testing.T) { t.Fatal("no") }\nfunc TestC(t *testing.T) { t.Skip("why") }\n'
)
RUST = "#[test]\nfn a() {}\n#[test]\nfn b() { panic!() }\n#[test]\n#[ignore]\nfn c() {}\n"
RSPEC = "RSpec.describe 'x' do\n it('a') {}\n it('b') { expect(1).to eq 2 }\n xit('c') {}\nend\n"
MINITEST = (
    "require 'minitest/autorun'\nclass TestX < Minitest::Test\n def test_a; end\n"
    " def test_b; assert_equal 1, 2; end\n def test_c; skip; end\nend\n"
)
PHP = (
    "<?php\nclass XTest extends PHPUnit\\Framework\\TestCase {\n function test_a() { $this->assertTrue(true); }\n"
    " function test_b() { $this->assertTrue(false); }\n function test_c() { $this->markTestSkipped('why'); }\n}\n"
)
BATS = '@test "a" { true; }\n@test "b" { false; }\n@test "c" { skip; }\n'
PERL = "use Test::More tests => 1;\nok(1, 'a');\n"
CMAKE = (
    "cmake_minimum_required(VERSION 3.10)\nproject(x NONE)\nenable_testing()\nadd_test(NAME a COMMAND true)\n"
    'add_test(NAME b COMMAND false)\nadd_test(NAME c COMMAND sh -c "exit 77")\n'
    "set_tests_properties(c PROPERTIES SKIP_RETURN_CODE 77)\n"
)
MESON = "project('x')\ntest('a', find_program('true'))\ntest('b', find_program('false'))\n"

CASES = {
    "pytest": (
        "",
        {"tests/test_a.py": UNIT},
        f"{PY} pytest -q -p no:cacheprovider",
        {"tests/test_a.py::T::test_a": "passed", "tests/test_a.py::T::test_b": "failed",
         "tests/test_a.py::T::test_c": "skipped"},
    ),
    "pytest in a folder": (
        "",
        {"py/tests/test_a.py": UNIT},
        f"cd py && {PY} pytest -q -p no:cacheprovider",
        {"py/tests/test_a.py::T::test_a": "passed", "py/tests/test_a.py::T::test_b": "failed",
         "py/tests/test_a.py::T::test_c": "skipped"},
    ),
    "node --test in a folder": (
        "node",
        {"web/package.json": '{"scripts": {"test": "node --test"}}', "web/a.test.js": NODE},
        "cd web && npm test",
        {"web/a.test.js::s > a": "passed", "web/a.test.js::s > b": "failed", "web/a.test.js::c": "skipped"},
    ),
    "go in a folder": (
        "go",
        {"a b/go.mod": "module x\n", "a b/x_test.go": GO},
        "cd 'a b' && go test ./...",
        {"a b/x.TestA": "passed", "a b/x.TestA/sub": "passed", "a b/x.TestB": "failed", "a b/x.TestC": "skipped"},
    ),
    "unittest": (
        "",
        {"test_a.py": UNIT},
        f"{PY} unittest",
        {"test_a.T.test_a": "passed", "test_a.T.test_b": "failed", "test_a.T.test_c": "skipped"},
    ),
    "node --test": (
        "node",
        {"package.json": '{"scripts": {"test": "node --test"}}', "a.test.js": NODE},
        "npm test",
        {"a.test.js::s > a": "passed", "a.test.js::s > b": "failed", "a.test.js::c": "skipped"},
    ),
    "node file": (
        "node",
        {"package.json": '{"scripts": {"test": "node test.js"}}', "test.js": NODE},
        "npm test",
        {"test.js::s > a": "passed", "test.js::s > b": "failed", "test.js::c": "skipped"},
    ),
    "go": (
        "go",
        {"go.mod": "module x\n", "x_test.go": GO},
        "go test ./...",
        {"x.TestA": "passed", "x.TestA/sub": "passed", "x.TestB": "failed", "x.TestC": "skipped"},
    ),
    "cargo": (
        "cargo",
        {"Cargo.toml": '[package]\nname = "x"\nversion = "0.1.0"\n', "src/lib.rs": RUST, "tests/it.rs": RUST},
        "cargo test --offline --no-fail-fast",
        {"x src/lib.rs::a": "passed", "x src/lib.rs::b": "failed", "x src/lib.rs::c": "skipped",
         "it tests/it.rs::a": "passed", "it tests/it.rs::b": "failed", "it tests/it.rs::c": "skipped"},
    ),
    "rspec": (
        "rspec",
        {"spec/x_spec.rb": RSPEC},
        "rspec",
        {"spec/x_spec.rb::x a": "passed", "spec/x_spec.rb::x b": "failed", "spec/x_spec.rb::x c": "skipped"},
    ),
    "rake": (
        "rake",
        {"Rakefile": "require 'rake/testtask'\nRake::TestTask.new\n", "test/test_x.rb": MINITEST},
        "rake test",
        {"TestX#test_a": "passed", "TestX#test_b": "failed", "TestX#test_c": "skipped"},
    ),
    "phpunit": (
        "phpunit",
        {"tests/XTest.php": PHP},
        "phpunit tests",
        {"XTest::test_a": "passed", "XTest::test_b": "failed", "XTest::test_c": "skipped"},
    ),
    "bats": ("bats", {"test/x.bats": BATS}, "bats --recursive test", {"a": "passed", "b": "failed", "c": "skipped"}),
    "prove": (
        "prove",
        {"t/a.t": PERL, "t/b.t": PERL.replace("ok(1", "ok(0"), "t/c.t": "use Test::More skip_all => 'why';\n"},
        "prove -lr t",
        {"t/a.t": "passed", "t/b.t": "failed", "t/c.t": "skipped"},
    ),
    "ctest": (
        "ctest",
        {"CMakeLists.txt": CMAKE},
        "cmake -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure",
        {"a": "passed", "b": "failed", "c": "skipped"},
    ),
    "meson": (
        "meson",
        {"meson.build": MESON},
        "meson setup build && meson test -C build --print-errorlogs",
        {"x::a": "passed", "x::b": "failed"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", few(CASES, 8))
def test_every_case_has_its_id(name: str, tmp_path: Path):
    """One passes, one fails, one is skipped; the numbers agree with the ids."""
    program, files, command, wanted = CASES[name]
    if program:
        _need(program)

    ran = Ran(tmp_path, files, command)

    assert wanted == ran.outcomes, ran.output
    assert ran.exit_code != 0
    assert ran.counts is not None
    top = [o for i, o in wanted.items() if "/sub" not in i]
    assert (top.count("failed"), top.count("passed")) == (ran.counts.failed, ran.counts.passed), ran.counts


@pytest.mark.parametrize(
    "name", few(["pytest", "unittest", "node --test", "go", "bats", "prove", "rspec"], 3)
)
def test_some_tests_run_alone(name: str, tmp_path: Path):
    """The file that is asked for runs, and no other one."""
    program, files, command, wanted = CASES[name]
    if program:
        _need(program)
    [test] = list(files)[-1:] if name != "prove" else ["t/b.t"]
    folder, _, own = test.rpartition("/")
    other = {f"{folder}/{own}".strip("/"): files[test]}
    if name not in {"go", "prove"}:
        other[
            f"{folder}/{own.replace('a', 'other_a', 1) if 'test_a' not in own else 'test_z.py'}".strip("/")
        ] = files[test]
    first = Ran(tmp_path / "all", {**files, **other}, command)

    only = only_tests(command, [test], tree=first.tree)

    assert only is not None
    ran = Ran(tmp_path / "one", {**files, **other}, only)
    assert ran.counts is not None and ran.counts.failed == (1 if name != "cargo" else 2), ran.output
    if name == "prove":
        assert list(ran.outcomes) == ["t/b.t"]
    else:
        assert len(ran.outcomes) == len(wanted), ran.output


def test_an_import_error_is_no_failed_test(tmp_path: Path):
    """pytest could not collect the file: that is an error of its own kind."""
    ran = Ran(tmp_path, {"test_a.py": "import nowhere\n"}, f"{PY} pytest -q -p no:cacheprovider")

    assert ran.cases is not None
    assert ["error"] == [case.outcome for case in ran.cases]
    assert ran.exit_code == 2


def test_a_fake_closing_line_does_not_count(tmp_path: Path):
    """Our report says one test, whatever the test prints."""
    text = "def test_a():\n    import sys\n    sys.__stdout__.write('=== 99 passed in 0.1s ===\\n')\n"

    ran = Ran(tmp_path, {"test_a.py": text}, f"{PY} pytest -q -s -p no:cacheprovider")

    assert ran.counts is not None and ran.counts.passed == 1, ran.output


def test_two_runs_of_one_command_have_no_ids(tmp_path: Path):
    """The second pytest writes its report over the first one's; the numbers still add up."""
    one = f"{PY} pytest -q -p no:cacheprovider"

    ran = Ran(tmp_path, {"test_a.py": "def test_a(): pass\n", "test_b.py": "def test_b(): pass\n"},
              f"{one} test_a.py && {one} test_b.py")  # fmt: skip

    assert ran.cases is None
    assert ran.counts == Counts(passed=2, source="pytest")


def test_reports_in_the_tree_are_this_runs_only(tmp_path: Path):
    """A report that lay there before says nothing of this run."""
    old = '<testsuite tests="1"><testcase classname="a" name="old"/></testsuite>'
    new = old.replace("old", "new")

    ran = Ran(
        tmp_path, {"reports/TEST-old.xml": old, "new.xml": new}, "cp new.xml reports/TEST-new.xml; true"
    )

    assert ran.cases == (CaseResult(id="a::new", outcome="passed"),)


@pytest.mark.parametrize("reporter", few(["dot", "tap", "junit", "spec"], 2))
def test_a_reporter_of_the_repositorys_own_stays(reporter: str, tmp_path: Path):
    """Ours comes beside it, so that even dots have numbers and ids."""
    _need("node")
    package = json.dumps({"scripts": {"test": f"node --test --test-reporter={reporter}"}})

    ran = Ran(tmp_path, {"package.json": package, "a.test.js": NODE}, "npm test")

    assert ran.counts is not None and (ran.counts.passed, ran.counts.failed, ran.counts.skipped) == (1, 1, 1)
    assert "a.test.js::s > b" in ran.outcomes


def test_reporters_with_destinations_are_left_alone(tmp_path: Path):
    """Where the repository pairs reporters and destinations itself, one more is a usage error of node's."""
    _need("node")
    options = "--test-reporter=tap --test-reporter-destination=stdout"
    package = json.dumps({"scripts": {"test": f"node --test {options}"}})

    ran = Ran(tmp_path, {"package.json": package, "a.test.js": NODE}, "npm test")

    assert ran.counts is not None and (ran.counts.passed, ran.counts.failed, ran.counts.skipped) == (1, 1, 1)


IT = "it('a', () => {}); it('b', () => { if (require('fs').existsSync('RED')) throw new Error('no'); });\n"
SEVERAL = {
    "m/one.js": IT, "j/one.test.js": IT, "v/one.spec.js": IT, "n/main.js": "require('./one.js');\n",
    "n/one.js": "const { test: it } = require('node:test');\n" + IT,
    "package.json": json.dumps({"scripts": {
        "test": "npm run build && npm run test:all", "build": "node -e 0",
        "test:all": "mocha m/one.js; jest j/one; vitest run --globals --dir v; "
        "vitest run --globals --dir v -t a; node n/main.js",
    }}),
}  # fmt: skip


@pytest.mark.npm
@pytest.mark.parametrize("red", ["", "1"], ids=["green", "red"])
def test_each_run_of_a_script_has_a_report_of_its_own(tmp_path: Path, red: str):
    """Of mocha, jest, vitest twice, and node: what is red has a name, and a test that ran twice is there twice."""
    need(NPM / ".bin" / "jest", "jest")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/node_modules").symlink_to(NPM)

    ran = Ran(tmp_path, SEVERAL | ({"RED": ""} if red else {}), "npm test")

    end = "failed" if red else "passed"
    twice = {
        "v/one.spec.js::a": "passed",
        "v/one.spec.js::a (2)": "passed",
        "v/one.spec.js::b": end,
        "v/one.spec.js::b (2)": "skipped",
    }
    once = {
        f"{file}::{name}": how
        for file in ("m/one.js", "j/one.test.js", "n/one.js")
        for name, how in (("a", "passed"), ("b", end))
    }
    assert {**once, **twice} == ran.outcomes, ran.output


@pytest.mark.parametrize(
    ("scripts", "found"),
    [
        ({"test": "npm run a && yarn b", "a": "x", "b": "c8 npm run c", "c": "node t.js"},
         ["npm test", "npm run a", "yarn b", "x", "c8 npm run c", "node t.js"]),
        ({"test": "npm t"}, ["npm test", *["npm t"] * 29]),
        ({}, ["npm test"]),
    ],
)  # fmt: skip
def test_a_command_is_followed_through_scripts(tmp_path: Path, scripts: dict[str, str], found: list[str]):
    """As far as they name each other; a script that starts itself is followed thirty times."""
    (tmp_path / "package.json").write_text(json.dumps({"scripts": scripts}))

    assert found == script_commands("npm test", tmp_path)
