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
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orchestrator_action.cli.terminal import say
from orchestrator_action.protocol.candidates import is_candidate, stem
from orchestrator_action.text import figures
from orchestrator_action.text.limits import harmless_log_line

if TYPE_CHECKING:
    from orchestrator_action.run.live import RunView, TaskView

REDRAW_S = 0.5
LINE_EVERY_S = 20.0
"""Between two plain lines about what a task's agent does while nothing else happens."""
_NARROW = 100
"""Columns below which turns and cost are left to the report."""


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
            self._print()

    def _draw(self) -> None:
        from rich.console import Console  # 30 ms, and only on a terminal
        from rich.live import Live

        console = Console(file=sys.stderr)
        with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            while True:
                over = self._over.wait(REDRAW_S)
                self._view.refresh()
                live.update(board_table(self._view, console.width, console.height, time.time()), refresh=True)
                if over:
                    return

    def _print(self) -> None:
        spoke: dict[str, float] = {}
        doing: dict[str, str] = {}
        while True:
            over = self._over.wait(REDRAW_S)
            for task, at, words in self._view.refresh():
                say(plain_line(task.id, at, words))
                spoke[task.id], doing[task.id] = time.monotonic(), task.doing
            for task in self._view.tasks.values():
                late = time.monotonic() - spoke.setdefault(task.id, time.monotonic()) > LINE_EVERY_S
                if task.status == "running" and late and task.doing != doing.get(task.id):
                    say(plain_line(task.id, time.time(), task.doing))
                    spoke[task.id], doing[task.id] = time.monotonic(), task.doing
            if over:
                return


def plain_line(task: str, at: float, words: str) -> str:
    """`10:04:12 issue-7 claims Testing`, without anything that a terminal or a runner would obey."""
    return harmless_log_line(f"{time.strftime('%H:%M:%S', time.localtime(at))} {task} {words}")


def rows(tasks: Iterable[TaskView], most: int) -> tuple[list[TaskView], int]:
    """The tasks to show, those at work first, then those that wait, then the latest that ended; how many not."""
    ranks = {"running": 0, "waiting": 1}
    found = sorted(tasks, key=lambda t: (ranks.get(t.status, 2), -t.ended if t.ended else t.began))
    return found[:most], max(0, len(found) - most)


def board_table(view: RunView, width: int, height: int, now: float) -> Any:
    """The board, to fit a terminal of this size."""
    from rich.table import Table
    from rich.text import Text

    wide = width >= _NARROW
    drawn = Table(box=None, expand=True, pad_edge=False, show_edge=False)
    drawn.add_column("task", no_wrap=True, max_width=24 if wide else 16)
    drawn.add_column("phase", no_wrap=True, width=5)
    drawn.add_column("time", no_wrap=True, width=11)
    if wide:
        drawn.add_column("turns", no_wrap=True, width=5, justify="right")
        drawn.add_column("cost", no_wrap=True, width=8, justify="right")
    drawn.add_column("now", no_wrap=True, overflow="ellipsis", ratio=1)
    shown, more = rows(view.tasks.values(), max(1, height - 4))
    for task in shown:
        drawn.add_row(
            *(Text(cell, style=_STYLES.get(task.status, "")) for cell in cells(task, now, wide=wide))
        )
    drawn.caption = Text(footer(view, now, more), style="dim")
    drawn.caption_justify = "left"
    return drawn


_STYLES = {"waiting": "dim", "success": "green", "no-change": "green", "running": ""}


def cells(task: TaskView, now: float, *, wide: bool) -> Sequence[str]:
    """A task's row: id, phase, time, with `wide` turns and cost, and what it does or how it ended."""
    took = (task.ended or now) - task.began if task.began else None
    usage = [str(task.turns or figures.UNKNOWN), figures.usd(task.cost_usd)] if wide else []
    words = f"waiting: {task.title}" if task.status == "waiting" else task.doing or task.status
    return [
        harmless_log_line(task.id), f"{task.phase}/11", figures.duration(took), *usage, harmless_log_line(words)
    ]  # fmt: skip


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
    return " · ".join(parts)
