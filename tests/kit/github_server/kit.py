"""Pages below `/_kit/`, for a server that runs as a process of its own: set it up, and see what came in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kit.github_server.server import GitHubServer


def serve(github: GitHubServer, method: str, path: str, body: Any) -> tuple[int, Any]:
    """`GET requests | state | invalid`, `POST issues | labels | edits | comments | faults | runs | workflows | users`.

    `issues` takes `count` to make many alike.
    """
    state = github.state
    match method, path.removeprefix("/_kit/"):
        case "GET", "requests":
            return 200, [dataclasses.asdict(r) for r in github.requests]
        case "GET", "invalid":
            return 200, github.invalid
        case "GET", "state":
            return 200, shown(github)
        case "POST", "issues":
            for _ in range(body.get("count", 1)):
                issue = state.add_issue(body["title"], body.get("body"), user=body.get("user", state.owner))
                for name in body.get("labels", ()):
                    state.set_label(issue, name, actor=body.get("actor", issue.user))
            return 201, {"number": issue.number}
        case "POST", "labels":
            state.set_label(state.issues[body["number"]], body["name"], actor=body["actor"])
            return 201, {}
        case "POST", "edits":
            github.edit(**body)
            return 201, {}
        case "POST", "comments":
            return 201, {"id": github.say(body["number"], body["body"], user=body["user"])}
        case "POST", "users":
            state.user(body["login"], role=body.get("role", ""), type_=body.get("type", ""))
            return 201, {}
        case "POST", "faults":
            github.fail(**body)
            return 201, {}
        case "POST", "runs":
            state.runs[body["id"]] = {"status": "in_progress", "conclusion": None, **body}
            return 201, {}
        case "POST", "workflows":
            state.workflows.add(body["name"])
            return 201, {}
    return 404, {"message": "Not Found"}


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
