"""An agent of a test's own making: a real program per attempt, that says what it means in JSON lines.

{"started": true}   {"session": "s1", "turns": 2}   {"transient": true, "after": 0.1}
{"problem": "401 unauthorized"}   {"result": true}   {"cost": 0.5}
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator_action.agents.base import ReviewRequest
from orchestrator_action.agents.patch.agent import PatchAgent
from orchestrator_action.protocol.attempt import AgentReport, Command, Mark, Outcome
from orchestrator_action.protocol.model import TaskContext


class ScriptedReader:
    abort = ""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._problems: list[str] = []

    def feed(self, line: bytes) -> Mark | None:
        try:
            event = json.loads(line)
        except ValueError:
            return None
        if not isinstance(event, dict):
            return None
        self._said |= event
        if "problem" in event:
            self._problems.append(event["problem"])
        if "result" in event:
            return Mark.RESULT
        return Mark.STARTED if "started" in event else Mark.ACTIVITY

    def report(self, outcome: Outcome) -> AgentReport:
        transient = bool(self._said.get("transient"))
        problems = [*self._problems, *(["overloaded"] if transient else [])]
        if outcome.exit_code not in {0, None}:
            problems.append(f"it ended with {outcome.exit_code}")
        return AgentReport(
            session_id=self._said.get("session", ""),
            turns=self._said.get("turns"),
            cost_usd=self._said.get("cost"),
            problems=tuple(problems),
            transient=transient,
            retry_after_s=float(self._said.get("after", 0.0)),
        )


@dataclass
class ScriptedAgent(PatchAgent):
    """The n-th attempt at a task runs the n-th program; the last one serves for all further ones.

    Each is an argv; "patch" stands for the patch agent's own worker. `{n}` becomes the attempt's number.
    """

    programs: Sequence[Sequence[str] | str] = ("patch",)
    resumes: bool = False
    announces_start: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    reviewer: Sequence[str] = ()
    """The program of a review instead of the patch agent's; `{out}` becomes the file for its findings."""
    shell: Mapping[str, str] = field(default_factory=dict)
    """By task: a piece of shell in place of its program; `"$@"` in it is the patch agent's own worker."""
    given: list[TaskContext] = field(default_factory=list)
    """The contexts of all attempts, in order."""

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        self.given.append(context)
        program = self.programs[min(context.attempt, len(self.programs)) - 1]
        made = super().command(context, env=env, private=private)
        if piece := self.shell.get(context.task.id):
            return Command(
                argv=("sh", "-c", piece, "sh", *made.argv), cwd=made.cwd, env={**made.env, **self.env}
            )
        if program == "patch":
            return made
        argv = tuple(a.replace("{n}", str(context.attempt)) for a in program)
        return Command(argv=argv, cwd=made.cwd, env={**made.env, **self.env})

    def reader(self) -> Any:
        return ScriptedReader()

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        made = super().review_command(request, env=env, private=private)
        argv = tuple(a.replace("{out}", request.output_path) for a in self.reviewer)
        return replace(made, argv=argv or made.argv)


def say(*events: Mapping[str, Any], then: str = "") -> list[str]:
    """A program that prints these events, and then runs a piece of shell."""
    lines = "; ".join(f"printf '%s\\n' '{json.dumps(e)}'" for e in events)
    return ["sh", "-c", "; ".join(filter(None, (lines, then))) or ":"]


_CLAIMS = """import os, shlex, sys
from orchestrator_action.phase_client.main import run

for claim in sys.argv[1:]:
    run(shlex.split(claim), os.environ)
"""


def claims(*lines: str) -> str:
    """A piece of shell that calls `orchestrator-phase` with each of these lines, all in one process."""
    return shlex.join([sys.executable, "-I", "-c", _CLAIMS, *lines])


def overloaded(after_s: float = 0.0) -> list[str]:
    """A program that was told to come back later."""
    return say({"transient": True, "after": after_s}, then="exit 1")


def python(code: str) -> list[str]:
    """A program in Python."""
    return [sys.executable, "-I", "-S", "-E", "-c", code]
