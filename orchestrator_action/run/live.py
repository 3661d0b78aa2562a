"""A run as it stands this moment, read from its folder: by the process that runs it, or by any other.

Only what was added since the last look is read, so that looking often costs little. A journal that was
written anew, because somebody harmed it, is read from its beginning again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator_action.protocol.events import Event, decode_event
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.publish.report.words import event_words, short
from orchestrator_action.state.fold import tasks_of
from orchestrator_action.state.store import BASE
from orchestrator_action.text.limits import harmless_log_line

WordsOf = Callable[[str], Callable[[bytes], str]]
"""By the name of an agent: what a line of its output says."""
_MOST_BYTES = 256 * 1024
"""Of an agent's log read at one look; of what is further behind only the end tells what it does now."""
LOOK_S = 0.5
LINE_EVERY_S = 20.0
"""Between two lines about what a task's agent does while nothing else happens."""
BASE_FIRST = "set-up and tests are tried before an agent starts"
BASE_AFTER_S = 1.0
"""Until that is said: where it takes no longer, nobody waits."""


@dataclass(slots=True)
class TaskView:
    """One task as a person sees it. Times in epoch seconds; 0.0 when it has not come to that."""

    id: str
    title: str = ""
    agent: str = ""
    status: str = "waiting"
    """waiting, running, or how it ended."""
    phase: int = 0
    """The number of the phase that was claimed last."""
    doing: str = ""
    """What happened last, in words."""
    told: str = ""
    """What the journal told last, in words: its agent's own output may have said the same before."""
    began: float = 0.0
    ended: float = 0.0
    turns: int = 0
    cost_usd: float | None = None
    pull: int = 0
    left: bool = False
    """Its agent has ended, and nothing was measured since."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in {"waiting", "running"}

    def take(self, event: Event) -> None:
        """Take over what an event tells."""
        data = event.data
        if event.kind == "attempt-started":
            self.agent = str(data.get("agent") or self.agent)
        self.left = event.kind == "attempt-ended" or (self.left and event.kind != "attempt-started")
        if event.kind in {"task-started", "attempt-started", "claimed"}:
            self.status, self.began, self.ended = "running", self.began or event.at, 0.0
        elif event.kind == "claim" and data.get("phase") in BY_ID:
            self.phase = max(self.phase, BY_ID[data["phase"]].number)
        elif event.kind == "attempt-ended":
            self._add_usage(data.get("turns"), data.get("cost_usd"))
        elif event.kind == "review-ended":
            self._add_usage(None, data.get("cost_usd"))
        elif event.kind == "pull":
            self.pull = 0 if data.get("stand_in") else int(data.get("number") or 0)
        elif event.kind == "task-ended":
            self.status, self.ended = str(data.get("status", "")), event.at
            self.turns = data.get("turns") or self.turns
            self.cost_usd = data["cost_usd"] if data.get("cost_usd") is not None else self.cost_usd
        if words := event_words(event) or self._measured_again(event):
            self.doing = self.told = words

    def _measured_again(self, event: Event) -> str:
        """What the first fact after an attempt says, where it has no words of its own."""
        if not self.left or event.kind != "fact":
            return ""
        self.left = False
        return f"is measured again at {str(event.data.get('commit'))[:12]}"

    def _add_usage(self, turns: object, cost: object) -> None:
        if isinstance(turns, int):
            self.turns += turns
        if isinstance(cost, (int, float)):
            self.cost_usd = (self.cost_usd or 0.0) + cost


@dataclass(slots=True)
class _Tail:
    """The lines that were added to a file since the last look; from the start when it is another file."""

    path: Path
    inode: int = 0
    offset: int = 0
    whole: bool = False
    """Read everything, however much there is."""

    def lines(self) -> tuple[list[bytes], bool]:
        """Whole lines, and whether the file was begun anew."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                anew = stat.st_ino != self.inode or stat.st_size < self.offset
                if anew:
                    self.inode, self.offset = stat.st_ino, 0
                skipped = not self.whole and stat.st_size - self.offset > _MOST_BYTES
                if skipped:
                    self.offset = stat.st_size - _MOST_BYTES
                file.seek(self.offset)
                body = file.read() if self.whole else file.read(_MOST_BYTES)
        except OSError:
            return [], False
        end = body.rfind(b"\n") + 1
        self.offset += end
        lines = body[:end].split(b"\n")[:-1]
        return (lines[1:] if skipped else lines), anew


