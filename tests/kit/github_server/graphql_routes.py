"""GraphQL, executed on GitHub's own published schema (trimmed to what we use).

A document the schema does not allow is noted as invalid, and an answer that it does not allow cannot be
given. Node ids are a letter and the number that the state keeps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLSchema, build_schema, execute_sync, parse, validate

from tests.kit.github_server.routes import MAX_BODY
from tests.kit.github_server.state import CheckRun, Comment, Event, Issue, State, Viewer

REPOSITORY = "R_1"
FILE = Path(__file__).parents[2] / "npm" / "github.graphql"


@functools.cache
def schema() -> GraphQLSchema:
    """GitHub's schema."""
    return build_schema(FILE.read_text(encoding="utf-8"))


def answer(state: State, viewer: Viewer, body: Any, invalid: list[str], *, server: str) -> dict[str, Any]:
    """What GitHub answers to a document; always with status 200. `server` is where people see the repository."""
    try:
        document = parse(str(body.get("query")))
    except GraphQLError as exc:
        invalid.append(f"graphql: {exc.message}")
        return {"errors": [{"message": exc.message}]}
    if errors := validate(schema(), document):
        invalid.extend(f"graphql: {e.message}" for e in errors)
        return {"errors": [e.formatted for e in errors]}
    root = _Root(state, viewer, server).fields()
    done = execute_sync(schema(), document, root, variable_values=body.get("variables") or {})
    shown: dict[str, Any] = {"data": done.data} if done.data is not None else {}
    return {**shown, "errors": [_error(e) for e in done.errors]} if done.errors else shown


def _error(error: GraphQLError) -> dict[str, Any]:
    kind = error.extensions.get("type") if error.extensions else None
    return {**error.formatted, **({"type": kind} if kind else {})}


def _refuse(kind: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"type": kind})


