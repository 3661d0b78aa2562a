"""Questions about many issues in few requests: who labelled them and when, and when they were edited."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import NONSENSE, PER_PAGE, Api, understood
from orchestrator_action.protocol.forge_values import IssueEvent

WORTHWHILE = 2
"""A page of the repository's events must tell of so many issues, else each is asked by itself."""


def recent_events(api: Api, label: str, numbers: Collection[int]) -> Mapping[int, tuple[IssueEvent, ...]]:
    """Of as many of the issues as pays: the last time the label was set and all that came after it.

    GitHub lists a repository's events newest first, pulls' among them. What is listed in another order
    is not believed, and a page lost to a fault only means that more is asked one by one.
    Source: docs.github.com, "List issue events for a repository".
    """
    missing, found = set(numbers), dict[int, list[IssueEvent]]()
    newest = found_before = 0
    if len(missing) < WORTHWHILE:
        return {}
    try:
        for count, data in enumerate(api.pages("/issues/events", "the events of the repository"), 1):
            event = understood(lambda: read.event(data), "the events")  # noqa: B023
            if newest and event.id > newest:
                return {}
            newest = event.id
            number = understood(lambda: int((data.get("issue") or {}).get("number") or 0), "the events")  # noqa: B023
            if number in missing:
                found.setdefault(number, []).insert(0, event)
                if event.kind == "labeled" and event.label.casefold() == label.casefold():
                    missing.discard(number)
            if count % PER_PAGE == 0:
                told = len(numbers) - len(missing)
                if len(missing) < WORTHWHILE or told - found_before < WORTHWHILE:
                    break
                found_before = told
            if not missing:
                break
    except ForgeError:
        return {}
    return {n: tuple(events) for n, events in found.items() if n not in missing}


def edits(api: Api, numbers: Collection[int]) -> Mapping[int, str | None]:
    """When each issue's text was last edited; empty for never, None when GitHub does not tell this token."""
    told: dict[int, str | None] = dict.fromkeys(numbers)
    ordered = sorted(told)
    owner, _, name = api.repository.partition("/")
    for start in range(0, len(ordered), PER_PAGE):
        some = ordered[start : start + PER_PAGE]
        asked = " ".join(f"i{int(n)}:issue(number:{int(n)}){{lastEditedAt}}" for n in some)
        query = f'query{{repository(owner:"{owner}",name:"{name}"){{{asked}}}}}'
        try:
            data = api.graphql(query, "the edits of issues")["repository"]
        except (ForgeError, *NONSENSE):
            break  # it would not tell of the others either
        told |= {n: _when(data, f"i{n}") for n in some}
    return told


def _when(data: Any, key: str) -> str | None:
    issue = data.get(key)
    return None if issue is None else str(issue["lastEditedAt"] or "")


def open_blockers(api: Api, number: int) -> tuple[int, ...]:
    """Open issues of this repository that GitHub's own dependencies say block an issue.

    Source: docs.github.com, "REST API endpoints for issue dependencies". An older server answers 404.
    """
    what, found = f"what blocks #{number}", list[int]()
    try:
        for data in api.pages(f"/issues/{number}/dependencies/blocked_by", what):
            ours = understood(lambda: str(data["url"]).partition("/repos/")[2], what)  # noqa: B023
            if (
                ours.casefold() == f"{api.repository}/issues/{data['number']}".casefold()
                and data["state"] == "open"
            ):
                found.append(int(data["number"]))
    except ForgeError as exc:
        if exc.status not in {404, 410}:
            raise
    return tuple(found)
