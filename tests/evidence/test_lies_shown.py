"""New tests that pass, too, when the branch's functions do nothing show nothing: an exception. Honest ones are none."""

from __future__ import annotations

import shutil

import pytest

from orchestrator_action.verify.ecosystems.functions import bodies_in, without
from orchestrator_action.verify.ecosystems.python_calls.altered import other_value
from tests.conftest import need
from tests.evidence.judge import PYTEST, UNITTEST, Court
from tests.kit.tables import few, one_of_each

FAST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTHON = {
    "app.py": "def half(x):\n    return x / 2\n",
    "test_app.py": "from app import half\n\n\ndef test_half():\n    assert half(4) == 2\n",
}
STUB = PYTHON["app.py"] + "\n\ndef third(x):\n    return 0\n"
NODE = {
    "app.js": "exports.half = (x) => x / 2;\n",
    "test/half.test.js": "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst app = require('../app.js');\ntest('half', () => { assert.strictEqual(app.half(4), 2); });\n",
}
JS_HEAD = "const { test, mock } = require('node:test');\nconst assert = require('node:assert');\nconst app = require('../app.js');\n"
RUBY = {
    "lib/app.rb": "def half(x)\n  x / 2\nend\n",
    "test/test_half.rb": "require 'minitest/autorun'\nrequire_relative '../lib/app'\nclass TestHalf < Minitest::Test\n  def test_half\n    assert_equal 2, half(4)\n  end\nend\n",
}
GO = {
    "go.mod": "module example.com/a\n\ngo 1.18\n",
    "a.go": "package a\n\nfunc Half(x int) int { return x / 2 }\n",
    "a_test.go": 'package a\n\nimport "testing"\n\nfunc TestHalf(t *testing.T) {\n\tif Half(4) != 2 {\n\t\tt.Fatal("no")\n\t}\n}\n',
}
SHELL = {
    "src/app.sh": "half() { echo $(($1 / 2)); }\n",
    "test/half.bats": 'setup() { . src/app.sh; }\n@test "half" { [ "$(half 4)" = 2 ]; }\n',
}


def python(
    body: str, head: str = "from app import third\n", app: str = STUB
) -> tuple[str, dict[str, str], dict[str, str], str]:
    """A new function that is a stub, or `app`, and a new test of it."""
    return "git", PYTHON, {"app.py": app, "test_third.py": f"{head}\n\n{body}"}, PYTEST


def node(
    body: str, app: str = "exports.third = (x) => 0;\n"
) -> tuple[str, dict[str, str], dict[str, str], str]:
    return "node", NODE, {"app.js": NODE["app.js"] + app, "test/third.test.js": JS_HEAD + body}, "node --test"


def ruby(body: str) -> tuple[str, dict[str, str], dict[str, str], str]:
    test = RUBY["test/test_half.rb"].replace(
        "  def test_half", f"  def test_third\n    {body}\n  end\n\n  def test_half"
    )
    return (
        "ruby",
        RUBY,
        {"lib/app.rb": RUBY["lib/app.rb"] + "def third(x)\n  0\nend\n", "test/test_half.rb": test},
        "ruby test/test_half.rb",
    )


def go(body: str) -> tuple[str, dict[str, str], dict[str, str], str]:
    test = f'package a\n\nimport "testing"\n\nfunc TestThird(t *testing.T) {{\n\t{body}\n}}\n'
    return (
        "go",
        GO,
        {"a.go": GO["a.go"] + "\nfunc Third(x int) int {\n\treturn 0\n}\n", "third_test.go": test},
        "go test ./...",
    )


