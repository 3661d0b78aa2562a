"""State as the JSON that GitHub sends, every required field there."""

from __future__ import annotations

from typing import Any

from tests.kit.github_server.schema import fill
from tests.kit.github_server.state import CheckRun, Comment, Event, Issue, Label, Review, State, Status

ROLES = {
    "admin": "admin",
    "maintain": "write",
    "write": "write",
    "triage": "read",
    "read": "read",
    "none": "none",
}


class Payloads:
    """Makes answers. `api` is the base URL as the client knows it."""

    def __init__(self, state: State, api: str, server: str) -> None:
        self.state, self.api, self.server = state, api, server
        self.repo_url = f"{api}/repos/{state.full_name}"
        self.html = f"{server}/{state.full_name}"

    def user(self, login: str) -> dict[str, Any]:
        user = self.state.user(login)
        given = {"login": login, "id": user.id, "node_id": f"U_{user.id}", "type": user.type}
        return fill("simple-user", {**given, "html_url": f"{self.server}/{login}"}, api=self.api)

    def account(self, login: str) -> dict[str, Any]:
        return fill("public-user", {**self.user(login), "user_view_type": "public"}, api=self.api)

    def repository(self, schema: str = "repository") -> dict[str, Any]:
        given = {
            "id": 1,
            "name": self.state.name,
            "full_name": self.state.full_name,
            "url": self.repo_url,
            "default_branch": self.state.default_branch,
            "html_url": self.html,
            "private": self.state.private,
            "archived": self.state.archived,
            "disabled": self.state.disabled,
            "clone_url": f"{self.html}.git",
            "owner": self.user(self.state.owner),
        }
        return fill(schema, given, api=self.api)

    def activity(self, ref: str, line: str) -> dict[str, Any]:
        """A push, from a line of the ref's reflog."""
        before, after, *_ = line.split()
        kind = "push" if before.strip("0") else "branch_creation"
        given = {"before": before, "after": after, "ref": ref, "activity_type": kind}
        return fill("activity", {**given, "actor": self.user(self.state.owner)}, api=self.api)

    def label(self, label: Label) -> dict[str, Any]:
        return {
            "id": label.id,
            "node_id": f"L_{label.id}",
            "url": f"{self.repo_url}/labels/{label.name}".replace(" ", "%20"),
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": label.description,
        }

    def labels(self, issue: Issue) -> list[dict[str, Any]]:
        return [self.label(self.state.label(name)) for name in issue.labels]

    def app(self, slug: str | None) -> dict[str, Any] | None:
        if slug is None:
            return None
        given = {
            "id": 15368,
            "slug": slug,
            "name": slug,
            "owner": self.user("github"),
            "permissions": {},
            "events": [],
        }
        return fill("nullable-integration", given, api=self.api)

    def association(self, login: str) -> str:
        role = self.state.user(login).role
        if login == self.state.owner:
            return "OWNER"
        return "COLLABORATOR" if role in {"admin", "maintain", "write", "triage"} else "NONE"

    def issue(self, issue: Issue) -> dict[str, Any]:
        url = f"{self.repo_url}/issues/{issue.number}"
        kind = "pull" if issue.pull else "issues"
        given: dict[str, Any] = {
            "id": issue.id,
            "node_id": f"I_{issue.id}",
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "user": self.user(issue.user),
            "labels": self.labels(issue),
            "locked": issue.locked,
            "url": url,
            "repository_url": self.repo_url,
            "html_url": f"{self.html}/{kind}/{issue.number}",
            "comments": len(self.state.comments_on(issue.number)),
            "comments_url": f"{url}/comments",
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "assignee": None,
            "milestone": None,
            "author_association": self.association(issue.user),
            "performed_via_github_app": self.app(issue.app),
        }
        if issue.parent:
            given["parent_issue_url"] = f"{self.repo_url}/issues/{issue.parent}"
        if issue.blocked_by:
            still = sum(self.state.issues[n].state == "open" for n in issue.blocked_by)
            given["issue_dependencies_summary"] = {
                "blocked_by": still, "total_blocked_by": len(issue.blocked_by), "blocking": 0, "total_blocking": 0,
            }  # fmt: skip
        if issue.pull:
            at = f"{self.repo_url}/pulls/{issue.number}"
            given["pull_request"] = {
                "url": at,
                "html_url": given["html_url"],
                "diff_url": at,
                "patch_url": at,
            }
        return fill("issue", given, api=self.api)

    def pull(self, issue: Issue, *, simple: bool = False) -> dict[str, Any]:
        assert issue.pull
        url = f"{self.repo_url}/pulls/{issue.number}"
        given = {
            "id": issue.id,
            "node_id": f"I_{issue.id}",
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "draft": issue.pull.draft,
            "user": self.user(issue.user),
            "labels": self.labels(issue),
            "url": url,
            "html_url": f"{self.html}/pull/{issue.number}",
            "locked": False,
            "author_association": "NONE",
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "head": self._fork_end(issue) if issue.pull.fork else self._end(issue.pull.head),
            "base": self._end(issue.pull.base),
            "merged_at": issue.pull.merged_at or None,
            "merge_commit_sha": issue.pull.merged_as or None,
        }
        if not simple:
            given["comments"] = len(self.state.comments_on(issue.number))
            given["review_comments"] = sum(len(r.comments) for r in issue.pull.reviews)
        return fill("pull-request-simple" if simple else "pull-request", given, api=self.api)

    def _fork_end(self, issue: Issue) -> dict[str, Any]:
        assert issue.pull
        sha = self.state.git("rev-parse", "--verify", "--quiet", f"refs/pull/{issue.number}/head^{{commit}}")
        repo = {**self.repository(), "full_name": issue.pull.fork}
        owner = issue.pull.fork.partition("/")[0]
        return {
            "label": f"{owner}:{issue.pull.head}",
            "ref": issue.pull.head,
            "sha": sha or "0" * 40,
            "repo": repo,
            "user": self.user(owner),
        }

    def _end(self, branch: str) -> dict[str, Any]:
        return {
            "label": f"{self.state.owner}:{branch}",
            "ref": branch,
            "sha": self.state.sha_of(branch) or "0" * 40,
            "repo": self.repository(),
            "user": self.user(self.state.owner),
        }

    def comment(self, comment: Comment) -> dict[str, Any]:
        issue = self.state.issues[comment.number]
        kind = "pull" if issue.pull else "issues"
        given = {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "body": comment.body,
            "user": self.user(comment.user),
            "url": f"{self.repo_url}/issues/comments/{comment.id}",
            "html_url": f"{self.html}/{kind}/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.repo_url}/issues/{comment.number}",
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": self.association(comment.user),
            "performed_via_github_app": self.app(comment.app),
        }
        return fill("issue-comment", given, api=self.api)

    def event(self, event: Event) -> dict[str, Any]:
        given: dict[str, Any] = {
            "id": event.id,
            "node_id": f"E_{event.id}",
            "event": event.event,
            "actor": self.user(event.actor),
            "url": f"{self.repo_url}/issues/events/{event.id}",
            "created_at": event.created_at,
            "commit_id": None,
            "commit_url": None,
            "performed_via_github_app": None,
        }
        if event.label:
            label = self.state.label(event.label)
            given["label"] = {"name": label.name, "color": label.color}
        if event.event == "renamed":
            given["rename"] = {"from": event.rename[0], "to": event.rename[1]}
        return given

    def commented(self, comment: Comment) -> dict[str, Any]:
        whole = self.comment(comment)
        whole.pop("performed_via_github_app")
        given = {**whole, "event": "commented", "actor": whole["user"]}
        return fill("timeline-comment-event", given, api=self.api)

    def check(self, run: CheckRun) -> dict[str, Any]:
        url = f"{self.repo_url}/check-runs/{run.id}"
        output = {
            "title": run.output.get("title"),
            "summary": run.output.get("summary"),
            "text": run.output.get("text"),
            "annotations_count": len(run.annotations),
            "annotations_url": f"{url}/annotations",
        }
        given = {
            "id": run.id,
            "node_id": f"CR_{run.id}",
            "name": run.name,
            "head_sha": run.head_sha,
            "status": run.status,
            "url": url,
            "conclusion": run.conclusion,
            "external_id": run.external_id,
            "output": output,
            "app": self.app(run.app),
            "html_url": f"{self.html}/runs/{run.id}",
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "check_suite": {"id": 1},
            "pull_requests": [],
            "details_url": f"{self.html}/runs/{run.id}",
        }
        return fill("check-run", given, api=self.api)

    def annotation(self, given: dict[str, Any]) -> dict[str, Any]:
        plain = {
            "blob_href": f"{self.html}/blob/x",
            "start_column": None,
            "end_column": None,
            "raw_details": None,
        }
        return fill("check-annotation", {**plain, "title": None, **given}, api=self.api)

    def status(self, status: Status) -> dict[str, Any]:
        given = {
            "id": status.id,
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "created_at": status.created_at,
            "updated_at": status.created_at,
            "creator": self.user(status.creator),
            "url": f"{self.repo_url}/statuses/{status.sha}",
        }
        return fill("status", given, api=self.api)

    def review(self, issue: Issue, review: Review) -> dict[str, Any]:
        url = f"{self.html}/pull/{issue.number}#pullrequestreview-{review.id}"
        states = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}
        given = {
            "id": review.id,
            "user": self.user(review.user),
            "body": review.body,
            "html_url": url,
            "state": states.get(review.event, "PENDING"),
            "commit_id": review.commit_id,
            "pull_request_url": f"{self.repo_url}/pulls/{issue.number}",
            "author_association": "NONE",
            "submitted_at": self.state.now(),
        }
        return fill("pull-request-review", given, api=self.api)

    def review_comment(self, issue: Issue, review: Review, comment: dict[str, Any]) -> dict[str, Any]:
        given = {
            "id": comment["id"],
            "path": comment["path"],
            "body": comment["body"],
            "line": comment.get("line"),
            "side": comment.get("side", "RIGHT"),
            "user": self.user(review.user),
            "diff_hunk": "@@",
            "commit_id": review.commit_id,
            "original_commit_id": review.commit_id,
            "pull_request_review_id": review.id,
            "pull_request_url": f"{self.repo_url}/pulls/{issue.number}",
            "author_association": "NONE",
            "position": 1,
            "original_position": 1,
        }
        if "in_reply_to_id" in comment:
            given |= {"in_reply_to_id": comment["in_reply_to_id"], "user": self.user(comment["login"])}
        return fill("pull-request-review-comment", given, api=self.api)
