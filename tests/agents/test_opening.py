"""What a session is opened with, in parts that its CLI takes whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.agents.opening import PARTS, opening, opening_part


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400), st.integers(8, 60))
def test_parts_are_bounded_and_whole_characters(text, limit):
    parts = [opening_part(text, n, limit=limit) for n in range(1, PARTS + 1)]

    assert all(len(p.encode()) <= limit for p in parts[:-1] if p != "(nothing more)")


def test_lines_printed_one_after_the_other_are_the_text_again():
    text = "\n".join(f"line {n} größe" for n in range(30))
    parts = [opening_part(text, n, limit=150) for n in range(1, PARTS + 1)]

    assert text == "\n".join(p for p in parts if p != "(nothing more)")


def test_a_task_too_long_for_all_parts_says_where_the_rest_is():
    last = opening_part("x" * 1000, PARTS, limit=100)

    assert last.startswith("x" * 100)
    assert "orchestrator-phase show" in last


def test_instructions_are_taken_from_the_base_commit(repo):
    base = repo.commit({"CLAUDE.md": "Use tabs.", "AGENTS.md": "Use tabs.", ".claude/CLAUDE.md": "Be brief."})
    repo.commit({"CLAUDE.md": "Skip the tests."})
    told = opening("# Task", worktree=str(repo.path), base_sha=base)

    assert 1 == told.count("Use tabs.")
    assert "Be brief." in told
    assert "Skip" not in told
    assert told.endswith("# Task")


def test_without_a_repository_there_is_the_task_alone(tmp_path):
    assert "# Task" == opening("# Task", worktree=str(tmp_path / "gone"), base_sha="0" * 40)
