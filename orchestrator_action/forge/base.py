"""What a forge must be able to do. Both forges pass one contract suite.

Every call either returns what the forge now says, re-read where it matters, or raises ForgeError.
Writes that a retry could repeat are found again by a hidden marker before they are made again.
A marker is a short key (`orchestrator:task issue-7`); the forge puts it into the body itself, as an
HTML comment on the first line. Every method may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator_action.protocol.forge_values import (
    Annotation,
    Check,
    Comment,
    Conclusion,
    FollowUp,
    History,
    Issue,
    IssueEvent,
    Pull,
    ReviewFinding,
)

ACTIONS_LOGIN = "github-actions[bot]"
"""Under which the token of a workflow writes. Source: docs.github.com, "GITHUB_TOKEN"."""


@dataclass(frozen=True, slots=True)
class MarkedComment:
    """One comment of ours, found by its marker."""

    number: int
    """The issue or pull it stands on."""
    marker: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedCheck:
    """What `post_check` is given."""

    head_sha: str
    name: str
    external_id: str
    conclusion: Conclusion
    title: str
    summary: str
    text: str = ""
    annotations: Sequence[Annotation] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing that a run needs of the forge, and how it stands."""

    what: str
    found: str
    """In words, a line."""
    ok: bool | None
    """None: the forge does not say."""
    hint: str = ""


