"""Check runs, and commit statuses where a token may not make check runs (a personal one never may)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import CompletedCheck
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.client import Api, understood
from orchestrator_action.forge.github.pulls import MAX_LINE
from orchestrator_action.protocol.forge_values import Annotation, Check, Conclusion
from orchestrator_action.text.marker import cut_to_bytes, one_line

MAX_CHECK_CHARS = 65_535
"""Of summary and text each. Source: docs.github.com, "Create a check run"."""
MAX_CHECK_TITLE = 255
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
        self._known: dict[tuple[str, str, str], Check] = {}
        self._nodes: dict[tuple[str, str, str], str] = {}
        """By what GraphQL knows a check that we made."""
        self._lock = threading.Lock()
        self._writing: dict[tuple[str, str, str], threading.Lock] = {}
        self._warn = warn
        self._statuses_only = False

    def start(self, *, head_sha: str, name: str, external_id: str, title: str, summary: str) -> Check:
        """Begin a check run, or give back the one with this `external_id`."""
        if self._statuses_only:
            return self._set_status(head_sha, name, None, title)
        given = {"status": "in_progress", "output": _output(title, summary, "")}
        try:
            with self._alone(head_sha, name, external_id):
                found = self._begun_before(head_sha, name, external_id)
                return found or self._create(head_sha, name, external_id, given)
        except ForgeError as exc:
            self._only_statuses(exc)
            return self._set_status(head_sha, name, None, title)

    def _alone(self, *check: str) -> threading.Lock:
        """The lock of one check: looking and writing are one step, whoever else begins or completes it."""
        with self._lock:
            return self._writing.setdefault((check[0], check[1], check[2]), threading.Lock())

    def _only_statuses(self, exc: ForgeError) -> None:
        """From now on, where check runs were refused; raises any other error again."""
        if exc.status not in _REFUSED:
            raise exc
        self._statuses_only = True
        self._warn(f"a commit status stands for the check run: {exc.message}")

    def _begun_before(self, head_sha: str, name: str, external_id: str) -> Check | None:
        """The check of this external id: the one we remember, or one that another process of ours began."""
        known = self._known.get((head_sha, name, external_id))
        look = known is None and (head_sha in self._begun or head_sha not in self._fresh)
        self._begun.add(head_sha)
        return self._find(head_sha, name, external_id) if look else known

    def alone(self, check: CompletedCheck) -> threading.Lock:
        """The lock of a check, for who writes it together with other things."""
        return self._alone(check.head_sha, check.name, check.external_id)

    def mutation(self, check: CompletedCheck, repository: str) -> tuple[str, dict[str, Any]] | None:
        """The field of GraphQL that completes it, and its input; None where only `post` can.

        That is so for statuses, for a second batch of annotations, and where one may be there that we do not know.
        Whatever is answered, `post` looks for it from here on. `alone` is held.
        """
        key = (check.head_sha, check.name, check.external_id)
        known = self._known.get(key)
        unknown = known is None and (check.head_sha in self._begun or check.head_sha not in self._fresh)
        begun = known is not None and (known.conclusion is not None or key not in self._nodes)
        many = len(check.annotations) > MAX_ANNOTATIONS
        if self._statuses_only or not self._api.of_an_app or unknown or begun or many:
            return None
        self._begun.add(check.head_sha)
        self._known.pop(key, None)
        output = _output(check.title, check.summary, check.text)
        given = {
            "repositoryId": repository,
            "status": "COMPLETED",
            "conclusion": str(check.conclusion).upper(),
            "output": {**output, "annotations": [_annotation_node(a) for a in check.annotations]},
        }
        if known is not None:
            return "updateCheckRun", {**given, "checkRunId": self._nodes[key]}
        new = {"headSha": check.head_sha, "name": check.name, "externalId": check.external_id}
        return "createCheckRun", {**given, **new}

    def is_confirmed(self, check: CompletedCheck, answer: Any) -> bool:
        """Whether GraphQL said that the check is as it was to be."""
        run = (answer or {}).get("checkRun") or {}
        wanted = (check.external_id, str(check.conclusion).upper())
        return (run.get("externalId"), run.get("conclusion")) == wanted

    def post(self, check: CompletedCheck) -> Check:
        """Complete it: in one request, where it was not begun and needs no second batch of annotations."""
        head_sha, name, external_id = check.head_sha, check.name, check.external_id
        conclusion, title, annotations = check.conclusion, check.title, check.annotations
        texts: dict[str, Any] = {"title": title, "summary": check.summary, "text": check.text}
        if self._statuses_only:
            return self._completed_status(head_sha, name, conclusion, title)
        first = annotations[:MAX_ANNOTATIONS]
        given = _completed(conclusion, texts, first)
        try:
            with self._alone(head_sha, name, external_id):
                begun = self._begun_before(head_sha, name, external_id)
                if begun is not None:
                    return self.finish(begun, conclusion=conclusion, annotations=annotations, **texts)
                made = self._or_without(given, lambda body: self._create(head_sha, name, external_id, body))
                return self._add_annotations(made, texts, annotations, len(first))
        except ForgeError as exc:
            self._only_statuses(exc)
            return self._completed_status(head_sha, name, conclusion, title)

    def _or_without(self, body: dict[str, Any], send: Callable[[dict[str, Any]], Check]) -> Check:
        """What `send` makes of the body; without its annotations where GitHub refuses those (422)."""
        try:
            return send(body)
        except ForgeError as exc:
            if exc.status != 422 or not body["output"].get("annotations"):
                raise
            self._warn(f"annotations of the check are left out: {exc.message}")
            return send({**body, "output": {**body["output"], "annotations": []}})

    def _find(self, head_sha: str, name: str, external_id: str) -> Check | None:
        what = f"the checks of {head_sha[:12]}"
        params = {"check_name": name, "filter": "all"}
        for data in self._api.pages(f"/commits/{head_sha}/check-runs", what, params, key="check_runs"):
            if understood(lambda: (data["name"], data["external_id"]), what) == (name, external_id):  # noqa: B023
                return understood(lambda: read.check(data), what)  # noqa: B023
        return None

    def _create(self, head_sha: str, name: str, external_id: str, given: dict[str, Any]) -> Check:
        body = {"name": name, "head_sha": head_sha, "external_id": external_id, **given}
        what = f"the check {name}"
        made = self._api.send(
            "POST", "/check-runs", what, body, found=lambda: self._find(head_sha, name, external_id)
        )
        check = made if isinstance(made, Check) else understood(lambda: read.check(made), what)
        self._known[head_sha, name, external_id] = check
        if not isinstance(made, Check) and made.get("node_id"):
            self._nodes[head_sha, name, external_id] = str(made["node_id"])
        return check

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
            return self._completed_status(check.head_sha, check.name, conclusion, title)
        texts = {"title": title, "summary": summary, "text": text}
        sent = self._annotated(check) if check.conclusion and annotations else 0
        first = annotations[sent : sent + MAX_ANNOTATIONS]
        given = _completed(conclusion, texts, first)
        done = self._or_without(given, lambda body: self._patch(check, body, sent + len(first)))
        return self._add_annotations(done, texts, annotations, sent + len(first))

    def _add_annotations(
        self, check: Check, texts: dict[str, Any], annotations: Sequence[Annotation], sent: int
    ) -> Check:
        """The batches after the first; GitHub adds them to those it has."""
        while sent < len(annotations):
            batch = annotations[sent : sent + MAX_ANNOTATIONS]
            sent += len(batch)
            given = {"output": _with_annotations(texts, batch)}
            self._or_without(given, lambda body: self._patch(check, body, sent))  # noqa: B023
        return dataclasses.replace(check, annotations=tuple(annotations))

    def _annotated(self, check: Check) -> int:
        """How many annotations a check has that was completed before: sent again they would double."""
        what = f"the check {check.name}"
        data = self._api.get(f"/check-runs/{check.id}", what)
        return understood(lambda: int(data["output"]["annotations_count"]), what)

    def _patch(self, check: Check, body: dict[str, Any], annotations: int) -> Check:
        what = f"the check {check.name}"
        wanted = body.get("conclusion", "")
        data = self._api.send(
            "PATCH",
            f"/check-runs/{check.id}",
            what,
            body,
            found=lambda: self._finished(check, wanted, annotations),
        )
        return understood(lambda: read.check(data), what)

    def _completed_status(self, sha: str, name: str, conclusion: Conclusion, title: str) -> Check:
        return dataclasses.replace(self._set_status(sha, name, conclusion, title), conclusion=conclusion)

    def _finished(self, check: Check, conclusion: str, annotations: int) -> Any:
        """The check as GitHub has it when so concluded with that many annotations; sent again they double."""
        what = f"the check {check.name}"
        data = self._api.get(f"/check-runs/{check.id}", what)
        there = understood(lambda: int(data["output"]["annotations_count"]), what)
        said = str(data.get("conclusion") or "")
        return data if said and conclusion in {"", said} and there >= annotations else None

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
            found = understood(lambda: read.commit_status(data, head_sha), what)  # noqa: B023
            latest.setdefault(found.name, found)
        return list(latest.values())

    def set_status(
        self, head_sha: str, context: str, conclusion: Conclusion | None, description: str
    ) -> None:
        """Set a commit status; None means pending."""
        self._set_status(head_sha, context, conclusion, description)

    def _set_status(self, head_sha: str, name: str, conclusion: Conclusion | None, title: str) -> Check:
        body = {
            "state": read.status_state(conclusion),
            "context": name,
            "description": one_line(title, MAX_STATUS),
        }
        what = f"the status {name}"
        data = self._api.send("POST", f"/statuses/{head_sha}", what, body)
        return understood(lambda: read.commit_status(data, head_sha), what)


def _output(title: str, summary: str, text: str) -> dict[str, Any]:
    shown = one_line(title, MAX_CHECK_TITLE) or "…"
    output = {"title": shown, "summary": cut_to_bytes(summary or title or "…", MAX_CHECK_CHARS)}
    return {**output, "text": cut_to_bytes(text, MAX_CHECK_CHARS)} if text else output


def _with_annotations(texts: dict[str, Any], annotations: Sequence[Annotation]) -> dict[str, Any]:
    return {**_output(**texts), "annotations": [_annotation(a) for a in annotations]}


def _completed(conclusion: Conclusion, texts: dict[str, Any], first: Sequence[Annotation]) -> dict[str, Any]:
    return {
        "status": "completed",
        "conclusion": str(conclusion),
        "output": _with_annotations(texts, first),
    }


def _annotation_node(annotation: Annotation) -> dict[str, Any]:
    """An annotation as GraphQL takes it."""
    made = _annotation(annotation)
    return {
        "path": made["path"],
        "location": {"startLine": made["start_line"], "endLine": made["end_line"]},
        "annotationLevel": str(made["annotation_level"]).upper(),
        "message": made["message"],
        **({"title": made["title"]} if "title" in made else {}),
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    line = min(max(annotation.line, 1), MAX_LINE)
    made = {
        "path": annotation.path,
        "start_line": line,
        "end_line": line,
        "annotation_level": annotation.level,
        "message": cut_to_bytes(annotation.message, MAX_CHECK_CHARS) or "…",
    }
    return {**made, "title": one_line(annotation.title, MAX_CHECK_TITLE)} if annotation.title else made
