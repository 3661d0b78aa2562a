"""Writing no faster than GitHub allows: by a clock that is moved, over kills, in as many processes as there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.publishing import publish
from orchestrator_action.process.pace import MOST_LINES, Pace, wait_of


@pytest.mark.parametrize(
    ("made", "now", "limits", "expected"),
    [
        ([], 10.0, ((2, 60.0),), 0.0),
        ([1.0], 10.0, ((2, 60.0),), 0.0),
        ([1.0, 4.0], 10.0, ((2, 60.0),), 51.0),
        ([1.0, 4.0], 61.0, ((2, 60.0),), 0.0),
        ([1.0, 4.0, 5.0], 10.0, ((2, 60.0), (3, 100.0)), 91.0),
    ],
)
def test_the_wait_is_that_of_the_limit_that_opens_last(made, now, limits, expected):
    assert expected == wait_of(made, now, limits)


def test_ten_thousand_tasks_killed_again_and_again_stay_within_two_per_cent_of_what_the_limits_allow():
    """As the benchmark `publishing` prints it."""
    done = publish()

    assert 40_000 == len(done.made) and 25 == done.killed
    assert done.took_s <= 1.02 * done.allowed_s
    assert done.most_within(60) < 80 and done.most_within(3600) < 500


def test_two_processes_share_one_hour(tmp_path: Path):
    now, waited = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        now[0] += seconds

    paces = [Pace(tmp_path / "writes", ((3, 60.0),), clock=lambda: now[0], sleep=sleep) for _ in range(2)]
    for turn in range(4):
        paces[turn % 2].take()

    assert [60.0] == pytest.approx(waited)


def test_what_a_crash_cut_short_and_what_is_old_is_passed_over(tmp_path: Path):
    file = tmp_path / "writes"
    file.write_bytes(b"".join(b"%.3f\n" % n for n in range(MOST_LINES)) + b"\xff1.")
    pace = Pace(file, ((2, 60.0),), clock=lambda: 1e6, sleep=lambda _: pytest.fail("nothing is recent"))

    pace.take(2)

    assert len(file.read_bytes().split()) <= MOST_LINES
