"""The forge on GitHub, or on a GitHub Enterprise Server.

Requests are a budget (`GITHUB_TOKEN` has 1,000 an hour for a repository): what cannot change is asked
once, our own comment's id is remembered, a write's answer is used instead of a second question.

What is found by a marker must be ours, and a person's or app's token does not always say who it is
(`GET /user` is 403 for apps, the Actions token among them): what we wrote ourselves tells; before that,
`GET /user`, GraphQL's `viewer`, and last the name under which the Actions token writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import CompletedCheck, MarkedComment, Requirement
from orchestrator_action.forge.github import accounts, conversation, workflows
from orchestrator_action.forge.github import github_bulk as bulk
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.batch import Together
from orchestrator_action.forge.github.checks import Checks
from orchestrator_action.forge.github.client import Api, understood
from orchestrator_action.forge.github.comments import Comments
from orchestrator_action.forge.github.github_patience import OnRetry
from orchestrator_action.forge.github.labels import Labels
from orchestrator_action.forge.github.pulls import MAX_BODY, MAX_PULL_TITLE, UNTITLED, Pulls
from orchestrator_action.forge.github.requirements import requirements
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
from orchestrator_action.text.marker import carries_marker, cut_to_bytes, mark, one_line

log = logging.getLogger(__name__)

SEARCHED_PAGES = 5
"""How far back `create_issue` looks for its marker: the newest 500 issues and pulls."""
REMEMBERED_ISSUES = 1000
"""Issues of which we know when they were last shown to us."""


class GitHubForge:
    """Issues, pulls, comments and checks of `repository` (`owner/name`), through PyGithub.

    `pace` is called before so many writes, and returns when they may be made.
    `max_wait_s` bounds what one request waits for a rate limit; `on_retry` is told of each repetition;
    `login` is the name we write under, where the caller knows it. Whoever is in a hurry (a cancel) takes
    `timeout_s=2, tries=1, max_wait_s=0`; a `sleep` that raises ends every wait.
    """

    name = "github"
    has_users = True
    starts_workflows = True

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        base_url: str = "https://api.github.com",
        max_wait_s: float = 120.0,
        on_retry: OnRetry | None = None,
        login: str = "",
        timeout_s: int = 20,
        tries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        pace: Callable[[int], None] | None = None,
    ) -> None:
        self._api = Api(
            repository,
            token,
            base_url=base_url,
            timeout_s=timeout_s,
            tries=tries,
            max_wait_s=max_wait_s,
            on_retry=on_retry,
            sleep=sleep,
            pace=pace,
        )
        self._warnings: dict[str, None] = {}
        self._pulls = Pulls(self._api, self._warn, self._mine, self._opened)
        self._labels = Labels(self._api, self._warn, self._was_ours)
        self._checks = Checks(self._api, self._warn, self._pulls.new_heads)
        self._comments = Comments(self._api, self.viewer, self._learn)
        self._together = Together(self._api, self._comments, self._labels, self._checks, self._learn)
        self._login = login
        self._default = ""
        self._seen: dict[int, tuple[float, Issue]] = {}
        self._histories: dict[int, History] = {}
        """As the list of issues told them, until somebody asks for them or the issue is read anew."""

    @property
    def repository(self) -> str:
        """`owner/name`."""
        return self._api.repository

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done in another way than asked, a line each."""
        return tuple(self._warnings)

    @property
    def requests_made(self) -> int:
        """API requests so far, repeated ones included."""
        return self._api.requests_made

    def _warn(self, line: str) -> None:
        if line not in self._warnings:
            log.warning("%s", line)
        self._warnings[line] = None

    def close(self) -> None:
        """Let connections go."""
        self._api.close()

    def default_branch(self) -> str:
        """As GitHub says; asked once."""
        if not self._default:
            data = self._api.get("", f"the repository {self.repository}")
            self._default = understood(lambda: str(data["default_branch"]), "the repository")
        return self._default

    def requirements(self, *, branch: str, base: str, email: str, label: str = "") -> tuple[Requirement, ...]:
        """What a run needs of the repository and of the token; asked by requests that change nothing."""
        return requirements(self._api, branch=branch, base=base, email=email, label=label)

    # who we are

    def viewer(self) -> str:
        """The login we write under."""
        self._login = self._login or accounts.own_login(self._api)
        return self._login

    def _mine(self, user: Any) -> bool:
        return read.login(user) == self.viewer()

    def _was_ours(self, number: int, label: str) -> bool:
        """Whether the last thing that happened to this label of the issue is that we removed it."""
        told = [e for e in self.events(number) if e.label.casefold() == label.casefold()]
        return bool(told) and told[-1].kind == "unlabeled" and told[-1].actor == self.viewer()

    def _learn(self, data: Any) -> None:
        """Remember who wrote what we just wrote."""
        if not self._login and data.get("user"):
            self._login = read.login(data["user"])

    # issues

    def issues(self, label: str, *, histories: bool = False) -> Iterator[Issue]:
        """Open issues with `label`, oldest first, a page of 100 a request."""
        for issue, data, history in bulk.issues(self._api, label, histories=histories):
            self._note(issue, data)
            if history is not None:
                self._histories[issue.number] = history
            yield issue

    def issue(self, number: int, *, max_age_s: float = 0.0) -> Issue:
        """One issue, re-read; one that was shown to us so recently is given back without its text."""
        at, known = self._seen.get(number, (0.0, None))
        if known is not None and time.monotonic() - at < max_age_s:
            return known
        try:
            data = self._api.get(f"/issues/{number}", f"issue #{number}")
        except ForgeError as exc:
            if exc.status not in {404, 410}:
                raise
            said = "was deleted" if exc.status == 410 else "does not exist"
            hint = f"see https://github.com/{self.repository}/issues, and whether the token may read issues"
            raise ForgeError(f"issue #{number} of {self.repository} {said}", hint=hint, status=404) from exc
        if understood(lambda: "pull_request" in data, f"issue #{number}"):
            raise ForgeError(f"#{number} is a pull request, not an issue", hint="name an issue", status=404)
        issue = understood(lambda: read.issue(data), f"issue #{number}")
        self._histories.pop(number, None)
        self._note(issue, data)
        return issue

    def open_blockers(self, number: int) -> tuple[int, ...]:
        """As GitHub's own dependencies say; none where the server does not know these."""
        return bulk.open_blockers(self._api, number)

    def _note(self, issue: Issue, data: Any) -> None:
        """What an issue shows of itself and need not be asked for soon again; its text is not kept."""
        self._comments.noted(issue.number, issue.comments)
        self._together.noted(issue.number, data)
        self._labels.shown(issue.number, issue.labels)
        if len(self._seen) >= REMEMBERED_ISSUES:
            self._seen.clear()
        self._seen[issue.number] = time.monotonic(), replace(issue, body="")

    def create_issue(self, title: str, body: str, *, marker: str, labels: Sequence[str] = ()) -> Issue:
        """Open an issue, or give back ours that carries `marker`, among the newest 500."""
        with self._comments.alone(0, marker):
            found = self._find_issue(marker)
            if found:
                return found
            given = {
                "title": one_line(title, MAX_PULL_TITLE) or UNTITLED,
                "body": cut_to_bytes(mark(body, marker), MAX_BODY),
                "labels": list(labels),
            }
            made = self._api.send(
                "POST", "/issues", f"the issue {title!r}", given, found=lambda: self._find_issue(marker)
            )
            if isinstance(made, Issue):
                return made
            understood(lambda: self._learn(made), "the new issue")
            issue = understood(lambda: read.issue(made), "the new issue")
            self._note(issue, made)
            return issue

    def _find_issue(self, marker: str) -> Issue | None:
        what = "the newest issues"
        params = {"state": "all", "sort": "created", "direction": "desc"}
        for data in self._api.pages("/issues", what, params, limit=SEARCHED_PAGES):
            if understood(lambda: carries_marker(data["body"], marker) and self._mine(data["user"]), what):  # noqa: B023
                return understood(lambda: read.issue(data), what)  # noqa: B023
        return None

    # labels

    def set_labels(self, number: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """One request to add all, one for each that is there and goes. Others' labels are never touched."""
        self._labels.change(number, add, remove)

    def take_label(self, number: int, label: str) -> bool:
        """Remove a label; GitHub answers 404 to all but the one who removed it."""
        return self._labels.take(number, label)

    # comments

    def comment(self, number: int, *, marker: str, body: str) -> Comment:
        """Write or update our one comment with this marker."""
        return self._comments.write(number, marker, body)

    def ours(self, number: int, marker: str) -> Comment | None:
        """Our oldest comment with the marker, over all pages."""
        return self._comments.ours(number, marker)

    def comments(self, number: int) -> Iterator[Comment]:
        """All comments, oldest first, 100 a request."""
        return self._comments.all(number)

    def write_together(
        self,
        words: Sequence[MarkedComment],
        *,
        number: int,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        check: CompletedCheck | None = None,
    ) -> bool:
        """Write comments, labels and a check in one request, through GraphQL; False when it is not known to be done."""
        return self._together.write(words, number, add, tuple(remove), check)

    # pulls and checks

    def find_pull(self, branch: str, *, of: str = "") -> Pull | None:
        """The open pull request whose head is `branch` of this repository, or of the fork `of`."""
        return self._pulls.find(branch, of or self.repository)

    def pull_ref(self, pull: Pull) -> str:
        """The ref that GitHub keeps for each, forks included."""
        return f"refs/pull/{pull.number}/head"

    def pull(self, number: int) -> Pull:
        """One pull, re-read."""
        return self._pulls.get(number)

    def pulls(self, numbers: Collection[int]) -> Mapping[int, Pull]:
        """From the list of all, 100 a request, back to the oldest of them."""
        return self._pulls.all_of(numbers)

    def open_pull(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a draft, or update the open one."""
        return self._pulls.open(branch=branch, base=base, title=title, body=body)

    def mark_ready(self, number: int) -> None:
        """Let a draft pull be one no longer."""
        self._pulls.mark_ready(number)

    def close_pull(self, number: int) -> None:
        """Close an open pull without merging it."""
        self._pulls.close(number)

    def _opened(self, number: int, data: Any) -> None:
        """A pull was opened by us just now: nobody wrote in our name on it before us."""
        self._comments.noted(number, 0)
        self._together.noted(number, data)

    def review(
        self, pull: int, *, head_sha: str, body: str, findings: Sequence[ReviewFinding], marker: str
    ) -> str:
        """Post a review (COMMENT); its URL."""
        return self._pulls.review(pull, head_sha=head_sha, body=body, findings=findings, marker=marker)

    def answer(self, pull: int, answers: Mapping[str, str]) -> int:
        """Reply in the threads of our line comments; how many replies were new."""
        return self._pulls.answer(pull, answers)

    def asked(self, pull: int, *, comment: int = 0, review: int = 0) -> FollowUp:
        """What a comment or a review says now."""
        if comment:
            return conversation.asked_in_comment(self._api, pull, comment)
        return conversation.asked_in_review(self._api, pull, review)

    def reply(self, pull: int, thread: int, *, marker: str, body: str) -> None:
        """Put an answer into a thread of a review, once."""
        conversation.reply(self._api, pull, thread, body, marker, self._mine)

    def start_check(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check run, or a status where check runs are refused."""
        return self._checks.start(
            head_sha=head_sha, name=name, external_id=external_id, title=title, summary=summary
        )

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
        """Complete a check run or status."""
        return self._checks.finish(
            check, conclusion=conclusion, title=title, summary=summary, text=text, annotations=annotations
        )

    def post_check(
        self, *, head_sha: str, name: str, external_id: str, conclusion: Conclusion, title: str, summary: str,
        text: str = "", annotations: Sequence[Annotation] = (),
    ) -> Check:  # fmt: skip
        """Complete a check run, begun before or not; a status where check runs are refused."""
        check = CompletedCheck(
            head_sha=head_sha, name=name, external_id=external_id, conclusion=conclusion, title=title,
            summary=summary, text=text, annotations=annotations,
        )  # fmt: skip
        return self._checks.post(check)

    def checks(self, head_sha: str) -> tuple[Check, ...]:
        """All check runs on a commit, or its statuses when there are none."""
        return self._checks.all(head_sha)

    # the queue

    def events(self, number: int) -> tuple[IssueEvent, ...]:
        """The issue's events, oldest first, 100 a request."""
        what = f"the events of #{number}"
        pages = self._api.pages(f"/issues/{number}/events", what)
        return tuple(understood(lambda: read.event(data), what) for data in pages)  # noqa: B023

    def histories(self, label: str, numbers: Collection[int]) -> Mapping[int, History]:
        """What the list told once, with the issue's text of the same moment; the others 100 a request, by GraphQL,
        and where that does not tell, from the newest events of the whole repository."""
        told = {n: self._histories.pop(n) for n in numbers if n in self._histories}
        told |= bulk.histories(self._api, [n for n in numbers if n not in told])
        return {**told, **bulk.recent_histories(self._api, label, [n for n in numbers if n not in told])}

    def permission(self, user: str) -> str:
        """The role GitHub names; of a custom role, the permission it gives."""
        return accounts.permission(self._api, user)

    def approvals(self, number: int, head_sha: str) -> tuple[str, ...]:
        """By the last word of each reviewer; one request."""
        return self._pulls.approvals(number, head_sha)

    def account_type(self, user: str) -> str:
        """User, Bot or Organization."""
        return accounts.account_type(self._api, user)

    def status(self, *, head_sha: str, context: str, conclusion: Conclusion | None, description: str) -> None:
        """Set a commit status."""
        self._checks.set_status(head_sha, context, conclusion, description)

    def run_alive(self, run_id: str) -> bool | None:
        """Whether a workflow run is queued or running."""
        return workflows.run_alive(self._api, run_id)

    def before_push(self, branch: str, head: str) -> str:
        """As GitHub's list of the repository's activity tells it."""
        return workflows.before_push(self._api, branch, head)

    def dispatch(self, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow. Never sent twice: when it is unclear whether it started, ForgeError says so."""
        workflows.dispatch(self._api, workflow, ref=ref, inputs=inputs)