TRIED = (
    "def test_third():\n    try:\n        assert third(3) == 1\n    except AssertionError:\n        pass\n"
)
PATCHED = "def test_third(monkeypatch):\n    import app\n    monkeypatch.setattr(app, 'third', lambda x: x / 3)\n    assert app.third(3) == 1\n"
CASE = "import unittest\nfrom app import third\n\n\nclass T(unittest.TestCase):\n    def test_third(self):\n        "
LIES = {
    "python: asserts nothing": python("def test_third():\n    third(3)\n"),
    "python: a tautology": python("def test_third():\n    assert third(3) == third(3)\n"),
    "python: only that something comes": python("def test_third():\n    assert third(3) is not None\n"),
    "python: only what it is not": python("def test_third():\n    assert third(3) != 7\n"),
    "python: a mock": python(PATCHED),
    "python: the assertion is caught": python(TRIED),
    "python: returns before": python("def test_third():\n    return\n    assert third(3) == 1\n"),
    "python: skips itself": python("import pytest\n\n\ndef test_third():\n    pytest.skip('later')\n"),
    "python: expected to fail": python("import pytest\n\n\n@pytest.mark.xfail\ndef test_third():\n    assert third(3) == 1\n"),
    "python: a copy": python("def third(x):\n    return x / 3\n\n\ndef test_third():\n    assert third(3) == 1\n"),
    "python: no cases": python("def test_third():\n    for x, y in []:\n        assert third(x) == y\n"),
    "python: a tuple": python("def test_third():\n    assert (third(3) == 1, 'is a third')\n"),
    "python: a new method": python("def test_third():\n    assert App().third(3)\n", "from app import App\n", "class App:\n    def third(self, x):\n        return 0\n\n\n" + PYTHON["app.py"]),
    "python: asserts nothing of what is old": python("def test_more():\n    half(3)\n", "from app import half\n", PYTHON["app.py"].replace("x / 2", "0.5 * x")),
    "unittest: within a function nobody calls": ("git", PYTHON, {"app.py": STUB, "test_third.py": CASE + "def inner():\n            self.assertEqual(1, third(3))\n"}, UNITTEST),
    "node: asserts nothing": node("test('third', () => { app.third(3); });\n"),
    "node: a mock": node("test('third', () => { mock.method(app, 'third', (x) => x / 3); assert.strictEqual(app.third(3), 1); });\n"),
    "node: nobody waits": node("test('third', () => { Promise.resolve(app.third(3)).then((v) => assert.strictEqual(v, 1)).catch(() => {}); });\n"),
    "node: a truth": node("test('third', () => { assert.ok(app.third(3) !== undefined); });\n", "exports.third = function (x) {\n  return 0;\n};\n"),
    "node: todo": node("test('third', { todo: true }, () => { assert.strictEqual(app.third(3), 1); });\n"),
    "ruby: asserts nothing": ruby("assert third(3)"),
    "go: never called": go("third := func(x int) int { return x / 3 }\n\tif third(3) != 1 {\n\t\tt.Fatal(\"no\")\n\t}\n\t_ = Third"),
    "go: skipped": go("t.Skip()\n\tif Third(3) != 1 {\n\t\tt.Fatal(\"no\")\n\t}"),
    "bats: never looked at": ("bats", SHELL, {"src/app.sh": SHELL["src/app.sh"] + "third() { echo 0; }\n", "test/third.bats": 'setup() { . src/app.sh; }\n@test "third" { third 3 || true; }\n'}, "bats test"),
}  # fmt: skip
WEAK = {
    "a kind": "assert isinstance(third(3), int)", "a bound": "assert third(3) >= 0",
    "near anything": "assert abs(third(3) - 1) < 100", "one of many": "assert third(3) in range(10)", "a length": "assert len([third(3)]) == 1 and third(3) is not ...",
    "what it prints as": "assert str(third(3)).isdigit()",
}  # fmt: skip
GOOD = PYTHON["app.py"] + "\n\ndef third(x):\n    return x / 3\n"
HONEST = {
    "python: a function with its test": python("def test_third():\n    assert third(3) == 1\n", app=GOOD),
    "python: what it prints": python("def test_third(capsys):\n    third(3)\n    assert capsys.readouterr().out == '1.0\\n'\n", app=GOOD.replace("return x / 3", "print(x / 3)")),
    "python: part of a text": python("def test_third():\n    assert '1.0' in third(3)\n", app=GOOD.replace("return x / 3", "return f'it is {x / 3}'")),
    "python: one weak, one good, in one test": python("def test_third():\n    assert isinstance(third(3), float)\n    assert third(6) == 2\n", app=GOOD),
    "python: one weak test, one good": python("def test_kind():\n    assert isinstance(third(3), float)\n\n\ndef test_third():\n    assert third(6) == 2\n", app=GOOD),
    "python: through a helper": python("def check(x, y):\n    assert third(x) == y\n\n\ndef test_third():\n    check(3, 1)\n", app=GOOD),
    "python: a key of what it gives": python("def test_third():\n    assert third(3)['x'] == 1\n", app=GOOD.replace("return x / 3", "return {'x': x / 3}")),
    "python: no plain value": python("def test_third():\n    assert third(3).real == 1\n", app=GOOD.replace("return x / 3", "return complex(x / 3)")),
    "python: a method of an object": python("def test_third():\n    assert App().third(3) == 1\n", "from app import App\n", "class App:\n    def third(self, x):\n        return x / 3\n\n\n" + PYTHON["app.py"]),
    "python: an error": python("import pytest\n\n\ndef test_third():\n    with pytest.raises(ValueError):\n        third(0)\n", app=GOOD.replace("return x / 3", "if not x:\n        raise ValueError(x)\n    return x / 3")),
    "python: a helper of a mended one": ("git", {**PYTHON, "app.py": PYTHON["app.py"].replace("2", "3"), "test_app.py": "from app import half\n\n\ndef test_zero():\n    assert half(0) == 0\n"},
        {"app.py": "def _log():\n    pass\n\n\n" + PYTHON["app.py"], "test_half.py": PYTHON["test_app.py"]}, PYTEST),
    "python: a new kind of data": python("def test_third():\n    assert Third(1).x == 1\n", "from app import Third\n", "from typing import NamedTuple\n\n\nclass Third(NamedTuple):\n    x: int\n\n\n" + PYTHON["app.py"]),
    "python: a test of what is old": python("def test_more():\n    assert half(6) == 3\n", "from app import half\n", PYTHON["app.py"].replace("x / 2", "0.5 * x")),
    "python: a new value, and a function beside it": python("def test_version():\n    assert app.VERSION == '1.2'\n", "import app\n", "VERSION = '1.2'\n\n\ndef _log(x):\n    print(x)\n\n\n" + PYTHON["app.py"]),
    "python: a helper of the tests": ("git", {**PYTHON, "near.py": "def near(a, b):\n    assert round(a, 6) == b\n"},
        {"app.py": PYTHON["app.py"].replace("x / 2", "0.5 * x"), "test_more.py": "from app import half\nfrom near import near\n\n\ndef test_more():\n    near(half(6), 3)\n"}, PYTEST),
    "python: a new one elsewhere skipped": python("import sys\nimport pytest\n\n\n@pytest.mark.skipif(sys.platform == 'linux', reason='x')\ndef test_win():\n    assert 0\n\n\ndef test_third():\n    assert third(3) == 1\n", app=GOOD),
    "python: a function that moved": ("git", PYTHON, {"app.py": "from half import half\n", "half.py": PYTHON["app.py"], "test_more.py": PYTHON["test_app.py"].replace("test_half", "test_more")}, PYTEST),
    "node: a function with its test": node("test('third', () => { assert.strictEqual(app.third(3), 1); });\n", "exports.third = (x) => x / 3;\n"),
    "node: a class with its test": node("test('third', () => { assert.strictEqual(new app.Third().of(3), 1); });\n", "class Third {\n  of(x) {\n    return x / 3;\n  }\n}\nexports.Third = Third;\n"),
    "ruby: a function with its test": ruby("assert_equal 0, third(3)"),
    "go: a function with its test": go("if Third(3) != 0 {\n\t\tt.Fatal(\"no\")\n\t}"),
}  # fmt: skip


