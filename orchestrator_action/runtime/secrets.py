"""Settings Update: agent settings parse at the head, and nothing local or secret is committed."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence

from orchestrator_action.core.model import Fact
from orchestrator_action.core.paths import listed, matches, shown
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.gitparse import Change

SETTINGS = (
    "**/.claude/settings*.json", "**/.mcp.json", "**/.claude-plugin/*.json", "**/.cursor/mcp.json",
    "**/.gemini/settings.json", "**/.qwen/settings.json", "opencode.json", "**/.codex/config.toml",
)  # fmt: skip
"""Files agents read their settings from, and that must parse."""

LOCAL_ONLY = (
    "**/.claude/settings.local.json", "**/CLAUDE.local.md", "**/.claude.json", "**/.credentials.json",
    "**/.env", "**/.env.*", "**/*.env", "!**/*.example", "!**/*.sample", "!**/*.template", "!**/*.dist",
    "!**/example.env", "!**/sample.env", "!**/.env.defaults",
    "**/.netrc", "**/_netrc", "**/.git-credentials", "**/.pypirc", "**/.pgpass", "**/.htpasswd",
    "**/.aws/credentials", "**/.docker/config.json", "**/.kube/config", "**/.codex/auth.json",
    "**/.config/gh/hosts.yml", "**/id_rsa", "**/id_dsa", "**/id_ecdsa", "**/id_ed25519", "**/*.p12",
    "**/*.pfx", "**/*.ppk", "**/*.kdbx",
)  # fmt: skip
"""Files that belong to one person or machine."""

_SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
    "an Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "an OpenAI key": r"\bsk-(?!ant-)(?:proj-|svcacct-)?[A-Za-z0-9_-]{40,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{20,}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}\b|_authToken\s*=\s*(?!\$)[^\s$]{16,}",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a password in a URL": r"\bhttps?://[^/\s:@$<{*]+:[^/\s@$<{*]{16,}@",
}  # fmt: skip
_PATTERNS = {what: re.compile(pattern.encode()) for what, pattern in _SECRETS.items()}
_DISTINCT_BYTES = 10
"""Below that a match is a placeholder such as `ghp_xxxxxxxx`."""
_MAX_SCANNED_BYTES = 5 * 1024**2


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
    touched = [c.path for c in changes if matches(c.path, LOCAL_ONLY)]
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


def secrets_in(git: Git, base: str, head: str) -> list[str]:
    """What the commits above `base` add that looks like a credential, each in words; never the value.

    Of every commit: what a later one takes out again is pushed with the branch all the same.
    """
    listed = git.text("rev-list", "--objects", head, f"^{base}").splitlines()
    named = dict(line.partition(" ")[::2] for line in listed if " " in line)
    sizes = git.sizes(list(named))
    small = [sha for sha, size in zip(named, sizes, strict=True) if size and size <= _MAX_SCANNED_BYTES]
    suspects = [(s, _matches(body)) for s, body in zip(small, git.blobs(small), strict=True) if body]
    suspects = [(sha, found) for sha, found in suspects if found]
    before = git.files(base, sorted({named[sha] for sha, _ in suspects}))
    last = {c.new_blob for c in git.changes(base, head)}
    said = []
    for sha, found in suspects:
        path = named[sha]
        known = _matches(before[path] or b"")
        for what in sorted(w for w, values in found.items() if values - known.get(w, set())):
            earlier = (
                "" if sha in last else " in an earlier commit: make the branch's commits anew without it"
            )
            said.append(f"{shown(path)} holds {what}{earlier}")
    return sorted(dict.fromkeys(said))


def _matches(body: bytes) -> dict[str, set[bytes]]:
    found = {}
    for what, pattern in _PATTERNS.items():
        values = {m.group(0) for m in pattern.finditer(body)}
        if values := {v for v in values if len(set(v)) >= _DISTINCT_BYTES}:
            found[what] = values
    return found
