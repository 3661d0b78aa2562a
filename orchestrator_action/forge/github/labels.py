"""Labels on GitHub: others' are never touched, ours are made with their colours, and a removal tells who won.

Adding is one request, since GitHub makes missing labels itself; removing is one for each, and GitHub
answers 404 to all but the one who removed it: of two runs that race for an issue one gets it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from orchestrator_action.config import schema as config
from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.client import Api, RateLimitError, UnclearError, understood

LABELS = {
    config.DEFAULT_LABEL: ("1f6feb", "An agent is to work on this issue"),
    config.LABEL_RUNNING: ("fbca04", "An agent works on this issue"),
    config.LABEL_DONE: ("0e8a16", "The agent's work is verified"),
    config.LABEL_FAILED: ("d73a4a", "The agent did not succeed"),
    config.LABEL_DECLINED: ("d4c5f9", "The agent says that it cannot do this, and why"),
}
_REFUSED = {403, 404, 410, 422}
_MADE_BY_GITHUB = "ededed"
"""The colour of a label that GitHub made because it was set on an issue."""


class Labels:
    """The labels of one repository. `was_ours` tells, after an unclear removal, whether it was our doing."""

    def __init__(self, api: Api, warn: Callable[[str], None], was_ours: Callable[[int, str], bool]) -> None:
        self._api = api
        self._warn = warn
        self._was_ours = was_ours
        self._lock = threading.Lock()
        self._coloured: set[str] = set()
        self._shown: dict[int, set[str]] = {}

    def shown(self, number: int, labels: Iterable[str]) -> None:
        """Which labels an issue carried when we last saw it."""
        self._shown[number] = {n.casefold() for n in labels}

    def may_carry(self, number: int, label: str) -> bool:
        """Whether an issue carried the label when we last saw it, or was never seen."""
        return label.casefold() in self._shown.get(number, {label.casefold()})

    def make(self, label: str) -> dict[str, str]:
        """Make one of our labels with its colour; by what GraphQL knows it, where that was told."""
        made = self._create(label)
        return {label: str(made["node_id"])} if made else {}

    def change(self, number: int, add: Iterable[str], remove: Iterable[str]) -> None:
        """Add all in one request; remove one by one those that the answer shows."""
        new = list(dict.fromkeys(add))
        there: set[str] | None = None
        if new:
            data = self._add(number, new)
            there = {n["name"].casefold() for n in data}
            self.shown(number, there)
            self._colour(n for n in data if n["name"] in new)
        for label in dict.fromkeys(remove):
            if there is None or label.casefold() in there:
                self._take_old(number, label, beside=new)

    def _take_old(self, number: int, label: str, *, beside: Sequence[str]) -> None:
        """Remove a label. Where GitHub refuses that, the new ones `beside` it tell how things stand."""
        try:
            self.take(number, label)
        except ForgeError as exc:
            if not beside or exc.status not in _REFUSED or isinstance(exc, RateLimitError):
                raise
            self._warn(f"the label {label} stays on #{number}: {exc.message}")

    def _add(self, number: int, labels: Sequence[str]) -> list[Any]:
        what = f"labels of #{number}"
        path, body = f"/issues/{number}/labels", {"labels": list(labels)}
        try:
            data = self._api.send("POST", path, what, body)
        except ForgeError as exc:
            if exc.status != 422:
                raise
            for label in labels:
                self._create(label)
            data = self._api.send("POST", path, what, body)
        return understood(lambda: [{**n, "name": str(n["name"])} for n in data], what)

    def _create(self, label: str) -> Any:
        colour, description = LABELS.get(label, (_MADE_BY_GITHUB, ""))
        body = {"name": label, "color": colour, "description": description}
        try:
            return self._api.send("POST", "/labels", f"the label {label}", body)
        except ForgeError as exc:
            if "already_exists" not in exc.message:
                raise
            return None

    def _colour(self, labels: Iterable[Any]) -> None:
        """Give our own labels their colour, once, when GitHub has just made them."""
        for label in labels:
            known = LABELS.get(label["name"])
            with self._lock:
                first = label["name"] not in self._coloured
                self._coloured.add(label["name"])
            if first and known and label.get("color") == _MADE_BY_GITHUB and not label.get("description"):
                body = {"color": known[0], "description": known[1]}
                try:
                    self._api.send("PATCH", f"/labels/{quote(label['name'], safe='')}", "a label", body)
                except ForgeError as exc:
                    self._warn(f"the label {label['name']} keeps GitHub's colour: {exc.message}")

    def take(self, number: int, label: str) -> bool:
        """Remove a label; True for the one caller that removed it."""
        path = f"/issues/{number}/labels/{quote(label, safe='')}"
        what = f"the label {label} of #{number}"
        try:
            left = self._api.send("DELETE", path, what, again=False)
            understood(lambda: self.shown(number, [str(n["name"]) for n in left or ()]), what)
        except UnclearError:
            return self._take_again(number, label, path, what)
        except ForgeError as exc:
            if exc.status != 404:
                raise
            if "label" not in exc.message.partition("404")[2].lower():
                self._api.get(
                    f"/issues/{number}", f"issue #{number}"
                )  # raises when the issue is what is missing
            return False
        return True

    def _take_again(self, number: int, label: str, path: str, what: str) -> bool:
        """After an unclear removal: gone now means that it was ours, when its last event says so."""
        try:
            self._api.send("DELETE", path, what)
        except ForgeError as exc:
            if exc.status != 404:
                raise
            return self._was_ours(number, label)
        return True
