"""Markers are found again whatever stands around them; cuts keep to the limit and say so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.errors import ForgeError
from orchestrator_action.text.marker import carries_marker, cut_to_bytes, hidden, mark

keys = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._:/=+@#]{0,30}", fullmatch=True).map(str.strip)
bodies = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(key=keys, body=bodies)
def test_a_marked_body_carries_its_marker_and_shows_its_text(key: str, body: str) -> None:
    marked = mark(body, key)

    assert carries_marker(marked, key)
    assert marked.endswith(body)
    assert marked == mark(marked, key) == mark(body, hidden(key))


@given(key=keys, other=keys, body=bodies)
def test_no_marker_is_taken_for_another(key: str, other: str, body: str) -> None:
    assert carries_marker(mark(body, key), other) is (key == other)


@given(key=keys, body=bodies)
def test_a_marker_below_the_first_line_is_only_text(key: str, body: str) -> None:
    assert not carries_marker(f"x{body}\n{hidden(key)}\n", key)


@pytest.mark.parametrize(
    "key", ["", " ", "--", "a--b", "a>b", "a\nb", "a\u200bb", "<!-- -->", "<!-- a --> <!-- b -->"]
)
def test_what_could_not_stay_hidden_is_no_marker(key: str) -> None:
    with pytest.raises(ForgeError):
        hidden(key)


def test_no_body_carries_nothing() -> None:
    assert not carries_marker(None, "a")


@given(text=st.text(max_size=400), limit=st.integers(0, 500))
def test_a_cut_text_keeps_to_its_limit_and_begins_as_the_whole(text: str, limit: int) -> None:
    """Lone surrogates, which no file can hold, become question marks."""
    whole = text.encode("utf-8", "replace").decode()

    short = cut_to_bytes(text, limit)

    assert len(short.encode()) <= limit or short == whole
    assert (
        short == whole
        or whole.startswith(short.partition("\n\n… cut here: ")[0].rstrip("`~\n"))
        or "```" in short
    )


@pytest.mark.parametrize("fence", ["```", "~~~~", "``````"])
def test_an_open_code_block_is_closed_and_a_closed_one_is_left(fence: str) -> None:
    opened = cut_to_bytes(f"text\n{fence}py\n" + "x = 1\n" * 100, 300)
    closed = cut_to_bytes(f"text\n{fence}py\nx = 1\n{fence}\n" + "words\n" * 100, 300)

    assert [2, 2] == [opened.count(f"\n{fence}"), closed.count(f"\n{fence}")]
    assert "characters shown" in opened
