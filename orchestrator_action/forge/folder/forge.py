"""A forge in a folder: issues, pulls, comments, reviews and checks as files a person reads and edits.

    issues/<n>.md   pulls/<n>/pull.md   pulls/<n>/reviews/<id>.md   comments/<n>/<id>.md
    checks/<sha>/<name>.json            events/<n>.jsonl (who set which label when)

Nothing is kept in memory: every answer is read from the files, so an edit by hand counts at once.
Where a pull's head stands is asked of git each time (`read_ref`), never stored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_action.config import frontmatter
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.folder import files, records
from orchestrator_action.forge.folder.contents import Contents, is_draft, iso, issue_state
from orchestrator_action.forge.folder.files import Folder
from orchestrator_action.forge.folder.local_queue import LocalPermissions
from orchestrator_action.protocol.forge_values import (
    Annotation,
    Check,
    Comment,
    Conclusion,
    Issue,
    IssueEvent,
    Pull,
    ReviewFinding,
)
from orchestrator_action.text.marker import carries_marker, finding_text, mark


class LocalForge(LocalPermissions):
    """The forge of `--forge local[:DIR]`. Whoever can write the folder may do everything in it.

    `read_ref` gives the remote's SHA of a branch, or None; `clock` seconds since the epoch.
    """

    name = "local"
    has_users = False
    starts_workflows = False
    requests_made = 0

    def __init__(
        self,
        folder: Path,
        *,
        read_ref: Callable[[str], str | None],
        default_branch: Callable[[], str] | None = None,
        author: str = "orchestrator",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = folder.absolute()
        self._folder = Folder(self._root)
        self._read_ref = read_ref
        self._default_branch = default_branch
        self._author = author
        self._clock = clock
        self._contents = Contents(self._root, author=author, read_ref=read_ref)

    @property
    def repository(self) -> str:
        """The folder."""
        return str(self._root)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Files that were passed over, a line each."""
        return tuple(self._contents.warnings)

    def default_branch(self) -> str:
        """What git says of the remote; empty when nobody knows."""
        return self._default_branch() if self._default_branch else ""

    # issues

    def issues(self, label: str, *, histories: bool = False) -> Iterator[Issue]:  # noqa: ARG002
        """Open issues with `label` (in any case, as on GitHub), lowest number first; one file at a time."""
        for number in self._contents.issue_numbers():
            issue = self._contents.issue(number)
            if issue and issue.state == "open" and label.casefold() in map(str.casefold, issue.labels):
                yield issue

    def issue(self, number: int, *, max_age_s: float = 0.0) -> Issue:  # noqa: ARG002
        """One issue, read from its file whatever its age."""
        issue = self._contents.issue(number)
        if issue:
            return issue
        if files.read(self._contents.pull_path(number)) is not None:
            raise ForgeError(f"#{number} is a pull, not an issue", hint="name an issue", status=404)
        raise ForgeError(
            f"issue #{number} does not exist",
            hint=f"the issues are the files in {self._root}/issues",
            status=404,
        )

    def open_blockers(self, number: int) -> tuple[int, ...]:  # noqa: ARG002
        """None: a folder knows only what the text says."""
        return ()

    def create_issue(self, title: str, body: str, *, marker: str, labels: Sequence[str] = ()) -> Issue:
        """A new file, or the one whose first line of text is this marker and whose author we are."""
        with self._folder.writing():
            for number in self._contents.issue_numbers():
                issue = self._contents.issue(number)
                if issue and carries_marker(issue.body, marker) and issue.author == self._author:
                    return issue
            keys: dict[str, frontmatter.Written] = {
                "title": title,
                "labels": tuple(labels),
                "author": self._author,
                "state": "open",
            }
            text = frontmatter.render(keys, mark(body, marker))
            while True:
                number = self._next_number()
                if self._folder.create(self._contents.issue_path(number), text):
                    break
            self._log(number, [("labeled", label) for label in labels])
        return self.issue(number)

    def put_issue(self, issue: Issue) -> None:
        """Write an issue of another forge under its own number: this one then stands in for that."""
        keys: dict[str, frontmatter.Written] = {
            "title": issue.title,
            "labels": issue.labels,
            "author": issue.author,
            "state": issue.state,
        }
        with self._folder.writing():
            self._folder.write(self._contents.issue_path(issue.number), frontmatter.render(keys, issue.body))

    def set_labels(self, number: int, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Rewrite the labels and nothing else of the issue's file."""
        with self._folder.writing():
            self._change_labels(number, tuple(add), tuple(remove))

    def take_label(self, number: int, label: str) -> bool:
        """Remove a label; True for the one caller that removed it."""
        with self._folder.writing():
            return self._change_labels(number, (), (label,))

    def _change_labels(self, number: int, add: tuple[str, ...], remove: tuple[str, ...]) -> bool:
        """True when something changed. Called under the lock."""
        old = self.issue(number).labels
        gone = {r.casefold() for r in remove}
        kept = [n for n in old if n.casefold() not in gone]
        known = {n.casefold() for n in kept}
        new = [*kept, *(a for a in dict.fromkeys(add) if a.casefold() not in known)]
        if new == list(old):
            return False
        path = self._contents.issue_path(number)
        raw = files.read_exactly(path)
        self._folder.write(path, frontmatter.edit(raw, "labels", tuple(new), name=self._contents.shown(path)))
        changes = [("unlabeled", label) for label in sorted(set(old) - set(new))]
        self._log(number, [*changes, *(("labeled", label) for label in sorted(set(new) - set(old)))])
        return True

    # pulls

    def find_pull(self, branch: str, *, of: str = "") -> Pull | None:
        """The open pull of `branch`; the newest, should hand-editing have made two. A folder has no forks."""
        if of:
            return None
        for number in sorted(self._contents.pull_numbers(), reverse=True):
            document = self._contents.document(self._contents.pull_path(number))
            if document and document.text("head") == branch and issue_state(document) == "open":
                return self._contents.as_pull(number, document)
        return None

    def pull_ref(self, pull: Pull) -> str:
        """Its branch: a folder has no forks."""
        return f"refs/heads/{pull.head_branch}"

    def pull(self, number: int) -> Pull:
        """One pull, its head as git has it now."""
        pull = self._contents.pull(number)
        if pull is None:
            raise ForgeError(
                f"pull request #{number} does not exist", hint=f"see {self._root}/pulls", status=404
            )
        return pull

    def pulls(self, numbers: Collection[int]) -> Mapping[int, Pull]:
        """Each that has a file; a person who merged one writes `state: merged` into it."""
        found = {}
        for number in numbers:
            with contextlib.suppress(ForgeError):
                found[number] = self.pull(number)
        return found

    def open_pull(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a draft, or update the one that is open. ForgeError (422) when there is nothing to pull."""
        head = self._read_ref(branch)
        if not head:
            raise ForgeError(f"branch {branch!r} is not at the remote", hint="push it first", status=422)
        if self._read_ref(base) == head:
            raise ForgeError(f"no commits between {base} and {branch}", hint="commit something", status=422)
        with self._folder.writing():
            found = self.find_pull(branch)
            number = found.number if found else self._next_number()
            document = self._contents.document(self._contents.pull_path(number))
            keys: dict[str, frontmatter.Written] = {"title": title, "head": branch, "base": base}
            known = dict(document.keys) if document else {"author": self._author, "state": "open"}
            keys |= {**known, "title": title, "base": base, "draft": is_draft(document)}
            self._folder.write(self._contents.pull_path(number), frontmatter.render(keys, body))
        return self.pull(number)

    def mark_ready(self, number: int) -> None:
        """The file says `draft: false` from now on."""
        self._set_of_pull(number, "draft", False)

    def close_pull(self, number: int) -> None:
        """The file says `state: closed` from now on."""
        self._set_of_pull(number, "state", "closed")

    def _set_of_pull(self, number: int, key: str, value: frontmatter.Written) -> None:
        self.pull(number)
        with self._folder.writing():
            document = self._contents.document(self._contents.pull_path(number))
            if document is not None and document.keys.get(key) != value:
                keys: dict[str, frontmatter.Written] = {**document.keys, key: value}
                self._folder.write(self._contents.pull_path(number), frontmatter.render(keys, document.body))

    def review(
        self, pull: int, *, head_sha: str, body: str, findings: Sequence[ReviewFinding], marker: str
    ) -> str:
        """A file per review; the findings' lines stand in it as they are."""
        self.pull(pull)
        reviews = self._contents.pull_path(pull).parent / "reviews"
        text = mark("\n\n".join([body, *(finding_text(f) for f in findings)]).strip(), marker)
        with self._folder.writing():
            for name in files.entries_of(reviews):
                document = self._contents.document(reviews / name)
                if (
                    document
                    and carries_marker(document.body, marker)
                    and document.text("author") == self._author
                ):
                    return (reviews / name).as_uri()
            keys = {"author": self._author, "event": "COMMENT", "commit": head_sha, "created": self._now()}
            path = reviews / f"{self._folder.next('last-id')}.md"
            self._folder.write(path, frontmatter.render(keys, text))
        return path.as_uri()

    def answer(self, pull: int, answers: Mapping[str, str]) -> int:
        """One file of answers beside the reviews, a line a finding; how many were new."""
        self.pull(pull)
        path = self._contents.pull_path(pull).parent / "reviews" / "answers.md"
        with self._folder.writing():
            document = self._contents.document(path)
            told = document.body.strip().splitlines() if document else []
            known = {line.partition(":")[0].removeprefix("- ") for line in told}
            new = [f"- {f}: {' '.join(text.split())}" for f, text in answers.items() if f not in known]
            if new:
                keys = {"author": self._author, "updated": self._now()}
                self._folder.write(path, frontmatter.render(keys, "\n".join([*told, *new]) + "\n"))
        return len(new)

    # comments

    def comment(self, number: int, *, marker: str, body: str) -> Comment:
        """Write or update the one comment that carries `marker` and names us as its author."""
        with self._folder.writing():
            if self._contents.issue(number) is None and self._contents.pull(number) is None:
                raise ForgeError(f"#{number} does not exist", hint="was its file deleted?", status=404)
            old = self.ours(number, marker)
            number_of_it = (
                old.id if old else self._folder.next("last-id", above=self._contents.last_comment(number))
            )
            path = self._contents.comment_path(number, number_of_it)
            keys: dict[str, frontmatter.Written] = {"author": self._author}
            keys["created"] = old.created_at if old else self._now()
            keys["updated"] = self._now()
            self._folder.write(path, frontmatter.render(keys, mark(body, marker)))
            return self._contents.comment(number, number_of_it) or _vanished(path)

    def ours(self, number: int, marker: str) -> Comment | None:
        """Our oldest comment with this marker."""
        mine = (
            c for c in self.comments(number) if c.author == self._author and carries_marker(c.body, marker)
        )
        return next(mine, None)

    def comments(self, number: int) -> Iterator[Comment]:
        """All comments, oldest first."""
        for identity in self._contents.numbered(self._root / "comments" / str(number)):
            comment = self._contents.comment(number, identity)
            if comment:
                yield comment

    # checks

    def start_check(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check, or give back the one with this `external_id` on this commit."""
        path = self._root / "checks" / records.file_of(head_sha, name)
        with self._folder.writing():
            record = records.parse_check(files.read(path), self._contents.shown(path))
            if record is None or record.external_id != external_id:
                check = Check(
                    id=self._folder.next("last-id"), name=name, head_sha=head_sha, status="in_progress",
                    conclusion=None, title=title, summary=summary, url=path.as_uri(),
                )  # fmt: skip
                record = records.CheckRecord(external_id, check)
                self._folder.write(path, records.render_check(record, at=self._now()))
        return records.with_url(record.check, path.as_uri())

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
        """Complete a check; made anew when its file was deleted meanwhile."""
        path = self._root / "checks" / records.file_of(check.head_sha, check.name)
        done = records.finished(check, conclusion, title, summary, text, annotations)
        with self._folder.writing():
            old = records.parse_check(files.read(path), self._contents.shown(path))
            record = records.CheckRecord(old.external_id if old else "", done)
            self._folder.write(path, records.render_check(record, at=self._now()))
        return records.with_url(done, path.as_uri())

    def post_check(
        self, *, head_sha: str, name: str, external_id: str, conclusion: Conclusion, title: str, summary: str,
        text: str = "", annotations: Sequence[Annotation] = (),
    ) -> Check:  # fmt: skip
        """Begin and complete a check."""
        check = self.start_check(
            head_sha=head_sha, name=name, external_id=external_id, title=title, summary=summary
        )
        return self.finish_check(
            check, conclusion=conclusion, title=title, summary=summary, text=text, annotations=annotations
        )

    def checks(self, head_sha: str) -> tuple[Check, ...]:
        """All checks on a commit, by name."""
        at = self._root / "checks" / records.check_directory(head_sha)
        paths = [at / n for n in files.entries_of(at) if n.endswith(".json")]
        found = ((p, records.parse_check(files.read(p), self._contents.shown(p))) for p in paths)
        return tuple(records.with_url(r.check, p.as_uri()) for p, r in found if r)

    def close(self) -> None:
        """Nothing to let go."""

    # the queue

    def approvals(self, number: int, head_sha: str) -> tuple[str, ...]:  # noqa: ARG002
        """None: reviews in a folder are ours."""
        return ()

    def viewer(self) -> str:
        """The author of what we write."""
        return self._author

    def events(self, number: int) -> tuple[IssueEvent, ...]:
        """What we did to the issue's labels; one set by hand is its author's."""
        return self._contents.events(self.issue(number))

    def status(self, *, head_sha: str, context: str, conclusion: Conclusion | None, description: str) -> None:
        """A commit status is a check here."""
        check = self.start_check(
            head_sha=head_sha, name=context, external_id="", title=description, summary=description
        )
        if conclusion:
            self.finish_check(check, conclusion=conclusion, title=description, summary=description)

    def _next_number(self) -> int:
        return self._folder.next("last-number", above=self._contents.last_number())

    def _log(self, number: int, changes: Sequence[tuple[str, str]]) -> None:
        if not changes:
            return
        path = self._root / "events" / f"{number}.jsonl"
        first = self._folder.next("last-id", count=len(changes))
        at = self._now()
        lines = (
            records.render_event(IssueEvent(id=first + i, kind=kind, actor=self._author, at=at, label=label))
            for i, (kind, label) in enumerate(changes)
        )
        self._folder.write(path, "".join((files.read(path) or "", *lines)))

    def _now(self) -> str:
        return iso(self._clock())


def _vanished(path: Path) -> Comment:
    raise ForgeError(f"{path} vanished while it was written", hint="does something else clean that folder?")
