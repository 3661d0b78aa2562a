"""A test of Python that is written in another way and does the same is not lost; one that does less is."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.ecosystems.python_checks import taken_over
from tests.evidence.judge import PYTEST, Court

UNITTEST = """import unittest

from app import double, half


class AppTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(2), 4)

    def test_half(self):
        \"\"\"Two.\"\"\"
        self.assertEqual(2, half(4), "not two")

    def test_kind(self):
        self.assertIsInstance(half(4), float)
        self.assertIsNotNone(half(2))

    def test_bad(self):
        with self.assertRaisesRegex(TypeError, "unsupported"):
            half("a")
        self.assertRaises(TypeError, half, None)


if __name__ == "__main__":
    unittest.main()
"""
PLAIN = """import pytest

from app import double, half


def test_double():
    assert double(2) == 4


def test_half():
    assert half(4) == 2


def test_kind():
    assert isinstance(half(4), float)
    assert half(2) is not None


def test_bad():
    with pytest.raises(TypeError, match="unsupported"):
        half("a")
    with pytest.raises(TypeError):
        half(None)
"""
ALL = {"AppTest::test_double", "AppTest::test_half", "AppTest::test_kind", "AppTest::test_bad"}
TABLE = """import pytest

from app import double


@pytest.mark.parametrize(("x", "y"), [(1, 2), pytest.param(2, 4, id="two"), (5, 10)])
def test_double(x, y):
    assert double(x) == y
"""
ROWS = """from app import double


def test_one():
    assert double(1) == 2


def test_two():
    assert 4 == double(2)


def test_five():
    assert double(5) == 10
"""


def test_a_file_of_unittest_that_is_rewritten_for_pytest_has_all_its_tests():
    """Assertions, their messages and the order of an equality may differ."""
    assert ALL == set(taken_over(UNITTEST, PLAIN))


def test_a_table_and_a_function_for_each_of_its_rows_are_the_same():
    """In both directions."""
    assert {"test_double": ("test_one", "test_two", "test_five")} == taken_over(TABLE, ROWS)
    assert {"test_one", "test_two", "test_five"} == set(taken_over(ROWS, TABLE))


NAMED_TABLE = TABLE.replace('[(1, 2), pytest.param(2, 4, id="two"), (5, 10)]', "ROWS").replace(
    "@pytest", 'ROWS = [(1, 2), pytest.param(2, 4, id="two"), (5, 10)]\n\n\n@pytest', 1
)


def test_a_table_may_have_a_name():
    """Where nothing else names it."""
    assert {"test_one", "test_two", "test_five"} == set(taken_over(ROWS, NAMED_TABLE))
    assert not taken_over(ROWS, NAMED_TABLE + "\n\nROWS.pop()\n")


LESS = {
    "another value": ("== 4", "== 5", {"AppTest::test_double"}),
    "a weaker comparison": ("half(4) == 2", "half(4) >= 2", {"AppTest::test_half"}),
    "an early end": ("    assert half(4) == 2", "    return\n    assert half(4) == 2", {"AppTest::test_half"}),
    "a skip": ("def test_half", "@pytest.mark.skip\ndef test_half", {"AppTest::test_half"}),
    "a fixture": ("def test_half()", "def test_half(half)", {"AppTest::test_half"}),
    "or anything": ("half(4) == 2", "half(4) == 2 or True", {"AppTest::test_half"}),
    "another error": ("pytest.raises(TypeError):", "pytest.raises(Exception):", {"AppTest::test_bad"}),
    "one test for two": ("def test_half():\n    assert half(4) == 2\n\n\n", "", {"AppTest::test_half"}),
    "a copy of the code": ("def test_double", "def half(x):\n    return 2\n\n\ndef test_double", ALL),
    "another module": ("from app", "from fake", ALL),
    "a mock under its name": ("double, half\n", "double, half\nfrom unittest import mock as half\n", ALL),
    "a mark for all": ("\n\n\ndef test_double", "\npytestmark = pytest.mark.skip\n\n\ndef test_double", ALL),
    "a fixture for all": ("def test_double", "@pytest.fixture(autouse=True)\ndef f(): ...\n\n\ndef test_double", ALL),
}  # fmt: skip


@pytest.mark.parametrize("name", LESS)
def test_a_test_that_does_less_is_not(name: str):
    """What a name means has to be the same, too."""
    old, new, lost = LESS[name]
    assert old in PLAIN

    assert ALL - lost == set(taken_over(UNITTEST, PLAIN.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TABLE.replace("[(1, 2)", "[(f(), 2)"), ROWS),
        (TABLE.replace("def test_double(x, y):", "def test_double(x, y, tmp_path):"), ROWS),
        (TABLE.replace("    assert", "    x = 1\n    assert"), ROWS),
        (TABLE, ROWS.replace("    assert double(5) == 10", "    assert double(1) == 2")),
        (UNITTEST.replace("    def test_double", "    def setUp(self):\n        go()\n\n    def test_double"), PLAIN),
        (UNITTEST, "def test_double(:\n"),
    ],
    ids=["a value that is computed", "a fixture", "a name that changes", "a row twice", "a set-up", "no Python"],
)  # fmt: skip
def test_what_is_not_known_to_be_the_same_is_not(old: str, new: str):
    assert not taken_over(old, new)


SET_UP = """import unittest

