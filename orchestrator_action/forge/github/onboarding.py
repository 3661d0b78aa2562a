"""How a repository on GitHub is set up for us: its labels, one setting of Actions, whether a secret is there.

Read with the user's own token; written only when the user agreed. What a token may not see is None, never a guess.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.client import Api, RateLimitError, UnclearError, understood
from orchestrator_action.forge.github.labels import LABELS

_WORKFLOW_SETTING = "/actions/permissions/workflow"
_NOT_SHOWN = frozenset({403, 404})
TRIAL_S, TRIAL_LOOK_S = 900.0, 5.0
"""How long a trial run is waited for, and between two looks at it."""


class Onboarding:
    """The set-up of one repository."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def default_branch(self) -> str:
        """As GitHub says. Raises ForgeError when the token does not see the repository."""
        data = self._api.get("", f"the repository {self._api.repository}")
        return understood(lambda: str(data["default_branch"]), "the repository")

    def is_public(self) -> bool:
        """Whether anybody may read it, and so write issues."""
        data = self._api.get("", f"the repository {self._api.repository}")
        return not understood(lambda: bool(data["private"]), "the repository")

    def last_trial(self, workflow: str) -> str | None:
        """How the last dispatched run of a workflow ended, with its page; None where there is no such workflow."""
        runs = self._trials(workflow)
        return None if runs is None else _words(runs[0]) if runs else ""

    def run_trial(
        self,
        workflow: str,
        ref: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        within_s: float = TRIAL_S,
    ) -> str:
        """Dispatch a workflow and wait for the end of its run; how it ended, with its page."""
        before = {int(r["id"]) for r in self._trials(workflow) or ()}
        path = f"/actions/workflows/{workflow}/dispatches"
        self._api.send("POST", path, f"the start of {workflow}", {"ref": ref}, again=False)
        for _ in range(int(within_s / TRIAL_LOOK_S)):
            new = [r for r in self._trials(workflow) or () if int(r["id"]) not in before]
            if new and new[0]["status"] == "completed":
                return _words(new[0])
            sleep(TRIAL_LOOK_S)
        return f"not ended within {within_s / 60:.0f} minutes: look under Actions"

    def _trials(self, workflow: str) -> list[Any] | None:
        """The newest dispatched runs; None where the default branch has no such workflow."""
        path, what = f"/actions/workflows/{workflow}/runs", f"the runs of {workflow}"
        params = {"event": "workflow_dispatch"}
        try:
            rows = list(self._api.pages(path, what, params, key="workflow_runs", limit=1))
        except ForgeError as exc:
            if exc.status != 404:
                raise
            return None
        return understood(lambda: sorted(rows, key=lambda r: -int(r["id"])), what)

    def has_branch(self, name: str) -> bool:
        """Whether there is such a branch."""
        return self._shown(f"/git/ref/heads/{name}", f"the branch {name}") is not None

    def missing_labels(self, wanted: Collection[str]) -> tuple[str, ...]:
        """Those labels that the repository does not have."""
        there = {str(n["name"]).casefold() for n in self._api.pages("/labels", "the labels")}
        return tuple(name for name in wanted if name.casefold() not in there)

    def make_label(self, name: str) -> None:
        """Make a label with the colour and words of ours."""
        colour, description = LABELS.get(name, next(iter(LABELS.values())))
        body = {"name": name, "color": colour, "description": description}
        try:
            self._api.send("POST", "/labels", f"the label {name}", body)
        except ForgeError as exc:
            if "already_exists" not in exc.message:
                raise

    def may_open_pulls(self) -> bool | None:
        """Whether GitHub Actions may open pull requests; only an admin's token is told."""
        data = self._shown(_WORKFLOW_SETTING, "the setting for pull requests")
        return None if data is None else bool(data.get("can_approve_pull_request_reviews"))

    def allow_pulls(self) -> None:
        """Let GitHub Actions open pull requests; what else the setting says stays."""
        what = "the setting for pull requests"
        now = self._api.get(_WORKFLOW_SETTING, what)
        body = {
            "default_workflow_permissions": understood(
                lambda: str(now["default_workflow_permissions"]), what
            ),
            "can_approve_pull_request_reviews": True,
        }
        self._api.send("PUT", _WORKFLOW_SETTING, what, body)

    def has_secret(self, name: str) -> bool | None:
        """Whether workflows get this secret, of the repository or of its organisation. Its value is never asked."""
        what = f"the secret {name}"
        try:
            self._api.get(f"/actions/secrets/{name}", what)
        except ForgeError as exc:
            if isinstance(exc, (RateLimitError, UnclearError)) or exc.status not in _NOT_SHOWN:
                raise
            return None if exc.status == 403 else self._organisation_has(name)
        return True

    def _organisation_has(self, name: str) -> bool:
        try:
            shared = self._api.pages("/actions/organization-secrets", "shared secrets", key="secrets")
            return any(str(s["name"]) == name for s in shared)
        except ForgeError as exc:
            if isinstance(exc, (RateLimitError, UnclearError)) or exc.status not in _NOT_SHOWN:
                raise
            return False  # a person's repository has no organisation

    def _shown(self, path: str, what: str) -> Any:
        """The JSON at a path; None where the token is not shown it, or there is none."""
        try:
            return self._api.get(path, what)
        except ForgeError as exc:
            if isinstance(exc, (RateLimitError, UnclearError)) or exc.status not in _NOT_SHOWN:
                raise
            return None


def _words(run: Any) -> str:
    """How a run ended, or stands, with its page."""
    return understood(
        lambda: f"{run.get('conclusion') or run['status']}: {run['html_url']}", "a workflow run"
    )
