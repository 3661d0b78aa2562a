"""What an issue waits for, by its text; and circles."""

from __future__ import annotations

import pytest

from orchestrator_action.plan.dependencies import MOST_WAITED_FOR, circles, named_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Blocked by #12", (12,)),
        ("Do it.\n\nDepends on #3, #4 and #5.\n", (3, 4, 5)),
        ("- blocked by: #7\n- Depends on #8", (7, 8)),
        ("**Depends on:** #9", (9,)),
        ("**Blocked by** #9 & #10", (9, 10)),
        ("depends-on: #1 #2", (1, 2)),
        ("Blocked by #4\nBlocked by #4", (4,)),
        ("This was blocked by #12 until May", ()),
        ("Blocked by #12 until May", ()),
        ("> Blocked by #12", ()),
        ("```\nBlocked by #12\n```\nBlocked by #1", (1,)),
        ("~~~~\nBlocked by #12\n~~~\nDepends on #3\n~~~~", ()),
        ("    Blocked by #12", ()),
        ("Blocked by other/repo#12", ()),
        ("Blocked by nothing", ()),
        ("", ()),
        ("Depends on " + ", ".join(f"#{n}" for n in range(1, 100)), tuple(range(1, MOST_WAITED_FOR + 1))),
    ],
)
def test_only_a_line_of_its_own_names_what_an_issue_waits_for(text: str, expected: tuple[int, ...]):
    assert expected == named_in(text)


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, {}),
        ({"a": ["a"]}, {"a": ("a", "a")}),
        ({"a": ["b"], "b": ["a"], "c": ["a"]}, {"a": ("a", "b", "a"), "b": ("b", "a", "b")}),
        (
            {"a": ["b"], "b": ["c"], "c": ["a"]},
            {"a": ("a", "b", "c", "a"), "b": ("b", "c", "a", "b"), "c": ("c", "a", "b", "c")},
        ),
        ({"a": ["x"]}, {}),
    ],
)
def test_a_circle_is_named_from_each_of_its_members(needs, expected):
    assert expected == circles(needs)
