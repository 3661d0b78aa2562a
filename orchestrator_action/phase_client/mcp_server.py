"""The broker's verbs as tools of a server that speaks the Model Context Protocol on stdin and stdout.

For agents that have no shell to call `orchestrator-phase` in; it starts this as `orchestrator-phase mcp`. Each tool
asks the broker as the command does, and answers with the same words. Needs the extra `mcp`.

Source: modelcontextprotocol.io, "Tools".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mcp.server import MCPServer

from orchestrator_action.phase_client.main import digest_of_context, prompt_of_context
from orchestrator_action.protocol.connection import ask
from orchestrator_action.protocol.phases import IDS
from orchestrator_action.protocol.wire import TOKEN_VARIABLE, PhaseRequest

_ABOUT = f"""The phases of your task, in order: {", ".join(IDS)}. A claim is measured at once; the answer says what is
open. Begin with `show`."""


def make_server(env: Mapping[str, str]) -> MCPServer:
    """The server for the task that `env` names."""
    server: MCPServer = MCPServer("orchestrator", instructions=_ABOUT)
    token = env.get(TOKEN_VARIABLE, "")

    async def said(request: PhaseRequest) -> str:
        answer = await asyncio.to_thread(ask, request, env)
        state = "still being measured" if answer.pending else "holds" if answer.ok else "open"
        return f"{state}: {answer.message}"

    @server.tool()
    async def show() -> str:
        """Print the task, its phases and how each stands."""
        answer = await asyncio.to_thread(ask, PhaseRequest(token=token, verb="show"), env)
        return f"{prompt_of_context(env)}\n{answer.message}"

    @server.tool()
    async def status() -> str:
        """Print how each phase stands."""
        return await said(PhaseRequest(token=token, verb="status"))

    @server.tool()
    async def start(phase: str) -> str:
        """Say that you begin a phase."""
        return await said(PhaseRequest(token=token, verb="start", phase=phase))

    @server.tool()
    async def done(
        phase: str, note: str = "", text: str = "", no_change_needed: str = "", waive: str = ""
    ) -> str:
        """Claim a phase and have it measured. `text` is what is handed in: the plan, the pull request's body."""
        digest = digest_of_context(env) if phase == "initial-setup" else ""
        return await said(
            PhaseRequest(
                token=token, verb="done", phase=phase, note=note, file=text, digest=digest,
                no_change=no_change_needed, waive=waive,
            )
        )  # fmt: skip

    @server.tool()
    async def wait(phase: str) -> str:
        """Wait for a measurement that is still running."""
        return await said(PhaseRequest(token=token, verb="wait", phase=phase))

    @server.tool()
    async def stop(because: str, needs: str = "") -> str:
        """Say that you cannot do this task, and why: an honest end, not a failure."""
        if not because.strip():
            return "open: because needs a reason"
        return await said(PhaseRequest(token=token, verb="stop", because=because, needs=needs))

    return server
