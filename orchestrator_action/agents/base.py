"""What an agent is to us: a command to start, and a reader of what it prints.

An agent module starts nothing, opens no socket and decides nothing. Its reader folds output lines
into an `AgentReport`; all of that are claims, except the reasons it gives for distrust.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from orchestrator_action.errors import AgentError
from orchestrator_action.protocol.attempt import AgentReport, Command, Ending, Mark, Outcome
from orchestrator_action.protocol.model import TaskContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What a reviewer is given: a read-only worktree at the head, the diff, the task and the plan."""

    worktree_path: str
    head_sha: str
    base_sha: str
    diff_path: str
    task_path: str
    plan_path: str
    output_path: str
    """Where a reviewer that writes files leaves its findings; outside the worktree."""
    session_id: str = ""
    exceptions_path: str = ""
    """The tests that the author says the issue asks to change, a line each with the reason; may be empty."""
    no_change_path: str = ""
    """Why the author says that nothing has to be changed; the reviewer is then asked about that."""


class Reader(Protocol):
    """Folds the lines of one attempt's output."""

    @property
    def abort(self) -> str:
        """Why the attempt cannot succeed any more and should be ended now; empty while it can."""

    def feed(self, line: bytes) -> Mark | None:
        """Take one line without its newline; never raises on garbage. None means no progress."""

    def report(self, outcome: Outcome) -> AgentReport:
        """What the output amounts to, now that the process has ended like this."""


class Agent(Protocol):
    """A kind of agent."""

    @property
    def name(self) -> str:
        """As in `--agent`."""

    @property
    def announces_start(self) -> bool:
        """Whether the reader gives Mark.STARTED, so that a start-up deadline makes sense."""

    @property
    def resumes(self) -> bool:
        """Whether a session can be taken up again, so that sending it back with what is open helps."""

    def check(self) -> None:
        """Raise AgentError, with a hint, when the agent's program is not there."""

    def version(self) -> str:
        """What `doctor` prints; an empty string when unknown."""

    def command(self, context: TaskContext, *, env: Mapping[str, str], private: Path) -> Command:
        """The exact process for one attempt.

        `env` is the environment to choose from (allow-list it), together with the ORCHESTRATOR_*
        variables of the broker, which must be passed on. `private` is a directory of this attempt
        for configuration and the like, outside the worktree."""

    def hosts(self, env: Mapping[str, str]) -> tuple[str, ...]:
        """The hosts its model is reached by, `host` or `host:port`, from the environment of its command."""

    def reader(self) -> Reader:
        """A fresh reader for one attempt."""

    def words_of(self, line: bytes) -> str:
        """What a line of its output says of what it does, for a person; empty when nothing."""

    def review_command(self, request: ReviewRequest, *, env: Mapping[str, str], private: Path) -> Command:
        """The process of a review by a separate session."""

    def review_findings(self, request: ReviewRequest, log: Path, outcome: Outcome) -> str:
        """The reviewer's raw JSON answer, taken from its log or output file; may be malformed.

        Raises AgentError when the review did not take place."""


@runtime_checkable
class KeepsSessions(Protocol):
    """An agent whose session can be gone on with in another run, on the same machine."""

    def adopt_session(self, session: str, earlier: Path, private: Path, cwd: str) -> bool:
        """Bring a session from the `earlier` private directory into `private`, for a tree at `cwd`.

        False when it is not there: then nothing was done.
        """


def check_program(program: str, how: str) -> None:
    """Raise AgentError when a program cannot be started; `how` says how it is installed."""
    if shutil.which(program) is not None:
        return
    if Path(program).is_file() and os.sep in program:
        raise AgentError(
            f"the agent's program {program!r} may not be executed", hint=f"chmod +x {shlex.quote(program)}"
        )
    raise AgentError(f"the agent's program {program!r} is not installed", hint=how)


def process_problems(outcome: Outcome) -> list[str]:
    """Why the process alone must not count as a success. One that hangs after its last word counts by that word."""
    if outcome.ending is Ending.RESULT_GRACE:
        return []
    if outcome.ending is not Ending.EXITED:
        return [f"ended by {outcome.ending}" + (f": {outcome.error}" if outcome.error else "")]
    if outcome.signal is not None:
        return [f"ended by signal {outcome.signal}"]
    return [f"exit code {outcome.exit_code}"] if outcome.exit_code else []
