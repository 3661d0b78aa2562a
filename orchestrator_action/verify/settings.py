"""Settings Update: agent settings parse at the head, and nothing local or secret is committed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence

from orchestrator_action.git.commit_secrets import secrets_in
from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, matches, shown

SETTINGS = (
    "**/.claude/settings*.json", "**/.mcp.json", "**/.claude-plugin/*.json", "**/.cursor/mcp.json",
    "**/.gemini/settings.json", "**/.qwen/settings.json", "opencode.json", "**/.codex/config.toml",
)  # fmt: skip
"""Files agents read their settings from, and that must parse."""

PERSONAL_SETTINGS = (
    "**/.claude/settings.local.json", "**/CLAUDE.local.md", "**/.claude.json", "**/.credentials.json",
    "**/.env", "**/.env.*", "**/*.env", "!**/*.example", "!**/*.sample", "!**/*.template", "!**/*.dist",
    "!**/example.env", "!**/sample.env", "!**/.env.defaults",
    "**/.netrc", "**/_netrc", "**/.git-credentials", "**/.pypirc", "**/.pgpass", "**/.htpasswd",
    "**/.aws/credentials", "**/.docker/config.json", "**/.kube/config", "**/.codex/auth.json",
    "**/.config/gh/hosts.yml", "**/id_rsa", "**/id_dsa", "**/id_ecdsa", "**/id_ed25519", "**/*.p12",
    "**/*.pfx", "**/*.ppk", "**/*.kdbx",
)  # fmt: skip
"""Files that belong to one person or machine."""


def settings_facts(git: Git, *, base: str, head: str) -> tuple[Fact, ...]:
    """Both facts of the phase, measured on what the branch changes.

    A settings file that was broken before and is as it was is not held against the task.
    """
    changes = [c for c in git.changes(base, head) if c.status != "D" and c.new_mode != "160000"]
    return _parse_fact(git, head, changes), _local_fact(git, base, head, changes)


def _parse_fact(git: Git, head: str, changes: Sequence[Change]) -> Fact:
    present = [p for p in git.paths(head) if matches(p, SETTINGS)]
    touched = {c.path for c in changes}
    mine = [p for p in present if p in touched]
    broken = [
        f"{shown(path)}: {fault}"
        for path, body in git.files(head, mine).items()
        if (fault := _parse_fault(path, body))
    ]
    message = "; ".join(broken) or (
        f"agent settings parse: {listed(mine)}" if mine else "no agent settings file was changed"
    )
    return Fact(
        phase="settings-update",
        rule="settings-parse",
        commit=head,
        holds=not broken,
        message=message,
        detail={"files": [shown(p) for p in present[:50]], "broken": broken[:20]},
    )


def _parse_fault(path: str, body: bytes | None) -> str:
    """Why a settings file does not parse; empty when it does."""
    if body is None:
        return "it is not a file"
    try:
        text = body.decode("utf-8-sig")
        value = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except UnicodeDecodeError:
        return "it is not UTF-8"
    except (ValueError, RecursionError) as exc:
        return f"it does not parse: {exc}"
    return "" if isinstance(value, dict) else "it is not an object"


def _local_fact(git: Git, base: str, head: str, changes: Sequence[Change]) -> Fact:
    touched = [c.path for c in changes if matches(c.path, PERSONAL_SETTINGS)]
    local = [f"{shown(path)} is local to one person or machine" for path in touched]
    found = [*local, *secrets_in(git, base, head)]
    return Fact(
        phase="settings-update",
        rule="no-local-settings",
        commit=head,
        holds=not found,
        message="; ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        or "no local settings and no secrets are committed",
        detail={"found": found[:50]},
    )
