"""Ways in which GitHub, or the line to it, fails: before or after the request was carried out."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

BEFORE, AFTER = "before", "after"


@dataclass
class Fault:
    """One failure to come.

    `kind`: `500`, `502`, `503`, `504` (JSON), `html` (a 502 page), `reset` (the connection), `hang` (no
    answer until the client goes), `truncated` (the body stops early), `cut-json` (half the JSON, whole by
    its length), `secondary` (403 with Retry-After `wait_s`), `429`, `primary` (403 until `wait_s` from
    now), `301`, `307` (a renamed repository), `401`, `404`, `410`, `422`,
    `other-host` (a Link to somebody else's server).
    `path` is a regular expression to be found in the path; `after` skips that many matching requests. With a `path`,
    requests that only ask about a permission are passed over: what they look like is not what is meant.
    """

    kind: str
    method: str = ""
    path: str = ""
    when: str = BEFORE
    times: int = 1
    after: int = 0
    wait_s: int = 0
    body: dict[str, Any] | None = None
    struck: int = field(default=0, init=False)

    def strikes(self, method: str, path: str, body: Any) -> bool:
        """Whether this request is hit; counts it when it is."""
        if self.struck >= self.times or self.method not in {"", method} or not re.search(self.path, path):
            return False
        if self.path and asks_permission(method, path, body):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.struck += 1
        return True


def asks_permission(method: str, path: str, body: Any) -> bool:
    """Whether a request can change nothing whatever the answer, and only asks what the token may do."""
    if method != "POST" or not isinstance(body, dict):
        return False
    return (
        path.endswith("/git/refs")
        or (path.endswith("/labels") and len(body.get("name", "")) > 50)
        or (path.endswith("/pulls") and body.get("head") == body.get("base"))
    )


def answer(fault: Fault, url: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a fault that is an answer; `url` is where the repository moved to."""
    messages = {
        "401": "Bad credentials",
        "404": "Not Found",
        "410": "This issue was deleted",
        "422": "Validation Failed",
        "429": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "500": "Server Error",
        "502": "Server Error",
        "503": "Service unavailable",
        "504": "We couldn't respond to your request in time.",
    }
    headers: dict[str, str] = {}
    if fault.kind == "secondary":
        status, message = 403, messages["429"]
        headers = {"Retry-After": str(fault.wait_s)} if fault.wait_s else {}
    elif fault.kind in {"301", "307"}:
        message = "Moved Permanently" if fault.kind == "301" else "Temporary Redirect"
        return int(fault.kind), {"Location": url}, {"message": message, "url": url}
    elif fault.kind == "primary":
        status, message = 403, "API rate limit exceeded for installation ID 1."
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + fault.wait_s)}
    else:
        status, message = int(fault.kind), messages.get(fault.kind, "Server Error")
        headers = {"Retry-After": str(fault.wait_s)} if fault.wait_s else {}
    return (
        status,
        headers,
        fault.body or {"message": message, "documentation_url": "https://docs.github.com/rest"},
    )
