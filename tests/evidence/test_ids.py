"""Two runs of the same tests give some of them other names; what varies is taken for the same."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.compare import lost_tests, normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ("t.py::test_at[17:41:37 2026-11-29]", "t.py::test_at[17:42:05 2026-11-29]"),
        ("t.py::test_at[Sun Nov 29 17:41:37 2026]", "t.py::test_at[Sun Nov 29 17:42:05 2026]"),
        ("t.py::test_at[17:41:37.123456]", "t.py::test_at[00:00:00.5]"),
        ("t.py::test_at[2026-11-29T17:41:37Z]", "t.py::test_at[2026-11-30T00:00:01Z]"),
        ("t.py::test_at[<A at 0x7f3a1b>]", "t.py::test_at[<A at 0x7f99ff>]"),
    ],
)
def test_what_is_named_by_the_clock_or_the_memory_is_one_test(base: str, head: str) -> None:
    assert normal_id(base) == normal_id(head)


@pytest.mark.parametrize("ratio", ["16:9", "1:2:3", "25:00:00", "10:60:00"])
def test_what_is_no_time_of_day_stays_as_it_is(ratio: str) -> None:
    assert ratio == normal_id(ratio)


def test_one_of_two_tests_named_by_a_time_is_missed() -> None:
    """They look alike, and there is one less."""
    base = [CaseResult(id=f"t.py::test_at[0{hour}:00:00]", outcome="passed", file="t.py") for hour in (8, 9)]

    assert 1 == len(lost_tests(base, base[1:]))
