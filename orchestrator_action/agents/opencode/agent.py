"""opencode in its headless mode, `opencode run --format json`, with the model of one of several vendors.

The vendor is that of the model, `--model VENDOR/MODEL` in `agent-args`; without one it is Anthropic. Only this
vendor's key is seen, and no other vendor is on. Everything opencode reads and keeps is in folders of ours; what the
checkout says (`opencode.json`, `.opencode`, plugins, skills, instruction files) is switched off by its own variables.
Measured with 1.18.33.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator_action.agents.event_line import AgentEvent
from orchestrator_action.agents.headless import (
    Cli,
    Session,
    Start,
    Told,
    number_of,
    part_of,
    private_file,
    text_of,
    total_of,
)
from orchestrator_action.agents.words import shell_words, tool_words
from orchestrator_action.protocol.attempt import Mark

VENDORS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "google": ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
    "openrouter": ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"),
}
"""Key and address of each, by opencode's name of it."""
_USUAL = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com",
    "google": "https://generativelanguage.googleapis.com",
    "openrouter": "https://openrouter.ai",
}
"""Where each is without an address."""
_OFF = (
    "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_CLAUDE_CODE", "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    "OPENCODE_DISABLE_EXTERNAL_SKILLS", "OPENCODE_DISABLE_LSP_DOWNLOAD", "OPENCODE_DISABLE_PROJECT_CONFIG",
    "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_SHARE", "OPENCODE_PURE",
)  # fmt: skip
_VERBS = {"read": "reads", "write": "writes", "edit": "edits"}
_STREAM_ERROR = re.compile(r'message="stream error".*\bsmall=false.*\berror\.error="(.*?)"?$')
_READS_ONLY = dict.fromkeys(("edit", "bash", "webfetch", "websearch", "task", "external_directory"), "deny")


def start(given: Start) -> Session:
    """`opencode run`, with the prompt on stdin."""
    vendor, model = _model(given.args)
    key = VENDORS[vendor][0]
    config = private_file(given.private / "opencode.json", json.dumps(_config(given, vendor, model)))
    argv = (
        given.executable, "run", "--format", "json", "--print-logs", "--log-level", "ERROR",
        *(() if given.reads_only else ("--auto",)), *given.args,
        *(("--session", given.resume) if given.resume else ()),
    )  # fmt: skip
    folders = {
        f"XDG_{kind}_HOME": str(given.private / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")
    }
    others = {name: "" for name, _ in VENDORS.values() if name != key and name in given.env}
    env = {"OPENCODE_CONFIG": str(config), **folders, **dict.fromkeys(_OFF, "1"), **others}
    return Session(argv=argv, env=env)


def tell(event: AgentEvent) -> Told:
    """One line of `--format json`: `step_start`, `text`, `tool_use`, `step_finish` or `error`."""
    kind, part, session = event["type"], part_of(event, "part"), text_of(event, "sessionID")
    if kind == "step_start":
        return Told(mark=Mark.STARTED, session_id=session, finished=False)
    if kind == "step_finish":
        return _finished(part, session)
    if kind == "text":
        return Told(session_id=session, says=text_of(part, "text"))
    if kind == "tool_use":
        return Told(session_id=session, does=_doing(part))
    return (
        Told(mark=None, session_id=session, fault=_fault(part_of(event, "error")))
        if kind == "error"
        else Told()
    )


def hear(line: str) -> str:
    """The API's error in a line of the log: opencode asks again for minutes, and no event tells it."""
    found = _STREAM_ERROR.search(line)
    return found[1] if found else ""


def _finished(part: AgentEvent, session: str) -> Told:
    """A step is a turn of the model; one that ends with `stop` ends the work."""
    used = part_of(part, "tokens")
    tokens = total_of(used, "input", "output", "reasoning") + total_of(
        part_of(used, "cache"), "read", "write"
    )
    return Told(
        session_id=session, turns=1, tokens=tokens, cost_usd=number_of(part, "cost"),
        finished=text_of(part, "reason") == "stop",
    )  # fmt: skip


def _fault(error: AgentEvent) -> str:
    told = part_of(error, "data")
    words = text_of(told, "message") or text_of(error, "name") or "an error without words"
    status = number_of(told, "statusCode")
    return f"{status:.0f} {words}" if status and f"{status:.0f}" not in words else words


def _doing(part: AgentEvent) -> str:
    tool, given = text_of(part, "tool"), part_of(part_of(part, "state"), "input")
    if tool == "bash":
        return shell_words(text_of(given, "command"))
    return tool_words(tool, text_of(given, "filePath"), _VERBS)


def _model(args: Sequence[str]) -> tuple[str, str]:
    """Vendor and model, as the arguments name them."""
    named = ""
    for name, value in zip(args, [*args[1:], ""], strict=False):
        if name in {"-m", "--model"}:
            named = value
        elif name.startswith("--model="):
            named = name.removeprefix("--model=")
    vendor, _, model = named.partition("/")
    return (vendor, model) if vendor in VENDORS else ("anthropic", "")


def _config(given: Start, vendor: str, model: str) -> Mapping[str, Any]:
    address = given.env.get(VENDORS[vendor][1])
    key = f"{{env:{VENDORS[vendor][0]}}}"
    options = {"apiKey": key, **({"baseURL": address} if address else {})}
    limits = {"agent": {"build": {"steps": given.max_turns}}} if given.max_turns > 0 else {}
    return {
        "share": "disabled",
        "autoupdate": False,
        "snapshot": False,
        "enabled_providers": [vendor],
        "provider": {vendor: {"options": options, **({"models": {model: {}}} if model else {})}},
        **({"small_model": f"{vendor}/{model}"} if model else {}),
        **({"permission": _READS_ONLY} if given.reads_only else {}),
        **limits,
    }


CLI = Cli(
    name="opencode",
    keys=tuple(name for pair in VENDORS.values() for name in pair),
    start=start,
    tell=tell,
    hear=hear,
    address=lambda args: (VENDORS[_model(args)[0]][1], _USUAL[_model(args)[0]]),
)
