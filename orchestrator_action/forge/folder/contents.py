"""What the folder holds: each issue, pull request and comment read from its file, and what numbers are taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from orchestrator_action.config import frontmatter
from orchestrator_action.config.frontmatter import Document
from orchestrator_action.forge.folder import files, records
from orchestrator_action.forge.folder.files import NUMBER
from orchestrator_action.protocol.forge_values import Comment, Issue, IssueEvent, Pull


class Contents:
    """The files below `root`, read anew each time. `author` wrote what names nobody.

    `read_ref` gives the remote's SHA of a branch, or None.
    """

    def __init__(self, root: Path, *, author: str, read_ref: Callable[[str], str | None]) -> None:
        self.root, self._author, self._read_ref = root, author, read_ref
        self.warnings: dict[str, None] = {}
        """Files that were passed over, a line each."""

    def issue_path(self, number: int) -> Path:
        """The file of an issue."""
        return self.root / "issues" / f"{number}.md"

    def pull_path(self, number: int) -> Path:
        """The file of a pull request."""
        return self.root / "pulls" / str(number) / "pull.md"

    def comment_path(self, number: int, identity: int) -> Path:
        """The file of a comment."""
        return self.root / "comments" / str(number) / f"{identity}.md"

    def issue_numbers(self) -> list[int]:
        """Of every issue, lowest first."""
        return self.numbered(self.root / "issues")

    def numbered(self, at: Path) -> list[int]:
        """The numbers of `<n>.md` files, in order; other names become warnings."""
        numbers = []
        for name in files.entries_of(at):
            stem = name.removesuffix(".md")
            if stem != name and NUMBER.fullmatch(stem):
                numbers.append(int(stem))
            else:
                self.warnings[f"{self.shown(at / name)} is ignored: its name is not <number>.md"] = None
        return sorted(numbers)

    def pull_numbers(self) -> list[int]:
        """Of every pull request, in no order."""
        return [int(n) for n in files.entries_of(self.root / "pulls") if NUMBER.fullmatch(n)]

    def last_comment(self, number: int) -> int:
        """The highest id of a comment on it; 0 when there is none."""
        return max(self.numbered(self.root / "comments" / str(number)), default=0)

    def last_number(self) -> int:
        """The highest number of an issue or a pull request; 0 when there is none."""
        return max([*self.issue_numbers(), *self.pull_numbers()], default=0)

    def document(self, path: Path) -> Document | None:
        """A file with its front matter; None when it is not there."""
        text = files.read(path)
        return None if text is None else frontmatter.parse_document(text, name=self.shown(path))

    def issue(self, number: int) -> Issue | None:
        """One issue; None when it has no file."""
        path = self.issue_path(number)
        document = self.document(path)
        if document is None:
            return None
        author = document.text("author", self._author)
        changed = files.changed_at(path)
        comments = len(self.numbered(self.root / "comments" / str(number)))
        return Issue(
            number=number, title=document.title or f"Issue {number}", body=document.body.rstrip("\n"),
            labels=document.names("labels"), author=author, state=issue_state(document),
            url=path.as_uri(), labeled_by=author, updated_at=iso(changed) if changed else "",
            created_at=document.text("created"), comments=comments,
        )  # fmt: skip

    def pull(self, number: int) -> Pull | None:
        """One pull request; None when it has no file."""
        document = self.document(self.pull_path(number))
        return self.as_pull(number, document) if document else None

    def as_pull(self, number: int, document: Document) -> Pull:
        """The pull request of a file, its head as git has it now."""
        branch = document.text("head")
        return Pull(
            number=number,
            url=self.pull_path(number).as_uri(),
            title=document.title,
            body=document.body.rstrip("\n"),
            head_branch=branch,
            head_sha=(self._read_ref(branch) or "") if branch else "",
            base_branch=document.text("base"),
            state=issue_state(document),
            draft=is_draft(document),
        )

    def comment(self, number: int, identity: int) -> Comment | None:
        """One comment; None when it has no file."""
        path = self.comment_path(number, identity)
        document = self.document(path)
        if document is None:
            return None
        return Comment(
            id=identity, number=number, author=document.text("author"), body=document.body.rstrip("\n"),
            url=path.as_uri(), created_at=document.text("created"), updated_at=document.text("updated"),
            association="OWNER",
        )  # fmt: skip

    def events(self, issue: Issue) -> tuple[IssueEvent, ...]:
        """What we did to the issue's labels; one set by hand is its author's."""
        path = self.root / "events" / f"{issue.number}.jsonl"
        found = list(records.parse_events(files.read(path) or "", self.shown(path)))
        seen = {e.label for e in found if e.kind == "labeled"}
        by_hand = [
            IssueEvent(
                id=0, kind="labeled", actor=issue.author, at=issue.created_at, label=n, actor_type="User"
            )
            for n in issue.labels
            if n not in seen
        ]
        return (*by_hand, *found)

    def shown(self, path: Path) -> str:
        """A path as messages name it: from the folder on."""
        return str(path.relative_to(self.root))


def issue_state(document: Document) -> str:
    """`open` where the file does not say."""
    return document.text("state", "open").lower()


def is_draft(document: Document | None) -> bool:
    """True where the file, or there is none, does not say."""
    return document is None or document.text("draft", "true").lower() in {"true", "yes", "on"}


def iso(seconds: float) -> str:
    """A time since the epoch, as files and GitHub write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
