"""Who somebody is on GitHub, and what they may do in the repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import ACTIONS_LOGIN
from orchestrator_action.forge.github.client import Api, UnclearError, understood

ROLES = ("admin", "maintain", "write", "triage", "read", "none")


def own_login(api: Api) -> str:
    """The login that a token writes under, as far as GitHub says it; otherwise the Actions token's."""
    asks: list[Callable[[], Any]] = [lambda: api.graphql("query{viewer{login}}", "the viewer")["viewer"]]
    if not api.of_an_app:  # an installation's token is always refused there
        asks.insert(0, lambda: api.get("//user", "the token's user"))
    for ask in asks:
        try:
            data = ask()
            return understood(lambda: str(data["login"]), "the token's user")  # noqa: B023
        except UnclearError:
            raise
        except ForgeError as exc:
            if exc.status == 401:
                raise
    return ACTIONS_LOGIN


def permission(api: Api, user: str) -> str:
    """The role GitHub names; of a custom role, the permission it gives; `none` for a stranger."""
    if not user:
        return "none"
    try:
        data = api.get(f"/collaborators/{quote(user, safe='')}/permission", f"the role of {user}")
    except ForgeError as exc:
        if exc.status == 404:
            return "none"
        raise
    role = understood(lambda: str(data.get("role_name") or ""), "the role")
    return role if role in ROLES else understood(lambda: str(data["permission"]), "the role")


def account_type(api: Api, user: str) -> str:
    """User, Bot or Organization; empty for an unknown user."""
    try:
        data = api.get(f"//users/{quote(user, safe='')}", f"the account {user}")
    except ForgeError as exc:
        if exc.status == 404:
            return ""
        raise
    return understood(lambda: str(data["type"]), f"the account {user}")
