"""Lies that are told beside the tests: a helper in another folder, a tool's name on a file, a tool from elsewhere."""

from __future__ import annotations

import shutil

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.test_tools import in_a_tools_place, tools_from_elsewhere
from orchestrator_action.verify.test_paths import TestPaths
from tests.conftest import need
from tests.evidence.judge import PYTEST, UNITTEST, Change, Court
from tests.kit.tables import one_of_each

APP = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
WRONG = APP.replace("2 * x", "2 * x if x != 2 else 5")
TEST = "from app import double\nfrom support.same import same\n\n\ndef test_two():\n    same(double(2), 4)\n\n\ndef test_three():\n    same(double(3), 6)\n"
SAME = "def same(a, b):\n    if a != b:\n        raise AssertionError(f'{a} is not {b}')\n"
BASE = {"app.py": APP, "support/__init__.py": "", "support/same.py": SAME, "test_app.py": TEST}
CASE = "import unittest\n\nfrom app import double\n\n\nclass T(unittest.TestCase):\n    def test_two(self):\n        self.assertEqual(4, double(2))\n"
GO = {
    "go.mod": "module example.com/a\n\ngo 1.18\n",
    "a.go": "package a\n\nfunc Double(x int) int { return 2 * x }\n",
    "internal/check/same.go": 'package check\n\nimport "testing"\n\nfunc Same(t *testing.T, a, b int) {\n\tif a != b {\n\t\tt.Fatal(a, b)\n\t}\n}\n',
    "a_test.go": 'package a\n\nimport (\n\t"testing"\n\n\t"example.com/a/internal/check"\n)\n\nfunc TestTwo(t *testing.T) { check.Same(t, Double(2), 4) }\n',
}
BAD_GO = GO["a.go"].replace("2 * x", "x * x * x")
RUBY = {
    "lib/app.rb": "def double(x)\n  2 * x\nend\n",
    "test/test_app.rb": "require 'minitest/autorun'\nrequire_relative '../lib/app'\nclass TestApp < Minitest::Test\n  def test_two; assert_equal 4, double(2); end\n  def test_three; assert_equal 6, double(3); end\nend\n",
}
FAKE_RUBY = "module Minitest; class Test; def self.inherited(k); end; def assert_equal(*); end; end; end\nputs '2 runs, 2 assertions, 0 failures, 0 errors, 0 skips'\n"
PERL = {
    "lib/App.pm": "package App;\nsub twice { 2 * $_[0] }\n1;\n",
    "t/app.t": "use Test::More tests => 2;\nuse App;\nis(App::twice(2), 4, 'two');\nis(App::twice(3), 6, 'three');\n",
}
FAKE_PERL = 'package Test::More;\nuse base \'Exporter\';\nour @EXPORT = qw(is);\nmy $n = 0;\nsub import { print "1..2\\n"; goto &Exporter::import }\nsub is { $n++; print "ok $n - $_[2]\\n" }\n1;\n'
NODE = {
    "package.json": '{"name": "a", "scripts": {"test": "check"}}\n',
    "app.js": "exports.double = (x) => 2 * x;\n",
    "test/app.test.js": "const { test } = require('node:test');\nconst { same } = require('../helpers/same.js');\ntest('two', () => { same(require('../app.js').double(2), 4); });\n",
    "helpers/same.js": "exports.same = (a, b) => { if (a !== b) throw new Error('no'); };\n",
}
PLAIN_NODE = {**NODE, "package.json": '{"name": "a", "scripts": {"test": "node --test"}}\n'}
BAD_NODE = "exports.double = (x) => 5;\n"

