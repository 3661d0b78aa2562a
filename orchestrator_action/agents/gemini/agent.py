"""Google's Gemini CLI in its headless mode, `gemini -o stream-json`.

Its settings are files of ours below a `GEMINI_CLI_HOME` of ours. A workspace that it does not trust gets neither
git nor `--yolo`, and one that it trusts may set hooks, servers and variables. So its workspace is an empty folder of
ours; the folder that holds the task's tree is beside it, and every shell command starts in the tree. Measured with
0.61.0.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.agents.event_line import AgentEvent
from orchestrator_action.agents.headless import (
    Cli,
    Session,
    Start,
    Told,
    part_of,
    private_file,
    text_of,
    total_of,
)
from orchestrator_action.agents.words import shell_words, tool_words
from orchestrator_action.protocol.attempt import Mark

_ADDRESS = "https://generativelanguage.googleapis.com"
_RETRIES = 3
_VERBS = {"read_file": "reads", "write_file": "writes", "replace": "edits"}
_INSTRUCTIONS = "orchestrator-workspace.md"
_TOLD = """The repository is {worktree}. Every shell command starts there. Name files by their whole path below it.
"""
_START_THERE = """if [ "$PWD" = {workspace} ]; then cd {worktree} && unset BASH_ENV; fi
"""


def start(given: Start) -> Session:
    """`gemini`, with the prompt on stdin."""
    workspace = given.private / "workspace"
    private_file(given.private / ".gemini" / "settings.json", json.dumps(_settings(given)))
    private_file(workspace / ".gemini" / ".env", "")  # the first that is found; no folder above is looked at
    private_file(workspace / _INSTRUCTIONS, _TOLD.format(worktree=given.worktree))
    places = {"workspace": shlex.quote(str(workspace)), "worktree": shlex.quote(given.worktree)}
    there = private_file(given.private / "start-there.sh", _START_THERE.format(**places))
    beside = str(
        Path(given.worktree).parent
    )  # of the tree itself its GEMINI.md would be read, whatever is set
    argv = (
        given.executable, "--output-format", "stream-json", "--skip-trust", "--include-directories", beside,
        *(() if given.reads_only else ("--yolo",)), *(("--resume", given.resume) if given.resume else ()),
        *given.args,
    )  # fmt: skip
    env = {
        "GEMINI_CLI_HOME": str(given.private),
        "GOOGLE_GEMINI_BASE_URL": given.env.get("GOOGLE_GEMINI_BASE_URL", _ADDRESS),
        "BASH_ENV": str(there),
    }
    return Session(argv=argv, env=env, cwd=str(workspace))


def tell(event: AgentEvent) -> Told:
    """One line of `stream-json`: `init`, `message`, `tool_use`, `tool_result`, `error` or `result`."""
    kind = event["type"]
    if kind == "init":
        model = text_of(event, "model")
        does = f"session begins, model {model or 'unknown'}"
        return Told(mark=Mark.STARTED, session_id=text_of(event, "session_id"), model=model, does=does)
    if kind == "message" and event.get("role") == "assistant":
        return Told(says=text_of(event, "content"), joins=event.get("delta") is True)
    if kind == "tool_use":
        return Told(turns=1, does=_doing(event))
    if kind == "error" and event.get("severity") == "error":
        return Told(mark=None, fault=text_of(event, "message") or "an error without words")
    return _result(event) if kind == "result" else Told()


def _result(event: AgentEvent) -> Told:
    """Gemini tells no count of its requests; its tool calls and its last answer are counted instead."""
    tokens = total_of(part_of(event, "stats"), "total_tokens")
    if event.get("status") == "success":
        return Told(mark=Mark.RESULT, finished=True, turns=1, tokens=tokens)
    words = text_of(part_of(event, "error"), "message") or "the session failed"
    limit = "max-turns" if "max session turns" in words else ""
    return Told(mark=Mark.RESULT, fault=words, tokens=tokens, limit=limit)


def _doing(event: AgentEvent) -> str:
    tool, given = text_of(event, "tool_name"), part_of(event, "parameters")
    if tool == "run_shell_command":
        return shell_words(text_of(given, "command"))
    return tool_words(tool, text_of(given, "file_path"), _VERBS)


def _settings(given: Start) -> Mapping[str, object]:
    limits = {"maxSessionTurns": given.max_turns} if given.max_turns > 0 else {}
    return {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "general": {"enableAutoUpdate": False, "maxAttempts": _RETRIES},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "context": {"fileName": _INSTRUCTIONS},
        "advanced": {"ignoreLocalEnv": True},
        "model": limits,
    }


CLI = Cli(
    name="gemini",
    keys=("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    start=start,
    tell=tell,
    address=lambda _: ("GOOGLE_GEMINI_BASE_URL", _ADDRESS),
)
