"""What each operation does, and refuses, as GitHub does; named by the paths of its description."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.kit.github_server.payloads import ROLES, Payloads
from tests.kit.github_server.schema import fill
from tests.kit.github_server.state import Event, Issue, State, Viewer

R = "/repos/{owner}/{repo}"
MAX_BODY = 65_536
MAX_TITLE = 256


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """An answer that is not 2xx."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.data: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors is not None:
            self.data["errors"] = errors


@dataclass
class Call:
    """One authenticated request to a known operation."""

    state: State
    show: Payloads
    viewer: Viewer
    template: str
    params: dict[str, str]
    query: Mapping[str, str]
    body: Any
    limits: tuple[int, int] = (0, 0)

    @property
    def app(self) -> str | None:
        """The slug of the app that acts, for a token of one."""
        return self.viewer.login.removesuffix("[bot]") if self.viewer.kind != "user" else None

    def text(self, key: str, default: str = "") -> str:
        return str(self.body.get(key) or default)


@dataclass
class Reply:
    """An answer; with `items`, a list to be cut into pages and shown, below `key` where there is one."""

    status: int = 200
    data: Any = None
    items: list[Any] | None = None
    show: Callable[[Any], Any] = lambda item: item
    key: str = ""


Handler = Callable[[Call], Reply]


@dataclass
class Route:
    method: str
    template: str
    needs: str
    handler: Handler
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        tail = {"ref": "(?P<ref>.+?)", "branch": "(?P<branch>.+)", "name": "(?P<name>[^/]+)"}
        pattern = re.sub(r"\{(\w+)\}", lambda m: tail.get(m[1], f"(?P<{m[1]}>[^/]+)"), self.template)
        self.pattern = re.compile(pattern)


ROUTES: list[Route] = []


