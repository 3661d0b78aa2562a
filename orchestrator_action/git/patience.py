"""What may pass by itself is tried again: how often, how long, and when it is given up.

A server that answers "busy" or breaks off is waited for, as long as it asks for within reason. One that was
never reached in this run is more likely a wrong address: that is said after three tries.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from orchestrator_action.errors import GitError

T = TypeVar("T")

BUSY = re.compile(
    r"early eof|remote end hung up|returned error: (5\d\d|429)|server answered (5\d\d|429)|rpc failed|"
    r"connection (reset|broke)|http/2 stream|cannot lock ref|gnutls|ssl_error_syscall",
    re.IGNORECASE,
)
"""Words of a server that was there and could not, or whose answer was torn."""
UNREACHED = re.compile(
    r"could not resolve host|connection (timed out|refused)|timed out|temporary failure|failed to connect",
    re.IGNORECASE,
)
LASTING = re.compile(
    r"stale info|non-fast-forward|rejected|authentication failed|not found|certificate problem|"
    r"certificate verif|server answered 4(?!29)\d\d",
    re.IGNORECASE,
)
"""What no waiting mends, whatever else is said."""


class PassingError(GitError):
    """A fault that may pass by itself."""

    retry_after_s = 0.0
    """What the server asked to be given; 0.0 when it asked for nothing."""
    unreached = False
    """Whether nobody answered at all."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a remote is asked again."""

    for_s: float = 75.0
    """From the first try of an operation to the last one that is begun."""
    tries_unreached: int = 3
    """Of a server that has not answered in this run."""
    longest_wait_s: float = 300.0
    """A server that asks for more is not waited for."""
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    _answered: threading.Event = field(default_factory=threading.Event, repr=False)

    def call(self, one_try: Callable[[], T]) -> T:
        """What `one_try` returns, tried again after each PassingError; the last fault when it stays."""
        grow = wait_random_exponential(multiplier=0.3, max=15.0)
        tries = Retrying(
            retry=retry_if_exception_type(PassingError),
            wait=lambda state: max(grow(state), _asked_to_wait_s(state)),
            stop=self._gives_up,
            sleep=self.sleep,
            reraise=True,
        )
        result = tries(one_try)
        self._answered.set()
        return result

    def _gives_up(self, state: RetryCallState) -> bool:
        fault = state.outcome.exception() if state.outcome else None
        if getattr(fault, "unreached", False) and not self._answered.is_set():
            return state.attempt_number >= self.tries_unreached
        over = (state.seconds_since_start or 0.0) >= self.for_s
        return over or _asked_to_wait_s(state) > self.longest_wait_s


def _asked_to_wait_s(state: RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome else None
    return float(getattr(fault, "retry_after_s", 0.0))


def as_fault(message: str, hint: str, *, retry_after_s: float = 0.0) -> GitError:
    """The error of these words: one that may pass by itself, or one that lasts."""
    busy, unreached = bool(BUSY.search(message)), bool(UNREACHED.search(message))
    if LASTING.search(message) or not (busy or unreached):
        return GitError(message, hint=hint)
    fault = PassingError(message, hint=hint)
    fault.retry_after_s, fault.unreached = retry_after_s, unreached
    return fault
