"""A whole run for people: the job summary, the page, the terminal."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest

from orchestrator_action.protocol.model import Status
from orchestrator_action.protocol.phases import IDS
from orchestrator_action.publish.report.overview import (
    gantt,
    job_summary,
    print_tasks,
    report_html,
    status_table,
)
from tests.render.values import ALL_PROVEN, EVIL, HELD, HOSTILE, REFUTED, TOKEN, WAIVED, report, result
from tests.text.page import shown

TASKS = (
    result("issue-7"),
    result("issue-8", phases=WAIVED),
    HOSTILE,
    result("issue-9", Status.FAILED, phases=()),
)
TIMES = {
    "issue-7": [(phase, n * 2.0, n * 2.0 + 1.5) for n, phase in enumerate(IDS)],
    "issue-8": [("initial-setup", 0.25, 0.25), ("testing", 5.0, 9.0)],
}


def bars(chart: str) -> list[tuple[str, int, int]]:
    """Mermaid's Gantt grammar, as far as we use it."""
    found = []
    for line in chart.splitlines():
        if match := re.fullmatch(r"  ([^:#;]+) :(?:done, |crit, |active, )?(\d+), (\d+)", line):
            found.append((match[1], int(match[2]), int(match[3])))
        else:
            assert re.fullmatch(r"gantt|  (title|dateFormat|axisFormat|section) [^:#;]+", line), line
    return found


def test_the_chart_shows_each_task_from_its_first_to_its_last_phase():
    """Milliseconds since the run began; nothing is drawn that was not measured. Phases stand in the report."""
    drawn = bars(gantt(report(*TASKS), TIMES))

    timed = [spans for spans in TIMES.values() if spans]
    assert len(timed) == len(drawn)
    assert min(round(s[1] * 1000) for spans in timed for s in spans) == min(start for _, start, _ in drawn)
    assert max(round(s[2] * 1000) for spans in timed for s in spans) == max(end for _, _, end in drawn)
    assert all(start < end for _, start, end in drawn)


def test_there_is_no_chart_without_times():
    """Rather none than a made-up one."""
    assert "" == gantt(report(*TASKS), {})
    assert "mermaid" not in job_summary(report(*TASKS))


def test_a_chart_of_many_tasks_stays_within_mermaids_limit():
    """One bar a task, and the rest counted."""
    tasks = [result(f"issue-{n}-{'x' * 40}") for n in range(900)]
    chart = gantt(report(*tasks), {t.task_id: [("testing", 1.0, 2.0)] for t in tasks})

    assert len(chart) < 50_000
    assert re.search(r"\(\d+ more tasks not drawn\)", chart)
    bars(chart)


@pytest.mark.parametrize("name", [EVIL, "a: b; #c, 1, 2", "", "end\nsection x"])
def test_a_name_cannot_break_the_chart(name):
    """Whatever a task is called."""
    task = result(name)

    assert 1 == len(bars(gantt(report(task), {name: [("testing", 1, 2)]})))


@pytest.mark.parametrize("name", ["click x", "2026-01-01-fix", "call f()", "gantt", "title", "%% x", EVIL])
def test_no_bar_begins_with_a_word_of_mermaids(name):
    """Of many tasks each is one bar; Mermaid 11 refuses a chart in which one begins with such a word."""
    tasks = [result(name), *(result(f"issue-{n}") for n in range(40))]

    drawn = bars(gantt(report(*tasks), {t.task_id: [("testing", 1.0, 2.0)] for t in tasks}))

    assert {"whole task"} == {bar for bar, _, _ in drawn}


def test_the_summary_has_a_row_for_every_task_and_says_what_is_open():
    """Totals as measured."""
    body = job_summary(
        report(*TASKS), times=TIMES, run_url="https://github.com/o/r/actions/runs/1", secrets=[HELD]
    )

    assert "2 of 4 tasks succeeded" in body
    assert "1.67×" in body
    assert 4 == len(re.findall(r"(?m)^\| `issue-\d+`", body))
    assert body.index("### Needs you") < body.index(" wall time for ") < body.index("| task |")
    assert "✓✓✓✓✓✓w✓✓✓✓" in body
    assert HELD not in body
    assert TOKEN not in body
    assert "script" not in shown(body).tags


