"""One session of the real CLI in a real repository, with a small broker's stand-in on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator_action.agents.claude import ClaudeAgent
from orchestrator_action.agents.claude_stream import ClaudeReader
from orchestrator_action.core.model import (
    AgentReport,
    Command,
    Ending,
    Limits,
    Outcome,
    Task,
    TaskContext,
)
from orchestrator_action.core.phases import IDS
from tests.kit.messages_api import claude_env
from tests.kit.repos import Repo

PHASE_COMMAND = """\
#!{python} -I
# What a session asks `orchestrator-phase`, answered from files: the broker has tests of its own.
import json, os, sys
sys.path.insert(0, {root!r})
from orchestrator_action import guard
told = {told!r}
def read(name):
    try:
        with open(os.path.join(told, name), encoding="utf-8") as file: return file.read()
    except FileNotFoundError: return ""
match sys.argv[1:]:
    case ["opening", number]:
        print(guard.opening_part(read("opening.md"), int(number)))
    case ["hook-stop"]:
        event = json.load(sys.stdin)
        left = int(read("reminders") or 0)
        with open(os.path.join(told, "stops"), "a") as file: file.write(json.dumps(event) + "\\n")
        if left:
            with open(os.path.join(told, "reminders"), "w") as file: file.write(str(left - 1))
            print(json.dumps({{"decision": "block", "reason": "still open: testing, review"}}))
    case ["hook-pre-tool"]:
        reason = guard.pre_tool(json.load(sys.stdin), {worktree!r}, os.environ.get("ORCHESTRATOR_NOTES", ""))
        if reason:
            print(reason, file=sys.stderr)
            sys.exit(2)
    case _:
        print("unknown:", sys.argv, file=sys.stderr)
        sys.exit(64)
"""


@dataclass
class Bench:
    """A worktree, a task in it, and a way to run sessions on it."""

    root: Path
    repo: Repo
    agent: ClaudeAgent
    context: TaskContext
    env: dict[str, str] = field(default_factory=dict)

    @property
    def told(self) -> Path:
        """What the stand-in for the broker reads and writes."""
        return self.root / "told"

    def command(self, url: str, *, context: TaskContext | None = None, **env: str) -> Command:
        return self.agent.command(
            context or self.context,
            env={**self.env, "ANTHROPIC_BASE_URL": url, **env},
            private=self.root / "private",
        )

    def session(
        self, url: str, *, context: TaskContext | None = None, timeout_s: float = 60.0, **env: str
    ) -> tuple[AgentReport, Outcome]:
        """One session to its end, or to the reader's abort."""
        return run(
            self.command(url, context=context, **env), self.agent.reader(), self.root / "agent.log", timeout_s
        )

    def log_events(self) -> list[Mapping[str, object]]:
        lines = (self.root / "agent.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def run(
    command: Command, reader: ClaudeReader, log: Path, timeout_s: float = 60.0
) -> tuple[AgentReport, Outcome]:
    """Start it as a supervisor would, output to a file, and end it when the reader gives it up."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    ending = Ending.EXITED
    deadline = time.monotonic() + timeout_s
    with log.open("rb") as lines:
        rest = b""
        while True:
            ended = process.poll() is not None
            *complete, rest = (rest + lines.read()).split(b"\n")
            for line in complete:
                reader.feed(line)
            if ended:
                break
            if reader.abort or time.monotonic() > deadline:
                ending = Ending.CANCELLED if reader.abort else Ending.TIMEOUT
                process.kill()
                process.wait()
            time.sleep(0.02)
    reader.feed(rest)
    code = process.returncode
    outcome = Outcome(
        ending=ending,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        pid=process.pid,
    )
    return reader.report(outcome), outcome


@pytest.fixture
def bench(tmp_path: Path, claude_cli: Path, make: Callable[..., Repo]) -> Bench:
    """A task in a repository whose path has a space, and an environment from nothing."""
    repo = make({"README.md": "# hello\n", "calc.py": "def add(a, b):\n    return a + b\n"}, name="a repo")
    home, told, tools = tmp_path / "home", tmp_path / "told", tmp_path / "bin"
    for folder in (home, told, tools, tmp_path / "private"):
        folder.mkdir()
    phases = "\n".join(f"{n}. {i}" for n, i in enumerate(IDS, 1))
    (told / "opening.md").write_text(
        f"# Teach calc to subtract\n\nAdd `sub(a, b)`.\n\n{phases}\n", encoding="utf-8"
    )
    root = str(Path(__file__).resolve().parents[2])
    script = tools / "orchestrator-phase"
    script.write_text(
        PHASE_COMMAND.format(python=sys.executable, root=root, told=str(told), worktree=str(repo.path))
    )
    script.chmod(0o755)
    context_file = tmp_path / "a run" / "context.json"
    context_file.parent.mkdir()
    context_file.write_text("{}")
    context = TaskContext(
        path=str(context_file),
        task=Task(
            id="issue-7",
            title="Teach calc to subtract",
            text="Add `sub(a, b)`.",
            branch="orchestrator/issue-7",
        ),
        run_id="r1",
        attempt=1,
        worktree_path=str(repo.path),
        prompt_path="",
        base_sha=repo.git("rev-parse", "HEAD"),
        base_branch="main",
        limits=Limits(),
        test_commands=(),
        digest="0" * 64,
    )
    env = claude_env(home, path=f"{tools}:{os.environ['PATH']}")
    return Bench(tmp_path, repo, ClaudeAgent(executable=str(claude_cli)), context, env)


def limited(context: TaskContext, **limits: float) -> TaskContext:
    """The same task with other limits."""
    return replace(context, limits=replace(context.limits, **limits))  # type: ignore[arg-type]
