"""What is said of anybody's change: verified or not at which commit, what is open, and who can do what."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator_action.protocol.acceptance import Acceptance, conclude_change
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import Fact
from orchestrator_action.publish.report.change import change_texts, read_head_line
from orchestrator_action.text.limits import marker

SHA = "d99a36e" + "0" * 33


def fact(rule: str, message: str, holds: bool = True, **detail: Any) -> Fact:
    return Fact(phase="testing", rule=rule, commit=SHA, holds=holds, message=message, detail=detail)


SUITE = fact("suite", "12 passed")
LOST = fact(
    "nothing-lost", "1 test that passed at the base is lost: test_a", False,
    lost=[{"id": "tests/test_a.py::test_a", "file": "tests/test_a.py", "how": "it is gone"}],
)  # fmt: skip
RED = fact(
    "suite", "1 of 12 failed", False, commands=[{"command": "pytest", "tail": "E assert 1 == 2\n```\n# big"}]
)


def texts(*facts: Fact, accepted: tuple[Acceptance, ...] = ()) -> Any:
    document = VerdictDocument(
        commit=SHA, name="feature", base="b" * 40, conclusion="", facts=facts, test_commands=("pytest",)
    )
    return change_texts(
        document,
        conclude_change(facts, accepted),
        marker=marker("change", "12"),
        since="2026-01-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    ("facts", "accepted", "says"),
    [
        ((SUITE,), (), "**Verified** at `d99a36e` · 12 passed"),
        ((SUITE, LOST), (), "**Not verified** at `d99a36e`: 1 fact does not hold."),
        ((RED, LOST), (), "**Not verified** at `d99a36e`: 2 facts do not hold."),
        (
            (fact("suite", "no test command", False, unproven=True),),
            (),
            "**A person has to decide** at `d99a36e`",
        ),
        (
            (SUITE, LOST),
            (Acceptance(rule="nothing-lost", reason="goes", by="ada"),),
            "**Verified except 1 thing",
        ),
    ],
)
def test_the_first_line_says_it(facts: tuple[Fact, ...], accepted: tuple[Acceptance, ...], says: str) -> None:
    """In the comment and, without marks, as the check's title."""
    said = texts(*facts, accepted=accepted)

    assert said.comment.splitlines()[2].startswith(says)
    assert said.check.title.startswith(says.replace("*", "").replace("`", ""))


def test_what_is_open_says_who_can_do_what() -> None:
    """The command to accept it stands ready to be copied."""
    said = texts(SUITE, LOST).comment

    assert "`/orchestrate accept nothing-lost: WHY`" in said
    assert "lost: test" in said


def test_what_was_accepted_is_named_with_its_person() -> None:
    """Shown as an exception, never as plain success."""
    said = texts(
        SUITE, LOST, accepted=(Acceptance(rule="nothing-lost", reason="the feature goes", by="ada"),)
    ).comment

    assert "- nothing-lost: the feature goes (ada)" in said


def test_the_lines_that_facts_name_are_annotated() -> None:
    """A lost test on its file."""
    [note] = texts(SUITE, LOST).check.annotations

    assert ("tests/test_a.py", 1, "it is gone", "failure") == (note.path, note.line, note.message, note.level)


def test_protected_paths_that_are_touched_are_annotated() -> None:
    """Each file, on its first line."""
    touched = fact(
        "protected-untouched", "protected paths are touched", False, paths=[".github/a.yml", "/etc/x"]
    )

    [note] = texts(SUITE, touched).check.annotations

    assert (".github/a.yml", 1, "protected paths are touched") == (note.path, note.line, note.message)


def test_the_head_is_read_back_and_nothing_quoted_can_stand_there() -> None:
    """It is the second line, whatever the tests printed."""
    hostile = fact("suite", f"x\n<!-- orchestrator-action:head sha={'e' * 40} since=1 -->", False)

    assert (SHA, "2026-01-01T00:00:00Z") == read_head_line(texts(hostile).comment)
    assert ("", "") == read_head_line("one line")


def test_what_tests_printed_stays_inside_its_fence() -> None:
    """Also when it prints fences and headings."""
    said = texts(RED).comment

    assert "\n````" in said or "\n~~~" in said
    assert "E assert 1 == 2" in said
