"""`issue new`: an issue of the local forge without writing front matter by hand."""

from __future__ import annotations

from tests.kit.whole import House


def test_a_new_issue_is_what_the_next_run_takes(home: House) -> None:
    """Two with the same title are two."""
    made = [home.cli("issue", "new", "Greet people", "--body", "Say hello.") for _ in range(2)]

    planned = home.cli("plan", "--forge", "local")

    assert [0, 0] == [m.code for m in made], made[0].err
    assert ["#1", "#2"] == [m.out.split()[0] for m in made]
    assert 2 == planned.out.count("Greet people →")


def test_an_issue_without_a_title_is_refused(home: House) -> None:
    """In one line, with what to do."""
    refused = home.cli("issue", "new", "  ")

    assert (2, "error: an issue needs a title\nhint: say in one line what is to be done\n") == (
        refused.code,
        refused.err,
    )
