"""What a forge must be able to do. Both forges pass one contract suite.

Every call either returns what the forge now says, re-read where it matters, or raises ForgeError.
Writes that a retry could repeat are found again by a hidden marker before they are made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from orchestrator_action.core.model import Check, Comment, Conclusion, Annotation, Issue, Pull, ReviewFinding


class Forge(Protocol):
    """Issues, pulls, comments, reviews, labels and checks of one repository."""

    @property
    def name(self) -> str:
        """`github` or `local`."""

    @property
    def repository(self) -> str:
        """`owner/name`, or the folder."""

    def default_branch(self) -> str:
        """The forge's default branch, or an empty string where it does not know one."""

    def issues(self, label: str) -> Iterator[Issue]:
        """Open issues that carry `label`, oldest number first, without pull requests; lazily paged."""

    def issue(self, number: int) -> Issue:
        """One issue, re-read. ForgeError (status 404) when there is none or it is a pull request."""

    def create_issue(self, title: str, body: str, *, marker: str, labels: Sequence[str] = ()) -> Issue:
        """Open an issue, or return the one that already carries `marker` and is ours."""

    def set_labels(self, number: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Change labels of an issue; missing ones are created, absent ones are no error."""

    def find_pull(self, branch: str) -> Pull | None:
        """The open pull whose head is `branch` of this repository."""

    def pull(self, number: int) -> Pull:
        """One pull, re-read."""

    def open_pull(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a draft pull, or update title and body of the one that is open for `branch`."""

    def comment(self, number: int, *, marker: str, body: str) -> Comment:
        """Write or update our one comment with this hidden marker on an issue or pull."""

    def comments(self, number: int) -> Iterator[Comment]:
        """All comments of an issue or pull, oldest first."""

    def review(self, pull: int, *, head_sha: str, body: str, findings: Sequence[ReviewFinding], marker: str) -> str:
        """Post a review (event COMMENT, never an approval) at `head_sha`; returns its URL.

        Findings on lines of the diff become line comments, others go into the body."""

    def start_check(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check run (`in_progress`), or return the one with this `external_id` on this commit."""

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
