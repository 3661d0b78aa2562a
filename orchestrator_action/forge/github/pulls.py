"""Pull requests and reviews on GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import Api, understood
from orchestrator_action.protocol.forge_values import Pull, ReviewFinding
from orchestrator_action.text.marker import carries_marker, cut_to_bytes, finding_text, mark, one_line

MAX_BODY = 65_535
"""Of any body. GitHub takes 65,536 characters; one less serves checks too."""
MAX_PULL_TITLE = 256
MAX_LINE = 2**31 - 1
"""No file has more lines, and no database of theirs a larger number."""
UNTITLED = "Untitled"
_FINDING = re.compile(r"\*\*(f\d+)\*\* ")
"""How a line comment of ours begins, see `_on_line`."""
_READY = "mutation($id:ID!){markPullRequestReadyForReview(input:{pullRequestId:$id}){pullRequest{isDraft}}}"
_VERDICTS = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
"""States of a review that take the place of the reviewer's earlier one; a comment takes none back."""
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Pulls:
    """The pulls of one repository. `warn` is told when a pull could not be a draft, `opened` is shown the
    answer to each opening."""

    def __init__(
        self,
        api: Api,
        warn: Callable[[str], None],
        mine: Callable[[Any], bool],
        opened: Callable[[int, Any], None],
    ) -> None:
        self._api = api
        self._warn = warn
        self._mine = mine
        self._told_of = opened
        self._drafts = True
        self._opened: set[int] = set()
        self._unreviewed: set[int] = set()
        self.new_heads: set[str] = set()
        """Heads of pulls opened by us: nobody began a check of ours on them before us."""

    def find(self, branch: str, repository: str = "") -> Pull | None:
        """The open pull request of `branch` of one repository, not of another's branch of that name."""
        what = f"the pull request of {branch}"
        repository = repository or self._api.repository
        owner = repository.partition("/")[0]
        for data in self._api.pages("/pulls", what, {"state": "open", "head": f"{owner}:{branch}"}):
            if understood(lambda: _is_of(data, branch, repository), what):  # noqa: B023
                return understood(lambda: read.pull(data), what)  # noqa: B023
        return None

    def get(self, number: int) -> Pull:
        """One pull, re-read."""
        data = self._api.get(f"/pulls/{number}", f"pull request #{number}")
        pull = understood(lambda: read.pull(data), f"pull request #{number}")
        if number in self._opened:
            self.new_heads.add(pull.head_sha)
        return pull

    def all_of(self, numbers: Collection[int]) -> dict[int, Pull]:
        """Those of these pulls that there are, newest first until all were met."""
        found: dict[int, Pull] = {}
        params = {"state": "all", "sort": "created", "direction": "desc"}
        pages = self._api.pages("/pulls", "the pull requests", params) if numbers else ()
        for data in pages:
            pull = understood(lambda: read.pull(data), "the pull requests")  # noqa: B023
            if pull.number in numbers:
                found[pull.number] = pull
            if pull.number <= min(numbers):
                break
        return found

    def open(self, *, branch: str, base: str, title: str, body: str) -> Pull:
        """Open a draft; where one is open, update it; where drafts are not to be had, open a plain one."""
        shown = one_line(title, MAX_PULL_TITLE) or UNTITLED
        text = {"title": shown, "body": cut_to_bytes(body, MAX_BODY), "base": base}
        what = f"the pull request of {branch}"
        try:
            made = self._create(branch, text, what)
        except ForgeError as exc:
            if exc.status != 422:
                raise
            if "already exists" in exc.message:
                return self._update(branch, text, exc)
            if not (self._drafts and "draft" in exc.message.lower()):
                raise
            self._drafts = False
            self._warn("this repository has no draft pull requests; a plain one was opened")
            made = self._create(branch, text, what)
        return made

    def _create(self, branch: str, text: dict[str, str], what: str) -> Pull:
        body = {**text, "head": branch, "draft": self._drafts}
        made = self._api.send("POST", "/pulls", what, body, found=lambda: self.find(branch))
        if isinstance(made, Pull):
            return made
        pull = understood(lambda: read.pull(made), what)
        for known in (self._opened, self._unreviewed):
            known.add(pull.number)
        self.new_heads.add(pull.head_sha)
        self._told_of(pull.number, made)
        return pull

    def _update(self, branch: str, text: dict[str, str], exc: ForgeError) -> Pull:
        old = self.find(branch)
        if old is None:
            raise exc
        if (old.title, old.body, old.base_branch) == tuple(text.values()):
            return old
        data = self._api.send("PATCH", f"/pulls/{old.number}", f"pull request #{old.number}", text)
        return understood(lambda: read.pull(data), f"pull request #{old.number}")

    def close(self, number: int) -> None:
        """Close an open pull."""
        self._api.send("PATCH", f"/pulls/{number}", f"pull request #{number}", {"state": "closed"})

    def mark_ready(self, number: int) -> None:
        """Let a draft be one no longer, as only GraphQL can."""
        what = f"pull request #{number}"
        data = self._api.get(f"/pulls/{number}", what)
        if not understood(lambda: data["draft"], what):
            return
        node = understood(lambda: str(data["node_id"]), what)
        answer = self._api.graphql(_READY, f"that {what} is ready", {"id": node}, writes=1)
        if not answer.get("markPullRequestReadyForReview"):
            raise ForgeError(f"GitHub leaves {what} a draft", hint="the token needs pull-requests: write")

    def review(
        self, pull: int, *, head_sha: str, body: str, findings: Sequence[ReviewFinding], marker: str
    ) -> str:
        """Post a review, or give the URL of the one that carries `marker`.

        Line comments are tried as they are; when GitHub refuses them, only those on lines of the
        diff are kept and the others go into the body; when it refuses those too, all of them do.
        """
        found = None if pull in self._unreviewed else self._find_review(pull, marker)
        self._unreviewed.discard(pull)
        if found:
            return str(found)
        on_lines = [f for f in findings if f.path and 0 < f.line <= MAX_LINE]
        choices: list[Callable[[], list[ReviewFinding]]] = [lambda: on_lines]
        if on_lines:
            choices += [lambda: self._in_diff(pull, on_lines), list]
        for last, choose in zip([False] * (len(choices) - 1) + [True], choices, strict=True):
            lines = choose()
            try:
                return self._post_review(pull, head_sha, body, findings, lines, marker)
            except ForgeError as exc:
                if exc.status != 422 or last:
                    raise
        raise AssertionError("unreachable")

    def _post_review(
        self,
        pull: int,
        head_sha: str,
        body: str,
        findings: Sequence[ReviewFinding],
        lines: Sequence[ReviewFinding],
        marker: str,
    ) -> str:
        others = [finding_text(f) for f in findings if f not in lines]
        text = cut_to_bytes(mark("\n\n".join([body, *others]).strip(), marker), MAX_BODY)
        given = {
            "commit_id": head_sha,
            "event": "COMMENT",
            "body": text,
            "comments": [_on_line(f) for f in lines],
        }
        what = f"the review of pull request #{pull}"
        made = self._api.send(
            "POST", f"/pulls/{pull}/reviews", what, given, found=lambda: self._find_review(pull, marker)
        )
        return made if isinstance(made, str) else understood(lambda: str(made["html_url"]), what)

    def _find_review(self, pull: int, marker: str) -> str | None:
        what = f"the reviews of pull request #{pull}"
        for data in self._api.pages(f"/pulls/{pull}/reviews", what):
            if understood(lambda: carries_marker(data["body"], marker) and self._mine(data["user"]), what):  # noqa: B023
                return understood(lambda: str(data["html_url"]), what)  # noqa: B023
        return None

    def approvals(self, number: int, head_sha: str) -> tuple[str, ...]:
        """Who approves a pull request at this commit: people by their last word, never a bot, never its author."""
        what = f"the reviews of pull #{number}"
        last: dict[str, bool] = {}
        for data in self._api.pages(f"/pulls/{number}/reviews", what):
            user, state = understood(lambda: (data["user"] or {}, str(data["state"])), what)  # noqa: B023
            if user.get("type") == "User" and state in _VERDICTS:
                approves = state == "APPROVED" and data.get("commit_id") == head_sha
                last[str(user.get("login"))] = approves
        return tuple(login for login, approves in last.items() if approves)

    def answer(self, pull: int, answers: Mapping[str, str]) -> int:
        """Reply once in each thread that one of our findings began; how many replies were new."""
        threads, answered = self._threads(pull)
        new = {threads[f]: text for f, text in answers.items() if f in threads and threads[f] not in answered}
        for thread, text in new.items():
            self._api.send(
                "POST",
                f"/pulls/{pull}/comments/{thread}/replies",
                f"the answer in pull request #{pull}",
                {"body": cut_to_bytes(text, MAX_BODY)},
                found=lambda: thread in self._threads(pull)[1] or None,  # noqa: B023
            )
        return len(new)

    def _threads(self, pull: int) -> tuple[dict[str, int], set[int]]:
        """The threads our findings began, by finding, and those we have replied in."""
        what = f"the review comments of pull request #{pull}"
        threads: dict[str, int] = {}
        answered: set[int] = set()
        for data in self._api.pages(f"/pulls/{pull}/comments", what):
            understood(lambda: self._sort(data, threads, answered), what)  # noqa: B023
        return threads, answered

    def _sort(self, data: Any, threads: dict[str, int], answered: set[int]) -> None:
        found = _FINDING.match(data["body"])
        if not self._mine(data["user"]):
            return
        if top := data.get("in_reply_to_id"):
            answered.add(int(top))
        elif found:
            threads.setdefault(found[1], int(data["id"]))

    def _in_diff(self, pull: int, findings: Sequence[ReviewFinding]) -> list[ReviewFinding]:
        wanted = {f.path for f in findings}
        what = f"the files of pull request #{pull}"
        shown: dict[str, set[int]] = {}
        for data in self._api.pages(f"/pulls/{pull}/files", what):
            name = understood(lambda: str(data["filename"]), what)  # noqa: B023
            if name in wanted:
                shown[name] = lines_of_patch(data.get("patch") or "")
        return [f for f in findings if f.line in shown.get(f.path, ())]


def lines_of_patch(patch: str) -> set[int]:
    """The lines of the new file that `patch` shows: only these take a comment."""
    lines: set[int] = set()
    at = 0
    for line in patch.splitlines():
        hunk = _HUNK.match(line)
        if hunk:
            at = int(hunk[1])
        elif line[:1] in {"+", " ", ""}:
            lines.add(at)
            at += 1
    return lines


def _on_line(finding: ReviewFinding) -> dict[str, Any]:
    text = cut_to_bytes(f"**{finding.id}** {finding.severity}: {finding.text}", MAX_BODY)
    return {"path": finding.path, "line": finding.line, "side": "RIGHT", "body": text}


def _is_of(data: Any, branch: str, repository: str) -> bool:
    repo = data["head"].get("repo") or {}
    its = str(repo.get("full_name", "")).casefold() == repository.casefold()
    return its and data["head"]["ref"] == branch and data["state"] == "open"
