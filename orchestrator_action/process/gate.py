"""One gate for all tasks of a run: when the API says "too much", everybody slows down together.

The concurrency halves at once, `Retry-After` closes the gate for everybody, and the concurrency grows
back one by one while things go well: additive increase, multiplicative decrease, as TCP does it. A
storm of refusals that belong to one moment halves it once. Permanent failures do not come here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import tenacity

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.attempt import LONGEST_PAUSE_S

T = TypeVar("T")

STORM_S = 5.0
"""Refusals within this time of the last halving belong to it."""
GROW_S = 30.0
"""Quiet time after which one more is let in."""
_LOOK_S = 0.5


class Flow:
    """How many may be at work now. Pure: the time comes in; not safe for threads by itself."""

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"at least one must be let in, not {most}")
        self.most = most
        self.limit = most
        self.inside = 0
        self.opens_at = float("-inf")
        self._halved_at = float("-inf")
        self._grows_at = float("inf")

    def refused(self, now: float, *, retry_after_s: float = 0.0) -> None:
        """Somebody was told to come back later."""
        self.opens_at = max(self.opens_at, now + min(retry_after_s, LONGEST_PAUSE_S))
        self._grows_at = max(now, self.opens_at) + GROW_S
        if now - self._halved_at >= STORM_S:
            self.limit = max(1, self.limit // 2)
            self._halved_at = now

    def wait_s(self, now: float) -> float:
        """Seconds until somebody may be let in; 0.0 for at once, infinity when somebody must leave first."""
        while self.limit < self.most and now >= self._grows_at:
            self.limit += 1
            self._grows_at += GROW_S
        if self.inside >= self.limit:
            return float("inf") if self.limit == self.most else max(_LOOK_S, self._grows_at - now)
        return max(0.0, self.opens_at - now)


class RateGate:
    """A Flow that many threads share."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._flow = Flow(most)
        self._clock = clock
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be inside now."""
        with self._changed:
            self._flow.wait_s(self._clock())
            return self._flow.limit

    @contextmanager
    def passed(self, cancel: Cancel) -> Iterator[bool]:
        """Be inside for the length of the block; False, and not inside, when cancelled while waiting."""
        entered = self._enter(cancel)
        try:
            yield entered
        finally:
            if entered:
                with self._changed:
                    self._flow.inside -= 1
                    self._changed.notify_all()

    def refused(self, *, retry_after_s: float = 0.0) -> None:
        """The API told one of us to come back later (429, 529, overloaded)."""
        with self._changed:
            self._flow.refused(self._clock(), retry_after_s=retry_after_s)
            self._changed.notify_all()

    def _enter(self, cancel: Cancel) -> bool:
        with self._changed:
            while not cancel.is_set():
                wait = self._flow.wait_s(self._clock())
                if wait == 0.0:
                    self._flow.inside += 1
                    return True
                self._changed.wait(min(wait, _LOOK_S))
        return False


def tried(
    once: Callable[[], T],
    *,
    retries: int,
    transient: Callable[[T], float | None],
    pause: Callable[[float], object],
    first_s: float = 2.0,
    longest_s: float = 120.0,
) -> T:
    """Call `once`, and again while its result says that the failure may pass; at most `retries` times more.

    `transient` gives None for a result that stands, else the seconds the API asked us to wait, 0.0 when it
    named none. Waits are random up to an exponentially growing bound, never shorter than asked. `pause`
    waits, and returns something true to give up (`Cancel.wait` does). The last result is returned as it
    is; exceptions are not retried.
    """
    jittered = tenacity.wait_random_exponential(multiplier=first_s, max=longest_s)

    def again(result: T) -> bool:
        asked = transient(result)
        return asked is not None and asked <= LONGEST_PAUSE_S

    def wait(state: tenacity.RetryCallState) -> float:
        return max(transient(results[-1]) or 0.0, jittered(state))

    def sleep(seconds: float) -> None:
        if pause(seconds):
            raise _GivenUp

    def kept() -> T:
        results.append(once())
        return results[-1]

    results: list[T] = []
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(again),
        stop=tenacity.stop_after_attempt(1 + retries),
        wait=wait,
        sleep=sleep,
        retry_error_callback=lambda _: None,
    )
    with suppress(_GivenUp):
        retrying(kept)
    return results[-1]


class _GivenUp(Exception):  # noqa: N818 - a way out of a wait, not a fault
    pass