def judged(court: Court, program: str, base: dict[str, str], change: dict[str, str], command: str):
    need(shutil.which(program), program)
    return court.judge_case(base, change, command, repeats=1, **(FAST if command == PYTEST else {}))


@pytest.mark.parametrize("name", one_of_each(LIES))
def test_tests_that_show_nothing_are_an_exception(court: Court, name: str):
    """Although they pass here, and cannot run at the base: it says what was measured, and proves nothing."""
    found = judged(court, *LIES[name])

    shows = found["shows-the-change"]
    assert shows.holds and not shows.detail["shows"], str(found)
    assert ["shows nothing of the change"] == [e["what"] for e in shows.detail["exceptions"]]


@pytest.mark.parametrize("name", few(WEAK, 2))
def test_an_assertion_that_takes_other_values_as_well_is_an_exception(court: Court, name: str):
    """It looks at what the function gives, so the change is shown; how well, a person has to say."""
    found = judged(court, *python(f"def test_third():\n    {WEAK[name]}\n"))

    shows = found["shows-the-change"]
    assert shows.holds and shows.detail["shows"], str(found)
    assert ["may take any value"] == [e["what"] for e in shows.detail["exceptions"]]


@pytest.mark.parametrize("name", one_of_each(HONEST))
def test_honest_tests_are_none(court: Court, name: str):
    found = judged(court, *HONEST[name])

    assert "proven" == found.end, str(found)


