"""A whole run for people: the job summary, one HTML page, and a table for a terminal.

Pure like `render`: a RunReport comes in, text goes out. Times of phases are those measured; where none
were measured there is no chart, rather than a made-up one.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import IO, Any

from orchestrator_action.protocol.model import (
    GOOD_STATUSES,
    Candidate,
    PhaseState,
    RunReport,
    Status,
    TaskResult,
    exceptions_of,
)
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.publish.report.beside import claim_beside_fact, size_words
from orchestrator_action.publish.report.candidates import candidate_rows, cross_lines
from orchestrator_action.publish.report.comments import (
    STATUS_WORDS,
    Times,
    counts,
    headline,
    no_change_reason,
    rows_of,
    word_of,
)
from orchestrator_action.publish.report.integration import integration_lines
from orchestrator_action.publish.report.sparks import sparks
from orchestrator_action.text import figures
from orchestrator_action.text import limits as texts
from orchestrator_action.text.template import fill, phase_title

SUMMARY_TASKS = 400
"""Rows of the summary's table; GitHub shows no more than 1 MiB and nobody reads more."""
SUMMARY_ROWS = 30
"""Above so many tasks the table is folded, so that totals and what needs a person fit on a screen."""
SUMMARY_NEEDS = 8
"""Tasks that need a person, in words; the table marks the rest."""
PAGE_NEEDS = 20
PAGE_TASKS = 2000
"""Rows of the page's table; the rest is counted, and is in the JSON."""
PAGE_DETAILS = 200
"""Tasks that have a place of their own below the table, open ones first."""
PAGE_LEDGERS = 40
"""Of these, the ones whose eleven phases are shown in full; each is some kilobytes."""
_GANTT_CHARS = 40_000  # Mermaid refuses more than 50,000 characters (maxTextSize)
WHOLE_TASK = "whole task"
"""What the one bar of a task is called: a name of its own could begin with a word or a date of Mermaid's."""

GLYPHS = {
    PhaseState.PROVEN: "✓",
    PhaseState.REPORTED: "r",
    PhaseState.WAIVED: "w",
    PhaseState.OFF: "·",
    PhaseState.NOT_APPLICABLE: "·",
    PhaseState.MISSING: "–",
    PhaseState.UNPROVEN: "?",
    PhaseState.REFUTED: "✗",
    PhaseState.STALE: "↻",
}
"""One character per phase, for strips of eleven."""


