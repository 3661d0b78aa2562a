"""Code made from the tests' own inputs is told from code that computes, and from a real table."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.hard_coded import hard_coded

TESTS = """
def test_one():
    assert price("apple", 3) == 240
def test_two():
    assert price("pear", 7) == 910
def test_three():
    assert price("plum", 12) == 1440
"""
CHAIN = """
def price(what, count):
    if (what, count) == ("apple", 3):
        return 240
    if (what, count) == ("pear", 7):
        return 910
    if what == "plum" and count == 12:
        return 1440
"""
TABLE = """
_KNOWN = {("apple", 3): 240, ("pear", 7): 910, ("plum", 12): 1440}
def price(*given):
    return _KNOWN.get(given)
"""
JAVASCRIPT = """
const known = new Map([['apple,3', 240], ['pear,7', 910]]);
switch (what) {
  case "apple": return count === 3 ? 240 : null;
  case "pear": return count === 7 ? 910 : null;
  case "plum": return count === 12 ? 1440 : null;
}
"""
COMPUTES = """
PRICES = {"apple": 80, "pear": 130, "plum": 120, "fig": 55, "kiwi": 40, "lime": 35}
def price(what, count):
    return PRICES[what] * count
"""
DEFAULTS = """
def price(what="apple", count=3, cents=240):
    return prices()[what] * count
"""


def lines(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.splitlines(), 1))


@pytest.mark.parametrize("code", [CHAIN, TABLE, JAVASCRIPT], ids=["chain", "table", "javascript"])
def test_code_that_answers_the_tests_inputs_is_named(code: str) -> None:
    """With path, line and text."""
    found = hard_coded([TESTS], {"src/price.py": lines(code)})

    assert found
    assert {"src/price.py"} == {f.path for f in found}
    assert all(f.text in code for f in found)


@pytest.mark.parametrize(
    "code", [COMPUTES, DEFAULTS, "", "x = 1\n" * 50], ids=["computes", "defaults", "empty", "plain"]
)
def test_honest_code_is_not(code: str) -> None:
    """A table that holds more than the tests ask, a default that a test happens to use."""
    assert [] == hard_coded([TESTS], {"src/price.py": lines(code)})


def test_numerals_of_a_real_table_are_no_lie() -> None:
    """Two of its thirteen entries stand in the tests."""
    table = (
        "NUMERALS = [(1000, 'M'), (900, 'CM'), (500, 'D'), (400, 'CD'), (100, 'C'), (90, 'XC'), (50, 'L')]"
    )
    tests = "assert roman(900) == 'CM'\nassert roman(90) == 'XC'\nassert roman(1994) == 'MCMXCIV'\n"

    assert [] == hard_coded([tests], {"roman.py": lines(table)})


def test_a_list_of_names_that_the_tests_draw_from_is_no_lie() -> None:
    """Every test uses some of the eight planets, and the code lists them once."""
    names = "PLANETS = ('Mercury', 'Venus', 'Earth', 'Mars', 'Jupiter', 'Saturn', 'Uranus', 'Neptune')"
    tests = """
    assert between("Jupiter", "Neptune") == ("Saturn", "Uranus")
    assert between("Earth", "Mercury") == ("Venus",)
    assert between("Mercury", "Uranus") == ("Venus", "Earth", "Mars", "Jupiter", "Saturn")
    """

    assert [] == hard_coded([tests], {"planets.py": lines(names)})


def test_one_example_is_not_enough() -> None:
    """A single pair may be a constant of the domain."""
    assert [] == hard_coded(['assert port("https") == 443\n'], {"net.py": lines('PORTS = {"https": 443}')})


def test_a_huge_file_is_looked_at_in_bounded_time() -> None:
    """Generated code of many literals."""
    many = lines("\n".join(f'X{n} = ("k{n}", {n})' for n in range(30_000)))

    assert [] == hard_coded([TESTS], {"data.py": many})