def route(method: str, template: str, needs: str = "metadata:read") -> Callable[[Handler], Handler]:
    """Register what answers `method template`; `needs` is the permission GitHub asks for."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, needs, handler))
        return handler

    return register


def find(method: str, path: str, state: State) -> tuple[Route, dict[str, str]] | None:
    """The operation for a path as it came, escapes and all."""
    path = re.sub(r"^/repositories/1(?=/|$)", f"/repos/{state.full_name}", path)
    for known in ROUTES:
        found = known.pattern.fullmatch(path)
        if known.method == method and found:
            return known, {k: unquote(v) for k, v in found.groupdict().items()}
    return None


def _issue(call: Call, key: str = "issue_number") -> Issue:
    number = call.params[key]
    issue = call.state.issues.get(int(number)) if number.isdecimal() else None
    if issue is None:
        raise Refused(404, "Not Found")
    if issue.deleted:
        raise Refused(410, "This issue was deleted")
    return issue


def _pull(call: Call) -> Issue:
    issue = _issue(call, "pull_number")
    if issue.pull is None:
        raise Refused(404, "Not Found")
    return issue


def _invalid(resource: str, name: str, code: str, message: str = "") -> Refused:
    error = {"resource": resource, "field": name, "code": code} | ({"message": message} if message else {})
    return Refused(422, "Validation Failed", [error])


def _check_text(resource: str, name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise _invalid(resource, name, "custom", f"{name} is too long (maximum is {limit} characters)")


@route("GET", "/user")
def get_user(call: Call) -> Reply:
    if call.viewer.kind != "user":
        raise Refused(403, "Resource not accessible by integration")
    return Reply(data=call.show.account(call.viewer.login))


@route("GET", "/users/{username}")
def get_account(call: Call) -> Reply:
    if call.params["username"] not in call.state.users:
        raise Refused(404, "Not Found")
    return Reply(data=call.show.account(call.params["username"]))


@route("GET", "/rate_limit")
def get_rate_limit(call: Call) -> Reply:
    rate = {"limit": call.limits[0], "remaining": call.limits[1], "used": 0, "reset": 0}
    return Reply(data={"rate": rate, "resources": {"core": rate, "search": rate}})


@route("GET", R)
def get_repository(call: Call) -> Reply:
    return Reply(data=call.show.repository("full-repository"))


@route("GET", f"{R}/collaborators/{{username}}/permission")
def get_permission(call: Call) -> Reply:
    user = call.state.users.get(call.params["username"])
    if user is None:
        raise Refused(404, f"{call.params['username']} is not a user")
    shown = {**call.show.user(user.login), "role_name": user.role}
    return Reply(data={"permission": ROLES.get(user.role, "read"), "role_name": user.role, "user": shown})


# issues


@route("GET", f"{R}/issues", "issues:read")
def list_issues(call: Call) -> Reply:
    query = call.query
    wanted = {n.casefold() for n in query.get("labels", "").split(",") if n}
    state = query.get("state", "open")
    found = [
        i
        for i in call.state.issues.values()
        if not i.deleted
        and state in {"all", i.state}
        and (not wanted or wanted <= {n.casefold() for n in i.labels})
        and query.get("creator") in {None, i.user}
    ]
    if query.get("sort") == "updated":
        found.sort(key=lambda i: i.updated_at)
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return Reply(items=list(found), show=lambda i: call.show.issue(i))


@route("POST", f"{R}/issues", "issues:write")
def create_issue(call: Call) -> Reply:
    title, body = call.text("title"), call.text("body")
    if not title.strip():
        raise _invalid("Issue", "title", "missing_field")
    _check_text("Issue", "title", title, MAX_TITLE)
    _check_text("Issue", "body", body, MAX_BODY)
    labels = tuple(n if isinstance(n, str) else n["name"] for n in call.body.get("labels") or ())
    issue = call.state.add_issue(title, body, user=call.viewer.login, labels=labels, app=call.app)
    return Reply(201, call.show.issue(issue))


@route("GET", f"{R}/issues/events", "issues:read")
def repository_events(call: Call) -> Reply:
    """Newest first, each with its issue."""
    issues = call.state.issues
    found = [e for e in call.state.events if not issues[e.number].deleted]
    found.sort(key=lambda e: e.id, reverse=True)

    def show(event: Event) -> dict[str, Any]:
        given = {**call.show.event(event), "issue": call.show.issue(issues[event.number])}
        return fill("issue-event", given, api=call.show.api)

    return Reply(items=found, show=show)


@route("GET", f"{R}/issues/{{issue_number}}", "issues:read")
def get_issue(call: Call) -> Reply:
    return Reply(data=call.show.issue(_issue(call)))


@route("PATCH", f"{R}/issues/{{issue_number}}", "issues:write")
def update_issue(call: Call) -> Reply:
    issue = _issue(call)
    actor = call.viewer.login
    if "title" in call.body and call.body["title"] != issue.title:
        _check_text("Issue", "title", call.text("title"), MAX_TITLE)
        old, issue.title = issue.title, call.text("title")
        call.state.happened(issue, "renamed", actor, rename=(old, issue.title))
    if "body" in call.body:
        _check_text("Issue", "body", call.text("body"), MAX_BODY)
        issue.body = call.text("body")
        issue.updated_at = issue.edited_at = call.state.now()
    if "labels" in call.body:
        _replace_labels(call, issue, call.body["labels"])
    if call.body.get("state") in {"open", "closed"} and call.body["state"] != issue.state:
        issue.state = call.body["state"]
        call.state.happened(issue, "closed" if issue.state == "closed" else "reopened", actor)
    return Reply(data=call.show.issue(issue))


# labels


def _names(given: Any) -> list[str]:
    listed = given.get("labels", []) if isinstance(given, dict) else given
    names = [n if isinstance(n, str) else n["name"] for n in listed]
    if any(not n.strip() or len(n) > 50 for n in names):
        raise _invalid("Label", "name", "invalid")
    return names


def _replace_labels(call: Call, issue: Issue, given: Any) -> None:
    names = _names(given)
    for name in [n for n in issue.labels if n.casefold() not in {x.casefold() for x in names}]:
        call.state.drop_label(issue, name, actor=call.viewer.login)
    for name in names:
        call.state.set_label(issue, name, actor=call.viewer.login)


@route("GET", f"{R}/issues/{{issue_number}}/labels", "issues:read")
def labels_of_issue(call: Call) -> Reply:
    return Reply(data=call.show.labels(_issue(call)))


@route("POST", f"{R}/issues/{{issue_number}}/labels", "issues:write")
def add_labels(call: Call) -> Reply:
    issue = _issue(call)
    for name in _names(call.body):
        call.state.set_label(issue, name, actor=call.viewer.login)
    return Reply(data=call.show.labels(issue))


@route("PUT", f"{R}/issues/{{issue_number}}/labels", "issues:write")
def put_labels(call: Call) -> Reply:
    issue = _issue(call)
    _replace_labels(call, issue, call.body)
    return Reply(data=call.show.labels(issue))


@route("DELETE", f"{R}/issues/{{issue_number}}/labels/{{name}}", "issues:write")
def remove_label(call: Call) -> Reply:
    issue = _issue(call)
    if not call.state.drop_label(issue, call.params["name"], actor=call.viewer.login):
        raise Refused(404, "Label does not exist")
    return Reply(data=call.show.labels(issue))


@route("GET", f"{R}/labels", "issues:read")
def list_labels(call: Call) -> Reply:
    return Reply(items=list(call.state.labels.values()), show=lambda n: call.show.label(n))


@route("POST", f"{R}/labels", "issues:write")
def create_label(call: Call) -> Reply:
    name = _names([call.text("name")])[0]
    if name.casefold() in call.state.labels:
        raise _invalid("Label", "name", "already_exists")
    _check_text("Label", "description", call.text("description"), 100)
    made = call.state.label(
        name, color=call.text("color", "ededed"), description=call.text("description") or None
    )
    return Reply(201, call.show.label(made))


@route("GET", f"{R}/labels/{{name}}", "issues:read")
def get_label(call: Call) -> Reply:
    known = call.state.labels.get(call.params["name"].casefold())
    if known is None:
        raise Refused(404, "Not Found")
    return Reply(data=call.show.label(known))


@route("PATCH", f"{R}/labels/{{name}}", "issues:write")
def update_label(call: Call) -> Reply:
    known = call.state.labels.get(call.params["name"].casefold())
    if known is None:
        raise Refused(404, "Not Found")
    _check_text("Label", "description", call.text("description"), 100)
    known.color = call.text("color", known.color)
    known.description = call.text("description") or known.description
    return Reply(data=call.show.label(known))


# events


@route("GET", f"{R}/issues/{{issue_number}}/dependencies/blocked_by", "issues:read")
def blocked_by(call: Call) -> Reply:
    found = [call.state.issues[n] for n in _issue(call).blocked_by]
    return Reply(items=found, show=lambda i: call.show.issue(i))


@route("GET", f"{R}/issues/{{issue_number}}/events", "issues:read")
def issue_events(call: Call) -> Reply:
    number = _issue(call).number
    found = [
        e for e in call.state.events if e.number == number and e.event in {"labeled", "unlabeled", "renamed"}
    ]
    return Reply(items=list(found), show=lambda e: call.show.event(e))


@route("GET", f"{R}/issues/{{issue_number}}/timeline", "issues:read")
def timeline(call: Call) -> Reply:
    number = _issue(call).number
    rows: list[tuple[str, int, dict[str, Any]]] = [
        (e.created_at, e.id, call.show.event(e)) for e in call.state.events if e.number == number
    ]
    rows += [(c.created_at, c.id, call.show.commented(c)) for c in call.state.comments_on(number)]
    rows.sort(key=lambda row: row[:2])
    return Reply(items=[shown for _, _, shown in rows])


# comments


@route("GET", f"{R}/issues/{{issue_number}}/comments", "issues:read")
def list_comments(call: Call) -> Reply:
    found = call.state.comments_on(_issue(call).number)
    return Reply(items=list(found), show=lambda c: call.show.comment(c))


@route("POST", f"{R}/issues/{{issue_number}}/comments", "issues:write")
def create_comment(call: Call) -> Reply:
    issue = _issue(call)
    body = _comment_body(call)
    if issue.locked:
        raise Refused(403, "Unable to create comment because issue is locked.")
    made = call.state.add_comment(issue, body, user=call.viewer.login, app=call.app)
    return Reply(201, call.show.comment(made))


def _comment_body(call: Call) -> str:
    body = call.text("body")
    if not body.strip():
        raise _invalid("IssueComment", "body", "missing_field")
    _check_text("IssueComment", "body", body, MAX_BODY)
    return body


def _comment(call: Call) -> Any:
    known = call.state.comments.get(int(call.params["comment_id"]))
    if known is None:
        raise Refused(404, "Not Found")
    return known


@route("GET", f"{R}/issues/comments/{{comment_id}}", "issues:read")
def get_comment(call: Call) -> Reply:
    return Reply(data=call.show.comment(_comment(call)))


@route("PATCH", f"{R}/issues/comments/{{comment_id}}", "issues:write")
def update_comment(call: Call) -> Reply:
    comment = _comment(call)
    if call.state.issues[comment.number].locked:
        raise Refused(403, "Unable to update comment because issue is locked.")
    comment.body, comment.updated_at = _comment_body(call), call.state.now()
    return Reply(data=call.show.comment(comment))


@route("DELETE", f"{R}/issues/comments/{{comment_id}}", "issues:write")
def delete_comment(call: Call) -> Reply:
    del call.state.comments[_comment(call).id]
    return Reply(204)


# actions


@route("GET", f"{R}/actions/runs/{{run_id}}", "actions:read")
def get_run(call: Call) -> Reply:
    run = call.state.runs.get(int(call.params["run_id"]))
    if run is None:
        raise Refused(404, "Not Found")
    return Reply(data=_shown_run(call, run))


def _shown_run(call: Call, run: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        **run,
        "head_repository": call.show.repository("minimal-repository"),
        "pull_requests": [],
        "repository": call.show.repository("minimal-repository"),
        "path": ".github/workflows/orchestrate.yml",
    }
    return fill("workflow-run", given, api=call.show.api)


@route("POST", f"{R}/actions/workflows/{{workflow_id}}/dispatches", "actions:write")
def dispatch(call: Call) -> Reply:
    name = call.params["workflow_id"]
    if name not in call.state.workflows:
        raise Refused(404, "Not Found")
    if call.state.sha_of(call.text("ref").removeprefix("refs/heads/")) is None:
        raise Refused(422, f"No ref found for: {call.text('ref')}")
    call.state.dispatched.append({"workflow": name, **call.body})
    number = next(call.state.ids)
    run = {"status": "completed", "conclusion": call.state.trial_ends, "event": "workflow_dispatch"}
    call.state.trials.append({"id": number, **run})
    return Reply(204)


@route("GET", f"{R}/actions/workflows/{{workflow_id}}/runs", "actions:read")
def runs_of_workflow(call: Call) -> Reply:
    if call.params["workflow_id"] not in call.state.workflows:
        raise Refused(404, "Not Found")
    return Reply(items=call.state.trials[::-1], show=lambda run: _shown_run(call, run), key="workflow_runs")
