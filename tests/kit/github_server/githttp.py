"""git over HTTP through git's own `git-http-backend`, asking for the token as GitHub does."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kit.github_server.state import State

PATH = re.compile(
    r"/(?P<owner>[^/]+)/(?P<repo>[^/]+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack|git-receive-pack)"
)

WORKFLOW_GUARD = """#!/bin/sh
# GitHub rejects a push as a whole when it touches workflows and its token lacks that scope.
while read old new ref; do
  case $new in *[!0]*) ;; *) continue ;; esac
  if git log --format= --name-only "$new" --not --all | grep -q '^\\.github/workflows/'; then
    echo "refusing to allow a GitHub App to create or update workflow without \\`workflows\\` permission"
    exit 1
  fi
done
"""


def token_of(authorization: str) -> str:
    """The token in an Authorization header of any form GitHub takes; empty when there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() in {"bearer", "token"}:
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password or user


@dataclass(frozen=True)
class GitAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def hooks_directory(root: Path) -> Path:
    """A directory with the hook that guards workflows."""
    root.mkdir(parents=True, exist_ok=True)
    hook = root / "pre-receive"
    hook.write_text(WORKFLOW_GUARD, encoding="utf-8")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    return root


def serve(
    state: State,
    rest: str,
    *,
    method: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    hooks: Path | None,
) -> GitAnswer:
    """Run `git http-backend` once. `hooks` guards the push, None lets everything through."""
    config = {"http.receivepack": "true"} | ({"core.hooksPath": str(hooks)} if hooks else {})
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_PROJECT_ROOT": str(state.git_dir.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{state.git_dir.name}/{rest}",
        "REQUEST_METHOD": method,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "REMOTE_USER": "x-access-token",
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for i, (key, value) in enumerate(config.items()):
        env |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
    done = subprocess.run(
        ["git", "http-backend"], input=body, capture_output=True, env=env, check=False, timeout=60
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n"))
    found = {name: value for name, _, value in lines if name}
    status = int(found.pop("Status", "200").split()[0]) if head else 500
    return GitAnswer(status, found, content)
