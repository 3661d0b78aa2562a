"""Workflows and their runs, through GitHub's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.client import Api, understood

MOST_PAGES_OF_PUSHES = 2
ALIVE = frozenset({"queued", "in_progress", "waiting", "requested", "pending"})


def run_alive(api: Api, run_id: str) -> bool | None:
    """Whether a workflow run is queued or running; None when there is none of that id."""
    if not run_id.isascii() or not run_id.isdecimal():
        return None
    try:
        data = api.get(f"/actions/runs/{run_id}", f"workflow run {run_id}")
    except ForgeError as exc:
        if exc.status == 404:
            return None
        raise
    return understood(lambda: str(data["status"]) in ALIVE, f"workflow run {run_id}")


def before_push(api: Api, branch: str, head: str) -> str:
    """What a branch was at before the latest push, merge or forced push that brought it to `head`.

    Empty for the push that made the branch, where it is too long ago, and on servers that keep no such list.
    Source: docs.github.com, "List repository activities".
    """
    ref = f"refs/heads/{branch}"
    try:
        pushes = list(
            api.pages("/activity", f"the pushes to {branch}", {"ref": ref}, limit=MOST_PAGES_OF_PUSHES)
        )
    except ForgeError as exc:
        if exc.status == 404:
            return ""
        raise
    found = understood(
        lambda: [str(p["before"]) for p in pushes if (p["ref"], p["after"]) == (ref, head)], "the pushes"
    )
    return found[0] if found and found[0].strip("0") else ""


def dispatch(api: Api, workflow: str, *, ref: str, inputs: Mapping[str, str] | None) -> None:
    """Start a workflow, by one request that is never repeated."""
    path = f"/actions/workflows/{quote(workflow, safe='')}/dispatches"
    body = {"ref": ref, **({"inputs": dict(inputs)} if inputs else {})}
    api.send("POST", path, f"the start of {workflow}", body, again=False)
