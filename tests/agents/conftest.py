"""One session of the real CLI in a real repository, with the real `orchestrator-phase` and a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.agents.base import Agent, Reader
from orchestrator_action.agents.claude.agent import ClaudeAgent
from orchestrator_action.agents.key_proxy import kept_keys
from orchestrator_action.agents.meter import Meter, metered
from orchestrator_action.agents.registry import make_meter, model_routes_of
from orchestrator_action.config.schema import AgentCommand, Config
from orchestrator_action.protocol.attempt import AgentReport, Command, Ending, Limits, Outcome
from orchestrator_action.protocol.model import Task, TaskContext
from orchestrator_action.protocol.phases import IDS
from orchestrator_action.protocol.wire import (
    CONTEXT_VARIABLE,
    SOCKET_VARIABLE,
    TOKEN_VARIABLE,
    PhaseAnswer,
    PhaseRequest,
)
from orchestrator_action.work.broker import Broker
from tests.kit.messages_api import claude_env
from tests.kit.repos import Repo


@dataclass
class Bench:
    """A worktree, a task in it, and a way to run sessions on it."""

    root: Path
    repo: Repo
    agent: Any
    context: TaskContext
    address: Callable[[str], Mapping[str, str]]
    """The variables by which this agent finds its API."""
    env: dict[str, str] = field(default_factory=dict)
    reminders: int = 0
    asked: list[str] = field(default_factory=list)
    played: Any = None
    """How the agent's program is had and pointed at loopback."""

    def ask(self, request: PhaseRequest) -> PhaseAnswer:
        """The broker's handler: says that phases are open as often as it was told to."""
        self.asked.append(request.verb)
        if request.verb != "open" or not self.reminders:
            return PhaseAnswer(ok=True, message="nothing is open")
        self.reminders -= 1
        return PhaseAnswer(ok=False, message="still open: testing, review", detail={"block": True})

    @property
    def prompt(self) -> Path:
        """The task's prompt."""
        return Path(self.context.prompt_path)

    def command(self, url: str, *, context: TaskContext | None = None, **env: str) -> Command:
        return self.agent.command(
            context or self.context,
            env={**self.env, **self.address(url), **env},
            private=self.root / "private",
        )

    def session(
        self, url: str, *, context: TaskContext | None = None, timeout_s: float = 60.0, **env: str
    ) -> tuple[AgentReport, Outcome]:
        """One session to its end, or to the reader's abort."""
        return run(
            self.command(url, context=context, **env), self.agent.reader(), self.root / "agent.log", timeout_s
        )

    def metered(
        self, url: str, *, context: TaskContext | None = None, timeout_s: float = 60.0, **address: str
    ) -> tuple[AgentReport, Outcome, Meter]:
        """The same with its key kept by the proxy, as in a run, and what that counted; given up when it says so."""
        agent, given = self.agent, context or self.context
        gave_up: list[str] = []
        settings = self.settings
        meter = make_meter(agent.name, settings, give_up=gave_up.append, max_turns=given.limits.max_turns)
        with kept_keys(
            model_routes_of(agent.name, settings), {**self.address(url), **address}, meter
        ) as kept:
            command = agent.command(given, env={**self.env, **kept}, private=self.root / "private")
            report, outcome = run(
                command, agent.reader(), self.root / "agent.log", timeout_s, gave_up=lambda: bool(gave_up)
            )
        return metered(report, meter), outcome, meter

    @property
    def settings(self) -> Config:
        """A configuration that says of a program of the user's what it may see."""
        return Config(agent_command=AgentCommand(argv=("a",), env=tuple(self.address(""))))

    def log(self) -> str:
        """What the session printed."""
        return (self.root / "agent.log").read_text(encoding="utf-8", errors="replace")

    def log_events(self) -> list[Mapping[str, object]]:
        lines = (self.root / "agent.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def run(
    command: Command,
    reader: Reader,
    log: Path,
    timeout_s: float = 60.0,
    *,
    gave_up: Callable[[], bool] = lambda: False,
) -> tuple[AgentReport, Outcome]:
    """Start it as a supervisor would, output to a file, and end it when the reader or the meter gives it up."""
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
            given_up = bool(reader.abort) or gave_up()
            if given_up or time.monotonic() > deadline:
                ending = Ending.ABORTED if given_up else Ending.TIMEOUT
                os.killpg(
                    process.pid, signal.SIGKILL
                )  # what npm installs is a program that starts the real one
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
def bench(tmp_path: Path, claude_cli: Path, make: Callable[..., Repo]) -> Iterator[Bench]:
    """The real Claude CLI at a task."""
    home = tmp_path / "home"
    home.mkdir()
    env = claude_env(home, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    agent = ClaudeAgent(executable=str(claude_cli))
    with bench_of(agent, tmp_path, make, env, lambda url: {"ANTHROPIC_BASE_URL": url}) as made:
        yield made


@contextmanager
def bench_of(
    agent: Agent,
    root: Path,
    make: Callable[..., Repo],
    env: Mapping[str, str],
    address: Callable[[str], Mapping[str, str]],
) -> Iterator[Bench]:
    """An agent at a task in a repository whose path has a space, with a broker for its claims."""
    repo = make({"README.md": "# hello\n", "calc.py": "def add(a, b):\n    return a + b\n"}, name="a repo")
    folder = root / "a run"
    for made in (folder, root / "private"):
        made.mkdir()
    phases = "\n".join(f"{n}. {i}" for n, i in enumerate(IDS, 1))
    (folder / "prompt.md").write_text(
        f"# Teach calc to subtract\n\nAdd `sub(a, b)`.\n\n{phases}\n", encoding="utf-8"
    )
    context = context_in(repo, folder)
    written = {
        "worktree_path": context.worktree_path,
        "prompt_path": context.prompt_path,
        "base_sha": context.base_sha,
    }
    Path(context.path).write_text(json.dumps(written), encoding="utf-8")
    with Broker() as broker:
        made_bench = Bench(root, repo, agent, context, address, dict(env))
        made_bench.env |= {
            SOCKET_VARIABLE: str(broker.path),
            TOKEN_VARIABLE: broker.register(made_bench.ask),
            CONTEXT_VARIABLE: context.path,
        }
        yield made_bench


def context_in(repo: Repo, folder: Path) -> TaskContext:
    """A task in this repository, whose files are in `folder`."""
    return TaskContext(
        path=str(folder / "context.json"),
        task=Task(
            id="issue-7",
            title="Teach calc to subtract",
            text="Add `sub(a, b)`.",
            branch="orchestrator/issue-7",
        ),
        run_id="r1",
        attempt=1,
        worktree_path=str(repo.path),
        prompt_path=str(folder / "prompt.md"),
        base_sha=repo.git("rev-parse", "HEAD"),
        base_branch="main",
        limits=Limits(),
        test_commands=(),
        digest="0" * 64,
    )


def limited(context: TaskContext, **limits: float) -> TaskContext:
    """The same task with other limits."""
    return replace(context, limits=replace(context.limits, **limits))  # type: ignore[arg-type]
