"""Speaks the Agent Client Protocol to a program, within its walls: [--reads-only] [--session ID] -- PROGRAM [ARG …].

The prompt comes on stdin, one JSON object a line goes out. Only one session is opened, and only one prompt given.
Whatever the program asks to be allowed is allowed; in a review nothing is that is more than reading. It gets neither
files nor terminals of ours: it has its own, inside the same walls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import acp
from acp import schema

from orchestrator_action.protocol.wire import CONTEXT_VARIABLE, SOCKET_VARIABLE, TOKEN_VARIABLE

_READS = frozenset({"read", "search", "think", "fetch"})
_LONGEST_LINE = 64 * 1024**2
_SAYS_NO = 3
_LOGIN_WANTED = -32000
"""Source: agentclientprotocol.com, "Authentication"."""


class OneSession:
    """Our side of the protocol: prints what happens, and answers what is asked."""

    def __init__(self, *, reads_only: bool) -> None:
        self._reads_only = reads_only
        self._told: set[str] = set()
        self.quiet = False
        """While an earlier session is read again."""
        self.cost_usd: float | None = None

    async def request_permission(
        self,
        session_id: str,
        tool_call: schema.ToolCallUpdate,
        options: list[schema.PermissionOption],
        **_: Any,
    ) -> schema.RequestPermissionResponse:
        """Allowed once, or for always where that is all there is; in a review only what reads."""
        allowed = not self._reads_only or tool_call.kind in _READS
        wanted = ("allow_once", "allow_always") if allowed else ("reject_once", "reject_always")
        by_kind = {option.kind: option.option_id for option in options}
        chosen = next((by_kind[kind] for kind in wanted if kind in by_kind), None)
        outcome: Any = schema.DeniedOutcome(outcome="cancelled")
        if chosen is not None:
            outcome = schema.AllowedOutcome(outcome="selected", option_id=chosen)
        return schema.RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """Print words and tool calls. A call is told once: when its command is known, or when it has ended."""
        if (
            isinstance(update, schema.UsageUpdate)
            and update.cost is not None
            and update.cost.currency == "USD"
        ):
            self.cost_usd = update.cost.amount
        if self.quiet:
            return
        if isinstance(update, schema.AgentMessageChunk) and isinstance(
            update.content, schema.TextContentBlock
        ):
            put_event(type="text", text=update.content.text)
        if isinstance(update, schema.ToolCallStart | schema.ToolCallProgress):
            self._tool(update)

    def _tool(self, update: schema.ToolCallStart | schema.ToolCallProgress) -> None:
        given = update.raw_input if isinstance(update.raw_input, dict) else {}
        command = given.get("command")
        command = " ".join(map(str, command)) if isinstance(command, list) else command
        ended = update.status in {"completed", "failed"}
        if update.tool_call_id not in self._told and (command or ended):
            self._told.add(update.tool_call_id)
            put_event(
                type="tool", title=update.title or "", kind=update.kind or "", command=str(command or "")
            )


def put_event(**event: Any) -> None:
    """One event as a line."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def error_of(exc: Exception) -> str:
    """What went wrong, with what the program says of it: the protocol's own words tell little."""
    details = getattr(exc, "data", None)
    words = [str(exc) or type(exc).__name__, json.dumps(details) if details else ""]
    return ": ".join(filter(None, words))


async def work(program: Sequence[str], prompt: str, session: str, *, reads_only: bool) -> None:
    """One prompt in one session, new or taken up again."""
    client: Any = OneSession(reads_only=reads_only)  # it offers neither files nor terminals
    tree, servers = str(Path.cwd()), phase_servers()
    streams = {"stderr": None, "limit": _LONGEST_LINE}
    spawned = acp.spawn_agent_process(
        client, *program, env=dict(os.environ), cwd=tree, transport_kwargs=streams
    )
    async with spawned as (agent, _):
        met = await agent.initialize(protocol_version=acp.PROTOCOL_VERSION)
        name = met.agent_info.name if met.agent_info else ""
        can_load = bool(met.agent_capabilities and met.agent_capabilities.load_session)
        before = session
        if not (session and can_load and await _is_loaded(agent, client, tree, session, servers)):
            session = await _new_session(agent, met.auth_methods or (), tree, servers)
            prompt = again(prompt) if before else prompt
        put_event(type="session", id=session, agent=name, loads=can_load)
        answer = await agent.prompt(session_id=session, prompt=[acp.text_block(prompt)])
        put_event(
            type="end", why=answer.stop_reason, cost_usd=client.cost_usd
        )  # of tokens some tell the last request's only


def phase_servers() -> list[Any]:
    """The broker's verbs as tools, for a program without a shell; none in a review, nor without the extra `mcp`."""
    if SOCKET_VARIABLE not in os.environ or importlib.util.find_spec("mcp") is None:
        return []
    named = (SOCKET_VARIABLE, TOKEN_VARIABLE, CONTEXT_VARIABLE)
    env = [schema.EnvVariable(name=n, value=os.environ[n]) for n in named if n in os.environ]
    args = ["-I", "-m", "orchestrator_action.phase_client.main", "mcp"]
    return [schema.McpServerStdio(name="orchestrator", command=sys.executable, args=args, env=env)]


async def _new_session(agent: Any, ways: Sequence[Any], tree: str, servers: Sequence[Any]) -> str:
    """A session's id. Some programs take a key of their environment only when they are told to log in by it."""
    by_key = [way.id for way in ways if "key" in way.id.lower()]
    while True:
        try:
            return str((await agent.new_session(cwd=tree, mcp_servers=servers)).session_id)
        except acp.RequestError as exc:
            if exc.code != _LOGIN_WANTED or not by_key:
                raise
        with contextlib.suppress(acp.RequestError):  # a key of another kind, which is not there
            await agent.authenticate(method_id=by_key.pop(0))


async def _is_loaded(agent: Any, client: Any, tree: str, session: str, servers: Sequence[Any]) -> bool:
    """Whether an earlier session goes on. What it said before is told again, and is no news."""
    client.quiet = True
    try:
        await agent.load_session(cwd=tree, session_id=session, mcp_servers=servers)
    except acp.RequestError as exc:
        sys.stderr.write(f"the earlier session is lost: {error_of(exc)}\n")
        return False
    finally:
        client.quiet = False
    return True


def again(message: str) -> str:
    """What a program is told that has forgotten its session."""
    return f"You are at work on a task. `orchestrator-phase show` prints all of it.\n\n{message}"


def main() -> int:
    """0 when the session came to its end; what went wrong is an event."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--reads-only", action="store_true")
    options.add_argument("--session", default="")
    options.add_argument("program", nargs="+")
    given = options.parse_args()
    logging.getLogger().addHandler(
        logging.NullHandler()
    )  # what a program says against the protocol is no news
    prompt = sys.stdin.read()
    try:
        asyncio.run(work(given.program, prompt, given.session, reads_only=given.reads_only))
    except (acp.RequestError, OSError, ValueError, ConnectionError) as exc:
        with contextlib.suppress(BrokenPipeError):
            put_event(type="error", message=error_of(exc))
        return _SAYS_NO
    return 0


if __name__ == "__main__":
    sys.exit(main())
