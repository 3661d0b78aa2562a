"""Many issues in few requests: each with who labelled it and when, and when its text was edited.

One GraphQL request tells of a hundred issues. Where it is refused, REST lists them, and the newest events of the whole
repository tell of those that changed last. Source: docs.github.com, GraphQL API, "Objects"; the tests hold its
published schema against the documents.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import NONSENSE, PER_PAGE, Api, understood
from orchestrator_action.protocol.forge_values import History, Issue, IssueEvent

NEWEST_EVENTS = 20
"""Of each issue; one whose label was set before these is asked by itself."""
WORTHWHILE = 2
"""A page of the repository's events must tell of so many issues, else each is asked by itself."""
_HISTORY = (
    f"lastEditedAt timelineItems(last:{NEWEST_EVENTS},itemTypes:[LABELED_EVENT,UNLABELED_EVENT,RENAMED_TITLE_EVENT])"
    "{pageInfo{hasPreviousPage} nodes{__typename"
    " ...on LabeledEvent{createdAt actor{__typename login} label{name}}"
    " ...on UnlabeledEvent{createdAt actor{__typename login} label{name}}"
    " ...on RenamedTitleEvent{createdAt actor{__typename login} previousTitle currentTitle}}}"
)
_LISTED = (
    "query($owner:String!,$name:String!,$label:String!,$after:String){repository(owner:$owner,name:$name)"
    f"{{nameWithOwner issues(first:{PER_PAGE},after:$after,labels:[$label],states:[OPEN],"
    "orderBy:{field:CREATED_AT,direction:ASC}){pageInfo{hasNextPage endCursor} nodes{id number title body state url"
    " createdAt updatedAt author{__typename login} labels(first:100){nodes{name}} comments{totalCount}"
    f" parent{{number repository{{nameWithOwner}}}} issueDependenciesSummary{{blockedBy}} locked {_HISTORY}}}}}}}}}"
)


def issues(api: Api, label: str, *, histories: bool) -> Iterator[tuple[Issue, Any, History | None]]:
    """Open issues with `label`, oldest first, each with what was shown of it in REST's words.

    With `histories` by GraphQL, which tells these; by REST where it refuses, and where it knows no such issue: GitHub
    does not say whether it takes a label in another case for the same.
    State and label are looked at again here: PyGithub loses the query when it follows the redirect
    of a renamed repository, and would then list every issue there is.
    """
    seen: set[int] = set()
    if histories:
        with contextlib.suppress(ForgeError):
            for issue, history, node in list_labelled(api, label):
                if _is_asked_for(issue, label) and issue.number not in seen:
                    seen.add(issue.number)
                    yield issue, {"node_id": node}, history
            if seen:
                return
    what = f"the issues labelled {label}"
    params = {"labels": label, "state": "open", "sort": "created", "direction": "asc"}
    for data in api.pages("/issues", what, params):
        if understood(lambda: "pull_request" in data, what):  # noqa: B023
            continue
        issue = understood(lambda: read.issue(data), what)  # noqa: B023
        if _is_asked_for(issue, label) and issue.number not in seen:
            seen.add(issue.number)
            yield issue, data, None


def _is_asked_for(issue: Issue, label: str) -> bool:
    return issue.state == "open" and label.casefold() in map(str.casefold, issue.labels)


def list_labelled(api: Api, label: str) -> Iterator[tuple[Issue, History, str]]:
    """Open issues with `label`, oldest first, each with its history and by what GraphQL knows it.

    Raises ForgeError where GitHub, or what stands in its place, does not answer that.
    """
    owner, _, name = api.repository.partition("/")
    after: str | None = ""
    while after is not None:
        given = {"owner": owner, "name": name, "label": label, "after": after or None}
        data = api.graphql(_LISTED, f"the issues labelled {label}", given)
        some, after = understood(functools.partial(_page, data), "the list of issues")
        yield from some


def _page(answer: Any) -> tuple[list[tuple[Issue, History, str]], str | None]:
    """One page of the list, and where the next one begins; None for nowhere."""
    data = answer["repository"]
    where, page = str(data["nameWithOwner"]), data["issues"]
    more = str(page["pageInfo"]["endCursor"]) if page["pageInfo"]["hasNextPage"] else None
    return [(read.listed_issue(n, where), read.history(n), str(n["id"])) for n in page["nodes"]], more


def histories(api: Api, numbers: Collection[int]) -> Mapping[int, History]:
    """What GitHub tells of each issue, a hundred a request; those that it does not tell of are left out."""
    found: dict[int, History] = {}
    ordered = sorted(set(numbers))
    owner, _, name = api.repository.partition("/")
    for start in range(0, len(ordered), PER_PAGE):
        some = ordered[start : start + PER_PAGE]
        asked = " ".join(f"i{int(n)}:issue(number:{int(n)}){{{_HISTORY}}}" for n in some)
        query = f'query{{repository(owner:"{owner}",name:"{name}"){{{asked}}}}}'
        try:
            data = api.graphql(query, "the history of issues")["repository"]
            found |= {n: read.history(data[f"i{n}"]) for n in some if data[f"i{n}"] is not None}
        except (ForgeError, *NONSENSE):
            break  # it would not tell of the others either
    return found


def recent_histories(api: Api, label: str, numbers: Collection[int]) -> Mapping[int, History]:
    """Of as many of the issues as pays: what happened since the second in which `label` was last set, by REST.

    GitHub lists a repository's events newest first, pulls' among them. What is listed in another order
    is not believed, and a page lost to a fault only means that more is asked one by one.
    Source: docs.github.com, "List issue events for a repository".
    """
    found, wished = dict[int, list[IssueEvent]](), dict[int, str]()
    newest, past, told = 0, "", 0
    if len(numbers) < WORTHWHILE:
        return {}
    try:
        for count, data in enumerate(api.pages("/issues/events", "the events of the repository"), 1):
            number, event = understood(functools.partial(_numbered, data), "the events")
            if newest and event.id > newest:
                return {}
            newest, past = event.id, event.at
            if len(wished) == len(set(numbers)) and past < min(wished.values()):
                break
            if number in numbers and wished.get(number, past) == past:
                found.setdefault(number, []).insert(0, event)
                if event.kind == "labeled" and event.label.casefold() == label.casefold():
                    wished.setdefault(number, past)
            if count % PER_PAGE == 0:
                if len(wished) - told < WORTHWHILE:
                    break
                told = len(wished)
        else:
            past = ""
    except ForgeError:
        return {}
    return {
        n: History(events=tuple(found[n]), whole=True, edited_at=None)
        for n, at in wished.items()
        if past < at
    }


def _numbered(data: Any) -> tuple[int, IssueEvent]:
    return int((data.get("issue") or {}).get("number") or 0), read.event(data)


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
