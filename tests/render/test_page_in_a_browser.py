"""The page in a real browser: laid out on a phone and a desk, read by axe, small with two hundred tasks."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import RunReport, Status, TaskResult
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.publish.report.overview import report_html
from tests.conftest import NPM, REQUIRE_ALL, need
from tests.render.test_beside import GOOD, RED, failed, task
from tests.render.values import EVIL, HOSTILE, report

LARGEST_BYTES = 800_000
"""Of the page of two hundred tasks."""
LOOKS = """
addEventListener("load", async () => {
  const found = {wide: document.documentElement.scrollWidth, window: innerWidth, load_ms: performance.now(),
    requests: performance.getEntriesByType("resource").length,
    dark: matchMedia("(prefers-color-scheme: dark)").matches};
  if (window.axe) found.axe = (await axe.run()).violations.map(v => v.id + ": " + v.nodes[0].html.slice(0, 200));
  parent.document.getElementById("found").textContent = JSON.stringify(found);
});
"""


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if not found:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("Chromium is not installed (Debian package chromium)")
    return found


def looked_at(
    page: str, folder: Path, *, width: int, axe: bool = False, dark: bool = False
) -> dict[str, Any]:
    """What a frame of this width shows of the page. Only here it is let run a script: ours, that looks."""
    script = need(NPM / "axe-core/axe.min.js", "axe-core").read_text(encoding="utf-8") if axe else ""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    page = page.replace(
        "</head>", "<style>section { content-visibility: visible !important; }</style></head>"
    )
    page = page.replace("</body>", f"<script>{script}</script><script>{LOOKS}</script></body>")
    frame = f'<iframe style="width:{width}px;height:2000px;border:0" srcdoc="{html.escape(page)}"></iframe>'
    (folder / "frame.html").write_text(
        f"<!doctype html><meta charset=utf-8><pre id=found></pre>{frame}", encoding="utf-8"
    )
    done = subprocess.run(
        [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1400,2100",
            "--virtual-time-budget=60000", "--dump-dom", (folder / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="found">([^<]+)</pre>', done.stdout)
    assert found is not None, done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1]))
    return seen


def _noise(seed: int, most: float) -> list[float]:
    """A curve that no drawing can shorten."""
    return [round((seed * 7919 + i * i * 104_729) % 1000 / 1000 * most, 1) for i in range(48)]


def run_of(number: int) -> tuple[RunReport, dict[str, list[tuple[str, float, float]]]]:
    """A run of so many tasks with all that a page can show of each; one of four did not hold."""
    made: list[TaskResult] = []
    for n in range(number):
        one = failed() if n % 4 == 3 else task(*GOOD)
        title = EVIL if n == 5 else "Add a flag"
        used = {"step_s": 8.0, "rss_mib": _noise(n, 900.0), "cores": _noise(n + 1, 2.0)}
        made.append(
            replace(
                one,
                task_id=f"issue-{n}",
                issue=n + 1,
                title=title,
                model="claude-opus-4-5",
                curves=(used,) * 2,
            )
        )
    times = {
        t.task_id: [(p.id, n + i * 2.0, n + i * 2.0 + 1.5) for i, p in enumerate(PHASES)]
        for n, t in enumerate(made)
    }
    return report(*made), times


@pytest.mark.npm
@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1280, False), (1280, True)])
def test_axe_finds_nothing(tmp_path: Path, width: int, dark: bool) -> None:
    """On a phone and on a desk, light and dark, with tasks of every kind; and nothing is wider than the window."""
    ends = [replace(HOSTILE, task_id=f"end-{s}", status=s, conclusion=Conclusion.FAILURE) for s in Status]
    run, times = run_of(8)
    page = report_html(replace(run, tasks=(*run.tasks, *ends), requested=8 + len(ends)), times=times)

    seen = looked_at(page, tmp_path, width=width, axe=True, dark=dark)

    assert ([], dark) == (seen["axe"], seen["dark"])
    assert seen["wide"] <= seen["window"] == width


def test_two_hundred_tasks_are_one_small_file(tmp_path: Path) -> None:
    """Everything is in the one file, and nothing is asked for besides."""
    run, times = run_of(200)
    page = report_html(run, times=times)

    assert len(page.encode()) <= LARGEST_BYTES
    seen = looked_at(page, tmp_path, width=1280)
    assert 0 == seen["requests"]
    assert seen["wide"] <= seen["window"]


def test_what_needs_a_person_comes_first() -> None:
    """Claim and fact side by side, before totals and table."""
    page = report_html(report(task(*GOOD), failed(said="done")))

    needs, totals = page.index('id="needs"'), page.index('<dl class="cards">')
    assert needs < page.index("all tests pass") < page.index("1 of 1 test fails: test_double") < totals
    assert RED.message not in page[needs:totals]
