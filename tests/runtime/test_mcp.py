"""The broker's verbs as an MCP server, asked by the official client, with a real broker behind it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from orchestrator_action.protocol.wire import (
    CONTEXT_VARIABLE,
    SOCKET_VARIABLE,
    TOKEN_VARIABLE,
    PhaseAnswer,
    PhaseRequest,
    context_digest,
)
from orchestrator_action.work.broker import Broker

SERVER = ["-I", "-m", "orchestrator_action.phase_client.main", "mcp"]


@pytest.fixture
def asked() -> list[PhaseRequest]:
    return []


def talk(
    tmp_path: Path, asked: list[PhaseRequest], *calls: tuple[str, dict[str, Any]]
) -> tuple[list[str], list[Any]]:
    """The names of the tools, and the results of these calls."""

    def answer(request: PhaseRequest) -> PhaseAnswer:
        asked.append(request)
        return PhaseAnswer(
            ok=request.verb != "done" or request.phase != "testing", message=f"{request.verb} heard"
        )

    (tmp_path / "prompt.md").write_text("Teach calc to subtract")
    context = {"prompt_path": str(tmp_path / "prompt.md"), "task_id": "issue-7"}
    (tmp_path / "context.json").write_text(json.dumps(context))

    async def session() -> tuple[list[str], list[Any]]:
        async with stdio_client(server) as (read, write), ClientSession(read, write) as client:
            await client.initialize()
            tools = (await client.list_tools()).tools
            return [t.name for t in tools], [await client.call_tool(name, given) for name, given in calls]

    with Broker() as broker:
        env = {
            SOCKET_VARIABLE: str(broker.path),
            TOKEN_VARIABLE: broker.register(answer),
            CONTEXT_VARIABLE: str(tmp_path / "context.json"),
            "PATH": os.environ["PATH"],
        }
        server = StdioServerParameters(command=sys.executable, args=SERVER, env=env)
        return asyncio.run(session())


def test_each_verb_is_a_tool_and_asks_the_broker(tmp_path: Path, asked: list[PhaseRequest]) -> None:
    tools, results = talk(
        tmp_path, asked, ("show", {}), ("status", {}), ("start", {"phase": "testing"}),
        ("done", {"phase": "initial-setup"}), ("done", {"phase": "testing", "note": "n", "text": "t"}),
        ("wait", {"phase": "testing"}), ("stop", {"because": "no key", "needs": "one"}),
    )  # fmt: skip

    assert ["show", "status", "start", "done", "wait", "stop"] == tools
    said = [r.content[0].text for r in results]
    assert "Teach calc to subtract" in said[0]
    assert ["holds: done heard", "open: done heard"] == said[3:5]
    assert ["show", "status", "start", "done", "done", "wait", "stop"] == [r.verb for r in asked]
    assert context_digest(json.loads((tmp_path / "context.json").read_text())) == asked[3].digest
    assert ("n", "t", "no key", "one") == (asked[4].note, asked[4].file, asked[6].because, asked[6].needs)


def test_a_stop_without_a_reason_reaches_nobody(tmp_path: Path, asked: list[PhaseRequest]) -> None:
    _, [result] = talk(tmp_path, asked, ("stop", {"because": " "}))

    assert "needs a reason" in result.content[0].text
    assert [] == asked


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """A copy of the package beside no library at all."""
    import orchestrator_action

    (tmp_path / "orchestrator_action").symlink_to(Path(orchestrator_action.__file__).parent)
    code = "from orchestrator_action.phase_client.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code, "mcp"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"]}, check=False,
    )  # fmt: skip

    assert 2 == done.returncode
    assert "hint: pip install 'orchestrator-action[mcp]'" in done.stderr
