"""GitHub's JSON as our values. Pure; raises whatever a wrong shape makes Python raise (see `understood`).

Source of the shapes: docs.github.com, REST API; the tests hold its published OpenAPI description against it.
"""

from __future__ import annotations

from typing import Any

from orchestrator_action.protocol.forge_values import (
    Check,
    Comment,
    Conclusion,
    History,
    Issue,
    IssueEvent,
    Pull,
)

_OF_STATUS = {
    "success": Conclusion.SUCCESS,
    "failure": Conclusion.FAILURE,
    "error": Conclusion.CANCELLED,
    "pending": None,
}
_STATUS_OF = {
    None: "pending",
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.SKIPPED: "success",
    Conclusion.CANCELLED: "error",
}


def text(value: Any) -> str:
    """A text with `\\n` at its line ends (what is typed in a browser comes with CRLF), and as UTF-8 can
    hold it: JSON can carry half a character, a file cannot."""
    return str(value or "").replace("\r\n", "\n").encode("utf-8", "replace").decode()


def login(user: Any) -> str:
    """The login of a user; `ghost` for a deleted account, as GitHub shows it."""
    return str(user["login"]) if user else "ghost"


def actor(data: Any) -> tuple[str, str]:
    """Login and type of somebody in GraphQL, as REST shows them: GraphQL leaves out the `[bot]` of an app's login."""
    if not data:
        return login(None), ""
    name, kind = str(data["login"]), str(data["__typename"])
    return f"{name}[bot]" if kind == "Bot" and not name.endswith("[bot]") else name, kind


def issue(data: Any) -> Issue:
    """An issue; whether it is a pull is asked before."""
    return Issue(
        number=int(data["number"]),
        title=text(data["title"]),
        body=text(data.get("body")),
        labels=tuple(str(n if isinstance(n, str) else n["name"]) for n in data["labels"]),
        author=login(data["user"]),
        state=str(data["state"]),
        url=str(data["html_url"]),
        updated_at=str(data["updated_at"]),
        created_at=str(data["created_at"]),
        comments=int(data["comments"]),
        parent=_parent(data),
        blocked_by=int((data.get("issue_dependencies_summary") or {}).get("blocked_by") or 0),
        locked=bool(data.get("locked")),
    )


def _parent(data: Any) -> int:
    """The number of the issue that this is a sub-issue of; 0 for none, and for one of another repository."""
    address = str(data.get("parent_issue_url") or "")
    there, _, number = address.rpartition("/issues/")
    same = there == str(data.get("url") or "").rpartition("/issues/")[0]
    return int(number) if same and number.isascii() and number.isdecimal() else 0


def listed_issue(node: Any, repository: str) -> Issue:
    """An issue of `repository` as GraphQL lists it."""
    parent = node["parent"]
    ours = parent and str(parent["repository"]["nameWithOwner"]) == repository
    return Issue(
        number=int(node["number"]),
        title=text(node["title"]),
        body=text(node["body"]),
        labels=tuple(str(n["name"]) for n in node["labels"]["nodes"]),
        author=actor(node["author"])[0],
        state=str(node["state"]).lower(),
        url=str(node["url"]),
        updated_at=str(node["updatedAt"]),
        created_at=str(node["createdAt"]),
        comments=int(node["comments"]["totalCount"]),
        parent=int(parent["number"]) if ours else 0,
        blocked_by=int(node["issueDependenciesSummary"]["blockedBy"]),
        locked=bool(node["locked"]),
    )


def history(node: Any) -> History:
    """The newest of what happened to an issue, by GraphQL. An event that it does not show hides all before it."""
    items = node["timelineItems"]
    told = items["nodes"]
    hidden = max((n for n, item in enumerate(told, 1) if item is None), default=0)
    return History(
        events=tuple(_event_of_node(item) for item in told[hidden:]),
        whole=not (hidden or items["pageInfo"]["hasPreviousPage"]),
        edited_at=str(node["lastEditedAt"] or ""),
    )


_EVENTS = {"LabeledEvent": "labeled", "UnlabeledEvent": "unlabeled", "RenamedTitleEvent": "renamed"}


def _event_of_node(node: Any) -> IssueEvent:
    who, kind = actor(node["actor"])
    return IssueEvent(
        kind=_EVENTS[node["__typename"]],
        actor=who,
        at=str(node["createdAt"]),
        label=str((node.get("label") or {}).get("name", "")),
        before=str(node.get("previousTitle", "")),
        after=str(node.get("currentTitle", "")),
        actor_type=kind,
    )


def pull(data: Any) -> Pull:
    """A pull; its head is what GitHub has for the branch."""
    return Pull(
        number=int(data["number"]),
        url=str(data["html_url"]),
        title=text(data["title"]),
        body=text(data.get("body")),
        head_branch=str(data["head"]["ref"]),
        head_sha=str(data["head"]["sha"]),
        base_branch=str(data["base"]["ref"]),
        state="merged" if data.get("merged_at") else str(data["state"]),
        draft=bool(data.get("draft")),
        author=text((data.get("user") or {}).get("login")),
        merged_as=str(data.get("merge_commit_sha") or "") if data.get("merged_at") else "",
    )


def comment(data: Any, number: int) -> Comment:
    """A comment on issue or pull `number`."""
    return Comment(
        id=int(data["id"]),
        number=number,
        author=login(data["user"]),
        body=text(data.get("body")),
        url=str(data["html_url"]),
        created_at=str(data["created_at"]),
        updated_at=str(data["updated_at"]),
        association=str(data.get("author_association") or ""),
    )


def event(data: Any) -> IssueEvent:
    """An event of an issue. A deleted account's actor is `ghost`."""
    rename = data.get("rename") or {}
    actor = data.get("actor")
    return IssueEvent(
        id=int(data["id"]),
        kind=str(data["event"]),
        actor=login(actor),
        at=str(data["created_at"]),
        label=str((data.get("label") or {}).get("name", "")),
        before=str(rename.get("from", "")),
        after=str(rename.get("to", "")),
        actor_type=str((actor or {}).get("type", "")),
    )


def check(data: Any) -> Check:
    """A check run. Its annotations are not in the answer."""
    output = data.get("output") or {}
    conclusion = data.get("conclusion")
    return Check(
        id=int(data["id"]),
        name=str(data["name"]),
        head_sha=str(data["head_sha"]),
        status=str(data["status"]),
        conclusion=_conclusion(conclusion),
        title=output.get("title") or "",
        summary=output.get("summary") or "",
        text=output.get("text") or "",
        url=data.get("html_url") or "",
    )


def _conclusion(word: str | None) -> Conclusion | None:
    """GitHub also says `stale` and `startup_failure` of other people's checks."""
    if not word:
        return None
    return Conclusion(word) if word in set(Conclusion) else Conclusion.FAILURE


def commit_status(data: Any, head_sha: str) -> Check:
    """A commit status as a check of kind `status`."""
    conclusion = _OF_STATUS.get(str(data["state"]), Conclusion.FAILURE)
    return Check(
        id=int(data["id"]),
        name=str(data["context"]),
        head_sha=head_sha,
        status="completed" if conclusion else "in_progress",
        conclusion=conclusion,
        title=data.get("description") or "",
        url=data.get("target_url") or "",
        kind="status",
    )


def status_state(conclusion: Conclusion | None) -> str:
    """A conclusion in the four words of a commit status."""
    return _STATUS_OF.get(conclusion, "failure")
