"""Any program as the agent: an argument list from the configuration, started without a shell.

All that makes the others trustworthy is outside of the agent, so a script of five lines will do. It gets the
prompt (the rules, the eleven phases with their commands, the task), has `orchestrator-phase` on its PATH, and
sees no variable but ordinary ones, the broker's, and those that the configuration names.

A line of its output that is a JSON object may tell progress: `{"message": "reads src/app.py", "turns": 3,
"cost_usd": 0.02}`. Everything else is shown as it is.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_action.agents.base import ReviewRequest, check_program, process_problems
from orchestrator_action.agents.environment import agent_environment, command_environment
from orchestrator_action.agents.event_line import count_of
from orchestrator_action.agents.hosts import hosts_named
from orchestrator_action.agents.refusals import wait_s
from orchestrator_action.agents.review import MOST_REVIEW_BYTES, bare_json
from orchestrator_action.agents.review import prompt as review_prompt
from orchestrator_action.agents.words import cut_words
from orchestrator_action.config.schema import AgentCommand
from orchestrator_action.errors import AgentError, ConfigError
from orchestrator_action.process.files import open_plain
from orchestrator_action.protocol.attempt import AgentReport, Command, Ending, Mark, Outcome
from orchestrator_action.protocol.model import TaskContext
from orchestrator_action.sandbox.start import run_to_end

_PASSING = re.compile(
    r"overloaded|rate.?limit|too many requests|\b(?:429|502|503|529)\b|timed out|connection (?:reset|refused)",
    re.I,
)
_PLACES = ("prompt_file", "prompt", "context", "model")
_PLACE = re.compile(rf"\{{({'|'.join(_PLACES)})\}}")
_LIKE_A_PLACE = re.compile(r"\{([\w-]+)\}")
_MOST_BYTES = 131_071
"""Of one argument: Linux takes 131,072 with the zero at its end (MAX_ARG_STRLEN)."""
_MOST_SAID = 4000
"""Characters that are kept of a line."""
_MOST_TURNS, _MOST_USD = 1_000_000, 1_000_000.0
"""What says more counted wrongly."""
_ON_STDIN = 'exec "$@" <"$ORCHESTRATOR_PROMPT"'


class CommandReader:
    """Reads plain lines, and lines of JSON that tell progress."""

    abort = ""

    def __init__(self) -> None:
        self._last = ""
        self._turns: int | None = None
        self._cost: float | None = None

    def feed(self, line: bytes) -> Mark | None:
        """Every line is activity."""
        told = progress_of(line)
        if told is None:
            self._last = line[: 4 * _MOST_SAID].decode("utf-8", "replace").strip()[:_MOST_SAID] or self._last
            return Mark.ACTIVITY
        self._last = str(told.get("message") or self._last)[:_MOST_SAID]
        turns, cost = told.get("turns"), told.get("cost_usd")
        if isinstance(turns, int) and count_of(turns, _MOST_TURNS) is not None:
            self._turns = turns
        self._cost = self._cost if (usd := count_of(cost, _MOST_USD)) is None else usd
        return Mark.ACTIVITY

    def report(self, outcome: Outcome) -> AgentReport:
        """A program that ended otherwise than with 0 did not do its part."""
        good = outcome.ending is Ending.EXITED and outcome.exit_code == 0
        passing = not good and bool(_PASSING.search(self._last))
        how = (
            f"exit code {outcome.exit_code}"
            if outcome.exit_code is not None
            else f"ended by {outcome.ending}"
        )
        return AgentReport(
            text=self._last,
            turns=self._turns,
            cost_usd=self._cost,
            problems=() if good else (f"{how}: {cut_words(self._last)}" if self._last else how,),
            transient=passing,
            retry_after_s=wait_s(self._last) if passing else 0.0,
        )


def progress_of(line: bytes) -> dict[str, Any] | None:
    """The progress that a line tells as JSON; None for any other line."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(told, dict) and told.keys() & {"message", "turns", "cost_usd"}
    return told if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAgent:
    """`--agent command`."""

    settings: AgentCommand
    args: tuple[str, ...] = ()
    env_names: tuple[str, ...] = ()

    name = "command"
    announces_start = False
    resumes = False

    def check(self) -> None:
        """Raise ConfigError when no program is configured, AgentError when it is not there."""
        if not self.settings.argv:
            raise ConfigError(
                "the agent `command` has no program",
                hint="set it in .github/orchestrator.yml: agent-command: {argv: [my-agent, '{prompt_file}']}",
            )
        check_program(
            self.settings.argv[0], self.settings.install or "install it, or name it by its whole path"
        )
        for word in self.settings.argv:
            for name in _LIKE_A_PLACE.findall(word):
                near = difflib.get_close_matches(name, _PLACES, 1, 0.75)
                if near and name not in _PLACES:
                    raise ConfigError(
                        f"agent-command has no place {{{name}}}", hint=f"did you mean {{{near[0]}}}?"
                    )

    def version(self) -> str:
        """What its version command prints first; an empty string when there is none."""
        if not self.settings.version:
            return ""
        try:
            done = run_to_end(list(self.settings.version), env=command_environment(os.environ), timeout_s=20)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        """The exact process for one attempt."""
        prompt = Path(context.prompt_path)
        if context.message:  # taken up again: what is open comes first
            prompt = _private_file(private, "prompt.md", f"{context.message}\n\n{prompt.read_text('utf-8')}")
        return self._command(prompt, context.path, cwd=context.worktree_path, env=env, private=private)

    def hosts(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """Those of the addresses among its variables: nobody knows its model."""
        return hosts_named(env)

    def reader(self) -> CommandReader:
        """A fresh reader."""
        return CommandReader()

    def words_of(self, line: bytes) -> str:
        """The message of a line that tells progress; any other line as it is."""
        told = progress_of(line)
        return str(told.get("message", "")) if told is not None else line.decode("utf-8", "replace").strip()

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        """The same program with the reviewer's prompt, without the broker; it prints its findings as JSON."""
        folder = private / "review"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        prompt = _private_file(private, "review.md", review_prompt(request, folder))
        made = self._command(prompt, request.task_path, cwd=request.worktree_path, env=env, private=private)
        kept = {
            n: v
            for n, v in made.env.items()
            if not n.startswith("ORCHESTRATOR_") or n == "ORCHESTRATOR_PROMPT"
        }
        return Command(argv=made.argv, cwd=made.cwd, env=kept)

    def review_findings(self, request: ReviewRequest, log: Path, outcome: Outcome) -> str:
        """The JSON of its findings, from the file it was named or from what it printed.

        Raises AgentError when the review did not take place.
        """
        if outcome.ending is not Ending.EXITED or outcome.exit_code != 0:
            raise AgentError(
                f"the reviewer did not end well: {'; '.join(process_problems(outcome)) or outcome.ending}",
                hint=f"see {log}",
            )
        for source in (Path(request.output_path), log):
            with contextlib.suppress(OSError), open(source, "rb", opener=open_plain) as said:
                lines = said.read(MOST_REVIEW_BYTES).decode("utf-8", "replace").splitlines()
                return bare_json("\n".join(line for line in lines if progress_of(line.encode()) is None))
        raise AgentError("the reviewer left no findings", hint=f"see {log}")

    def _command(
        self, prompt: Path, context: str, *, cwd: str, env: Mapping[str, str], private: Path
    ) -> Command:
        argv = _filled((*self.settings.argv, *self.args), prompt, context, self.settings.model)
        if self.settings.stdin == "prompt":
            argv = ("/bin/sh", "-c", _ON_STDIN, "sh", *argv)
        chosen = agent_environment(env, extra=(*self.settings.env, *self.env_names))
        return Command(argv=argv, cwd=cwd, env={**chosen, "ORCHESTRATOR_PROMPT": str(prompt)})


def _filled(argv: Sequence[str], prompt: Path, context: str, model: str) -> tuple[str, ...]:
    """The arguments with their places filled in. Raises ConfigError for a prompt that no argument can hold."""
    text = prompt.read_text("utf-8", "replace").replace("\0", "\N{SYMBOL FOR NULL}")
    values = {"prompt": text, "prompt_file": str(prompt), "context": context, "model": model}
    filled = tuple(_PLACE.sub(lambda m: values[m[1]], word) for word in argv)
    if any(len(word.encode()) > _MOST_BYTES for word in filled):
        raise ConfigError(
            f"the prompt of {len(text.encode())} bytes does not fit into an argument of {shlex.quote(argv[0])}",
            hint="use {prompt_file} or stdin: prompt in agent-command",
        )
    return filled


def _private_file(private: Path, name: str, text: str) -> Path:
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = private / name
    path.write_text(text, encoding="utf-8", errors="replace")
    return path
