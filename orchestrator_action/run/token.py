"""The forge's token of an environment, as the doors give it: whoever needs one asks here."""

from __future__ import annotations

from collections.abc import Mapping

APP_ID, APP_KEY = "ORCHESTRATOR_APP_ID", "ORCHESTRATOR_APP_PRIVATE_KEY"
"""Variables that name an App, and hold its private key as PEM."""
TOKEN_VARIABLES = ("ORCHESTRATOR_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")


def token_of(env: Mapping[str, str]) -> str:
    """The forge token of the environment, or an empty string. That of an App, where its key is given, comes first.

    Raises ConfigError or ForgeError when the App gets none.
    """
    if env.get(APP_ID) and env.get(APP_KEY):
        from orchestrator_action.forge.github.app_token import app_token

        return app_token(env, env[APP_ID], env[APP_KEY])
    return next((env[name] for name in TOKEN_VARIABLES if env.get(name)), "")