@dataclass(slots=True)
class RunView:
    """A run and its tasks, brought up to date by `refresh`."""

    folder: Path
    words_of: WordsOf
    tasks: dict[str, TaskView] = field(default_factory=dict)
    began: float = 0.0
    ended: bool = False
    slots: int = 0
    _journal: _Tail | None = None
    _logs: dict[str, _Tail] = field(default_factory=dict)

    @property
    def tries_base(self) -> bool:
        """Whether no task has begun, because set-up and tests are tried at the base first."""
        waits = bool(self.tasks) and all(t.status == "waiting" for t in self.tasks.values())
        return waits and not self.ended and (self.folder / "tasks" / BASE).is_dir()

    def refresh(self) -> list[tuple[TaskView, float, str]]:
        """Read what is new; a line of words for each thing that happened to a task before its end.

        Each is the task, epoch seconds, words; they are told however long ago the task ended.
        """
        said = list(self._new_events())
        for task in self.tasks.values():
            if task.status == "running" and (words := self._agents_words(task)):
                task.doing = words
        return said

    def _new_events(self) -> Iterator[tuple[TaskView, float, str]]:
        self._journal = self._journal or _Tail(self.folder / "journal.jsonl", whole=True)
        lines, anew = self._journal.lines()
        if anew:
            self.tasks, self.ended = {}, False
        for line in lines:
            try:
                event = decode_event(line.decode("utf-8"))
            except ValueError:
                continue  # torn or harmed: `status` says so, this only shows
            self._take(event)
            task = self.tasks.get(event.task)
            if task is not None:
                before = task.told
                task.take(event)
                if task.is_open and task.told != before:  # one measurement can prove two phases
                    yield task, event.at, task.told

    def _take(self, event: Event) -> None:
        if event.kind in {"run-started", "run-resumed"}:
            self.began, self.ended = self.began or event.at, False
            self.slots = int(event.data.get("slots") or self.slots or 0)
        if event.kind == "run-started":
            agent = str(event.data.get("agent", ""))
            for task in tasks_of(event.data) if "tasks" in event.data else ():
                self.tasks.setdefault(task.id, TaskView(task.id, task.title, task.agent or agent))
        elif event.kind == "run-ended":
            self.ended = True
        elif event.kind == "task-started":
            for rival in event.data.get("candidates", ()):
                made = TaskView(str(rival["id"]), f"a candidate of {event.task}", str(rival["agent"]))
                self.tasks.setdefault(made.id, made)

    def _agents_words(self, task: TaskView) -> str:
        """What the agent's newest line with words says, of what came since the last look."""
        logs = sorted((self.folder / "tasks" / task.id).glob("agent*.log"), key=_attempt_of)
        if not logs:
            return ""
        tail = self._logs.setdefault(str(logs[-1]), _Tail(logs[-1]))
        words_of = self.words_of(task.agent)
        return next((short(w) for line in reversed(tail.lines()[0]) if (w := words_of(line))), "")


def _attempt_of(log: Path) -> int:
    _, _, number = log.stem.partition("-")
    return int(number or 1) if (number or "1").isdecimal() else 0


# -- in lines ---------------------------------------------------------------------------------------


def plain_line(task: str, at: float, words: str) -> str:
    """`10:04:12 issue-7 claims Testing`, without anything that a terminal or a runner would obey."""
    return harmless_log_line(f"{time.strftime('%H:%M:%S', time.localtime(at))} {task} {words}")


def tell_lines(
    view: RunView, over: threading.Event, say: Callable[[str], None], *, apart_s: float = 0.0
) -> None:
    """Say in lines what happens, until `over` is set.

    Of each task there is at most one line in `apart_s` seconds: then its newest. With 0 each thing is said.
    """
    lines = _Lines(say, apart_s)
    while True:
        last = over.wait(LOOK_S)
        for task, at, words in view.refresh():
            lines.add(task.id, at, words, task.doing)
        for task in view.tasks.values():
            if task.status == "running" and lines.is_due(task.id, task.doing, LINE_EVERY_S):
                lines.add(task.id, time.time(), task.doing, task.doing)
            elif not task.is_open and apart_s:
                lines.waiting.pop(task.id, None)  # its end was said meanwhile, by whoever runs it
        if view.tries_base and lines.is_due(BASE, BASE_FIRST, BASE_AFTER_S):
            lines.add(BASE, time.time(), BASE_FIRST, BASE_FIRST)
        lines.say_due()
        if last:
            return


@dataclass(slots=True)
class _Lines:
    """What is to be said of each task, and when something was said of it last."""

    say: Callable[[str], None]
    apart_s: float
    began: float = field(default_factory=time.monotonic)
    waiting: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    spoke: dict[str, float] = field(default_factory=dict)
    doing: dict[str, str] = field(default_factory=dict)

    def add(self, task: str, at: float, words: str, doing: str) -> None:
        before = () if self.apart_s else self.waiting.get(task, ())
        self.waiting[task] = [*before, (at, words)]
        self.doing[task] = doing

    def is_due(self, task: str, doing: str, after_s: float) -> bool:
        """Whether it does something else than was said, and nothing was said of it for so long."""
        return doing != self.doing.get(task) and time.monotonic() - self.spoke.get(task, self.began) > after_s

    def say_due(self) -> None:
        now = time.monotonic()
        for task in [t for t in self.waiting if now - self.spoke.get(t, float("-inf")) >= self.apart_s]:
            for at, words in self.waiting.pop(task):
                self.say(plain_line(task, at, words))
            self.spoke[task] = now
