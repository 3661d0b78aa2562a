"""The token of an App's installation: asked for with the App's key, and asked for anew before its hour is over.

GitHub lets such a token live one hour. PyGithub asks for the next one; whoever sends a token asks here which one
counts now. When the next one cannot be had, the last one is sent, and the forge says what it thinks of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import github
import requests
from github.GithubException import GithubException

from orchestrator_action.errors import ConfigError, ForgeError
from orchestrator_action.forge.github.address import api_url
from orchestrator_action.git.forge_access import RenewableToken

log = logging.getLogger(__name__)

_FAULTS = (GithubException, requests.RequestException, OSError)


def app_token(env: Mapping[str, str], app_id: str, private_key: str) -> RenewableToken:
    """The token of the App's installation on the repository; `private_key` as PEM.

    Raises ConfigError for a key that is none, ForgeError when GitHub gives no token.
    """
    name = env.get("GITHUB_REPOSITORY", "")
    if name.count("/") != 1:
        raise ConfigError("an App's id needs the repository's name", hint="set GITHUB_REPOSITORY=owner/name")
    key = private_key.replace("\\n", "\n").strip()
    try:
        app = github.Auth.AppAuth(app_id.strip(), key)
        app.create_jwt()
    except Exception as exc:  # of three libraries: nobody lists what they raise for a wrong key
        raise ConfigError(
            "app-private-key is no private key of an App", hint="give the whole .pem file, as GitHub made it"
        ) from exc
    try:
        integration = github.GithubIntegration(auth=app, base_url=api_url(env))
        installation = integration.get_repo_installation(*name.split("/"))
        auth = app.get_installation_auth(installation.id, requester=integration.requester)
        first = auth.token
    except _FAULTS as exc:
        status = getattr(exc, "status", 0)
        hint = {401: "app-id and app-private-key do not belong together", 404: f"install the App on {name}"}
        raise ForgeError(
            f"GitHub gives the App {app_id} no token for {name}: {_words(exc)}",
            hint=hint.get(status, "see githubstatus.com"), status=status,
        ) from None  # fmt: skip
    return RenewableToken(first, _Renewal(auth, first).now)


class _Renewal:
    """The token that counts now, asked for from several threads."""

    def __init__(self, auth: github.Auth.AppInstallationAuth, first: str) -> None:
        self._auth, self._last, self._lock = auth, first, threading.Lock()

    def now(self) -> str:
        with self._lock:
            try:
                self._last = self._auth.token
            except _FAULTS as exc:
                log.warning("the App's token could not be renewed: %s", _words(exc))
            return self._last


def _words(exc: BaseException) -> str:
    data = getattr(exc, "data", None)
    said = data.get("message") if isinstance(data, dict) else ""
    return f"{getattr(exc, 'status', '')} {said or type(exc).__name__}".strip()
