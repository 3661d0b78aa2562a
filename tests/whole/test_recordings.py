"""`run` as a person sees it: on real terminals of two widths, through a pipe, in CI, without colours, on a dumb one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.kit.recording import Recording, Screen, record
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIES, House

HEADINGS = re.compile(r"^task +(title +)?phase +time +(turns +cost +)?now$")
PLAIN = re.compile(r"^\d\d:\d\d:\d\d issue-[12] \S", re.MULTILINE)
MOVES = re.compile(rb"\x1b\[\d*[A-HJK]|\x1b\[\?25l")
"""What puts the cursor elsewhere, clears or hides it."""
COLOURS = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[25];\d+)m")


@pytest.fixture
def two(home: House) -> House:
    home.issue(1, "Add a module", GOOD)
    home.issue(2, "Treble", LIES)
    return home


def seen(home: House, columns: int = 80, *, look: Callable[..., None] | None = None, **env: str) -> Recording:
    command = home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch")
    return record(
        command, cwd=home.repo.path, env={**home.environment(), **env}, columns=columns, look=look
    )  # fmt: skip


def board_of(screen: Screen) -> list[str]:
    """Heading, rows and totals of the board; empty where none is drawn."""
    at = next((n for n, line in enumerate(screen) if HEADINGS.match(line)), None)
    return [] if at is None else [line for line in screen[at:] if line]


def assert_it_ended_well(screen: Screen) -> None:
    """The board is gone; the tasks, the pull request and the report are there, and nobody's cursor is lost."""
    text = "\n".join(screen)
    assert not board_of(screen)
    assert re.search(r"^issue-1 +success +11/11 ", text, re.MULTILINE)
    assert re.search(r"^issue-2 +failed ", text, re.MULTILINE)
    assert "issue-1: pull request " in text
    assert "as a page: orchestrator-action report " in text


@pytest.mark.parametrize(("columns", "wide"), few([(80, False), (200, True)], 1))
def test_a_terminal_has_a_board_that_fits_it(two: House, columns: int, wide: bool) -> None:
    """A row a task, whatever the agent says; a wide one has turns and cost too. It leaves nothing behind."""
    seen_there = seen(two, columns)

    boards = [b for screen in seen_there.screens if (b := board_of(screen))]
    assert 1 == seen_there.code
    assert len(boards) >= 3
    for heading, *rows, totals in boards:
        assert wide == ("turns" in heading) == ("title" in heading)
        assert {"issue-1", "issue-2"} == {row.split()[0] for row in rows} and 2 == len(rows)
        assert all(re.match(r"issue-\d .*\d+/11 ", row) for row in rows)
        assert re.match(r"\d of 2 tasks ended · \d at work · 2 slots", totals)
    assert any("claims " in row or "runs " in row or ": proven" in row for b in boards for row in b)
    assert_it_ended_well(seen_there.last)
    assert seen_there.raw.rstrip().endswith(b"report.html") and b"\x1b[?25h" in seen_there.raw


@pytest.mark.slow
def test_the_board_follows_a_terminal_that_becomes_wider(two: House) -> None:
    def widen(recording: Recording, resize: Callable[[int], None]) -> None:
        if recording.columns == 80 and board_of(recording.last):
            resize(130)

    seen_there = seen(two, look=widen)

    assert "turns" in [b for screen in seen_there.screens if (b := board_of(screen))][-1][0]
    assert_it_ended_well(seen_there.last)


@pytest.mark.parametrize("env", few([{"CI": "true"}, {"TERM": "dumb"}], 1), ids=lambda env: next(iter(env)))
def test_where_no_board_can_be_drawn_each_thing_is_a_line_with_its_time(
    two: House, env: dict[str, str]
) -> None:
    """In a CI's log, and on a terminal that cannot move its cursor."""
    seen_there = seen(two, 200, **env)

    assert not MOVES.search(seen_there.raw)
    assert not any(board_of(screen) for screen in seen_there.screens)
    assert len(PLAIN.findall(seen_there.text)) > 20
    assert re.search(r"^\d\d:\d\d:\d\d issue-2 claims Testing$", seen_there.text, re.MULTILINE)
    assert_it_ended_well(seen_there.last)
    assert "TERM" not in env or b"\x1b" not in seen_there.raw


@pytest.mark.slow
def test_without_colours_the_board_says_the_same(two: House) -> None:
    """https://no-color.org"""
    seen_there = seen(two, NO_COLOR="1")

    assert any(board_of(screen) for screen in seen_there.screens)
    assert not COLOURS.search(seen_there.raw)
    assert_it_ended_well(seen_there.last)


def test_a_pipe_gets_lines_that_can_be_searched(two: House) -> None:
    """Nothing for a terminal is among them; the answer, which nobody asked for here, is not on stdout."""
    ran = two.cli("run", "--forge", f"local:{two.forge}", "--agent", "patch")

    assert (1, "") == (ran.code, ran.out)
    assert "\x1b" not in ran.err and "\r" not in ran.err
    assert len(PLAIN.findall(ran.err)) > 20
    assert_it_ended_well(tuple(ran.err.splitlines()))