LIES: dict[str, tuple[str, dict[str, str], Change, str]] = {
    "python: helper outside of the tests gutted": ("git", BASE, {"app.py": WRONG, "support/same.py": "def same(a, b):\n    pass\n"}, PYTEST),
    "python: a module in the place of a standard one": ("git", {"app.py": APP, "test_case.py": CASE}, {
        "app.py": WRONG, "difflib.py": "import unittest\n\nunittest.TestCase.assertEqual = lambda *a: None\n\n\ndef __getattr__(name):\n    return None\n"}, f"{UNITTEST} test_case"),
    "go: helper package gutted": ("go", GO, {"a.go": BAD_GO, "internal/check/same.go": GO["internal/check/same.go"].replace("a != b", "a != a")}, "go test ./..."),
    "ruby: minitest from lib": ("ruby", RUBY, {"lib/app.rb": "def double(x)\n  5\nend\n", "lib/minitest/autorun.rb": FAKE_RUBY}, "ruby -Ilib test/test_app.rb"),
    "perl: Test::More from lib": ("prove", PERL, {"lib/App.pm": PERL["lib/App.pm"].replace("2 *", "3 *"), "lib/Test/More.pm": FAKE_PERL}, "prove -l t"),
    "node: helper outside of the tests gutted": ("node", PLAIN_NODE, {"app.js": BAD_NODE, "helpers/same.js": "exports.same = () => {};\n"}, "npm test"),
    "node: a runner below node_modules": ("node", PLAIN_NODE, {
        "app.js": BAD_NODE, "node_modules/.bin/node": "#!/bin/sh\necho '# tests 1'; echo '# pass 1'; echo '# fail 0'; echo '# cancelled 0'\n"},
        "npm test"),
}  # fmt: skip
HONEST: dict[str, tuple[str, dict[str, str], Change, str]] = {
    "python: helper with a better message": ("git", BASE, {"app.py": APP + "# more\n", "support/same.py": SAME.replace("is not", "!=")}, PYTEST),
    "python: helper outside of the tests, and its user": ("git", BASE, {
        "app.py": APP + "\n\ndef third(x):\n    return x / 3\n", "support/same.py": SAME + "\n\ndef near(a, b):\n    same(round(a, 6), round(b, 6))\n",
        "test_app.py": TEST + "\n\ndef test_third():\n    from app import third\n    from support.same import near\n\n    near(third(3), 1)\n"}, PYTEST),
    "node: helper added": ("node", PLAIN_NODE, {"app.js": "exports.double = (x) => x + x;\n", "helpers/near.js": "exports.near = (a, b) => {};\n"}, "npm test"),
}  # fmt: skip


@pytest.mark.parametrize("name", one_of_each(LIES))
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    program, base, change, command = LIES[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change if isinstance(change, str) else dict(change), command, repeats=1)

    assert "refuted" == judged.end, str(judged)


@pytest.mark.parametrize("name", one_of_each(HONEST))
def test_an_honest_change_is_proven(court: Court, name: str):
    program, base, change, command = HONEST[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change, command)

    assert "proven" == judged.end, str(judged)


def test_what_only_tests_name_and_what_a_source_names_are_told_apart(make):
    """A file that a source uses is code under test, whatever it is called."""
    repo = make({**BASE, "support/fake.py": "def fake():\n    return 1\n", "shop.py": "from support.fake import fake\n",
                 "plain.py": "X = 1\n", "test_more.py": "import plain\nfrom support.fake import fake\n"})  # fmt: skip
    git = Git.open(repo.path)
    changed = ["support/same.py", "support/fake.py", "plain.py", "app.py"]

    tests = TestPaths.at(git, git.head(), (PYTEST,), changed)

    assert ["support/same.py"] == [p for p in changed if tests.belongs(p)]


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("pytest.py", True), ("argparse.py", True), ("unittest/__init__.py", True), ("lib/minitest/autorun.rb", True),
        ("lib/rspec/core.rb", True), ("lib/Test/More.pm", True), ("lib/TAP/Harness.pm", True), ("vendor/bin/phpunit", True),
        ("node_modules/chai/index.js", True), ("node_modules/.bin/node", True), ("bin/rspec", True), ("pytest_mock.py", True),
        ("packaging/__init__.py", True), ("parameterized.py", True), ("packaging/build.py", False),
        ("app.py", False), ("lib/app.rb", False), ("lib/App/Test.pm", False), ("platform/linux.py", False),
        ("node_modules/left-pad/index.js", False), ("lib/Testing.pm", False), ("bin/app", False), ("src/email/__init__.py", False),
    ],
)  # fmt: skip
def test_a_file_in_the_place_of_a_test_tool_is_known_by_its_path(path: str, is_one: bool):
    assert is_one == in_a_tools_place(path)


@pytest.mark.parametrize(
    ("path", "line", "elsewhere"),
    [
        ("package.json", '    "jest": "file:./fake-jest",', True),
        ("package.json", '    "chai": "npm:my-chai@1.0.0",', True),
        ("package.json", '    "mocha": "github:x/y",', False),
        ("package.json", '    "jest": "^30.0.0",', False),
        ("package.json", '    "left-pad": "file:./left-pad",', False),
        ("requirements-dev.txt", "pytest @ file:///tree/fake", True),
        ("requirements-dev.txt", "pytest>=8", False),
        ("Gemfile", "gem 'rspec', path: 'fake'", True),
        ("Gemfile", "gem 'rspec', '~> 3.0'", False),
        ("go.mod", "replace github.com/stretchr/testify => ./fake", True),
        ("go.mod", "replace github.com/me/mine => ../mine", False),
        ("Cargo.toml", 'proptest = { path = "fake" }', True),
        ("Cargo.toml", 'proptest = "1"', False),
    ],
)
def test_a_test_tool_from_elsewhere_is_named(path: str, line: str, elsewhere: bool):
    assert elsewhere == bool(list(tools_from_elsewhere(path, f"\n{line}\n")))