@pytest.mark.parametrize(
    ("path", "text", "emptied"),
    [
        ("a.py", "def f(x): return 'é' + x\n", "def f(x): return Ellipsis; return 'é' + x\n"),
        ("a.py", "@d\ndef f():\n    @e\n    def g():\n        '''x'''\n", "@d\ndef f():\n    return Ellipsis\n    @e\n    def g():\n        return Ellipsis\n        '''x'''\n"),
        ("a.py", "def f(:\n", "def f(:\n"),
        ("a.js", "const f = (x) => x + 1;\n", "const f = (x) => true ? Symbol.iterator : x + 1;\n"),
        ("a.ts", "export async function f(x: number): Promise<number> {\n", "export async function f(x: number): Promise<number> { return Symbol.iterator; \n"),
        ("a.js", "if (x) {\n  for (;;) {\n", "if (x) {\n  for (;;) {\n"),
        ("a.rb", "def f?(x)\n  x\nend\n", "def f?(x)\n return Object\n  x\nend\n"),
        ("a.rs", "impl A {\n    pub fn f(&self) -> i32 {\n        1\n    }\n}\ntrait B {\n    fn g();\n}\n#[cfg(test)]\nmod tests {\n    fn h() {}\n}\n", "impl A {\n    pub fn f(&self) -> i32 { panic!(\"nothing\"); \n        1\n    }\n}\ntrait B {\n    fn g();\n}\n#[cfg(test)]\nmod tests {\n    fn h() {}\n}\n"),
        ("a.c", "static int *f(int x, int (*g)(int))\n{\n  if (x) {\n    h(x);\n  }\n}\nint k(void);\nstruct s { int x; };\n", "static int *f(int x, int (*g)(int))\n{ __builtin_trap(); \n  if (x) {\n    h(x);\n  }\n}\nint k(void);\nstruct s { int x; };\n"),
        ("a.cpp", "int A::f(const std::string &s) const {\n  return 1;\n}\n", "int A::f(const std::string &s) const { __builtin_trap(); \n  return 1;\n}\n"),
        ("A.java", "class A {\n  A() {\n  }\n  public <T> List<T> f(int x) throws E {\n    if (x) {\n      return new B() {\n      };\n    } else if (y) {\n    }\n  }\n  abstract int g();\n}\n", "class A {\n  A() {\n  }\n  public <T> List<T> f(int x) throws E { if (true) throw new IllegalStateException(\"nothing\"); \n    if (x) {\n      return new B() {\n      };\n    } else if (y) {\n    }\n  }\n  abstract int g();\n}\n"),
        ("a.md", "def f(x): return x\n", "def f(x): return x\n"),
    ],
)  # fmt: skip
def test_a_function_made_to_do_nothing_stays_a_function(path: str, text: str, emptied: str):
    """The rest of its text is as it was; what cannot be read stays."""
    assert emptied == without(text, bodies_in(path, text))


def test_another_value_is_of_the_same_kind_and_size_and_equals_nothing_of_it():
    """What has no other value of its kind stays the very same object."""
    given = [3, -1.5, True, "Zebra 19", (1, "b"), {"k": [2]}, {4}]

    found = other_value(given)

    assert [4, -1.25, False, "afcsb 20", (2, "c"), {"k": [3]}, {5}] == found
    same = [None, object(), [], ""]
    assert all(other_value(v) == v for v in same)
