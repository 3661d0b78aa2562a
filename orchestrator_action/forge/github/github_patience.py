"""Waiting as long as GitHub asks, and no longer than we may: PyGithub's retry, bounded and for refusals only.

A refused request (403 or 429 for a rate limit) was not carried out, so any verb may be sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from github.GithubException import RateLimitExceededExceedsMaxWait
from github.GithubRetry import GithubRetry
from urllib3 import Retry

MAX_WAITS = 4
"""How often one request may be put off."""
OnRetry = Callable[[str, str, float], None]
"""Told of every repeated request: `PATCH /repos/…`, the reason, the seconds waited."""


class RateLimitPatience(GithubRetry):
    """Waits out rate limits, and only those; `max_wait_s` bounds what one request waits in sum."""

    def __init__(
        self,
        *,
        max_wait_s: float = 0.0,
        waited_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
        told: OnRetry | None = None,
        **kwargs: Any,
    ) -> None:
        self.max_wait_s, self.waited_s, self._sleeper, self._told = max_wait_s, waited_s, sleep, told
        super().__init__(**kwargs)

    def new(self, **kw: Any) -> RateLimitPatience:
        """The next state, with what is ours carried over."""
        ours = {"waited_s": self.waited_s, "sleep": self._sleeper, "told": self._told}
        return super().new(max_wait_s=self.max_wait_s, **ours, **kw)

    def increment(  # type: ignore[override]
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Retry:
        """The state for one more try of a refused request, its wait known and within bounds."""
        if response is None or response.status not in {403, 429}:
            return super().increment(method, url, response, error, _pool, _stacktrace)
        if "Retry-After" in response.headers or response.status == 429:
            retry: Retry = Retry.increment(self, method, url, response, error, _pool, _stacktrace)
            wait = self._asked_for(response.headers)
        else:
            retry = super().increment(method, url, response, error, _pool, _stacktrace)
            wait = retry.get_backoff_time()
        if self.waited_s + wait > self.max_wait_s:
            data = {"message": f"the rate limit asks for {wait:.0f} s"}
            raise RateLimitExceededExceedsMaxWait(response.status, data, dict(response.headers), wait=wait)
        assert isinstance(retry, RateLimitPatience)
        retry.waited_s = self.waited_s + wait
        retry.get_backoff_time = lambda: wait  # type: ignore[method-assign]
        if self._told:
            self._told(f"{method} {_path(url or '')}", f"rate limit ({response.status})", wait)
        return retry

    def _asked_for(self, headers: Mapping[str, str]) -> float:
        if "Retry-After" in headers:
            return self.parse_retry_after(headers["Retry-After"])
        reset = headers.get("X-RateLimit-Reset", "")
        if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
            return max(int(reset) - time.time(), 0.0) + 1.0
        return float(self.secondary_rate_wait)

    def sleep(self, response: Any = None) -> None:  # noqa: ARG002
        """Wait as `increment` found; the header was read there."""
        wait = self.get_backoff_time()
        if wait > 0:
            self._sleeper(wait)


def _path(url: str) -> str:
    return url.partition("?")[0]