class Forge(Protocol):
    """Issues, pulls, comments, reviews, labels and checks of one repository."""

    @property
    def name(self) -> str:
        """`github` or `local`."""

    @property
    def has_users(self) -> bool:
        """Whether people with different rights use it. A folder belongs to whoever can write it."""

    @property
    def starts_workflows(self) -> bool:
        """Whether a push to it can start workflows, and words in a commit keep it from that."""

    @property
    def repository(self) -> str:
        """`owner/name`, or the folder."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the forge passed over or did in another way, a line each, in the order it was met."""

    @property
    def requests_made(self) -> int:
        """API requests so far, retries included; always 0 for a folder."""

    def default_branch(self) -> str:
        """The forge's default branch, or an empty string where it does not know one."""

    def requirements(self, *, branch: str, base: str, email: str, label: str = "") -> tuple[Requirement, ...]:
        """What a run needs here, each as it stands; nothing is written. Empty where nothing can be in the way.

        `branch` is one that would be pushed, `base` where it is to go, `email` the author of its commits,
        `label` the one that asks for work: where none is given, none is looked for.
        Raises ForgeError when the forge cannot be asked."""

    def issues(self, label: str, *, histories: bool = False) -> Iterator[Issue]:
        """Open issues that carry `label`, oldest number first, without pull requests; lazily paged.

        With `histories`, what `Queue.histories` will be asked for is told along with them, where the forge can.

        Take what you need before you change labels: a label removed while listing shifts the pages.
        `labeled_by` is known here of a folder only; of GitHub, ask `Queue.events`."""

    def issue(self, number: int, *, max_age_s: float = 0.0) -> Issue:
        """One issue, re-read; without its text when the forge showed it less than `max_age_s` ago.

        ForgeError (status 404) when there is none or it is a pull request."""

    def open_blockers(self, number: int) -> tuple[int, ...]:
        """Open issues of this repository that the forge itself says block this one; empty where it knows none."""

    def create_issue(self, title: str, body: str, *, marker: str, labels: Sequence[str] = ()) -> Issue:
        """Open an issue, or return the one that already carries `marker` and is ours."""

    def set_labels(self, number: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Change labels of an issue; missing ones are created, absent ones are no error."""

    def find_pull(self, branch: str, *, of: str = "") -> Pull | None:
        """The open pull request whose head is `branch` of this repository, or of the fork `of` (`owner/name`)."""

    def pull_ref(self, pull: Pull) -> str:
        """The remote's ref of a pull request's head, forks included."""

    def pull(self, number: int) -> Pull:
        """One pull, re-read."""

    def pulls(self, numbers: Collection[int]) -> Mapping[int, Pull]:
        """Those of these pulls that there are, open or not, in few requests."""

    def open_pull(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a draft pull, or update title and body of the one that is open for `branch`."""

    def mark_ready(self, number: int) -> None:
        """Let a draft pull be one no longer; nothing when it is none."""

    def close_pull(self, number: int) -> None:
        """Close an open pull without merging it."""

    def comment(self, number: int, *, marker: str, body: str) -> Comment:
        """Write or update our one comment with this hidden marker on an issue or pull."""

    def write_together(
        self,
        words: Sequence[MarkedComment],
        *,
        number: int,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        check: CompletedCheck | None = None,
    ) -> bool:
        """Write our comments, change the labels of an issue, complete a check: in one request, where that can be done.

        False when it cannot, or when not all of it was confirmed: then `post_check`, `comment` and `set_labels`
        are to be called for each, which make sure of it and do nothing twice. Raises nothing."""

    def comments(self, number: int) -> Iterator[Comment]:
        """All comments of an issue or pull, oldest first."""

    def review(
        self, pull: int, *, head_sha: str, body: str, findings: Sequence[ReviewFinding], marker: str
    ) -> str:
        """Post a review (event COMMENT, never an approval) at `head_sha`; returns its URL.

        Findings on lines of the diff become line comments, others go into the body."""

    def answer(self, pull: int, answers: Mapping[str, str]) -> int:
        """Put answers, by finding id, into the threads of our review's line comments; how many were new.

        A finding that has no thread of its own (it is not on a line of the diff) is passed over.
        """

    def start_check(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check run (`in_progress`), or return the one with this `external_id` on this commit."""

    def post_check(
        self,
        *,
        head_sha: str,
        name: str,
        external_id: str,
        conclusion: Conclusion,
        title: str,
        summary: str,
        text: str = "",
        annotations: Sequence[Annotation] = (),
    ) -> Check:
        """The completed check with this `external_id` on this commit, whether it had begun before or not."""

    def finish_check(
        self,
        check: Check,
        *,
        conclusion: Conclusion,
        title: str,
        summary: str,
        text: str = "",
        annotations: Sequence[Annotation] = (),
    ) -> Check:
        """Complete a check run. Texts are cut to the forge's limits, annotations sent in batches."""

    def checks(self, head_sha: str) -> tuple[Check, ...]:
        """All check runs (or statuses) on a commit."""

    def close(self) -> None:
        """Let connections go."""


class Conversation(Protocol):
    """What people write on pull requests, where that comes as an event."""

    def asked(self, pull: int, *, comment: int = 0, review: int = 0) -> FollowUp:
        """What that comment, or that review with its remarks on lines, says now. ForgeError (404) when it is gone."""

    def reply(self, pull: int, thread: int, *, marker: str, body: str) -> None:
        """Put an answer into a thread of a review, once for each marker."""


class Queue(Protocol):
    """What only a forge with users has in full: who did what when, who may, what still runs.

    LocalForge answers sensibly: whoever can write the folder owns it.
    """

    def viewer(self) -> str:
        """The login under which we write."""

    def events(self, number: int) -> tuple[IssueEvent, ...]:
        """The issue's labeled, unlabeled, renamed, closed, … events, oldest first."""

    def histories(self, label: str, numbers: Collection[int]) -> Mapping[int, History]:
        """Of those issues that can be told of in few requests: what happened to them, at least since `label` was last
        set, and when they were edited."""

    def ours(self, number: int, marker: str) -> Comment | None:
        """Our comment with this marker, by marker and author, over all pages."""

    def permission(self, user: str) -> str:
        """`admin`, `maintain`, `write`, `triage`, `read` or `none`; `none` also for unknown users."""

    def approvals(self, number: int, head_sha: str) -> tuple[str, ...]:
        """Logins of the people whose last review of a pull request approves it, at exactly this commit."""

    def account_type(self, user: str) -> str:
        """`User`, `Bot` or `Organization`; empty for an unknown user."""

    def take_label(self, number: int, label: str) -> bool:
        """Remove a label; True for the one caller that removed it, False when it was gone already.

        Of two runs that race for an issue exactly one is told True."""

    def status(self, *, head_sha: str, context: str, conclusion: Conclusion | None, description: str) -> None:
        """Set a commit status; None means pending."""

    def run_alive(self, run_id: str) -> bool | None:
        """Whether that workflow run is queued or running; None when the forge does not know it."""

    def before_push(self, branch: str, head: str) -> str:
        """The commit that `branch` was at before the push that brought it to `head`.

        Empty where the forge does not tell it, and for the push that made the branch."""

    def dispatch(self, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow by its file name. ForgeError where there are no workflows."""
