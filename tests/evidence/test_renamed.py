"""A test that was renamed lives on with its words and values; one that was swapped for less does not."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.ecosystems.testfiles import test_names
from orchestrator_action.verify.renamed import bare_name, lives_on, only_names_differ
from tests.evidence.judge import PYTEST, Court
from tests.kit.tables import few

OLD = """import pytest


@pytest.mark.parametrize(("n", "twice"), [(1, 2), (21, 42)])
def test_double(n, twice):
    \"\"\"Twice as much.\"\"\"
    result = double(n)
    assert twice == result


def test_other():
    assert 3 == other()
"""
RENAMED = OLD.replace("test_double", "test_doubles_a_number")
COMMENTED = RENAMED.replace("    result", "    # the number that comes out\n    result")
TRIVIAL = OLD.replace(
    OLD[OLD.index("@pytest") : OLD.index("\n\ndef test_other")], "def test_it():\n    assert True\n"
)
WEAKER = RENAMED.replace("assert twice == result", "assert result")
OTHER_VALUES = RENAMED.replace("(21, 42)", "(0, 0)")
CASES = {
    "renamed": (RENAMED, "test_doubles_a_number", True),
    "renamed and commented": (COMMENTED, "test_doubles_a_number", True),
    "swapped for a trivial one": (TRIVIAL, "test_it", False),
    "other values": (OTHER_VALUES, "test_doubles_a_number", False),
    "swapped for its neighbour": (OLD, "test_other", False),
    "not there": (OLD, "test_nowhere", False),
}


@pytest.mark.parametrize(("head", "name", "wanted"), CASES.values(), ids=CASES)
def test_a_renamed_test_has_its_words_and_values(head: str, name: str, wanted: bool) -> None:
    """By its id as pytest has it, in the same file."""
    texts = {"tests/test_a.py": (OLD, head)}

    old, new = "tests/test_a.py::test_double[21-42]", f"tests/test_a.py::{name}[21-42]"
    assert wanted is lives_on(old, new, texts, "tests/test_a.py")


def test_a_test_in_a_renamed_file_is_found_there() -> None:
    """Git says what the file is called now."""
    texts = {"tests/test_a.py": (OLD, ""), "tests/test_b.py": ("", RENAMED)}

    assert lives_on(
        "tests/test_a.py::test_double", "tests/test_b.py::test_doubles_a_number", texts, "tests/test_a.py",
        {"tests/test_a.py": "tests/test_b.py"},
    )  # fmt: skip


JAVASCRIPT = "describe('a', () => {\n  it('doubles', () => {\n    expect(double(21)).toBe(42);\n  });\n});\n"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (JAVASCRIPT.replace("'doubles'", "'gives twice'"), True),
        ("describe('a', () => {\n  it('gives twice', () => {});\n});\n", False),
    ],
)
def test_a_javascript_test_is_known_by_its_title(head: str, wanted: bool) -> None:
    """Its block ends where the indentation does."""
    assert wanted is lives_on("a > doubles", "a > gives twice", {"a.test.js": (JAVASCRIPT, head)})


EACH = "it.each([\n  [1, 2],\n  [2, 4],\n])('doubles %i', (x, y) => {\n  expect(double(x)).toBe(y);\n});\n"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (EACH.replace("doubles %i", "double(%i) is %i"), True),
        (EACH.replace("doubles %i", "double(%i) is %i").replace("[2, 4]", "[2, 5]"), False),
        (EACH.replace("doubles %i", "double(%i) is %i").replace("toBe(y)", "toBeDefined()"), False),
    ],
    ids=["another title", "another value", "another assertion"],
)
def test_a_title_with_places_for_values_is_that_of_each_row(head: str, wanted: bool) -> None:
    """The rows belong to the test."""
    assert wanted is lives_on("doubles 2", "double(2) is 4", {"a.test.js": (EACH, head)})


GO = """func TestDouble(t *testing.T) {
	for _, c := range []struct{ in, want int }{{1, 2}, {5, 10}} {
		t.Run("", func(t *testing.T) {
			if got := Double(c.in); got != c.want {
				t.Errorf("%d", got)
			}
		})
	}
}
"""
NAMED = GO.replace("struct{ in,", "struct {\n\t\tname string\n\t\tin,").replace("{1, 2}", '{"one", 1, 2}')
NAMED = NAMED.replace("{5, 10}", '{"five", 5, 10}').replace('t.Run("",', "t.Run(c.name,")


@pytest.mark.parametrize(
    ("head", "wanted"),
    [(NAMED, True), (NAMED.replace("5, 10", "5, 11"), False), (NAMED.replace("t.Errorf", "t.Logf"), False)],
    ids=["named", "another value", "no failure"],
)
def test_subtests_of_go_that_get_names_live_on(head: str, wanted: bool) -> None:
    old, new = "example.com/a.TestDouble/#00", "example.com/a.TestDouble/one"

    assert wanted is lives_on(old, new, {"a_test.go": (GO, head)})


RSPEC = "RSpec.describe('app') do\n  it('doubles') { expect(twice(2)).to eq 4 }\nend\n"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [(RSPEC, True), (RSPEC.replace("eq 4", "eq 5"), False)],
    ids=["described anew", "another value"],
)
def test_a_test_of_rspec_is_known_by_the_end_of_its_description(head: str, wanted: bool) -> None:
    """The group around it may have another name."""
    texts = {"a_spec.rb": (RSPEC, head.replace("'app'", "'the app'"))}

    assert wanted is lives_on("a_spec.rb::app doubles", "a_spec.rb::the app doubles", texts, "a_spec.rb")


def test_two_tests_of_one_name_tell_nothing() -> None:
    """Without a file it is not known which one is meant."""
    texts = {"a.py": (OLD, ""), "b.py": (OLD, ""), "c.py": ("", RENAMED)}

    assert not lives_on("test_double", "test_doubles_a_number", texts)


@pytest.mark.parametrize(
    ("case_id", "name"),
    [
        ("tests/test_a.py::TestA::test_b[1-2]", "test_b"),
        ("tests.test_a.TestA.test_b", "test_b"),
        ("suite > group > does it", "does it"),
        ("pkg::tests::works", "works"),
        ("example.com/a.TestDouble/#00", "TestDouble"),
        ("example.com/a.TestDouble/one", "TestDouble"),
        ("AppTest::testDouble with data set #0", "testDouble"),
        ('AppTest::testDouble with data set "one"', "testDouble"),
        ("it adds a/b and c", "it adds a/b and c"),
    ],
)
def test_the_bare_name_of_an_id(case_id: str, name: str) -> None:
    """Without file, class and parameters."""
    assert name == bare_name(case_id)


FILE = """import pytest

