"""Memory and CPU over time, drawn small: what a page shows of a task's attempts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestrator_action.publish.report.overview import report_html
from orchestrator_action.publish.report.sparks import POINTS, sparks
from tests.render.values import EVIL, report, result

CURVE = {"step_s": 2.0, "rss_mib": [100, 400.0, 611, 50], "cores": [0.5, 2, 0, 1.0]}


def test_each_attempt_has_its_memory_and_its_cpu_in_words():
    drawn = sparks((CURVE, CURVE))

    words = ["memory over 8.0 s, at most 611 MiB", "CPU over 8.0 s, at most 2.0 cores"]
    assert words * 2 == [s.words for s in drawn]
    assert words == [s.words for s in sparks((CURVE, CURVE), most=1)]
    assert "M0 16v-4h4v-12h4v16h4v-8h4v8z" == drawn[1].path


def test_a_drawing_stays_small_and_keeps_the_highest_value():
    """However many values there are; each step is a unit that is as wide as the others."""
    [memory, _] = sparks(({"step_s": 1.0, "rss_mib": [1.0] * 70 + [9.0] + [1.0] * 30, "cores": [0.0] * 101},))

    assert memory.width == 4 * memory.path.count("h4") <= 4 * POINTS
    assert "v-14" in memory.path and len(memory.path) < 150


@pytest.mark.parametrize(
    "curve",
    [
        {}, {"step_s": 1.0}, {"step_s": 1.0, "rss_mib": [1, 2], "cores": [1, 2]},
        {"step_s": 1.0, "rss_mib": [1, 2, 3], "cores": [1]}, {"step_s": 1.0, "rss_mib": EVIL, "cores": EVIL},
        {"step_s": 1.0, "rss_mib": [EVIL] * 4, "cores": [EVIL] * 4},
    ],
)  # fmt: skip
def test_what_is_no_curve_is_not_drawn(curve: dict[str, Any]):
    assert () == sparks((curve,))


def test_the_page_shows_them_with_the_model_as_the_agents_word():
    page = report_html(report(result(curves=(CURVE,), model="claude-x")))

    assert 2 == len(re.findall(r"<svg viewBox=\"0 0 16 16\"><path d=\"M0 16[vhz0-9-]+\"/></svg> \w", page))
    assert "memory over 8.0 s, at most 611 MiB" in page
    assert "model claude-x, as the agent named it" in page
    assert "as the agent named it" not in report_html(report(result()))


def test_a_hostile_model_is_only_text():
    page = report_html(report(result(model=EVIL)))

    assert "<script>" not in page and "&lt;script&gt;" in page
