"""What a line of the claude CLI's stream says, in words for a person: "reads src/app.py", "runs the tests"."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator_action.agents.words import file_words, shell_words


def claude_words(line: bytes) -> str:
    """The words of one line; empty when it says nothing of what the agent does."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        text = line.decode("utf-8", "replace").strip()
        return "" if text.startswith("{") else text
    if not isinstance(event, dict):
        return ""
    if event.get("type") == "assistant":
        return "; ".join(filter(None, map(_block_words, _blocks(event))))
    if event.get("type") == "system" and event.get("subtype") == "api_retry":
        return f"the API asks to wait: {event.get('error') or event.get('error_status') or 'no reason given'}"
    if event.get("type") == "system" and event.get("subtype") == "init":
        return f"session begins, model {event.get('model') or 'unknown'}"
    if event.get("type") == "result":
        return f"says: {event['result']}" if isinstance(event.get("result"), str) else ""
    return ""


def _blocks(event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    return [b for b in content if isinstance(b, Mapping)] if isinstance(content, list) else []


def _block_words(block: Mapping[str, Any]) -> str:
    if block.get("type") == "text" and str(block.get("text", "")).strip():
        return f"says: {block['text']}"
    if block.get("type") != "tool_use":
        return ""
    given = block.get("input")
    given = given if isinstance(given, Mapping) else {}
    tell = _TOOLS.get(str(block.get("name")))
    return tell(given) if tell else f"uses {block.get('name')}"


def _file(given: Mapping[str, Any]) -> str:
    return file_words(str(given.get("file_path") or given.get("notebook_path") or given.get("path") or ""))


_TOOLS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "Read": lambda g: f"reads {_file(g)}",
    "Write": lambda g: f"writes {_file(g)}",
    "Edit": lambda g: f"edits {_file(g)}",
    "MultiEdit": lambda g: f"edits {_file(g)}",
    "NotebookEdit": lambda g: f"edits {_file(g)}",
    "Bash": lambda g: shell_words(str(g.get("command", ""))),
    "Grep": lambda g: f"searches for {g.get('pattern', '')}",
    "Glob": lambda g: f"looks for {g.get('pattern', '')}",
    "LS": lambda g: f"lists {_file(g)}",
    "WebFetch": lambda g: f"fetches {g.get('url', '')}",
    "WebSearch": lambda g: f"searches the web for {g.get('query', '')}",
    "TodoWrite": lambda _: "writes its list of things to do",
    "Task": lambda g: f"asks a helper: {g.get('description', '')}",
}
