"""Talking to GitHub: one request at a time, patient where GitHub asks for patience, never twice by accident.

Two kinds of trouble, kept apart so that no retry nests in another:

- GitHub *refused* (rate limits, 403 and 429): nothing was carried out, so any verb may be sent again
  after the wait it names. PyGithub's `GithubRetry` does that, bounded by `max_wait_s` a request.
- It is *unclear* whether GitHub carried the request out (5xx, a reset, a timeout, half an answer):
  PyGithub would send even a POST again and make a second comment. Here every write says how its
  effect is found again; only when it is not there is the request repeated.
"""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import github
import requests
import tenacity
from github.GithubException import (
    GithubException,
    RateLimitExceededExceedsMaxWait,
    RateLimitExceededException,
)
from github.Requester import Requester
from requests.utils import parse_header_links

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.github_patience import MAX_WAITS, OnRetry, RateLimitPatience
from orchestrator_action.git.forge_access import RenewableToken, token_now

PER_PAGE = 100
"""Source: docs.github.com, "Using pagination in the REST API": at most 100 a page."""
REMEMBERED_ANSWERS = 500
"""Answers kept for the sake of their ETag."""
NONSENSE = (AssertionError, TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError)
"""What PyGithub raises on half an answer, an answer that is no JSON, or a link to another host."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
Made = TypeVar("Made")


class RateLimitError(ForgeError):
    """GitHub asks to wait longer than we may; nothing was carried out."""


class UnclearError(ForgeError):
    """It is not known whether GitHub carried the request out."""


class _Token(github.Auth.Token):
    """A token that may be renewed while we work."""

    @property
    def token(self) -> str:
        return token_now(self._token)


def _check(repository: str, token: str, base_url: str) -> None:
    """Raise ForgeError for what cannot be a repository, a token or the address of an API."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ForgeError(f"{repository!r} is not a repository", hint="write it as owner/name")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", base_url):
        raise ForgeError(f"{base_url!r} is no address of an API", hint="set GITHUB_API_URL")
    if not token.strip():
        raise ForgeError("there is no token for GitHub", hint="set GITHUB_TOKEN, or use --forge local")


