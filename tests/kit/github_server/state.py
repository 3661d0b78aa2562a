"""What the loopback GitHub remembers: one repository with its people, issues, pulls and checks."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kit.github_server.app import App

ACTIONS_PERMISSIONS = {
    "actions": "write",
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}
PAT_PERMISSIONS = {
    **ACTIONS_PERMISSIONS,
    "administration": "write",
    "checks": "none",
    "secrets": "write",
    "workflows": "write",
}
STAMP_OF_SECRETS = "2026-01-02T03:04:05Z"


@dataclass
class Viewer:
    """Whose token it is. `kind`: actions, app or user."""

    login: str
    kind: str
    permissions: Mapping[str, str]

    def may(self, need: str) -> bool:
        """`need` such as `issues:write`."""
        what, _, level = need.partition(":")
        have = self.permissions.get(what, "none")
        return have == "write" or have == level


@dataclass
class User:
    login: str
    id: int
    type: str = "User"
    role: str = "none"


@dataclass
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass
class Comment:
    id: int
    number: int
    user: str
    body: str
    created_at: str
    updated_at: str
    app: str | None = None


@dataclass
class Event:
    id: int
    number: int
    event: str
    actor: str
    created_at: str
    label: str = ""
    rename: tuple[str, str] = ("", "")


@dataclass
class Pull:
    """What a pull has beyond its issue."""

    head: str
    base: str
    draft: bool
    reviews: list[Review] = field(default_factory=list)
    fork: str = ""
    """`owner/name` of the repository that the head is a branch of; empty for this one."""
    merged_as: str = ""
    """The commit of its base that it became."""
    merged_at: str = ""


@dataclass
class Review:
    id: int
    user: str
    body: str
    event: str
    commit_id: str
    comments: list[dict[str, Any]]


@dataclass
class Issue:
    id: int
    number: int
    user: str
    title: str
    body: str | None
    created_at: str
    updated_at: str
    labels: list[str] = field(default_factory=list)
    state: str = "open"
    deleted: bool = False
    locked: bool = False
    pull: Pull | None = None
    app: str | None = None
    edited_at: str = ""
    """When the body was last edited; GitHub tells it through GraphQL only."""
    parent: int = 0
    blocked_by: list[int] = field(default_factory=list)
    """By GitHub's own dependencies."""


@dataclass
class CheckRun:
    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None
    external_id: str
    output: dict[str, Any]
    app: str
    started_at: str
    completed_at: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Status:
    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: str


@dataclass
class State:
    """One repository. `clock` in seconds since the epoch; `drafts` False as on a plan without drafts."""

    git_dir: Path
    owner: str
    name: str
    default_branch: str = "main"
    drafts: bool = True
    private: bool = False
    read_by_all: bool = False
    """Whether git may read without a token, as of a public repository; off, so that a token left out is found."""
    archived: bool = False
    disabled: bool = False
    may_open_pulls: bool = True
    """The setting "Allow GitHub Actions to create and approve pull requests"; off in a new repository."""
    forbidden: set[str] = field(default_factory=set)
    """Mutations of GraphQL that are refused, each by itself, as `addComment`."""
    secrets: set[str] = field(default_factory=set)
    rules: list[dict[str, Any]] = field(default_factory=list)
    """Active rules of branches, as GitHub shows them: `{"type": …, "parameters": …, "ruleset_id": …}`."""
    bypass: str = "never"
    """Whether the token's owner may bypass the rulesets: `always`, `pull_requests_only` or `never`."""
    clock: Callable[[], float] = time.time
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Viewer] = field(default_factory=dict)
    app: App | None = None
    """An App whose tokens end, where a test wants one."""
    labels: dict[str, Label] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    workflows: set[str] = field(default_factory=set)
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Runs that were dispatched; each ends at once as `trial_ends` says."""
    trial_ends: str = "success"
    dispatched: list[dict[str, Any]] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: itertools.count(1001))
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def user(self, login: str, *, role: str = "", type_: str = "") -> User:
        """The user of that name, known from now on."""
        bot = login.endswith("[bot]")
        user = self.users.setdefault(login, User(login, next(self.ids), "Bot" if bot else "User"))
        user.role = role or user.role
        user.type = type_ or user.type
        return user

    def label(self, name: str, *, color: str = "ededed", description: str | None = None) -> Label:
        """The label of that name in any case, made when missing."""
        known = self.labels.get(name.casefold())
        if known is None:
            known = self.labels[name.casefold()] = Label(next(self.ids), name, color, description)
        return known

    def add_issue(
        self,
        title: str,
        body: str | None = None,
        *,
        user: str,
        labels: tuple[str, ...] = (),
        app: str | None = None,
    ) -> Issue:
        """A new issue, its labels set by its author."""
        self.user(user)
        now = self.now()
        issue = Issue(next(self.ids), next(self.numbers), user, title, body, now, now, app=app)
        self.issues[issue.number] = issue
        for name in labels:
            self.set_label(issue, name, actor=user)
        return issue

    def set_label(self, issue: Issue, name: str, *, actor: str) -> None:
        name = self.label(name).name
        if name not in issue.labels:
            issue.labels.append(name)
            self.happened(issue, "labeled", actor, label=name)

    def drop_label(self, issue: Issue, name: str, *, actor: str) -> bool:
        found = next((n for n in issue.labels if n.casefold() == name.casefold()), None)
        if found is None:
            return False
        issue.labels.remove(found)
        self.happened(issue, "unlabeled", actor, label=found)
        return True

    def happened(
        self, issue: Issue, event: str, actor: str, *, label: str = "", rename: tuple[str, str] = ("", "")
    ) -> None:
        self.user(actor)
        issue.updated_at = self.now()
        self.events.append(Event(next(self.ids), issue.number, event, actor, self.now(), label, rename))

    def add_comment(self, issue: Issue, body: str, *, user: str, app: str | None = None) -> Comment:
        now = self.now()
        self.user(user)
        comment = Comment(next(self.ids), issue.number, user, body, now, now, app)
        self.comments[comment.id] = comment
        issue.updated_at = now
        return comment

    def comments_on(self, number: int) -> list[Comment]:
        return [c for c in self.comments.values() if c.number == number]

    def git(self, *args: str) -> str | None:
        """Output of git in the bare repository; None when it failed."""
        done = subprocess.run(
            ["git", "--git-dir", str(self.git_dir), *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.removesuffix("\n") if done.returncode == 0 else None

    def sha_of(self, branch: str) -> str | None:
        return self.git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")

    def has_commit(self, sha: str) -> bool:
        return len(sha) == 40 and self.git("cat-file", "-e", f"{sha}^{{commit}}") is not None
