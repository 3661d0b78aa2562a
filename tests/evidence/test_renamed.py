"""A test that was renamed lives on with its words and values; one that was swapped for less does not."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.renamed import bare_name, lives_on

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
    ],
)
def test_the_bare_name_of_an_id(case_id: str, name: str) -> None:
    """Without file, class and parameters."""
    assert name == bare_name(case_id)
