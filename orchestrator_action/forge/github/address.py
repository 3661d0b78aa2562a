"""Where a GitHub is and which of its repositories is meant, by the runner's variables and the remote's URL.

Source: docs.github.com, "Variables reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from orchestrator_action.errors import ConfigError


def api_url(env: Mapping[str, str]) -> str:
    """Where GitHub's API is."""
    return env.get("GITHUB_API_URL", "https://api.github.com")


def web_url(env: Mapping[str, str]) -> str:
    """Where GitHub's pages are, and its git."""
    return env.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")


def servers(env: Mapping[str, str]) -> set[str]:
    """Where the forge's token may be sent to: nowhere but to the forge itself."""
    api = urlsplit(api_url(env))
    return {web_url(env), f"{api.scheme}://{api.netloc.removeprefix('api.')}"}


def is_github(url: str, env: Mapping[str, str]) -> bool:
    """Whether a job of GitHub's runs us, or a remote with this URL is on GitHub."""
    if env.get("GITHUB_REPOSITORY"):
        return True
    host = urlsplit(url).hostname if "://" in url else url.partition("@")[2].partition(":")[0]
    return bool(host) and host == urlsplit(web_url(env)).hostname


def repository_of(url: str, env: Mapping[str, str]) -> str:
    """`owner/name` of the forge. Raises ConfigError when nothing says which it is."""
    if name := env.get("GITHUB_REPOSITORY"):
        return name
    if name := owner_and_name(url):
        return name
    raise ConfigError(
        f"cannot tell the GitHub repository from the remote {url!r}", hint="set GITHUB_REPOSITORY=owner/name"
    )


def owner_and_name(url: str) -> str:
    """`owner/name` in a remote's URL; empty where it has none, such as a folder's."""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2]
    name = path.strip("/").removesuffix(".git")
    return name if name.count("/") == 1 and not url.startswith("file:") else ""


def run_url(env: Mapping[str, str]) -> str:
    """The page of the job's run; empty outside a job."""
    if not all(env.get(n) for n in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")):
        return ""
    return f"{web_url(env)}/{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']}"
