"""Pages below `/_kit/`, for a server that runs as a process of its own: set it up, and see what came in.

GET   requests, state, invalid
POST  issues {title, body, user, labels, actor, count}    labels {number, name, actor}
      edits {number, user, title, body}                   comments {number, body, user}
      users {login, role, type}                           faults (the fields of Fault)
      runs {id, status, conclusion}                       workflows {name}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kit.github_server.server import GitHubServer


def serve(github: GitHubServer, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Status and JSON of one page."""
    pages: dict[tuple[str, str], Callable[[GitHubServer, Any], Any]] = {
        ("GET", "requests"): lambda g, _: [dataclasses.asdict(r) for r in g.requests],
        ("GET", "state"): lambda g, _: shown(g),
        ("GET", "invalid"): lambda g, _: g.invalid,
        ("POST", "issues"): add_issues,
        ("POST", "labels"): lambda g, b: g.label(b["number"], b["name"], actor=b["actor"]),
        ("POST", "edits"): lambda g, b: g.edit(**b),
        ("POST", "comments"): lambda g, b: g.say(b["number"], b["body"], user=b["user"]),
        ("POST", "users"): add_user,
        ("POST", "faults"): lambda g, b: void(g.fail(**b)),
        ("POST", "runs"): lambda g, b: g.state.runs.update({b["id"]: {"conclusion": None, **b}}),
        ("POST", "workflows"): lambda g, b: g.state.workflows.add(b["name"]),
    }
    page = pages.get((method, path.removeprefix("/_kit/")))
    if page is None:
        return 404, {"message": "Not Found"}
    return 200 if method == "GET" else 201, page(github, body)


def void(_: object) -> None:
    """Drop a value."""


def add_issues(github: GitHubServer, body: Any) -> Any:
    """Add `count` issues that are alike; the number of the last."""
    state, number = github.state, 0
    for _ in range(body.get("count", 1)):
        issue = state.add_issue(body["title"], body.get("body"), user=body.get("user", state.owner))
        number = issue.number
        for name in body.get("labels", ()):
            state.set_label(issue, name, actor=body.get("actor", issue.user))
    return {"number": number}


def add_user(github: GitHubServer, body: Any) -> None:
    """Make somebody known, or give a known one another role."""
    github.state.user(body["login"], role=body.get("role", ""), type_=body.get("type", ""))


def shown(github: GitHubServer) -> dict[str, Any]:
    """Everything the server remembers, as JSON values."""
    state = github.state
    return {
        "issues": [dataclasses.asdict(i) for i in state.issues.values()],
        "comments": [dataclasses.asdict(c) for c in state.comments.values()],
        "checks": [dataclasses.asdict(c) for c in state.checks.values()],
        "statuses": [dataclasses.asdict(s) for s in state.statuses],
        "events": [dataclasses.asdict(e) for e in state.events],
        "labels": [dataclasses.asdict(n) for n in state.labels.values()],
        "dispatched": state.dispatched,
    }
