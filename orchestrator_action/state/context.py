"""What the glue hands around: the parts of a run, and what belongs to one task of it.

Made by `wiring` (Parts) and `attempt` (Subject). Nothing here decides; a few lines open and close what
a task borrows for the time of one measurement.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from orchestrator_action.agents.base import Agent
from orchestrator_action.agents.environment import command_environment
from orchestrator_action.agents.key_proxy import kept_keys
from orchestrator_action.agents.meter import Meter
from orchestrator_action.agents.registry import make_meter, model_routes_of
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError, Interrupted, OrchestratorError
from orchestrator_action.forge.base import Forge
from orchestrator_action.git.include import copy_included
from orchestrator_action.git.process import identity_env
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.git.task_tree import TaskTree
from orchestrator_action.git.tree_view import delete
from orchestrator_action.git.trees import Trees
from orchestrator_action.process.files import open_plain
from orchestrator_action.process.supervisor import Cancel, supervise
from orchestrator_action.protocol.attempt import Command, Limits, Outcome
from orchestrator_action.protocol.forge_values import Issue, Pull, ReviewFinding
from orchestrator_action.protocol.model import Task, TaskContext
from orchestrator_action.protocol.wire import PhaseAnswer, PhaseRequest
from orchestrator_action.sandbox.hints import hint_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Policy, Role
from orchestrator_action.state.journal import Journal

IDENTITY = identity_env("orchestrator-action[bot]", "orchestrator-action[bot]@users.noreply.github.com")
"""Author and committer of what is committed in a tree of ours."""

_LAST_WORDS_BYTES = 4096
STOP_GRACE_S = 2.0
"""INT → TERM → KILL of an agent. A cancelled run has four seconds in all, and must still tell the forge."""


def command_env(env: Mapping[str, str], named: Sequence[str] = ()) -> dict[str, str]:
    """What the repository's own commands get of `env`: tools, an identity, and what the configuration names."""
    return {**command_environment(env, named), **IDENTITY}


def make_task_run(
    run: RunContext,
    context: TaskContext,
    tree: TaskTree,
    directory: Path,
    *,
    env: Mapping[str, str] | None = None,
) -> TaskRun:
    """A task with its tree and its environments. `env` is what its agent may choose from; None: the run's."""
    task = context.task
    return TaskRun(
        run=run,
        task=task,
        crew=crew_of(run, task),
        context=context,
        tree=tree,
        git=tree.git,
        directory=directory,
        limits=context.limits,
        env={**(run.env if env is None else env), **IDENTITY},
        command_env=command_env(run.env, (*run.config.sandbox.env, *run.config.test_env)),
        test_commands=context.test_commands,
    )


def crew_of(run: RunContext, task: Task) -> Crew:
    """Who works on a task, as far as its journal says that agents took over. Raises ConfigError for an unknown name."""
    events = run.journal.of(task.id)
    took_over = [str(e.data["to"]) for e in events if e.kind == "handed-over"]
    chosen = next((str(e.data["agent"]) for e in reversed(events) if e.kind == "chosen"), "")
    at_it = (chosen or task.agent or run.config.agent, *took_over)
    names = dict.fromkeys((*at_it, *run.config.agent_fallback))
    return Crew(names=tuple(names), make=run.agents, name=at_it[-1])


def reports_of(log: Path) -> Path:
    """The folder for the reports of what writes this log."""
    return log.with_suffix("")


def walls_in_the_way(log: Path, outcome: Outcome, policy: Policy, env: Mapping[str, str]) -> str:
    """Why the walls made a program fail, when the last words in its log show it; else empty."""
    if not policy.walled or outcome.exit_code in {0, None}:
        return ""
    with contextlib.suppress(OSError), open(log, "rb", opener=open_plain) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        return hint_of(file.read().decode("utf-8", "replace"), policy, env)
    return ""


@dataclass(slots=True, kw_only=True)
class Crew:
    """The agents of one task: who is at it now, and who takes over when its vendor refuses."""

    names: tuple[str, ...]
    """In the order in which they take over."""
    make: Callable[[str], Agent]
    name: str
    """The one at work; with its model, as it was asked for."""

    @property
    def agent(self) -> Agent:
        """The one at work."""
        return self.make(self.name)

    def others(self) -> tuple[str, ...]:
        """Those who have not been at it yet."""
        return self.names[self.names.index(self.name) + 1 :]


class TaskBroker(Protocol):
    """The socket that agents ask, as far as a task needs it."""

    path: Path

    def register(self, handler: Callable[[PhaseRequest], PhaseAnswer]) -> str:
        """A fresh capability token whose requests go to `handler`."""

    def revoke(self, token: str) -> None:
        """From now on the token opens nothing."""


