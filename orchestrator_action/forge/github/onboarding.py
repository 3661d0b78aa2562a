"""How a repository on GitHub is set up for us: its labels, one setting of Actions, whether a secret is there.

Read with the user's own token; written only when the user agreed. What a token may not see is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.client import Api, RateLimitError, UnclearError, understood
from orchestrator_action.forge.github.labels import LABELS

_WORKFLOW_SETTING = "/actions/permissions/workflow"
_NOT_SHOWN = frozenset({403, 404})


class Onboarding:
    """The set-up of one repository."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def default_branch(self) -> str:
        """As GitHub says. Raises ForgeError when the token does not see the repository."""
        data = self._api.get("", f"the repository {self._api.repository}")
        return understood(lambda: str(data["default_branch"]), "the repository")

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
