"""Parts of a run that kill their own process, as `kill -9` does, right before or after the n-th step it takes.

A step is a line of the journal, a call of the forge, of the remote, or of the trees: all that is seen
from outside happens in one of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_action.state.context import RunContext

STEPS = {
    "journal": {"append", "write_report"},
    "forge": {
        "issue", "create_issue", "set_labels", "take_label", "find_pull", "pull", "open_pull", "review", "answer",
        "comment", "ours", "start_check", "finish_check", "post_check", "write_together", "status",
    },
    "remote": {"fetch", "fetch_ref", "push", "push_many", "sha"},
    "trees": {"create", "adopt", "measure", "review", "remove", "salvage", "keep_branch", "drop_bases"},
}  # fmt: skip


class Death:
    """Counts steps, and ends the process at one of them. Negative: right before it, positive: after it, 0: never.

    `TASK KIND` in place of a number is the first line of the journal of this kind about this task: right after it.
    """

    def __init__(self, at: int | str) -> None:
        self._line = at.split() if isinstance(at, str) else []
        self._at = 0 if isinstance(at, str) else at
        self._lock, self._count = threading.Lock(), 0

    def within(self, run: RunContext) -> RunContext:
        """The parts, each step of which counts; as they are when there is nothing to die at."""
        if not self._at and not self._line:
            return run
        return replace(run, **{n: _Stepping(getattr(run, n), self, s) for n, s in STEPS.items()})

    def step(self, call: Callable[[], Any], name: str, given: Sequence[Any]) -> Any:
        with self._lock:
            self._count += 1
            mine = self._count == abs(self._at)
            mine = mine or (name == "append" and bool(self._line) and self._line == [*given[1::-1]])
        if mine and self._at < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = call()
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return done


class _Stepping:
    def __init__(self, part: Any, death: Death, steps: set[str]) -> None:
        self._part, self._death, self._steps = part, death, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in self._steps:
            return found
        return lambda *given, **named: self._death.step(lambda: found(*given, **named), name, given)