from app import double, half

ROWS = ['1', "2"]


@pytest.mark.parametrize("row", ROWS)
def test_double(row):
    assert double(int(row)) == 2 * int(row)


def test_half():
    assert half(4) == 2
"""
MORE = "\n\ndef test_more():\n    assert half(6) == 3\n"
NODE = "const { double } = require('../app.js');\ntest('two', () => { assert.equal(double(2), 4); });\n"
NAMES_ONLY = {
    "a module": (FILE, FILE.replace("from app", "from core.numbers")),
    "a function": (FILE, FILE.replace("double(int", "twice(int").replace("double, ", "twice, ")),
    "a function and its test": (FILE, FILE.replace("double", "twice")),
    "quotes, lines and a comment": (FILE, FILE.replace("'1', \"2\"", "\n    # rows\n    \"1\",\n    '2',\n")),
    "imports on lines of their own": (FILE, FILE.replace("double, half", "(\n    double,\n    half,\n)")),
    "a test more": (FILE, FILE + MORE),
    "javascript: a module": (NODE, NODE.replace("../app.js", "../core.js")),
}
MORE_THAN_NAMES = {
    "an operator": (FILE, FILE.replace("half(4) == 2", "halve(4) >= 2")),
    "a value": (FILE, FILE.replace("half(4) == 2", "half(4) == 3")),
    "a value of the data": (FILE, FILE.replace('"2"', '"3"')),
    "more words": (FILE, FILE.replace("half(4) == 2", "half(4) == 2 or True")),
    "a statement more": (FILE, FILE.replace("    assert half", "    return\n    assert half")),
    "a test less": (FILE, FILE[: FILE.index("\n\ndef test_half")]),
    "a copy of the code": (FILE, FILE.replace("\nROWS", "\ndef double(x):\n    return x + x\n\n\nROWS")),
    "one name for two": (FILE, FILE.replace("half(4)", "double(4)")),
    "two names for one": (
        FILE,
        FILE.replace("double(int(row)) == 2 * int(row)", "double(int(row)) == 2 * float(row)"),
    ),
    "another assertion": (
        FILE.replace("assert half(4) == 2", "assertEqual(half(4), 2)"),
        FILE.replace("assert half(4) == 2", "assertLess(half(4), 2)"),
    ),
    "javascript: another assertion": (NODE, NODE.replace("assert.equal", "assert.notEqual")),
}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        *((*pair, True) for pair in NAMES_ONLY.values()),
        *((*pair, False) for pair in MORE_THAN_NAMES.values()),
    ],
    ids=[*NAMES_ONLY, *MORE_THAN_NAMES],
)
def test_names_that_were_exchanged_are_told_from_other_changes(old: str, new: str, same: bool) -> None:
    """The same way everywhere in a file; no word that decides is a name."""
    path = "a.test.js" if old == NODE else "test_a.py"

    assert same is only_names_differ(old, new, test_names(path, old), test_names(path, new))


APP = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"


@pytest.mark.parametrize(
    ("app", "edit", "end"),
    few(
        [
            (APP, ("from app", "from core"), "proven"),
            (APP.replace("2 * x", "3 * x"), ("== 2 * int", ">= int"), "except 1"),
            (
                APP.replace("2 * x", "3 * x"),
                ("from core import double, half", "from fixtures.good import double, half"),
                "except 1",
            ),
        ],
        2,
    ),
    ids=["honest", "weakened on the way", "a copy that git calls a rename"],
)
def test_a_file_that_cannot_be_compared_and_says_otherwise_is_an_exception(
    court: Court, app: str, edit: tuple[str, str], end: str
) -> None:
    """The module was renamed, so the base's own tests do not run: reading has to show that they are the same."""
    tests = FILE.replace("from app", "from core").replace(*edit)
    change = {"app.py": None, "core.py": app, "test_a.py": tests}
    if "fixtures" in tests:
        change["fixtures/good.py"] = APP

    judged = court.judge(
        {"app.py": APP, "test_a.py": FILE}, change, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )

    assert end == judged.end, str(judged)


