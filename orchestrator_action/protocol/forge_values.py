"""What a forge keeps: issues, pull requests, comments and checks, as every forge gives them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Conclusion(StrEnum):
    """GitHub's check vocabulary. Source: docs.github.com, "Create a check run", `conclusion`."""

    SUCCESS = "success"
    NEUTRAL = "neutral"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    ACTION_REQUIRED = "action_required"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a person wrote on a pull request: in a comment, a review, or a thread on a line of a review."""

    text: str
    thread: int = 0
    """The id of the thread's comment; 0 for words that are in none."""
    path: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What a person asks to be changed on a pull request of ours, as re-read from the forge."""

    key: str
    """`p<pull>c<comment>` or `p<pull>r<review>`: it tells one wish from the next, and where it is to be read."""
    pull: int
    by: str
    at: str
    """ISO 8601 in UTC: when it was asked for."""
    remarks: tuple[Remark, ...] = ()
    edited: bool = False
    """Whether any of it was changed after that, as far as the forge tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue of a forge, as re-read. `labeled_by` is the actor who set the label, where known."""

    number: int
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    author: str = ""
    state: str = "open"
    url: str = ""
    labeled_by: str = ""
    updated_at: str = ""
    created_at: str = ""
    comments: int = 0
    """How many there were when it was read."""
    request: str = ""
    """What tells one wish to have it worked on from the next: see `IssueRequest.key`."""
    left_by: str = ""  # the run that claimed it and died
    asked: FollowUp | None = None
    """What a person asks to be changed on the pull request that was made of it."""
    parent: int = 0
    """The issue of this repository that it is a sub-issue of, as the forge says; 0 for none."""
    blocked_by: int = 0
    """By how many open issues the forge says it is blocked."""
    locked: bool = False
    """Whether only people with write access may write on it: no App may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request, as re-read from the forge."""

    number: int
    url: str
    title: str
    body: str
    head_branch: str
    head_sha: str
    base_branch: str
    state: str = "open"
    draft: bool = True
    author: str = ""
    """Who opened it; empty where the forge does not say."""
    merged_as: str = ""
    """Once its `state` is `merged`: the commit of the base branch that it became, where the forge says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on an issue or pull."""

    id: int
    number: int
    author: str
    body: str
    url: str = ""
    created_at: str = ""
    """ISO 8601 in UTC, as the forge says; empty when it does not."""
    updated_at: str = ""
    association: str = ""
    """The author's tie to the repository, as GitHub calls it: OWNER, MEMBER, NONE, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueEvent:
    """Something that happened to an issue. `kind` as GitHub calls it: labeled, unlabeled, renamed, …"""

    kind: str
    actor: str
    at: str
    """ISO 8601 in UTC."""
    id: int = 0
    """0 where the forge does not say: GraphQL has none for what happens to labels."""
    label: str = ""
    before: str = ""
    """The title before a `renamed`."""
    after: str = ""
    actor_type: str = ""
    """User, Bot or Organization, where the forge says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened to an issue: its newest events, oldest first, and when its text was last edited."""

    events: tuple[IssueEvent, ...]
    whole: bool
    """Whether none is missing of the second in which the first of them was."""
    edited_at: str | None = ""
    """ISO 8601 in UTC; empty for never, None where the forge does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One remark of a check run on a line of a file. `level`: notice, warning or failure."""

    path: str
    line: int
    message: str
    title: str = ""
    level: str = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run. `conclusion` is None while it is in progress. `kind` is `status` when the
    forge could only take a commit status (a personal token cannot create check runs)."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: Conclusion | None
    title: str = ""
    summary: str = ""
    text: str = ""
    url: str = ""
    kind: str = "check"
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFinding:
    """What the reviewer objects to. `id` is given by us (`f1`, `f2`, …), not by the reviewer."""

    id: str
    path: str
    line: int
    severity: str
    text: str
