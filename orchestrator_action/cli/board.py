"""What `run` and `status --watch` show while tasks are at work: a live board, or plain lines with the time.

A board needs a terminal that can be drawn on; a pipe, CI, TERM=dumb get lines. What an agent says is somebody
else's text: control characters never reach the terminal. Nothing here holds the run up: it looks, in a
thread of its own, at what is written down.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orchestrator_action.cli.terminal import say
from orchestrator_action.protocol.candidates import is_candidate, stem
from orchestrator_action.run.live import BASE_FIRST, LOOK_S, tell_lines
from orchestrator_action.text import figures
from orchestrator_action.text.limits import harmless_log_line

if TYPE_CHECKING:
    from orchestrator_action.run.live import RunView, TaskView

_NARROW, _WIDE = 60, 100
"""Columns below which the time, and turns and cost, are left to the report."""
_WIDEST = 140
"""Columns from which a task's title has a column of its own."""


def can_draw(environ: dict[str, str] | None = None) -> bool:
    """Whether stderr is a terminal that a board can be drawn on."""
    env = os.environ if environ is None else environ
    return sys.stderr.isatty() and env.get("TERM", "") not in {"", "dumb"} and not env.get("CI")


class Board:
    """Shows a run while the `with` block runs."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, name="board", daemon=True)

    def __enter__(self) -> Board:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=2.0)

    def _show(self) -> None:
        if can_draw():
            self._draw()
        else:
            tell_lines(self._view, self._over, say)

    def _draw(self) -> None:
        from rich.console import Console  # 30 ms, and only on a terminal
        from rich.live import Live

        console = Console(file=sys.stderr)
        with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            while True:
                over = self._over.wait(LOOK_S)
                self._view.refresh()
                live.update(board_table(self._view, console.width, console.height, time.time()), refresh=True)
                if over:
                    return


def rows(tasks: Iterable[TaskView], most: int) -> tuple[list[TaskView], int]:
    """The tasks to show, those at work first, then those that wait, then the latest that ended; how many not."""
    ranks = {"running": 0, "waiting": 1}
    found = sorted(tasks, key=lambda t: (ranks.get(t.status, 2), -t.ended if t.ended else t.began))
    return found[:most], max(0, len(found) - most)


def board_table(view: RunView, width: int, height: int, now: float) -> Any:
    """The board, to fit a terminal of this size."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, expand=True, pad_edge=False, show_edge=False)
    names = columns(width)
    for name in names:
        drawn.add_column(name, no_wrap=True, **_COLUMNS[name])
    drawn.columns[0].max_width = 24 if width >= _WIDE else 16
    shown, more = rows(view.tasks.values(), max(1, height - 4))
    for task in shown:
        known = cells(task, now, titled="title" in names)
        style = _STYLES.get(task.status, "red")
        drawn.add_row(*(Text(harmless_log_line(known[name]), style=style) for name in names))
    drawn.caption = Text(footer(view, now, more), style="dim")
    drawn.caption_justify = "left"
    return drawn


_COLUMNS: Mapping[str, Any] = {
    "task": {},
    "title": {"overflow": "ellipsis", "max_width": 40},
    "phase": {"width": 5},
    "time": {"width": 11},
    "turns": {"width": 5, "justify": "right"},
    "cost": {"width": 8, "justify": "right"},
    "now": {"overflow": "ellipsis", "ratio": 1},
}
_STYLES = {
    "waiting": "dim", "cancelled": "dim", "skipped": "dim", "running": "", "success": "green", "no-change": "green",
    "declined": "yellow",
}  # fmt: skip
"""How a row looks; what else a task can end as is red."""


def columns(width: int) -> Sequence[str]:
    """What there is room for in so many columns of a terminal."""
    room = {
        "title": width >= _WIDEST,
        "time": width >= _NARROW,
        "turns": width >= _WIDE,
        "cost": width >= _WIDE,
    }
    return [name for name in _COLUMNS if room.get(name, True)]


def cells(task: TaskView, now: float, *, titled: bool = False) -> Mapping[str, str]:
    """A task's row by column. What it does, or how it ended, comes last; `titled` where its title has a column."""
    took = (task.ended or now) - task.began if task.began else None
    return {
        "task": task.id,
        "title": task.title,
        "phase": f"{task.phase}/11",
        "time": figures.duration(took),
        "turns": str(task.turns or figures.UNKNOWN),
        "cost": figures.usd(task.cost_usd),
        "now": task.doing
        or (f"waiting: {task.title}" if task.status == "waiting" and not titled else task.status),
    }


def footer(view: RunView, now: float, more: int) -> str:
    """Totals of the run, and how many tasks there was no room for."""
    every = list(view.tasks.values())
    tasks = [t for t in every if not is_candidate(t.id)]
    parents = {stem(t.id) for t in every if is_candidate(t.id)}
    at_work = [t for t in every if t.id not in parents]
    running = sum(t.status == "running" for t in at_work)
    over = sum(not t.is_open for t in tasks)
    known = [t.cost_usd for t in at_work if t.cost_usd is not None]
    parts = [f"{over} of {figures.count(len(tasks), 'task')} ended", f"{running} at work"]
    parts += [f"{figures.count(view.slots, 'slot')}"] if view.slots else []
    parts += [figures.duration(now - view.began)] if view.began else []
    parts += [figures.usd(sum(known))] if known else []
    parts += [f"{more} more not shown"] if more else []
    parts += [BASE_FIRST] if view.tries_base else []
    return " · ".join(parts)
