"""Who somebody is on GitHub, and what they may do in the repository."""

from __future__ import annotations

from urllib.parse import quote

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.client import Api, understood

ROLES = ("admin", "maintain", "write", "triage", "read", "none")


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