class Api:
    """Requests about one repository. Safe to use from several threads."""

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        base_url: str = "https://api.github.com",
        timeout_s: int = 20,
        tries: int = 4,
        max_wait_s: float = 120.0,
        on_retry: OnRetry | None = None,
        sleep: Callable[[float], None] = time.sleep,
        pace: Callable[[int], None] | None = None,
    ) -> None:
        _check(repository, token, base_url)
        self.repository = repository
        self.root = f"/repos/{repository}"
        self.of_an_app = token.startswith("ghs_")
        self.requests_made = 0
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, Any]] = {}
        self._sleep = sleep
        self._pace = pace
        self._tries = tries
        self._on_retry = on_retry
        self._host = base_url
        self._given: dict[str, Any] = {
            "auth": _Token(token if isinstance(token, RenewableToken) else token.strip()),
            "base_url": _enterprise(base_url),
            "timeout": timeout_s,
            "per_page": PER_PAGE,
            "retry": self._patience(max_wait_s),
            "seconds_between_requests": 0,
            "seconds_between_writes": 0,
            "lazy": True,
            "user_agent": "orchestrator-action",
        }
        self._idle: list[Requester] = []
        try:
            with self._requester() as first:
                self._graphql_url = first.graphql_url
        except NONSENSE as exc:
            raise ForgeError(f"{base_url!r} is no address of an API", hint="set GITHUB_API_URL") from exc

    def _patience(self, max_wait_s: float) -> RateLimitPatience:
        return RateLimitPatience(
            total=MAX_WAITS,
            connect=0,
            read=False,
            redirect=0,
            other=0,
            status_forcelist=[429],
            allowed_methods=None,
            raise_on_status=False,
            max_wait_s=max_wait_s,
            sleep=self._sleep,
            told=self._repeated,
        )

    @contextmanager
    def _requester(self) -> Iterator[Requester]:
        """A requester nobody else uses: PyGithub keeps the request to be sent on one shared object."""
        with self._lock:
            requester = self._idle.pop() if self._idle else github.Github(**self._given).requester
        try:
            yield requester
        finally:
            with self._lock:
                self._idle.append(requester)

    def close(self) -> None:
        """Let connections go."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def get(self, path: str, what: str) -> Any:
        """The JSON at `path` below the repository (`/issues/7`), or anywhere with a leading `//`.

        Asked with the ETag of the last answer: GitHub does not count a request it answers with 304.
        Source: docs.github.com, "Best practices for using the REST API", conditional requests.
        """
        url = self._url(path)
        return self._until_clear(lambda: self._reread(url, what), None)

    def pages(
        self, path: str, what: str, params: Mapping[str, str] | None = None, *, key: str = "", limit: int = 0
    ) -> Iterator[Any]:
        """The items of a list, a page in memory at a time; with `key`, of the list below it.

        `limit` is the highest number of pages asked for; 0 means all of them.
        """
        url, given = self._url(path), {**(params or {}), "per_page": str(PER_PAGE)}
        page = 0
        while url:
            page += 1
            headers, data = self._until_clear(lambda: self._once("GET", url, what, params=given), None)  # noqa: B023
            yield from understood(lambda: list(data[key] if key else data), what)  # noqa: B023
            url = "" if page == limit else _next(headers, self._host)
            given = {}

    def send(
        self,
        verb: str,
        path: str,
        what: str,
        body: Any = None,
        *,
        found: Callable[[], Any] | None = None,
        again: bool = True,
    ) -> Any:
        """Write something. When it is unclear whether that worked, `found` looks for its effect and gives
        what GitHub has, or None. Without `found` it may be repeated freely, unless `again` is False.
        """

        def once() -> Any:
            self._wait_for(1)
            return self._once(verb, self._url(path), what, body=body)[1]

        return self._until_clear(once, found) if again else once()

    def graphql(
        self, query: str, what: str, variables: Mapping[str, Any] | None = None, *, writes: int = 0
    ) -> Any:
        """The `data` of a query, asked once; of what GitHub does not tell or do, null stands in it.

        `writes` says how many contents a mutation creates or changes.

        Raises ForgeError when it refuses all of it, UnclearError when it is not known what was done."""
        body = {"query": query, **({"variables": dict(variables)} if variables else {})}
        self._wait_for(writes)
        _, answer = self._once("POST", self._graphql_url, what, body=body)
        return understood(lambda: {**answer["data"]}, what)

    def _wait_for(self, writes: int) -> None:
        """Before each write, also a repeated one, when somebody sets the pace."""
        if self._pace is not None and writes:
            self._pace(writes)

    def _until_clear(self, once: Callable[[], Any], found: Callable[[], Any] | None) -> Any:
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._tries),
            wait=tenacity.wait_random_exponential(0.5, max=20),
            retry=tenacity.retry_if_exception_type(UnclearError),
            sleep=self._sleep,
            reraise=True,
            before_sleep=self._before_sleep,
        )
        for attempt in tries:
            with attempt:
                done = found() if found and attempt.retry_state.attempt_number > 1 else None
                return done if done is not None else once()
        raise AssertionError("unreachable")

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if self._on_retry and isinstance(error, ForgeError):
            self._on_retry(error.message, "unclear", state.upcoming_sleep)

    def _repeated(self, request: str, reason: str, wait: float) -> None:
        with self._lock:
            self.requests_made += 1
        if self._on_retry:
            self._on_retry(request, reason, wait)

    def _url(self, path: str) -> str:
        return path[1:] if path.startswith("//") else self.root + path

    def _reread(self, url: str, what: str) -> Any:
        """The JSON at `url`; ours of the last time when GitHub says that it still holds."""
        etag, old = self._seen.get(url, ("", None))
        headers, data = self._once("GET", url, what, headers={"If-None-Match": etag} if etag else None)
        if data is None and etag and headers.get("etag", etag) == etag:
            with self._lock:
                self.requests_made -= 1
            return copy.deepcopy(old)
        with self._lock:
            self._seen.pop(url, None)
            while len(self._seen) >= REMEMBERED_ANSWERS:
                self._seen.pop(next(iter(self._seen)))
            if headers.get("etag"):
                self._seen[url] = (str(headers["etag"]), copy.deepcopy(data))
        return data

    def _once(
        self,
        verb: str,
        url: str,
        what: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[Mapping[str, Any], Any]:
        """One request: headers (names in lower case) and JSON, or ForgeError in plain words."""
        with self._lock:
            self.requests_made += 1
        try:
            with self._requester() as requester:
                told, data = requester.requestJsonAndCheck(
                    verb, url, dict(params or {}), headers=headers, input=body
                )
        except GithubException as exc:
            raise _refused(exc, what) from exc
        except requests.RequestException as exc:
            message = f"no answer from {self._host} about {what}: {_reason(exc)}"
            raise UnclearError(message, hint="check the network, the address and githubstatus.com") from exc
        except NONSENSE as exc:
            if isinstance(exc, AssertionError):
                raise ForgeError(
                    f"GitHub's answer about {what} points to another host", hint="check GITHUB_API_URL"
                ) from exc
            message = f"GitHub's answer about {what} was cut short or is no JSON"
            raise UnclearError(message, hint="try again; is that address GitHub's API?") from exc
        if (
            "location" in told
            and isinstance(data, dict)
            and {"message", "url"} == data.keys() - {"documentation_url"}
        ):
            raise ForgeError(f"{self.repository} has moved", hint="use its new name", status=307)
        return told, data


def understood(make: Callable[[], Made], what: str) -> Made:
    """What `make` makes of an answer. Raises ForgeError when the answer is not what GitHub documents."""
    try:
        return make()
    except NONSENSE as exc:
        message = f"GitHub's answer about {what} is not as documented ({type(exc).__name__})"
        raise ForgeError(message, hint="is that address GitHub's API?") from exc


def _refused(exc: GithubException, what: str) -> ForgeError:
    """An answer that is not 2xx, in words that say what to do."""
    status, said = exc.status, _said(exc)
    if isinstance(exc, (RateLimitExceededException, RateLimitExceededExceedsMaxWait)) or status == 429:
        wait = exc.wait if isinstance(exc, RateLimitExceededExceedsMaxWait) else 0.0
        message = f"GitHub's rate limit stops {what}" + (f" for {wait:.0f} s" if wait else "")
        return RateLimitError(
            message, hint="run again later; fewer tasks at once need fewer requests", status=status
        )
    if status >= 500:
        return UnclearError(
            f"GitHub failed at {what}: {status} {said}".strip(), hint="see githubstatus.com", status=status
        )
    hint = {
        401: "the token is wrong or has expired; give a new one in github-token",
        403: "the token lacks a permission; grant it under `permissions:` in the workflow",
        404: "it may be deleted, or the token may not see it",
        410: "it was deleted",
    }.get(status, "")
    if status == 403 and "not permitted to create or approve pull requests" in said:
        hint = "allow it under Settings, Actions, General, Workflow permissions"
    if status == 403 and "locked" in said:
        hint = "unlock the conversation, or take the label off"
    return ForgeError(f"GitHub refuses {what}: {status} {said}".strip(), hint=hint, status=status)


def _said(exc: GithubException) -> str:
    """GitHub's own words, with the errors below them."""
    data = exc.data if isinstance(exc.data, dict) else {}
    errors = data.get("errors") or ()
    words = [str(data.get("message") or "")]
    for error in errors if isinstance(errors, (list, tuple)) else (errors,):
        if isinstance(error, dict):
            words.append(
                str(error.get("message") or " ".join(str(error.get(k, "")) for k in ("field", "code")))
            )
        else:
            words.append(str(error))
    return "; ".join(w.strip() for w in words if w.strip())[:500]


def _reason(exc: requests.RequestException) -> str:
    """The innermost words of a failure on the line, without addresses of objects."""
    inner: BaseException = exc
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    if isinstance(exc, requests.Timeout):
        return "timed out"
    return re.sub(r"<[^>]*>:? ?", "", str(inner)) or type(inner).__name__


def _next(headers: Mapping[str, Any], host: str) -> str:
    """The address of the next page; of a server on this machine, under the name by which we know it."""
    links = parse_header_links(str(headers.get("link", "")))
    found = next((str(link["url"]) for link in links if link.get("rel") == "next"), "")
    there, here = urlsplit(found), urlsplit(host)
    if {there.hostname, here.hostname} <= _LOOPBACK and there.port == here.port:
        return there._replace(netloc=here.netloc).geturl()
    return found


def _enterprise(base_url: str) -> str:
    """The API's address; of a GitHub Enterprise Server named by its host alone, with `/api/v3`."""
    base = base_url.rstrip("/")
    host = re.fullmatch(r"https://([^/]+)", base)
    if host and not host[1].startswith("api.") and not host[1].startswith("127.0.0.1"):
        return f"{base}/api/v3"
    return base
