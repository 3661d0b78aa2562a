"""The scripted Messages API: what the real Claude Code CLI talks to in tests."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kit.messages_api.script import (
    Request,
    Say,
    Script,
    Turn,
    bash,
    by_session,
    from_json,
    steps,
    structured,
    write,
)
from tests.kit.messages_api.server import Fault, MessagesApi, messages_api, refusing_url

__all__ = [
    "KEY",
    "Fault",
    "MessagesApi",
    "Request",
    "Say",
    "Script",
    "Turn",
    "bash",
    "by_session",
    "claude_env",
    "from_json",
    "messages_api",
    "refusing_url",
    "steps",
    "structured",
    "write",
]

KEY = "sk-ant-invented-for-tests"


def claude_env(home: Path, url: str = "", *, path: str = "", **more: str) -> dict[str, str]:
    """An environment from nothing, as `env -i` would: own HOME, invented key, loopback API."""
    env = {
        "PATH": path or os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if url:
        env["ANTHROPIC_BASE_URL"] = url
    if os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"
    return {**env, **more}