LACKING = {
    "a function of a module": (
        "import app\n\n\ndef test_a():\n    assert app.double(2) == 4\n",
        {"app.py": APP.replace("def double", "def twice")}, ("double", "twice")),
    "a method": (
        "from app import A\n\n\ndef test_a():\n    assert A(2).double() == 4\n",
        {"app.py": "class A(int):\n    def twice(self):\n        return 2 * self\n"}, ("double", "twice")),
    "a parameter": (
        "from app import double\n\n\ndef test_a():\n    assert double(x=2) == 4\n",
        {"app.py": APP.replace("double(x)", "double(n)").replace("2 * x", "2 * n")}, ("x=", "n=")),
}  # fmt: skip
BEFORE = {"a method": "class A(int):\n    def double(self):\n        return 2 * self\n"}


@pytest.mark.parametrize("name", LACKING)
def test_a_name_that_became_another_is_no_failed_test(court: Court, name: str) -> None:
    """Where the tests say the same but for names, one that lacks its old name cannot be compared."""
    tests, change, (old, new) = LACKING[name]
    base = {"app.py": BEFORE.get(name, APP), "test_a.py": tests}

    judged = court.judge_case(
        base,
        {**change, "test_a.py": tests.replace(old, new)},
        PYTEST,
        repeats=1,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert "proven" == judged.end, str(judged)


def test_a_name_that_became_another_hides_no_other_change(court: Court) -> None:
    """The test's value changed on the way: then its old one has failed."""
    tests, change, (old, new) = LACKING["a function of a module"]
    wrong = {"app.py": change["app.py"].replace("2 * x", "3 * x")}
    weaker = tests.replace(old, new).replace("== 4", "== 6")

    judged = court.judge_case(
        {"app.py": APP, "test_a.py": tests}, {**wrong, "test_a.py": weaker}, PYTEST, repeats=1,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip
    assert "refuted" == judged.end, str(judged)


def test_everything_that_is_renamed_at_once_is_proven(court: Court) -> None:
    """Git sees no file that became another: they are short, and every name in them changed."""
    tests = "import app\n\n\ndef test_double():\n    assert app.double(2) == 4\n"
    tests += "\n\ndef test_half():\n    assert app.half(4) == 2\n"
    edits = (("app", "numbers_"), ("double", "twice"), ("half", "halve"))
    new, code = tests, APP
    for one, other in edits:
        new, code = new.replace(one, other), code.replace(one, other)
    change = {"app.py": None, "numbers_.py": code, "test_app.py": None, "test_numbers.py": new}

    judged = court.judge_case(
        {"app.py": APP, "test_app.py": tests}, change, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )

    assert "proven" == judged.end, str(judged)
