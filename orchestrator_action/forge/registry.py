"""The forges there are, by name. Adding one touches its folder, this file and the docs.

A name is `KIND` or `KIND:WHERE`, as `--forge` takes it and a run's journal keeps it. Each kind is imported when it
is asked for: a run pays for the forge that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import ConfigError
from orchestrator_action.forge.base import Forge
from orchestrator_action.forge.github.address import api_url, is_github, repository_of
from orchestrator_action.git.remote import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeParts:
    """What a forge is made of."""

    remote: Remote
    folder: Path
    """Of `local`, where none is named."""
    token: str
    env: Mapping[str, str]
    pace: Callable[[int], None] | None = None
    """Called before so many writes; returns when they may be made."""


def _local(parts: ForgeParts, where: str) -> Forge:
    from orchestrator_action.forge.folder.forge import LocalForge

    return LocalForge(
        Path(where).expanduser().absolute() if where else parts.folder,
        read_ref=lambda branch: parts.remote.sha(f"refs/heads/{branch}") or None,
        default_branch=parts.remote.default_branch,
    )


def _github(parts: ForgeParts, where: str) -> Forge:
    if where:
        raise ConfigError(f"no forge 'github:{where}'", hint="github alone; the remote says which repository")
    if not parts.token:
        raise ConfigError("GitHub needs a token", hint="set GITHUB_TOKEN, or use --forge local")
    from orchestrator_action.forge.github.forge import GitHubForge

    return GitHubForge(
        repository_of(parts.remote.url, parts.env), parts.token, base_url=api_url(parts.env), pace=parts.pace
    )


FORGES: Mapping[str, Callable[[ForgeParts, str], Forge]] = {"github": _github, "local": _local}
"""By the kind that `--forge` takes."""


def forge_name(asked: str, parts: ForgeParts) -> str:
    """The name of the forge, which means the same from any directory: as asked, else by where the remote is."""
    name = asked or ("github" if is_github(parts.remote.url, parts.env) else "local")
    kind, _, where = name.partition(":")
    if kind != "local":
        return name
    return f"local:{Path(where).expanduser().absolute() if where else parts.folder}"


def make_forge(name: str, parts: ForgeParts) -> Forge:
    """The forge of this name. Raises ConfigError for one nobody knows, or a token that is missing."""
    kind, _, where = name.partition(":")
    if kind not in FORGES:
        raise ConfigError(f"no forge {name!r}", hint=f"one of {', '.join(FORGES)}, or local:DIR")
    return FORGES[kind](parts, where)
