"""What the tasks of one run share: places at work, the gate to the API, and how much time is left.

A forge, a disk or a measurement may hang. `bounded` never lets one of them stand between a cancelled
run and its end: what is not confirmed in time is given up, named, and settled later.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate

T = TypeVar("T")

SETTLE_S = 3.1
"""From the first signal until nothing more is waited for; the whole process has four seconds."""
HURRY_S = 0.6
"""The same from the second signal on."""
UNHURRIED_S = 60.0
"""When a single task was cancelled, or the run's time is up: nobody is about to kill us."""
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """Shared by all tasks of a run."""

    slots: Slots
    gate: RateGate
    user: Cancel
    """Set by signals and by `cancel RUN`: the process is to end soon."""
    first_wait_s: float = 2.0
    """The longest first wait before a retry; it doubles with every further one."""
    run_limit_s: float = 0.0
    ends_at: float = math.inf
    """When the run's own time is up, monotonic seconds."""

    @property
    def expired(self) -> bool:
        """Whether the run's time is up, and nobody cancelled it before."""
        return min(self.user.since, time.monotonic()) >= self.ends_at

    def give_up_at(self, cancel: Cancel) -> float:
        """Until when a task with this `cancel` may wait for what others must confirm; infinity for ever."""
        if self.user.is_set():
            return min(self.user.since + SETTLE_S, self.user.hurried_since + HURRY_S)
        return cancel.since + UNHURRIED_S

    def bounded(self, what: str, call: Callable[[], T], cancel: Cancel, otherwise: T) -> T:
        """The result of `call`, or `otherwise` once the end cannot wait for it. Raises what it raises."""
        result: list[T] = []
        error: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                result.append(call())
            except BaseException as exc:  # noqa: BLE001 - it is raised again where it is waited for
                error.append(exc)
            finally:
                done.set()

        threading.Thread(target=run, name=what, daemon=True).start()
        while not done.wait(_LOOK_S):
            if time.monotonic() >= self.give_up_at(cancel):
                break
        if done.is_set():
            if error:
                raise error[0]
            return result[0]
        return otherwise
