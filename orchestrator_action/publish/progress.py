"""Progress on the issue while its task runs: seldom enough for the forge, never after the last word.

`GITHUB_TOKEN` has 1,000 requests an hour for a repository, so a task has six, and at most three more for its
progress: once 15 seconds or more after the claim, when a phase was settled, and once when the pull is open.
Then the check begins on its head too, unless the task ends at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.protocol.events import Event
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import PhaseVerdict, Task
from orchestrator_action.publish.checks import begin_check
from orchestrator_action.publish.claim import tell_progress
from orchestrator_action.state.context import RunContext

log = logging.getLogger(__name__)

FIRST_S = 15.0
"""From the claim to the first update; no two are closer than that."""
UPDATES = 2
"""Of a task's comment between the claim and the last word; the last of them waits for the pull."""
CHECK_AFTER_S = 3.0
"""From the pull to the beginning of its check: a task that ends sooner completes it in one request."""
DUE_LOOK_S = 1.0


@dataclass(slots=True)
class _Shown:
    """What is said of a task."""

    next_at: float
    told: int = 0
    settled: int = 0
    pull_since: float = 0.0
    checked: bool = False


class Progress:
    """Tells of a run's tasks from a thread of its own, while the block runs."""

    def __init__(self, run: RunContext, tasks: Sequence[Task], *, first_s: float = FIRST_S) -> None:
        self._run, self._first = run, first_s
        self._tasks = [t for t in tasks if t.issue]
        self._shown: dict[str, _Shown] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(min(DUE_LOOK_S, self._first)):
            for task in self._tasks:
                if self._over.is_set() or self._run.cancel.is_set():
                    return
                try:
                    self._look(task)
                except OrchestratorError as exc:
                    log.warning("no progress told task=%s error=%s", task.id, exc.message)

    def _look(self, task: Task) -> None:
        events = self._run.journal.of(task.id)
        claimed = next((e.at for e in events if e.kind == "claimed"), None)
        if claimed is None or any(e.kind in {"judged", "task-ended"} for e in events):
            return
        now = time.monotonic()
        shown = self._shown.setdefault(task.id, _Shown(now + self._first))
        ledger = self._run.journal.ledger(task.id)
        changed = ledger.pushed_sha != ledger.follow_up_at  # else it is the head of the attempt before
        if ledger.pull is not None and ledger.pushed_sha and changed:
            shown.pull_since = shown.pull_since or now
            if not shown.checked and now >= shown.pull_since + CHECK_AFTER_S:
                shown.checked = True
                begin_check(self._run, task.id, ledger.pushed_sha, self._phases(task))
        spent = shown.told >= (UPDATES if shown.pull_since else UPDATES - 1)
        if spent or now < shown.next_at:
            return
        phases = self._phases(task)
        settled = sum(p.settled for p in phases)
        if settled == shown.settled:
            return
        shown.settled, shown.told, shown.next_at = settled, shown.told + 1, now + self._first
        assert task.issue is not None
        tell_progress(self._run, task.issue, phases, time.time() - claimed)

    def _phases(self, task: Task) -> tuple[PhaseVerdict, ...]:
        ledger = self._run.journal.ledger(task.id)
        head = ledger.pushed_sha or _last_commit(self._run.journal.of(task.id)) or ledger.base_sha
        return judge(ledger, policy=self._run.config.phases, head=head).phases


def _last_commit(events: Sequence[Event]) -> str:
    return next(
        (str(e.data["commit"]) for e in reversed(events) if e.kind == "fact" and e.data["commit"]), ""
    )


def times(events: Iterable[Event]) -> dict[str, list[tuple[str, float, float]]]:
    """Per task its phases with start and end, in seconds since the run began, as the journal has them.

    A phase lasts from the end of what came before until the last measurement of its claim; what is measured
    again at the end of the task belongs to no phase. A task with candidates has those of the chosen one.
    """
    began = 0.0
    chosen: set[str] = set()
    claimed: dict[str, str] = {}
    spans: dict[str, list[tuple[str, float, float]]] = {}
    since: dict[str, float] = {}
    for event in events:
        at, task = event.at - began, event.task
        if event.kind == "run-started":
            began = began or event.at
        elif event.kind == "task-started":
            since[task] = at
        elif event.kind == "chosen":
            chosen.add(task)
            spans[task] = list(spans.get(str(event.data["candidate"]), ()))
        elif task in chosen:
            continue
        elif event.kind == "claim":
            claimed[task] = str(event.data["phase"])
            since[task] = max([since.get(task, at), *(end for _, _, end in spans.get(task, ()))])
        elif event.kind == "fact" and claimed.get(task) == event.data["phase"]:
            known = spans.setdefault(task, [])
            if known and known[-1][0] == claimed[task] and known[-1][1] == since[task]:
                known.pop()
            known.append((claimed[task], since[task], at))
    return spans