class Preparation(Protocol):
    """What makes a fresh tree ready for its tests: as configured, or as detected at the base. `verify` has it."""

    def prepare(self, task_run: TaskRun, tree: Path, name: str) -> None:
        """Make `tree` ready; logs begin with `name`. Raises SetupError naming the command that failed."""

    def environment(self, tree: Path, env: Mapping[str, str]) -> Mapping[str, str]:
        """`env` with what was put into the tree: its own programs come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The parts of a run. `env` is the door's environment, from which agents get an allow-listed part."""

    run_id: str
    run_dir: Path
    config: Config
    agents: Callable[[str], Agent]
    forge: Forge
    remote: Remote
    trees: Trees
    git: Git
    """The user's repository: base, configuration, audit trails. What agents committed is in `private`."""
    journal: Journal
    broker: TaskBroker
    cancel: Cancel
    env: Mapping[str, str]
    secrets: tuple[str, ...]
    """Values that must never be written anywhere."""
    base_sha: str
    base_branch: str
    test_commands: tuple[str, ...]
    include: tuple[str, ...] = ()
    """Patterns of ignored files that every tree gets from the checkout."""
    preparation: Preparation | None = None
    """None: a tree is ready as it is."""
    run_url: str = ""
    parallel: bool = True
    forge_name: str = ""
    """As `--forge` takes it: `github`, or `local:` with an absolute folder."""
    isolation: Isolation = field(default_factory=Isolation)
    stand_in: bool = False
    """Forge and remote are stand-ins of ours: what is written there is a request, which `publish` decides on."""
    changed_program_files: Callable[[], tuple[str, ...]] = tuple
    """Files of the installed program that are not what they were when the run began."""
    limits: Limits = field(default_factory=lambda: Limits(stop_grace_s=STOP_GRACE_S))
    """What one attempt may use, where the configuration says nothing else."""
    bases: MutableMapping[tuple[str, tuple[str, ...]], object] = field(default_factory=dict)
    """The suites at the bases of this run's tasks, by base and commands: each runs once. `verify` fills it."""
    blocked: Mapping[str, OrchestratorError] = field(default_factory=dict)
    """By task: what makes its success impossible, found before anything was taken or paid."""
    token_ends_at: float = math.inf
    """When the forge's token is over, by the monotonic clock, where nobody renews it."""
    writing: Mapping[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    """By task: one comment on its issue is written at a time, the last one last."""

    @property
    def blocked_code(self) -> int:
        """The exit code of a run in which tasks are blocked."""
        return next((error.exit_code for error in self.blocked.values()), ConfigError.exit_code)

    @property
    def private(self) -> Git:
        """Our private repository: what agents committed, checked, and all that the user's has."""
        return self.trees.private

    def check_not_cancelled(self) -> None:
        """Raise Interrupted once the run is being cancelled: no further outside effect begins."""
        if self.cancel.is_set():
            raise Interrupted(
                f"the run is being cancelled{': ' if self.cancel.reason else ''}{self.cancel.reason}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One task being worked on: its tree, its files and its environments."""

    run: RunContext
    task: Task
    crew: Crew
    context: TaskContext
    tree: TaskTree
    git: Git
    """git on the tree: commits are read from our private repository."""
    directory: Path
    """Where the task's files are: context, prompt, logs, evidence."""
    limits: Limits
    env: Mapping[str, str]
    """What the agent may choose from, with the broker's variables and the identity for commits."""
    command_env: Mapping[str, str]
    """What the repository's own commands get."""
    test_commands: tuple[str, ...]
    push_lock: threading.Lock = field(default_factory=threading.Lock)
    """One push of the task's branch at a time: broker, trail and publication may all want to."""

    @property
    def agent(self) -> Agent:
        """The agent that is at work now."""
        return self.crew.agent

    @property
    def branch(self) -> str:
        """The task branch."""
        return self.tree.branch

    @property
    def base_sha(self) -> str:
        """The recorded base commit."""
        return self.tree.base_sha

    def policy(self, role: Role, tree: Path, *, write: Sequence[Path] = ()) -> Policy:
        """What a process of this task may touch: `tree` is its own, and `write` besides.

        A reviewer only reads the tree. Nobody but the agent comes to the broker.
        """
        looks = role is Role.REVIEWER
        borrowed = self.tree.readable if tree == self.tree.path else self.run.trees.readable
        return self.run.isolation.policy(
            role,
            write=[*([] if looks else [tree]), *write],
            read=[
                self.directory,
                *borrowed,
                *([tree] if looks else []),
                *([self.run.broker.path.parent] if role is Role.AGENT else []),
            ],
            scratch=self.scratch(tree),
        )

    @contextlib.contextmanager
    def keys_kept(self, name: str, env: Mapping[str, str], meter: Meter) -> Iterator[Mapping[str, str]]:
        """`env` for the agent of this name, with its keys kept in this process as long as the block lasts."""
        with kept_keys(model_routes_of(name, self.run.config), env, meter) as kept:
            yield kept

    def meter(
        self, name: str, *, give_up: Callable[[str], None], limit_usd: float = 0.0, max_turns: int = 0
    ) -> Meter:
        """For one attempt or review by the agent of this name; `give_up` ends it."""
        return make_meter(name, self.run.config, give_up=give_up, limit_usd=limit_usd, max_turns=max_turns)

    def scratch(self, tree: Path) -> Path:
        """What is HOME and /tmp to the processes of a tree, in a sandbox; goes with the tree."""
        return self.directory / "scratch" / tree.parent.name

    def run_command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        timeout_s: float,
        role: Role = Role.TESTS,
    ) -> Outcome:
        """Run one of the repository's own commands under supervision, with its own time limit.

        Tests may write their reports, and never their log: we read it, and a link in its place would lead us elsewhere.
        """
        limits = replace(self.limits, wall_s=timeout_s, stall_s=0.0, start_s=0.0)
        command = Command(argv=tuple(argv), cwd=str(cwd), env=dict(env))
        policy = self.policy(role, cwd, write=[reports_of(log)] if role is Role.TESTS else [])
        outcome = supervise(command, log=log, limits=limits, cancel=self.run.cancel, policy=policy)
        if hint := walls_in_the_way(log, outcome, policy, command.env):
            with contextlib.suppress(OSError), open(log, "ab", opener=open_plain) as file:
                file.write(f"\norchestrator: {hint}\n".encode())
        return outcome

    def setup(self, tree: Path, name: str) -> None:
        """Bring in what `.worktreeinclude` names, then make a tree ready for its tests.

        Raises SetupError naming the command that failed.
        """
        copy_included(self.run.git, self.run.trees.main, self.run.include, tree)
        if self.run.preparation is not None:
            self.run.preparation.prepare(self, tree, name)

    def tree_env(self, tree: Path, env: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """What the repository's own commands get in a tree of ours; with `env`, what somebody else gets there."""
        given = self.command_env if env is None else env
        return self.run.preparation.environment(tree, given) if self.run.preparation is not None else given

    def teardown(self, tree: Path, name: str) -> None:
        """Run the repository's teardown commands in a tree; what they say is in their logs."""
        for number, command in enumerate(self.run.config.teardown, 1):
            log = self.directory / f"{name}-{number}.log"
            argv = ["/bin/sh", "-c", command]
            self.run_command(
                argv,
                cwd=tree,
                env=self.command_env,
                log=log,
                timeout_s=self.run.config.setup_timeout,
                role=Role.TEARDOWN,
            )

    @contextlib.contextmanager
    def measuring(self, commit: str) -> Iterator[Path]:
        """A clean checkout of exactly `commit` on a fresh path, made ready by the setup commands; gone afterwards."""
        tree = self.run.trees.measure(self.task.id, commit)
        try:
            self.setup(tree.path, "measure-setup")
            yield tree.path
        finally:
            self.run.trees.remove(tree)
            delete(self.scratch(tree.path))

    @contextlib.contextmanager
    def reviewing(self, commit: str) -> Iterator[Path]:
        """A clean checkout of exactly `commit`, its files read-only, for a reviewer; gone afterwards."""
        tree = self.run.trees.review(self.task.id, commit)
        try:
            yield tree.path
        finally:
            self.run.trees.remove(tree)
            delete(self.scratch(tree.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeActs:
    """What is written to the forge on an agent's behalf while it works.

    `publish` has the functions, `run` hands them to what measures; a job without a write token hands in
    functions that record a request instead.
    """

    open_issue: Callable[[TaskRun], Issue]
    push: Callable[[TaskRun, str], None]
    """The task branch at the remote becomes exactly this commit."""
    open_pull: Callable[[TaskRun, str, str], Pull]
    """With the agent's words for the title and for the body."""
    post_review: Callable[[TaskRun, str, Sequence[ReviewFinding]], str]
    """The findings at a head; where they stand, or an empty string."""