class _Root:
    """What stands at the root of queries and mutations."""

    def __init__(self, state: State, viewer: Viewer, server: str) -> None:
        self.state, self.viewer, self.server = state, viewer, server

    def fields(self) -> dict[str, Any]:
        writes: dict[str, Callable[..., Any]] = {
            "addComment": self.add_comment,
            "updateIssueComment": self.update_comment,
            "addLabelsToLabelable": self.add_labels,
            "removeLabelsFromLabelable": self.remove_labels,
            "markPullRequestReadyForReview": self.mark_ready,
            "createCheckRun": self.create_check,
            "updateCheckRun": self.update_check,
        }
        given = {
            name: lambda _, input, name=name, act=act: self._allowed(name) and act(**input)  # noqa: A006
            for name, act in writes.items()
        }
        return {"viewer": {"login": self.viewer.login}, "repository": self.repository, **given}

    def _allowed(self, name: str) -> bool:
        if name in self.state.forbidden:
            raise _refuse("FORBIDDEN", "Resource not accessible by integration")
        return True

    # queries

    def repository(self, _: Any, owner: str, name: str) -> Any:
        if f"{owner}/{name}" != self.state.full_name:
            raise _refuse("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return {
            "id": REPOSITORY, "issue": self.issue, "issues": self.issues, "label": self.label,
            "nameWithOwner": self.state.full_name,
        }  # fmt: skip

    def issue(self, _: Any, number: int) -> Any:
        issue = self.state.issues.get(number)
        if issue is None or issue.deleted or issue.pull:
            raise _refuse("NOT_FOUND", f"Could not resolve to an Issue with the number of {number}.")
        return self._labelable(issue)

    def issues(self, _: Any, *, first: int, labels: list[str], after: str | None = None, **_more: Any) -> Any:
        """Open ones with any of the labels, oldest first; the cursor is the number of the last one shown."""
        wanted = {n.casefold() for n in labels}
        found = [
            i for i in self.state.issues.values()
            if i.state == "open" and not (i.deleted or i.pull) and i.number > int(after or 0)
            and wanted & {n.casefold() for n in i.labels}
        ]  # fmt: skip
        shown = found[:first]
        page = {"hasNextPage": len(found) > first, "endCursor": str(shown[-1].number) if shown else None}
        return {"nodes": [self._labelable(i) for i in shown], "pageInfo": page}

    def label(self, _: Any, name: str) -> Any:
        known = self.state.labels.get(name.casefold())
        return known and {"id": f"L_{known.id}", "name": known.name}

    def _labelable(self, issue: Issue) -> Any:
        labels = [self.label(None, n) for n in issue.labels]
        return {
            "__typename": "PullRequest" if issue.pull else "Issue",
            "id": f"I_{issue.id}",
            "number": issue.number, "title": issue.title, "body": issue.body or "", "state": issue.state.upper(),
            "url": f"{self.server}/{self.state.full_name}/issues/{issue.number}",
            "createdAt": issue.created_at, "updatedAt": issue.updated_at,
            "lastEditedAt": issue.edited_at or None,
            "locked": issue.locked,
            "author": self._actor(issue.user),
            "labels": {"nodes": labels},
            "comments": lambda _: {"totalCount": len(self.state.comments_on(issue.number))},
            "parent": lambda _: self._labelable(self.state.issues[issue.parent]) if issue.parent else None,
            "repository": {"nameWithOwner": self.state.full_name},
            "issueDependenciesSummary": {
                "blockedBy": sum(self.state.issues[n].state == "open" for n in issue.blocked_by)
            },
            "timelineItems": lambda _, **given: self._timeline(issue, **given),
        }  # fmt: skip

    def _actor(self, login: str) -> Any:
        """GraphQL shows the login of an app without its `[bot]`."""
        return {"__typename": self.state.user(login).type, "login": login.removesuffix("[bot]")}

    def _timeline(self, issue: Issue, *, last: int, itemTypes: list[str]) -> Any:  # noqa: N803
        kinds = {"labeled": "LabeledEvent", "unlabeled": "UnlabeledEvent", "renamed": "RenamedTitleEvent"}
        asked = {"LABELED_EVENT": "labeled", "UNLABELED_EVENT": "unlabeled", "RENAMED_TITLE_EVENT": "renamed"}
        wanted = {asked[kind] for kind in itemTypes}
        events = [e for e in self._events.get(issue.number, ()) if e.event in wanted]
        nodes = [
            {
                "__typename": kinds[e.event], "createdAt": e.created_at, "actor": self._actor(e.actor),
                "label": {"name": e.label}, "previousTitle": e.rename[0], "currentTitle": e.rename[1],
            }
            for e in events[-last:]
        ]  # fmt: skip
        return {"nodes": nodes, "pageInfo": {"hasPreviousPage": len(events) > last, "hasNextPage": False}}

    @functools.cached_property
    def _events(self) -> dict[int, list[Event]]:
        found: dict[int, list[Event]] = {}
        for event in self.state.events:
            found.setdefault(event.number, []).append(event)
        return found

    # mutations

    def _subject(self, node: str) -> Issue:
        found = next((i for i in self.state.issues.values() if f"I_{i.id}" == node and not i.deleted), None)
        if found is None:
            raise _refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{node}'")
        need = "pull_requests:write" if found.pull else "issues:write"
        if not self.viewer.may(need):
            raise _refuse("FORBIDDEN", "Resource not accessible by integration")
        return found

    def _comment(self, comment: Comment) -> Any:
        login = comment.user
        bot = login.endswith("[bot]")
        author = {"__typename": "Bot" if bot else "User", "login": login.removesuffix("[bot]")}
        return {"id": f"IC_{comment.id}", "fullDatabaseId": str(comment.id), "author": author}

    def _text(self, body: str) -> str:
        if not body.strip() or len(body) > MAX_BODY:
            raise _refuse(
                "UNPROCESSABLE", "Body cannot be blank or is too long (maximum is 65536 characters)"
            )
        return body

    def add_comment(self, *, subjectId: str, body: str, **_: Any) -> Any:  # noqa: N803
        issue = self._subject(subjectId)
        if issue.locked:
            raise _refuse("FORBIDDEN", "Unable to create comment because issue is locked.")
        app = self.viewer.login.removesuffix("[bot]") if self.viewer.kind != "user" else None
        made = self.state.add_comment(issue, self._text(body), user=self.viewer.login, app=app)
        return {"commentEdge": {"node": self._comment(made)}}

    def update_comment(self, *, id: str, body: str, **_: Any) -> Any:  # noqa: A002
        found = next((c for c in self.state.comments.values() if f"IC_{c.id}" == id), None)
        if found is None:
            raise _refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'")
        if self.state.issues[found.number].locked:
            raise _refuse("FORBIDDEN", "Unable to update comment because issue is locked.")
        if found.user != self.viewer.login:
            raise _refuse("FORBIDDEN", f"{self.viewer.login} does not have the correct permissions")
        found.body, found.updated_at = self._text(body), self.state.now()
        return {"issueComment": self._comment(found)}

    def mark_ready(self, *, pullRequestId: str, **_: Any) -> Any:  # noqa: N803
        issue = self._subject(pullRequestId)
        if issue.pull is None or issue.state != "open":
            raise _refuse("UNPROCESSABLE", "Pull request is not open")
        issue.pull.draft = False
        return {"pullRequest": {"id": pullRequestId, "isDraft": False}}

    def create_check(
        self,
        *,
        repositoryId: str,  # noqa: N803
        headSha: str,  # noqa: N803
        name: str,
        externalId: str = "",  # noqa: N803
        **given: Any,
    ) -> Any:
        self._may_check(repositoryId)
        if not self.state.has_commit(headSha):
            raise _refuse("UNPROCESSABLE", f"No commit found for SHA: {headSha}")
        app = self.viewer.login.removesuffix("[bot]")
        run = CheckRun(
            next(self.state.ids), name, headSha, "queued", None, externalId, {}, app, self.state.now()
        )
        self._complete(run, **given)
        self.state.checks[run.id] = run
        return self._check(run)

    def update_check(self, *, repositoryId: str, checkRunId: str, **given: Any) -> Any:  # noqa: N803
        self._may_check(repositoryId)
        run = next((c for c in self.state.checks.values() if f"CR_{c.id}" == checkRunId), None)
        if run is None:
            raise _refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{checkRunId}'")
        self._complete(run, **given)
        return self._check(run)

    def _may_check(self, repository: str) -> None:
        if repository != REPOSITORY:
            raise _refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{repository}'")
        if self.viewer.kind == "user" or not self.viewer.may("checks:write"):
            raise _refuse("FORBIDDEN", "Resource not accessible by integration")

    def _complete(self, run: CheckRun, *, status: str, conclusion: str, output: dict[str, Any]) -> None:
        run.status, run.conclusion, run.completed_at = status.lower(), conclusion.lower(), self.state.now()
        run.output = {k: output.get(k) for k in ("title", "summary", "text")}
        for one in output.get("annotations") or []:
            place = one["location"]
            run.annotations.append(
                {
                    "path": one["path"], "start_line": place["startLine"], "end_line": place["endLine"],
                    "annotation_level": one["annotationLevel"].lower(), "message": one["message"],
                    "title": one.get("title"),
                }
            )  # fmt: skip

    def _check(self, run: CheckRun) -> Any:
        said = (run.conclusion or "").upper() or None
        return {"checkRun": {"id": f"CR_{run.id}", "externalId": run.external_id, "conclusion": said}}

    def _labels(self, nodes: list[str]) -> list[str]:
        known = {f"L_{n.id}": n.name for n in self.state.labels.values()}
        if missing := [n for n in nodes if n not in known]:
            raise _refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{missing[0]}'")
        return [known[n] for n in nodes]

    def add_labels(self, *, labelableId: str, labelIds: list[str], **_: Any) -> Any:  # noqa: N803
        issue = self._subject(labelableId)
        for name in self._labels(labelIds):
            self.state.set_label(issue, name, actor=self.viewer.login)
        return {"labelable": self._labelable(issue)}

    def remove_labels(self, *, labelableId: str, labelIds: list[str], **_: Any) -> Any:  # noqa: N803
        issue = self._subject(labelableId)
        for name in self._labels(labelIds):
            self.state.drop_label(issue, name, actor=self.viewer.login)
        return {"labelable": self._labelable(issue)}
