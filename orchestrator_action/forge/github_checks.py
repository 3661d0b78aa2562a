"""Check runs, and commit statuses where a token may not make check runs (a personal one never may)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from orchestrator_action.core.model import Annotation, Check, Conclusion
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge import github_read as read
from orchestrator_action.forge.github_api import Api, understood
from orchestrator_action.forge.marker import cut, one_line

MAX_TEXT = 65_535
"""Of summary and text each. Source: docs.github.com, "Create a check run"."""
MAX_TITLE = 255
MAX_ANNOTATIONS = 50
"""A request. Source: the same page, `output.annotations`."""
MAX_STATUS = 140
"""Of a status's description. Source: GitHub's answer to a longer one."""
_REFUSED = {403, 404}


class Checks:
    """The checks of one repository. `warn` is told when statuses take the place of check runs.

    On the commits in `fresh` no check of ours can be yet; one is begun there without looking, once.
    """

    def __init__(self, api: Api, warn: Callable[[str], None], fresh: set[str]) -> None:
        self._api = api
        self._fresh = fresh
        self._begun: set[str] = set()
        self._warn = warn
        self._statuses_only = False

    def start(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check run, or give back the one with this `external_id`."""
        if self._statuses_only:
            return self._set_status(head_sha, name, None, title)
        try:
            look = head_sha in self._begun or head_sha not in self._fresh
            self._begun.add(head_sha)
            found = self._find(head_sha, name, external_id) if look else None
            return found or self._create(head_sha, name, external_id, title, summary)
        except ForgeError as exc:
            if exc.status not in _REFUSED:
                raise
            check = self._set_status(head_sha, name, None, title)
            self._statuses_only = True
            self._warn(f"a commit status stands for the check run: {exc.message}")
            return check

    def _find(self, head_sha: str, name: str, external_id: str) -> Check | None:
        what = f"the checks of {head_sha[:12]}"
        params = {"check_name": name, "filter": "all"}
        for data in self._api.pages(f"/commits/{head_sha}/check-runs", what, params, key="check_runs"):
            if understood(lambda: (data["name"], data["external_id"]), what) == (name, external_id):  # noqa: B023
                return understood(lambda: read.check(data), what)  # noqa: B023
        return None

    def _create(self, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        body = {
            "name": name,
            "head_sha": head_sha,
            "external_id": external_id,
            "status": "in_progress",
            "output": _output(title, summary, ""),
        }
        made = self._api.send(
            "POST",
            "/check-runs",
            f"the check {name}",
            body,
            found=lambda: self._find(head_sha, name, external_id),
        )
        return made if isinstance(made, Check) else understood(lambda: read.check(made), f"the check {name}")

    def finish(
        self,
        check: Check,
        *,
        conclusion: Conclusion,
        title: str,
        summary: str,
        text: str,
        annotations: Sequence[Annotation],
    ) -> Check:
        """Complete it: the conclusion with the first batch of annotations, the rest after it."""
        if check.kind == "status":
            done = self._set_status(check.head_sha, check.name, conclusion, title)
            return dataclasses.replace(done, conclusion=conclusion)
        sent = 0
        data: Any = None
        for batch in _batches(annotations):
            output = {**_output(title, summary, text), "annotations": [_annotation(a) for a in batch]}
            body: dict[str, Any] = {"output": output}
            if not sent:
                body |= {"status": "completed", "conclusion": str(conclusion)}
            sent += len(batch)
            data = self._api.send(
                "PATCH",
                f"/check-runs/{check.id}",
                f"the check {check.name}",
                body,
                found=lambda: self._finished(check, sent),  # noqa: B023
            )
        done = understood(lambda: read.check(data), f"the check {check.name}")
        return dataclasses.replace(done, annotations=tuple(annotations))

    def _finished(self, check: Check, annotations: int) -> Any:
        """The check as GitHub has it when complete with that many annotations; sent again they double."""
        what = f"the check {check.name}"
        data = self._api.get(f"/check-runs/{check.id}", what)
        there = understood(lambda: int(data["output"]["annotations_count"]), what)
        return data if data.get("conclusion") and there >= annotations else None

    def all(self, head_sha: str) -> tuple[Check, ...]:
        """All check runs of a commit; its statuses when there are none."""
        what = f"the checks of {head_sha[:12]}"
        try:
            runs = [
                understood(lambda: read.check(data), what)  # noqa: B023
                for data in self._api.pages(f"/commits/{head_sha}/check-runs", what, key="check_runs")
            ]
        except ForgeError as exc:
            if exc.status not in _REFUSED:
                raise
            runs = []
        return tuple(runs or self._statuses(head_sha))

    def _statuses(self, head_sha: str) -> list[Check]:
        """The latest status of each context. GitHub lists the newest first."""
        what = f"the statuses of {head_sha[:12]}"
        latest: dict[str, Check] = {}
        for data in self._api.pages(f"/commits/{head_sha}/statuses", what):
            found = understood(lambda: read.status(data, head_sha), what)  # noqa: B023
            latest.setdefault(found.name, found)
        return list(latest.values())

    def set_status(
        self, head_sha: str, context: str, conclusion: Conclusion | None, description: str
    ) -> None:
        """Set a commit status; None means pending."""
        self._set_status(head_sha, context, conclusion, description)

    def _set_status(self, head_sha: str, name: str, conclusion: Conclusion | None, title: str) -> Check:
        body = {
            "state": read.state_of(conclusion),
            "context": name,
            "description": one_line(title, MAX_STATUS),
        }
        what = f"the status {name}"
        data = self._api.send("POST", f"/statuses/{head_sha}", what, body)
        return understood(lambda: read.status(data, head_sha), what)


def _output(title: str, summary: str, text: str) -> dict[str, Any]:
    output = {"title": one_line(title, MAX_TITLE) or "…", "summary": cut(summary or title or "…", MAX_TEXT)}
    return {**output, "text": cut(text, MAX_TEXT)} if text else output


def _annotation(annotation: Annotation) -> dict[str, Any]:
    line = max(annotation.line, 1)
    made = {
        "path": annotation.path,
        "start_line": line,
        "end_line": line,
        "annotation_level": annotation.level,
        "message": cut(annotation.message, MAX_TEXT) or "…",
    }
    return {**made, "title": one_line(annotation.title, MAX_TITLE)} if annotation.title else made


def _batches(annotations: Sequence[Annotation]) -> Iterator[Sequence[Annotation]]:
    """At least one, if empty."""
    for start in range(0, max(len(annotations), 1), MAX_ANNOTATIONS):
        yield annotations[start : start + MAX_ANNOTATIONS]