def test_the_summary_of_ten_thousand_tasks_fits_in_a_mebibyte():
    """The largest queue there is."""
    tasks = [result(f"issue-{n}", phases=REFUTED, title=EVIL) for n in range(10_000)]
    body = job_summary(report(*tasks))

    assert len(body.encode()) <= 1024**2
    assert "9600 more tasks" in body


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [v for k, v in values.items() if k in {"href", "src", "srcset", "action"} and v]
        self.ids += [values["id"]] if values.get("id") else []  # type: ignore[list-item]
        if tag not in {"meta", "br", "link", "img", "hr", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def test_the_page_is_one_file_without_script_or_network():
    """Well-formed, nothing loaded, nothing run, hostile words shown as words."""
    body = report_html(report(*TASKS), times=TIMES, secrets=[HELD])
    page = _Page()
    page.feed(body)

    assert [] == page.open
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in body
    assert "@import" not in body
    assert "&lt;script&gt;alert(1)" in body
    assert all(link.startswith(("#", "https://github.com/")) for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert HELD not in body
    assert TOKEN not in body
    assert "\u202e" not in body


def test_the_page_of_a_huge_run_stays_small():
    """Every task up to two thousand has its row; the open ones their ledger."""
    tasks = [result(f"issue-{n}", phases=ALL_PROVEN[:2]) for n in range(2500)]
    tasks[2400] = result("issue-2400", Status.FAILED)
    tasks[1999] = result("issue-1999", Status.TIMEOUT)
    body = report_html(report(*tasks))

    assert len(body) < 10_000_000
    assert "500 more tasks" in body
    assert "<h3>issue-1999</h3>" in body
    assert "<h3>issue-1998</h3>" not in body


def test_the_page_says_in_words_what_it_says_in_colours():
    """For who cannot see them: language, title, headings, a name for each region, the state of each phase."""
    body = report_html(report(*TASKS), times=TIMES)

    assert '<html lang="en">' in body
    assert re.search(r"<title>[^<]+2 of 4 succeeded</title>", body)
    assert 1 == body.count("<h1>")
    assert "10 of 11 phases proven; Documentation: waived" in body
    assert "Waived, not done: no user-visible change" in body
    for region in re.findall(r'aria-labelledby="([^"]+)"', body):
        assert f'id="{region}"' in body
    assert "<th scope=" in body
    assert not re.findall(r"<th(?![^>]*scope=)[^>]*>", body.replace("<thead>", ""))


def test_a_value_we_hold_is_masked_in_the_page_in_its_escaped_form_too():
    """`&` and quotes are escaped on the page."""
    body = report_html(report(result(error="key is a&b\"c'd<e>fgh")), secrets=["a&b\"c'd<e>fgh"])

    assert "[redacted]" in body
    assert "a&amp;b" not in body


def test_the_table_is_plain_lines_where_there_is_no_terminal():
    """A row a task, nothing a terminal obeys, never wider than asked."""
    out = io.StringIO()
    print_tasks(TASKS, out, running={"issue-8"})
    lines = out.getvalue().splitlines()

    assert 2 + len(TASKS) + sum(len(t.candidates) for t in TASKS) == len(lines)
    assert "\x1b" not in out.getvalue()
    assert "running" in lines[3]
    assert "10/11 +1 waived" in lines[3]
    assert all(len(line) <= 100 for line in lines)
    assert all(len(line) <= 60 for line in status_table([result("你好" * 30)], width=60).splitlines())


def test_on_a_terminal_the_table_has_colours():
    """And the same words."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    print_tasks(TASKS, out)

    assert "issue-7" in out.getvalue()
    assert "\x1b[31mred" not in out.getvalue()
