"""Several writes in one request: comments, the labels of an issue and a check, through GraphQL.

A task ends with a check, two comments and a change of labels, six requests of the REST API. GraphQL takes them
as one, and counts them against a budget of its own. It is tried once and believed only when it confirms each
part; in every other case the caller writes each by itself, which finds what is there by its marker.
Source: docs.github.com, GraphQL API, "Mutations"; the tests hold its published schema against it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from orchestrator_action.config.schema import STATE_LABELS
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import CompletedCheck, MarkedComment
from orchestrator_action.forge.github import parse as read
from orchestrator_action.forge.github.checks import Checks
from orchestrator_action.forge.github.client import NONSENSE, Api, UnclearError
from orchestrator_action.forge.github.comments import Comments
from orchestrator_action.forge.github.labels import Labels

_COMMENT = "{id fullDatabaseId author{__typename login}}"


class Together:
    """Writes to one repository. `wrote` is shown the author of what was written, as REST shows one."""

    def __init__(
        self, api: Api, comments: Comments, labels: Labels, checks: Checks, wrote: Callable[[Any], None]
    ) -> None:
        self._api = api
        self._comments = comments
        self._labels = labels
        self._checks = checks
        self._wrote = wrote
        self._lock = threading.Lock()
        self._nodes: dict[int, str] = {}
        self._able = True
        self._label_nodes: dict[str, str] | None = None
        self._repository = ""

    def noted(self, number: int, data: Any) -> None:
        """By what GraphQL knows an issue or pull that was shown to us."""
        if data.get("node_id"):
            self._nodes[number] = str(data["node_id"])

    def write(
        self,
        words: Sequence[MarkedComment],
        number: int,
        add: Iterable[str],
        remove: Collection[str],
        check: CompletedCheck | None = None,
    ) -> bool:
        """Write all, or say False when that cannot be done, or is not known to be done, in one request.

        A check that GraphQL does not take, or does not confirm, is posted by itself after the others.
        """
        answer = self._write(words, number, add, remove, check)
        if answer is None:
            return False
        if check is not None and not self._checks.is_confirmed(check, answer.get("check")):
            try:
                self._checks.post(check)
            except ForgeError:
                return False
        return True

    def _write(
        self,
        words: Sequence[MarkedComment],
        number: int,
        add: Iterable[str],
        remove: Collection[str],
        check: CompletedCheck | None,
    ) -> Any:
        """What GitHub answered, comments and labels confirmed; None when they are not."""
        with contextlib.ExitStack() as stack:
            for word in sorted(words, key=lambda w: (w.number, w.marker)):
                stack.enter_context(self._comments.alone(word.number, word.marker))
            if check is not None:
                stack.enter_context(self._checks.alone(check))
            try:
                asked = self._mutation(words, number, list(add), list(remove), check)
                if asked is None:
                    return None
                query, variables = asked
                for word in words:
                    self._comments.unsure(word.number)
                writes = max(1, len(words)) + ("createCheckRun" in query)
                answer = self._api.graphql(query, f"what is told on #{number}", variables, writes=writes)
                done = self._believe(answer, words, number) and self._gone(number, remove)
                return answer if done else None
            except (UnclearError, *NONSENSE):
                return None
            except ForgeError:
                self._able = False  # it refuses; it will the next time
                return None

    # the request

    def _mutation(
        self,
        words: Sequence[MarkedComment],
        number: int,
        add: list[str],
        remove: list[str],
        check: CompletedCheck | None,
    ) -> tuple[str, dict[str, Any]] | None:
        """The document and its variables; None when something it needs is not known."""
        issue = self._nodes.get(number)
        nodes = [self._comments.node(w.number, w.marker) for w in words]
        subjects = [self._nodes.get(w.number) for w in words]
        if not self._able or not issue or None in nodes or None in subjects:
            return None
        labels = self._known_labels(add)
        if any(name not in labels for name in add):
            return None
        gone = [labels[n] for n in remove if n in labels and self._labels.may_carry(number, n)]
        parts: list[tuple[str, str, dict[str, Any]]] = []
        if check is not None and (completion := self._checks.mutation(check, self._repository)):
            field, whole = completion
            parts.append((f"check: {field}", "{checkRun{externalId conclusion}}", {"input": whole}))
        for i, (word, node, subject) in enumerate(zip(words, nodes, subjects, strict=True)):
            text = self._comments.text(word.body, word.marker)
            if node:
                given: dict[str, Any] = {"id": node, "body": text}
                parts.append((f"w{i}: updateIssueComment", f"{{issueComment{_COMMENT}}}", given))
            else:
                given = {"subjectId": subject, "body": text}
                parts.append((f"w{i}: addComment", f"{{commentEdge{{node{_COMMENT}}}}}", given))
        if gone:
            given = {"labelableId": issue, "labelIds": gone}
            parts.append(("gone: removeLabelsFromLabelable", "{clientMutationId}", given))
        given = {"labelableId": issue, "labelIds": [labels[n] for n in add]}
        shown = "{labelable{labels(first:100){nodes{id name}}}}"
        parts.append(("labels: addLabelsToLabelable", shown, given))
        return _document(parts)

    def _known_labels(self, add: Iterable[str]) -> dict[str, str]:
        """By what GraphQL knows our state labels; asked once, and those to be set made when missing."""
        with self._lock:
            if self._label_nodes is None:
                owner, _, name = self._api.repository.partition("/")
                asked = " ".join(f'l{i}:label(name:"{n}"){{id}}' for i, n in enumerate(STATE_LABELS))
                query = f'query{{repository(owner:"{owner}",name:"{name}"){{id {asked}}}}}'
                data = self._api.graphql(query, "our labels")["repository"]
                found = {n: data[f"l{i}"] for i, n in enumerate(STATE_LABELS)}
                self._repository = str(data["id"])
                self._label_nodes = {n: str(v["id"]) for n, v in found.items() if v}
            for missing in [n for n in add if n in STATE_LABELS and n not in self._label_nodes]:
                self._label_nodes |= self._labels.make(missing)
            return self._label_nodes

    # the answer

    def _believe(self, answer: Any, words: Sequence[MarkedComment], number: int) -> bool:
        """Whether every part was confirmed; what we were told is remembered."""
        try:
            for i, word in enumerate(words):
                part = answer[f"w{i}"]
                node = part["issueComment"] if "issueComment" in part else part["commentEdge"]["node"]
                self._comments.remember(
                    word.number, word.marker, int(node["fullDatabaseId"]), str(node["id"])
                )
                self._wrote({"user": {"login": read.actor(node["author"])[0]}})
            labels = [str(n["name"]) for n in answer["labels"]["labelable"]["labels"]["nodes"]]
        except NONSENSE:
            return False
        self._labels.shown(number, labels)
        return True

    def _gone(self, number: int, remove: Iterable[str]) -> bool:
        """Take off what somebody set since we last saw the issue."""
        for name in remove:
            if self._labels.may_carry(number, name):
                self._labels.take(number, name)
        return True


def _document(parts: Sequence[tuple[str, str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    """One mutation of several fields; every value goes in as a variable, never as text."""
    declared, fields, values = [], [], {}
    for number, (field, selection, given) in enumerate(parts):
        inputs = []
        if "input" in given:
            mutation = field.rpartition(" ")[2]
            declared.append(f"$input{number}:{mutation[0].upper()}{mutation[1:]}Input!")
            values[f"input{number}"] = given["input"]
            fields.append(f"{field}(input:$input{number}){selection}")
            continue
        for key, value in given.items():
            name = f"{key}{number}"
            kind = "[ID!]!" if isinstance(value, list) else "String!" if key == "body" else "ID!"
            declared.append(f"${name}:{kind}")
            inputs.append(f"{key}:${name}")
            values[name] = value
        fields.append(f"{field}(input:{{{','.join(inputs)}}}){selection}")
    return f"mutation({','.join(declared)}){{{' '.join(fields)}}}", values
