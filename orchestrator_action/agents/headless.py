"""Agents that are a program with a headless mode: a prompt on stdin, JSON events on stdout.

What differs between them is a `Cli`: how a session is started, and what an event tells. Everything else is here
once: the prompt, the environment, the fold of the events, the review.

Exit code 0 is not success. A session has succeeded only when it ended with 0 and its last word was the event by
which that program says that a turn was finished.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.agents.base import ReviewRequest, check_program, process_problems
from orchestrator_action.agents.environment import agent_environment, command_environment
from orchestrator_action.agents.event_line import AgentEvent, count_of, event_of
from orchestrator_action.agents.hosts import hosts_named
from orchestrator_action.agents.refusals import MOST_REFUSALS, may_pass, wait_s
from orchestrator_action.agents.review import bare_json, read_findings
from orchestrator_action.agents.review import prompt as review_prompt
from orchestrator_action.agents.words import LONGEST_WORDS, cut_words
from orchestrator_action.protocol.attempt import AgentReport, Command, Ending, Mark, Outcome
from orchestrator_action.protocol.model import TaskContext
from orchestrator_action.sandbox.start import run_to_end

PROMPT_VARIABLE = "ORCHESTRATOR_PROMPT"
_ASKED = f'orchestrator-phase opening 0 >"${PROMPT_VARIABLE}" && exec "$@" <"${PROMPT_VARIABLE}"'
"""The session's own process writes its prompt: git is asked for the base's instructions inside the walls."""
_WRITTEN = f'exec "$@" <"${PROMPT_VARIABLE}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one event says. What it does not speak of stays as it is."""

    mark: Mark | None = Mark.ACTIVITY
    session_id: str = ""
    model: str = ""
    turns: int = 0
    """Turns taken since the last event that told some."""
    tokens: int = 0
    cost_usd: float | None = None
    """Since the last event that told some."""
    says: str = ""
    """Words of the agent; the last ones are its closing words."""
    joins: bool = False
    """True when these words go on where those of the event before ended."""
    does: str = ""
    """What it does, in words for a person."""
    finished: bool | None = None
    """True for the sign that a turn was finished, False for one that a turn begins."""
    fault: str = ""
    """An error, in the words of the program or its API. It counts unless a turn is finished after it."""
    limit: str = ""
    """`max-turns` when the program stopped at that limit."""

    @property
    def words(self) -> str:
        """The event in words for a person; empty when it says nothing of what the agent does."""
        said = f"says: {self.says}" if self.says.strip() else ""
        failed = f"the API says: {self.fault}" if self.fault else ""
        return "; ".join(filter(None, (said, self.does, failed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one process of a program is started for."""

    executable: str
    worktree: str
    private: Path
    """A directory of this task for configuration and state; outside the worktree."""
    env: Mapping[str, str]
    """What the caller's environment says of this program's model: its keys and addresses."""
    resume: str = ""
    """The session to take up again."""
    max_turns: int = 0
    """0 is no limit."""
    reads_only: bool = False
    """True for a review."""
    args: tuple[str, ...] = ()
    """Further arguments from the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The process that a program is started as, but for the prompt on its stdin."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Variables of its own, beside those of `Start`."""
    cwd: str = ""
    """Empty for the worktree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """A program with a headless mode. `start` writes its configuration."""

    name: str
    keys: tuple[str, ...]
    """The variables of its model: no other agent's."""
    start: Callable[[Start], Session]
    tell: Callable[[AgentEvent], Told]
    hear: Callable[[str], str] = lambda _: ""
    """The API's error that a line which is no event tells; empty for any other line."""
    address: Callable[[Sequence[str]], tuple[str, str]] | None = None
    """By its further arguments: the variable that says where its model is, and where it is without that.
    None: every address that its environment names."""
    resumes: bool = True


class EventReader:
    """Folds the events of one session."""

    def __init__(self, cli: Cli) -> None:
        self._tell, self._hear = cli.tell, cli.hear
        self._session_id = self._model = self._text = self._fault = self._limit = ""
        self._turns = self._tokens = 0
        self._cost: float | None = None
        self._finished = self._joins = False
        self._refusals = 0
        self._plain: deque[str] = deque(maxlen=5)

    @property
    def abort(self) -> str:
        """Why this session cannot succeed any more; empty while it can."""
        return f"it asks again and again: {self._fault}" if self._refusals >= MOST_REFUSALS else ""

    def feed(self, line: bytes) -> Mark | None:
        """Take one line without its newline; never raises on garbage. None means no progress."""
        event = event_of(line)
        if event is None:
            self._keep_words(line)
            return None
        told = self._tell(event)
        self._refusals = 0
        self._session_id = told.session_id or self._session_id
        self._model = told.model or self._model
        self._turns += told.turns
        self._tokens += told.tokens
        if told.cost_usd is not None:
            self._cost = (self._cost or 0.0) + told.cost_usd
        if told.says:
            self._text = self._text + told.says if told.joins and self._joins else told.says
        self._joins = told.joins
        self._limit = told.limit or self._limit
        if told.fault:
            self._fault, self._finished = cut_words(told.fault), False
        if told.finished is not None:
            self._finished = told.finished
        return told.mark

    def report(self, outcome: Outcome) -> AgentReport:
        """What the output amounts to, now that the process has ended like this."""
        problems = self._problems(outcome)
        ended = outcome.ending in {Ending.EXITED, Ending.ABORTED, Ending.RESULT_GRACE, Ending.STALLED}
        passing = bool(problems) and not self._limit and ended and may_pass(self._why)
        return AgentReport(
            session_id=self._session_id,
            model=self._model,
            turns=self._turns,
            cost_usd=self._cost,
            own_tokens=self._tokens,
            cost_tokens=self._tokens if self._cost is not None else 0,
            text=self._text,
            problems=problems,
            limit=self._limit,
            api_failed=bool(problems and self._fault and self._turns) and outcome.ending is Ending.EXITED,
            transient=passing,
            retry_after_s=wait_s(self._why) if passing else 0.0,
        )

    @property
    def _why(self) -> str:
        """Why the session did not finish: its last error, else the last lines that were no events."""
        return self._fault or cut_words(" ".join(self._plain))

    def _problems(self, outcome: Outcome) -> tuple[str, ...]:
        found = process_problems(outcome)
        if not self._finished:
            found.append(f"no turn was finished: {self._why}" if self._why else "no turn was finished")
        elif found and self._why:
            found.append(self._why)
        return tuple(found)

    def _keep_words(self, line: bytes) -> None:
        words = line[:LONGEST_WORDS].decode("utf-8", "replace").strip()
        if words:
            self._plain.append(words)
        if fault := self._hear(words):
            self._fault, self._finished = cut_words(fault), False
            self._refusals += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlessAgent:
    """A `Cli` as an agent."""

    cli: Cli
    package: str = ""
    """What its program comes in, of npm."""
    install: str = ""
    """How it is installed otherwise; said when it is missing."""
    executable: str = ""
    """Its program; empty for the one that has the agent's name."""
    args: tuple[str, ...] = ()
    env_names: tuple[str, ...] = ()

    announces_start = True

    @property
    def name(self) -> str:
        """As in `--agent`."""
        return self.cli.name

    @property
    def resumes(self) -> bool:
        """A session can be taken up again, in the same private directory."""
        return self.cli.resumes

    @property
    def _program(self) -> str:
        return self.executable or self.cli.name

    def check(self) -> None:
        """Raise AgentError, with a hint, when the program is not there."""
        how = f"npm install -g {self.package}" if self.package else self.install or "install it"
        check_program(self._program, f"{how}, or choose another with --agent")

    def version(self) -> str:
        """The program's version, such as `0.171.0`; an empty string when unknown."""
        env = command_environment(os.environ)
        try:
            done = run_to_end([self._program, "--version"], env=env, timeout_s=20)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        found = re.search(r"\d+\.\d+\.\d+[\w.-]*", done.stdout)
        return found[0].rstrip(".") if found and done.returncode == 0 else ""

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        """The exact process for one attempt, its prompt on stdin. Give every attempt of a task the same `private`."""
        prompt = private_folder(private) / "prompt.md"
        if context.resume_session:
            prompt.write_text(context.message or "Go on with the open phases.\n", encoding="utf-8")
        start = Start(
            executable=self._program, worktree=context.worktree_path, private=private_folder(private / self.name),
            env=self._model(env), resume=context.resume_session, max_turns=context.limits.max_turns, args=self.args,
        )  # fmt: skip
        notes = {"ORCHESTRATOR_NOTES": str(private_folder(private / "notes"))}
        script = _WRITTEN if context.resume_session else _ASKED
        return self._command(start, script, prompt, {**agent_environment(env, extra=self.env_names), **notes})

    def hosts(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """Where its model is."""
        if self.cli.address is None:
            return hosts_named(env)
        variable, usual = self.cli.address(self.args)
        return hosts_named({variable: usual, **env}, [variable])

    def reader(self) -> EventReader:
        """A fresh reader for one attempt."""
        return EventReader(self.cli)

    def words_of(self, line: bytes) -> str:
        """What a line of the stream says; a line that is no event as it is."""
        event = event_of(line)
        if event is None:
            text = line.decode("utf-8", "replace").strip()
            return "" if text.startswith("{") else text
        return self.cli.tell(event).words

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        """The process of a review: a session of its own, which only reads, without the broker's socket."""
        folder = private_folder(private / "review")
        prompt = folder / "prompt.md"
        prompt.write_text(review_prompt(request, folder), encoding="utf-8", errors="replace")
        start = Start(
            executable=self._program, worktree=request.worktree_path, args=self.args,
            private=private_folder(private / f"{self.name}-review"), env=self._model(env), reads_only=True,
        )  # fmt: skip
        seen = agent_environment(env, extra=self.env_names)
        seen = {name: value for name, value in seen.items() if not name.startswith("ORCHESTRATOR_")}
        return self._command(start, _WRITTEN, prompt, seen)

    def review_findings(self, request: ReviewRequest, log: Path, outcome: Outcome) -> str:
        """The reviewer's raw JSON answer, taken from its log; may be malformed.

        Raises AgentError when the review did not take place, by the same rule as for any session.
        """
        report = read_findings(self.reader(), request, log, outcome)
        return bare_json(report.text)

    def _model(self, env: Mapping[str, str]) -> dict[str, str]:
        """The variables of this program's model, as far as they may be seen at all."""
        seen = agent_environment(env, extra=self.cli.keys)
        return {name: seen[name] for name in self.cli.keys if name in seen}

    def _command(self, start: Start, script: str, prompt: Path, seen: Mapping[str, str]) -> Command:
        session = self.cli.start(start)
        env = {**seen, **start.env, **session.env, PROMPT_VARIABLE: str(prompt)}
        argv = ("/bin/sh", "-c", script, "sh", *session.argv)
        return Command(argv=argv, cwd=session.cwd or start.worktree, env=env)


def part_of(event: AgentEvent, name: str) -> AgentEvent:
    """An object inside an event; empty when it is none."""
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}


def text_of(event: AgentEvent, name: str) -> str:
    """A text inside an event; empty when it is none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""


def number_of(event: AgentEvent, name: str) -> float | None:
    """A number inside an event; None when it is none that counts anything."""
    return count_of(event.get(name))


def total_of(event: AgentEvent, *names: str) -> int:
    """The sum of the counts of these names."""
    return sum(int(number_of(event, name) or 0) for name in names)


def private_folder(path: Path) -> Path:
    """A folder for its owner only."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def private_file(path: Path, text: str) -> Path:
    """A file for its owner only, in a folder that is there afterwards."""
    private_folder(path.parent)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path
