"""The deterministic WorkflowManager: no model, no network. It applies the task's own `diff` blocks.

It goes through all eleven phases over the same broker as any agent, and what it claims is measured in
the same way. It is the embedded default of the demo, and useful by itself: a maintainer who puts a diff
into an issue gets it as a verified pull request.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.agents.base import ReviewRequest, process_problems
from orchestrator_action.agents.environment import agent_environment
from orchestrator_action.agents.review import MOST_REVIEW_BYTES
from orchestrator_action.errors import AgentError
from orchestrator_action.process.files import open_plain
from orchestrator_action.protocol.attempt import AgentReport, Command, Ending, Mark, Outcome
from orchestrator_action.protocol.model import TaskContext

_WORKER = "orchestrator_action.agents.patch.worker"


class PatchReader:
    """Reads the worker's plain lines: its last one is its closing words."""

    abort = ""

    def __init__(self) -> None:
        self._last = ""

    def feed(self, line: bytes) -> Mark | None:
        """Every line is activity."""
        if text := line.decode("utf-8", "replace").strip():
            self._last = text
        return Mark.ACTIVITY

    def report(self, outcome: Outcome) -> AgentReport:
        """A worker that ended otherwise than with 0 did not do its part."""
        problems = (
            ()
            if outcome.exit_code == 0
            else (self._last or f"the patch agent ended with {outcome.exit_code}",)
        )
        return AgentReport(text=self._last, problems=problems)


class PatchAgent:
    """`--agent patch`."""

    name = "patch"
    announces_start = False
    resumes = False

    def check(self) -> None:
        """It is part of this package: always there."""

    def version(self) -> str:
        """It has no version of its own."""
        return "built in"

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        """The worker in the task's worktree. `-I` keeps the checkout off `sys.path`."""
        argv = (sys.executable, "-I", "-m", _WORKER, "work", context.path)
        return Command(argv=argv, cwd=context.worktree_path, env=agent_environment(env))

    def hosts(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """None: it has no model."""
        return ()

    def reader(self) -> PatchReader:
        """A fresh reader."""
        return PatchReader()

    def words_of(self, line: bytes) -> str:
        """Its lines are words already."""
        return line.decode("utf-8", "replace").strip()

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        """A process of its own that compares the commit with the task's diff."""
        argv = (
            sys.executable, "-I", "-m", _WORKER, "review",
            request.task_path, request.base_sha, request.head_sha, request.output_path,
        )  # fmt: skip
        return Command(argv=argv, cwd=request.worktree_path, env=agent_environment(env))

    def review_findings(self, request: ReviewRequest, log: Path, outcome: Outcome) -> str:
        """The findings file of the reviewer."""
        if outcome.ending is not Ending.EXITED or outcome.exit_code != 0:
            raise AgentError(
                f"the reviewer did not end well: {'; '.join(process_problems(outcome)) or outcome.ending}",
                hint=f"see {log}",
            )
        try:
            with open(request.output_path, encoding="utf-8", errors="replace", opener=open_plain) as findings:
                return findings.read(MOST_REVIEW_BYTES)
        except OSError as exc:
            raise AgentError(f"the reviewer left no findings: {exc.strerror}", hint=f"see {log}") from exc
