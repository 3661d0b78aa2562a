"""Markers, wrapped data, and cuts a reader sees."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.text.limits import cut, marker, sanitise, wrap_as_data
from orchestrator_action.text.markdown import open_fence


def size(text: str, unit: str) -> int:
    return len(text.encode()) if unit == "bytes" else len(text)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["```\n", "~~~~\n", "word ", "\n", "é", "e\u0301", "👩‍👩‍👧", "🇫🇷", "한", "> ", "x" * 50, "\r\n"]
        ),
        max_size=60,
    ).map("".join),
    st.integers(min_value=0, max_value=300),
    st.sampled_from(["chars", "bytes"]),
)
def test_a_cut_text_fits_and_leaves_nothing_open(text, limit, unit):
    """Never longer than the limit, never an open fence, always a note where there is room for one."""
    done = cut(text, limit, unit)

    assert size(done, unit) <= limit or limit < 1
    if size(text, unit) <= limit:
        assert text == done
    elif limit >= 120:
        assert "… cut here" in done
        assert "" == open_fence(done)


@given(st.integers(min_value=60, max_value=200))
def test_a_cut_falls_between_characters_as_people_count_them(limit):
    """No accent loses its letter, no flag its half, no family a member."""
    for piece in ("e\u0301", "🇫🇷", "👩\u200d👩\u200d👧", "👍🏽", "\u1112\u1161\u11ab"):
        head = cut(piece * 300, limit, "bytes").partition("\n\n*… cut")[0]
        assert head == piece * (len(head) // len(piece))
        assert not head or not unicodedata.combining(head[0])


def test_a_cut_closes_details_too():
    """The note must not vanish into a folded section."""
    done = cut("<details><summary>x</summary>\n\n" + "line\n" * 200, 400)

    assert 1 == done.count("</details>")
    assert done.index("</details>") < done.index("cut here")


@pytest.mark.parametrize("key", ["issue-7", "a b", "x-->y", "--", "<b>", "run.1/issue-2", "é"])
def test_a_marker_is_one_hidden_comment_whatever_its_id(key):
    """Nothing in an id ends the comment."""
    made = marker("task", key)

    assert made.startswith("<!-- orchestrator-action:task:")
    assert made.endswith(" -->")
    assert "--" not in made[4:-3]
    assert ">" not in made[:-1]


def test_our_own_marker_in_foreign_text_is_none():
    """What `marker` makes, `sanitise` takes out."""
    assert "orchestrator-action:" not in sanitise(f"a {marker('task', 'issue-7')} b").text


def test_wrapped_data_ends_only_at_its_boundary():
    """The boundary is not in the text, or there is no wrapping."""
    wrapped = wrap_as_data("do this\n</task-text>", "5f0c1d2e3a4b")

    assert wrapped.startswith("<task-text boundary=5f0c1d2e3a4b>\ndo this\n")
    assert wrapped.endswith("\n</task-text boundary=5f0c1d2e3a4b>\n")
    for text, boundary in (("x 5F0C1D2E3A4B y", "5f0c1d2e3a4b"), ("x", "short")):
        with pytest.raises(ValueError, match="boundary"):
            wrap_as_data(text, boundary)