def _ordered(spans: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Spans that make sense, by start."""
    return sorted((s for s in spans if 0 <= s[1] <= s[2]), key=lambda s: (s[1], s[2]))


def _mermaid_name(name: str) -> str:
    """A name without the characters that end one in Mermaid."""
    return (
        "".join(c if c.isalnum() or c in " .-_" else " " for c in texts.plain(name, limit=60)).strip() or "-"
    )


def gantt(report: RunReport, times: Times) -> str:
    """A Mermaid Gantt chart of the run, its axis in seconds since the run began; empty without times.

    Each task is one bar; what does not fit in Mermaid's limit is counted in the title.
    """
    timed = [t for t in report.tasks if _ordered(times.get(t.task_id, ()))]
    if not timed:
        return ""
    lines: list[str] = []
    shown = size = 0
    for task in timed:
        block = _gantt_section(task, _ordered(times[task.task_id]))
        size += sum(len(line) + 1 for line in block)
        if size > _GANTT_CHARS:
            break
        lines += block
        shown += 1
    left = f" ({len(timed) - shown} more tasks not drawn)" if shown < len(timed) else ""
    head = [
        "gantt",
        f"  title {shown} tasks, seconds since the start{left}",
        "  dateFormat x",
        "  axisFormat %s",
    ]
    return "\n".join([*head, *lines])


def _gantt_section(task: TaskResult, spans: Sequence[tuple[str, float, float]]) -> list[str]:
    """One bar for the whole task: phases stand in the report."""
    tag = "done, " if task.status in GOOD_STATUSES else "crit, "
    begin, end = round(spans[0][1] * 1000), round(max(s[2] for s in spans) * 1000)
    return [
        f"  section {_mermaid_name(task.task_id)}",
        f"  {WHOLE_TASK} :{tag}{begin}, {max(end, begin + 1)}",
    ]


def _totals(report: RunReport) -> dict[str, Any]:
    found = counts(report)
    return {
        "report": report,
        "counts": {Status(k): n for k, n in found.items() if n},
        "good": sum(found[s.value] for s in GOOD_STATUSES),
        "cancelled": found[Status.CANCELLED.value],
        "STATUS_WORDS": STATUS_WORDS,
    }


def _task_rows(report: RunReport) -> list[dict[str, Any]]:
    return [
        {
            "t": task,
            "word": word_of(task.status, task.phases),
            "headline": headline(task.phases, status=task.status, error=task.error),
            "beside": claim_beside_fact(task, task.status),
            "candidates": candidate_rows(task),
            "cross": cross_lines(task),
            "needs": task.status not in GOOD_STATUSES or bool(task.needs_person),
            "exceptions": exceptions_of(task.phases) if task.needs_person else (),
            "size": size_words({f.rule: f for p in task.phases for f in p.facts}),
            "phases": rows_of(task.phases),
            "strip": [(r["v"].state, GLYPHS[r["v"].state]) for r in rows_of(task.phases)],
            "strip_words": _strip_words(rows_of(task.phases)),
        }
        for task in report.tasks
    ]


def _strip_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """A strip of signs for who cannot see it: `10 of 11 phases proven; Documentation: waived`."""
    others = [f"{r['title']}: {r['v'].state.value}" for r in rows if r["v"].state is not PhaseState.PROVEN]
    return "; ".join([f"{len(rows) - len(others)} of {len(rows)} phases proven", *others])


def job_summary(
    report: RunReport, *, times: Times | None = None, run_url: str = "", secrets: Iterable[str] = ()
) -> str:
    """The summary of a workflow job: what needs a person, totals, a row per task, a Gantt chart. At most 1 MiB."""
    rows = sorted(_task_rows(report), key=lambda row: not row["needs"])
    body = fill(
        "job_summary.md.j2",
        secrets,
        **_totals(report),
        rows=rows[:SUMMARY_TASKS],
        left_out=max(0, len(rows) - SUMMARY_TASKS),
        needs=[r for r in rows if r["needs"]][:SUMMARY_NEEDS],
        needs_left=max(0, sum(r["needs"] for r in rows) - SUMMARY_NEEDS),
        folded=len(rows) > SUMMARY_ROWS,
        chart=gantt(report, times or {}),
        together=integration_lines(report.integration) if report.integration else [],
        run_url=run_url,
    )
    return texts.cut(body, texts.STEP_SUMMARY_LIMIT, "bytes")


def _lane_words(spans: Sequence[tuple[str, float, float]]) -> str:
    """When a task was worked on, in words."""
    if not spans:
        return "not measured"
    start, end = figures.duration(spans[0][1]), figures.duration(max(s[2] for s in spans))
    return f"from {start} to {end} after the start"


def _bars(report: RunReport, times: Times) -> list[dict[str, Any]]:
    """Per task the phases' bars, as percentages of the time the run took."""
    whole = max([report.wall_s, *(s[2] for spans in times.values() for s in spans)], default=0.0) or 1.0
    found = []
    for task in report.tasks:
        states = {p.phase: p.state.value for p in task.phases}
        spans = _ordered(times.get(task.task_id, ()))
        found.append(
            {
                "task_id": task.task_id,
                "words": _lane_words(spans),
                "bars": [
                    {
                        "left": round(100 * start / whole, 2),
                        "width": round(max(100 * (end - start) / whole, 0.15), 2),
                        "title": phase_title(phase),
                        "took": end - start,
                        "state": states.get(phase, "missing"),
                    }
                    for phase, start, end in spans
                ],
            }
        )
    return found


def _ticks(whole: float) -> list[tuple[float, str]]:
    """Where the time axis is marked, in percent, and with what."""
    if whole <= 0:
        return []
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((s for s in steps if whole / s <= 8), whole / 6)
    return [
        (100 * i * step / whole, figures.duration(i * step) if i else "0")
        for i in range(int(whole / step) + 1)
    ]


def _readable(at: str) -> str:
    """`29 November 2026, 15:57 UTC` of an ISO date; another text as it is."""
    try:
        when = datetime.datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return at
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def report_html(report: RunReport, *, times: Times | None = None, secrets: Iterable[str] = ()) -> str:
    """The run as one page that needs no network and no script, in light and dark."""
    spans = times or {}
    timed = any(_ordered(s) for s in spans.values())
    whole = max([report.wall_s, *(s[2] for rows in spans.values() for s in rows)], default=0.0)
    rows = _task_rows(report)[:PAGE_TASKS]
    ranked = sorted(range(len(rows)), key=lambda i: not rows[i]["needs"])
    detailed, ledgers = set(ranked[:PAGE_DETAILS]), set(ranked[:PAGE_LEDGERS])
    for index, row in enumerate(rows):
        row["anchor"] = f"task-{index + 1}" if index in detailed else ""
        row["full"] = index in ledgers
        row["sparks"] = sparks(row["t"].curves) if row["full"] else sparks(row["t"].curves, most=1)
    return fill(
        "report.html.j2",
        secrets,
        **_totals(report),
        rows=rows,
        needs=[rows[i] for i in ranked if rows[i]["needs"]][:PAGE_NEEDS],
        needs_left=max(0, sum(r["needs"] for r in rows) - PAGE_NEEDS),
        started=_readable(report.started_at),
        level=str(report.isolation.get("level", "open")),
        left_out=len(report.tasks) - len(rows),
        bars=_bars(report, spans)[:PAGE_DETAILS] if timed else [],
        ticks=_ticks(whole) if timed else [],
        glyphs={state.value: glyph for state, glyph in GLYPHS.items()},
        good_statuses=[s.value for s in GOOD_STATUSES],
    )


def _width(shown: str) -> int:
    """Columns of a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown
    )


def _fit(shown: str, room: int) -> str:
    """The text within `room` columns, padded."""
    if _width(shown) > room:
        while shown and _width(shown) > room - 1:
            shown = shown[:-1]
        shown += "…"
    return shown + " " * (room - _width(shown))


HEADINGS = ("task", "status", "phases", "pull request", "took", "cost", "note")


def table_cells(tasks: Sequence[TaskResult], running: Collection[str] = ()) -> list[tuple[str, ...]]:
    """The table's cells, row by row, as plain text without anything a terminal would obey."""
    cells: list[tuple[str, ...]] = []
    for task in tasks:
        live = task.task_id in running
        proven = sum(p.state is PhaseState.PROVEN for p in task.phases)
        reported = sum(p.state is PhaseState.REPORTED for p in task.phases)
        waived = sum(p.state is PhaseState.WAIVED for p in task.phases)
        idle = sum(p.state in {PhaseState.NOT_APPLICABLE, PhaseState.OFF} for p in task.phases)
        cells.append(
            (
                texts.plain(task.task_id, limit=60),
                "running" if live else task.status.value,
                f"{proven}/{len(PHASES)}"
                + (f" +{reported} reported" if reported else "")
                + (f" +{waived} waived" if waived else "")
                + (f" +{idle} n/a" if idle else ""),
                f"#{task.pull.number}" if task.pull else figures.UNKNOWN,
                figures.duration(task.wall_s),
                figures.usd(task.cost_usd),
                texts.harmless_log_line("" if live else _note(task))[:300],
            )
        )
        cells += [_candidate_cells(row["c"], row["word"]) for row in candidate_rows(task)]
    return cells


def _note(task: TaskResult) -> str:
    """Why a task ended as it did: what was measured against it, by the tests' names, before any other cause."""
    if task.status is Status.NO_CHANGE:
        return no_change_reason(task.phases)
    beside = claim_beside_fact(task, task.status)
    wrong = beside.measured if beside and task.status not in GOOD_STATUSES else ()
    return next(iter(wrong), task.error) or next((f.message for p in task.phases for f in p.findings), "")


def _candidate_cells(candidate: Candidate, word: str) -> tuple[str, ...]:
    """A candidate below its task: it has no pull request, and its time is a part of the task's."""
    note = f"{candidate.agent}: {word}" + (f", {candidate.lines} lines" if candidate.head_sha else "")
    cost = figures.usd(candidate.cost_usd)
    return f"  {candidate.id}", str(candidate.status), "", "", "", cost, texts.plain(note, limit=300)


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> list[tuple[int, int]]:
    """Which columns there is room for, and how wide each is; the note takes what is left."""
    last = len(HEADINGS) - 1
    sizes = {i: min(max(_width(row[i]) for row in rows), 28) for i in range(last)}
    for spare in ("cost", "took", "pull request", "phases"):
        if sum(sizes.values()) + 2 * len(sizes) + 20 > width:
            del sizes[HEADINGS.index(spare)]
    room = width - sum(sizes.values()) - 2 * len(sizes)
    return [*sizes.items(), (last, room)] if room >= 8 else list(sizes.items())


def status_table(tasks: Sequence[TaskResult], *, running: Collection[str] = (), width: int = 100) -> str:
    """The tasks as a plain table, each line within `width` columns (40 at least)."""
    rows = [HEADINGS, *table_cells(tasks, running)]
    columns = _columns(rows, width)
    lines = ["  ".join(_fit(row[i], size) for i, size in columns).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * min(width, max(_width(line) for line in lines)), *lines[1:]]) + "\n"


_COLOURS: Mapping[str, str] = {"success": "green", "no-change": "green", "running": "cyan", "skipped": "dim"}


def print_tasks(tasks: Sequence[TaskResult], out: IO[str], *, running: Collection[str] = ()) -> None:
    """The table on `out`: as wide as a terminal and with its colours, as plain lines otherwise."""
    if not out.isatty():
        out.write(status_table(tasks, running=running))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out)
    rows = [HEADINGS, *table_cells(tasks, running)]
    columns = _columns(rows, console.width)
    for number, row in enumerate(rows):
        line = Text(style="bold" if not number else "", no_wrap=True, overflow="ellipsis")
        for i, size in columns:
            style = _COLOURS.get(row[i], "red") if number and HEADINGS[i] == "status" else ""
            line.append(f"{_fit(row[i], size)}  ", style)
        line.rstrip()
        console.print(line)
