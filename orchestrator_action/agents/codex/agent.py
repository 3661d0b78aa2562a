"""OpenAI's Codex CLI in its headless mode, `codex exec --json`.

Its configuration is a file of ours in a `CODEX_HOME` of ours. There the task's tree is named as not trusted, so that
the checkout's `.codex` has no say in servers, hooks or addresses; instruction files of a tree are not read either, as
the base's are handed over with the prompt. Measured with 0.171.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

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
from orchestrator_action.agents.words import file_words, shell_words
from orchestrator_action.protocol.attempt import Mark

_ADDRESS = "https://api.openai.com/v1"
_RETRIES = 3
"""Of a request: codex makes five of a refused key as well."""
OFF = (
    "apps", "daemon_auto_start", "hooks", "plugins", "remote_plugin", "shell_snapshot",
    "unbounded_connection_retries",
)  # fmt: skip


def start(given: Start) -> Session:
    """`codex exec`, or `codex exec resume`, with the prompt on stdin."""
    private_file(given.private / "config.toml", _config(given))
    walls = (
        ("--sandbox", "read-only") if given.reads_only else ("--dangerously-bypass-approvals-and-sandbox",)
    )
    argv = (
        given.executable, "exec", "--json", "--skip-git-repo-check", *walls, *given.args,
        *(("resume", given.resume) if given.resume else ()), "-",
    )  # fmt: skip
    return Session(argv=argv, env={"CODEX_HOME": str(given.private)})


def tell(event: AgentEvent) -> Told:
    """One line of `--json`: `thread.started`, `turn.*`, `item.*` or `error`."""
    kind = event["type"]
    if kind == "thread.started":
        return Told(mark=Mark.STARTED, session_id=text_of(event, "thread_id"), does="session begins")
    if kind == "turn.started":
        return Told(finished=False)
    if kind == "turn.completed":
        tokens = total_of(part_of(event, "usage"), "input_tokens", "output_tokens")
        return Told(mark=Mark.RESULT, finished=True, tokens=tokens)
    if kind == "turn.failed":
        fault = text_of(part_of(event, "error"), "message") or "the turn failed"
        return Told(mark=Mark.RESULT, fault=fault)
    if kind == "error":
        return Told(mark=None, fault=text_of(event, "message") or "an error without words")
    item = part_of(event, "item")
    if kind == "item.started":
        return Told(does=_doing(item))
    return _done(item) if kind == "item.completed" else Told()


def _done(item: AgentEvent) -> Told:
    """Codex tells no count of its requests; what it said and did is counted instead."""
    kind = text_of(item, "type")
    if kind == "agent_message":
        return Told(turns=1, says=text_of(item, "text"))
    if kind in {"command_execution", "mcp_tool_call", "web_search"}:
        return Told(turns=1)
    return Told(turns=1, does=_doing(item)) if kind == "file_change" else Told()


def _doing(item: AgentEvent) -> str:
    kind = text_of(item, "type")
    if kind == "command_execution":
        return shell_words(text_of(item, "command"))
    if kind == "file_change":
        changes = item.get("changes")
        paths = (
            [c.get("path") for c in changes if isinstance(c, Mapping)] if isinstance(changes, list) else []
        )
        return f"edits {', '.join(file_words(str(p)) for p in paths) or 'files'}"
    if kind == "mcp_tool_call":
        return f"uses {text_of(item, 'tool') or 'a tool'}"
    return f"searches the web for {text_of(item, 'query')}" if kind == "web_search" else ""


def _config(given: Start) -> str:
    """The whole configuration, as TOML. A JSON string is a string of TOML too."""
    address = given.env.get("OPENAI_BASE_URL", _ADDRESS)
    return "\n".join(
        [
            'approval_policy = "never"',
            'model_provider = "orchestrator"',
            "check_for_update_on_startup = false",
            "allow_login_shell = false",  # /etc/profile would take our programs off PATH
            "project_doc_max_bytes = 0",
            "[analytics]",
            "enabled = false",
            "[features]",  # nothing of a session outlives it, asks other hosts or waits for ever
            *(f"{name} = false" for name in OFF),
            "[shell_environment_policy]",
            'inherit = "all"',
            'exclude = ["OPENAI_*", "CODEX_*"]',
            "[model_providers.orchestrator]",
            'name = "OpenAI"',
            f"base_url = {json.dumps(address)}",
            'env_key = "OPENAI_API_KEY"',
            'wire_api = "responses"',
            f"request_max_retries = {_RETRIES}",
            f"stream_max_retries = {_RETRIES}",
            f"[projects.{json.dumps(given.worktree)}]",
            'trust_level = "untrusted"',
            "",
        ]
    )


CLI = Cli(
    name="codex",
    keys=("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    start=start,
    tell=tell,
    address=lambda _: ("OPENAI_BASE_URL", _ADDRESS),
)