from app import Calc


class CalcTest(unittest.TestCase):
    def setUp(self):
        self.calc = Calc()
        self.twin = Calc(self.calc)

    def test_add(self):
        self.calc.add(1)
        self.assertEqual(self.calc.add(2), 3)

    def test_twin(self):
        self.assertEqual(self.twin.add(2), 2)
"""
FIXTURES = """import pytest

from app import Calc


@pytest.fixture
def calc():
    return Calc()


@pytest.fixture()
def other(calc):
    return Calc(calc)


def test_add(calc):
    calc.add(1)
    assert calc.add(2) == 3


def test_twin(other):
    assert other.add(2) == 2
"""
OTHERWISE = {
    "nothing": ("", "", {"add", "twin"}),
    "another value": ("    return Calc()", "    return Calc(3)", set()),
    "one for all tests": ("@pytest.fixture\n", "@pytest.fixture(scope='module')\n", set()),
    "for each test": ("@pytest.fixture\n", "@pytest.fixture(autouse=True)\n", set()),
    "more than a value": ("    return Calc()", "    Calc.add = fake\n    return Calc()", set()),
    "the code's own name": ("def calc():\n    return Calc()", "def Calc():\n    return 1", set()),
    "one for another": ("add(calc):\n    calc.add(1)\n", "add(other):\n    calc = other\n    calc.add(1)\n", {"twin"}),
    "made twice": ("    calc.add(1)\n    assert calc.add(2)", "    Calc().add(1)\n    assert Calc().add(2)", {"twin"}),
    "set once more": ("    calc.add(1)\n", "    calc = Fake()\n    calc.add(1)\n", {"twin"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_a_set_up_gives_and_a_fixture_returns_is_the_same_where_it_is(name: str):
    """Each test gets its own; a value that is made twice is another."""
    old, new, kept = OTHERWISE[name]
    assert old in FIXTURES

    assert {f"CalcTest::test_{k}" for k in kept} == set(taken_over(SET_UP, FIXTURES.replace(old, new, 1)))


def test_two_values_that_are_made_alike_are_not_one():
    """What compares two of them says nothing about one and the same."""
    two = SET_UP.replace("Calc(self.calc)", "Calc()").replace("self.twin.add(2), 2", "self.twin, self.calc")
    one = FIXTURES.replace("(other):\n    assert other.add(2) == 2", "(calc):\n    assert calc == calc")

    assert {"CalcTest::test_add"} == set(taken_over(two, one))


def test_a_set_up_of_pytest_s_own_is_the_same_as_unittest_s():
    """`setup_method` of a class without a base."""
    plain = (
        SET_UP.replace("import unittest", "import pytest")
        .replace("(unittest.TestCase)", "")
        .replace("setUp", "setup_method")
    )
    plain = plain.replace("self.assertEqual(self.calc.add(2), 3)", "assert self.calc.add(2) == 3")

    assert {"CalcTest::test_add"} == set(
        taken_over(SET_UP, plain.replace("self.twin.add(2)", "self.twin.add(1)"))
    )


APP = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
CALC = """

class Calc:
    def __init__(self, of=None):
        self.sum = 0

    def add(self, x):
        self.sum += x
        return self.sum
"""
HONEST = {
    "unittest for pytest": (UNITTEST, PLAIN),
    "a table split": (TABLE, ROWS),
    "a set-up becomes fixtures": (SET_UP, FIXTURES),
}


@pytest.mark.parametrize("name", HONEST)
def test_such_a_change_is_proven(court: Court, name: str):
    """Without a word of the agent."""
    old, new = HONEST[name]

    judged = court.judge_case(
        {"app.py": APP + CALC, "test_app.py": old}, {"app.py": APP + CALC + "# more\n", "test_app.py": new},
        PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip

    assert "proven" == judged.end, str(judged)


def test_a_test_that_is_written_otherwise_and_does_less_is_lost(court: Court):
    """It is named as gone."""
    judged = court.judge_case(
        {"app.py": APP, "test_app.py": UNITTEST},
        {"app.py": APP.replace("2 * x", "2.0 * x"), "test_app.py": PLAIN.replace("double(2) == 4", "double(2)")},
        PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip

    assert {"nothing-lost"} == judged.refuted and "AppTest::test_double" in judged["nothing-lost"].message
