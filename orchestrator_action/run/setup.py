"""Names become parts: the one place that knows every implementation, imported late where it is heavy."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from orchestrator_action.agents.base import Agent
from orchestrator_action.agents.registry import make_agent
from orchestrator_action.config.load import label_in, load_bytes, with_flags
from orchestrator_action.config.schema import BRANCH_PREFIX, CONFIG_PATH, NEAR_MISS, Config
from orchestrator_action.errors import (
    BranchError,
    ConfigError,
    GitError,
    IsolationError,
    NothingToDo,
    OrchestratorError,
)
from orchestrator_action.forge.base import Forge
from orchestrator_action.forge.github.address import run_url
from orchestrator_action.forge.registry import forge_name, make_forge
from orchestrator_action.git.include import patterns_at
from orchestrator_action.git.private import known_branches
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import persisted_credentials
from orchestrator_action.git.repo import Git
from orchestrator_action.git.roots import trees_root
from orchestrator_action.git.trees import Trees
from orchestrator_action.plan.admission import Admission
from orchestrator_action.plan.order import begun_again, plan
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.leaving import leaving
from orchestrator_action.process.table import make_undumpable
from orchestrator_action.protocol.candidates import agents_at, stem
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Task
from orchestrator_action.publish.claim import tell_cannot_begin
from orchestrator_action.run.asked_for import issues_asked_for, prompts_asked_for
from orchestrator_action.run.dependencies import open_outside, waits_of
from orchestrator_action.run.go_on import go_on
from orchestrator_action.run.installed_program import InstalledProgram, load_all
from orchestrator_action.run.on_finish import load_exporter
from orchestrator_action.run.preflight import preflight
from orchestrator_action.run.remote import forge_parts, make_remote
from orchestrator_action.run.token import APP_KEY, token_of
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.journal import Journal, new_run_id
from orchestrator_action.state.store import SCRATCH, journal_of, note_scratch
from orchestrator_action.verify.ecosystems.detection import detect_at
from orchestrator_action.verify.setup import SETUP_CACHE, TreeSetup, setup_in_force
from orchestrator_action.work.broker import Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the user asked for, as the doors understood it. Empty means "not said"."""

    repo: Path
    prompts: tuple[Path, ...] = ()
    issues: tuple[int, ...] = ()
    label: str = ""
    forge: str = ""
    base: str = ""
    config: str = ""
    """Path of the configuration in the base commit, where it is not the usual one."""
    token_life_s: float = math.inf
    """How long the forge's token is good at most, from now on."""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Config laid over the repository's configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What would run, and what was found on the way."""

    git: Git
    remote: Remote
    forge: Forge
    config: Config
    base_branch: str
    base_sha: str
    tasks: tuple[Task, ...]
    test_commands: tuple[str, ...]
    test_found: str
    """Where the test command comes from."""
    notes: tuple[str, ...] = ()
    token: str = ""
    forge_name: str = ""
    """As `--forge` takes it, with an absolute folder: another process finds the same forge by it."""
    isolation: Isolation = field(default_factory=Isolation)
    unfit: Mapping[str, OrchestratorError] = field(default_factory=dict)
    """By task: why what somebody asks on its pull request cannot be followed."""
    want: OrchestratorError | None = None
    """What no task can begin without: a base, a configuration, walls. The rest is then as far as it was found."""


Admit = Callable[[Forge, Config, Sequence[Issue]], Sequence[Issue]]
"""Of the issues found, those that may run, as they may be read. May write to the forge."""


@contextlib.contextmanager
def survey(
    asked: RunRequest,
    env: Mapping[str, str],
    *,
    private: Path,
    tell: Callable[[Forge, OrchestratorError], None] | None = None,
    anyway: bool = False,
) -> Iterator[Survey]:
    """The repository with its remote, base, configuration and forge, and no tasks yet.

    Writes nothing but objects. `private` is a directory nobody else can read. What the forge can be told of, since
    it is reached, `tell` is shown before it is raised. With `anyway`, what no task can begin without is not raised
    but stands in the survey.
    """
    with_flags(Config(), asked.flags)  # a flag that is wrong is nobody's business but the user's
    git = Git.open(asked.repo, env)
    token = token_of(env)
    remote = make_remote(git, token=token, private=private, env=env)
    parts = forge_parts(git, remote, token, env)
    name = forge_name(asked.forge, parts)
    forge = make_forge(name, parts)
    try:
        found: dict[str, Any] = {
            "config": with_flags(Config(), asked.flags), "base_branch": asked.base, "base_sha": "",
            "test_commands": (), "test_found": "not looked for", "want": None,
        }  # fmt: skip
        try:
            for more in _surveyed(asked, env, git, remote):
                found |= more
        except (ConfigError, GitError, IsolationError) as exc:
            if anyway and isinstance(exc, (BranchError, ConfigError, IsolationError)):
                found["want"] = exc
            else:
                if tell is not None:
                    tell(forge, exc)
                raise
        yield Survey(git=git, remote=remote, forge=forge, token=token, forge_name=name, tasks=(), **found)
    finally:
        forge.close()


def _surveyed(
    asked: RunRequest, env: Mapping[str, str], git: Git, remote: Remote
) -> Iterator[dict[str, Any]]:
    """What a survey has of base, configuration, tests and walls, by the names of its fields, one after the other."""
    base_branch = asked.base or remote.default_branch()
    base_sha = remote.fetch(base_branch)
    yield {"base_branch": base_branch, "base_sha": base_sha}
    path = asked.config or CONFIG_PATH
    yield {"config": with_flags(Config(label=label_in(git.file(base_sha, path) or b"")), asked.flags)}
    config = with_flags(config_at(git, base_sha, path), asked.flags)
    yield {"config": config}
    if config.base_branch and not asked.base and config.base_branch != base_branch:
        base_branch = config.base_branch
        base_sha = remote.fetch(base_branch)
        yield {"base_branch": base_branch, "base_sha": base_sha}
    commands, found = test_commands(git, base_sha, config)
    yield {"test_commands": commands, "test_found": found}
    yield {"isolation": isolation_of(config, env, git.work_tree or git.common_dir)}


@contextlib.contextmanager
def plan_run(
    asked: RunRequest,
    env: Mapping[str, str],
    *,
    private: Path,
    say: Callable[[str], None],
    admit: Admit | None = None,
    take_over: bool = True,
    tell: Callable[[Forge, OrchestratorError], None] | None = None,
    anyway: bool = False,
) -> Iterator[Survey]:
    """`survey`, with its tasks planned. Without `take_over`, what a run that died left is begun anew.

    Raises NothingToDo when no task was found; with `anyway`, what no task could begin without, where there is such.
    """
    with survey(asked, env, private=private, tell=tell, anyway=anyway) as found:
        if found.want and isinstance(admit, Admission):
            admit = replace(admit, dry=True)  # nobody is refused by what could not be read
        taken = known_branches(found.git, BRANCH_PREFIX)
        remote_refs = found.remote.refs(f"refs/heads/{BRANCH_PREFIX}*")
        taken |= {r.removeprefix("refs/heads/") for r in remote_refs}
        taken = {stem(branch) for branch in taken}  # where candidates are, the task's own name is taken
        issues = issues_asked_for(asked, found.config, found.forge)
        if admit is not None:
            issues = admit(found.forge, found.config, issues)
        waits = waits_of(found.forge, issues)
        outside = open_outside(found.forge, issues, waits, say)
        tasks = plan(issues, prompts_asked_for(asked.prompts), taken=taken, waits=waits, outside=outside)
        tasks = tuple(begun_again(t, taken) if t.issue else t for t in tasks)
        unfit: dict[str, OrchestratorError] = {}
        if take_over and not found.want:
            tasks = tuple(go_on(t, found, say, unfit) for t in tasks)
        elif not take_over and any(t.issue and t.issue.asked for t in tasks):
            raise NothingToDo(
                "what is asked on a pull request is worked on by one job, not in four steps",
                hint="use the workflow of examples/on-comment.yml for it",
            )
        for warning in getattr(found.forge, "warnings", ()):
            say(warning)
        if found.base_sha and found.git.file(found.base_sha, NEAR_MISS) is not None:
            say(f"warning: {NEAR_MISS} is not read: it is called {CONFIG_PATH}")
        for where in persisted_credentials(found.git):
            say(f"warning: a credential is kept in {where}; agents get a configuration without it")
        if not tasks and found.want:
            raise found.want
        if not tasks:
            label, local = f"{found.config.label!r}", found.forge.name == "local"
            how = "orchestrator-action issue new TITLE" if local else f"label an issue {label}"
            raise NothingToDo(
                f"no open issue of {found.forge.repository} carries the label {label}",
                hint=f"{how}, or name prompt files or --issue N",
            )
        yield replace(found, tasks=tasks, notes=_notes(tasks), unfit=unfit)


def config_at(git: Git, commit: str, path: str = CONFIG_PATH) -> Config:
    """The configuration of a commit, never of the checkout: what an agent writes does not count."""
    body = git.file(commit, path)
    if body is None:
        return Config()
    return load_bytes(body, source=path)


def test_commands(git: Git, commit: str, config: Config) -> tuple[tuple[str, ...], str]:
    """The test commands in force at `commit`, and how they were found."""
    if config.test:
        return tuple(t.command for t in config.test), "configured"
    found = detect_at(git, commit)
    return found.commands, found.how


def _notes(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(
        f"the title of issue #{t.issue.number} holds nothing printable; it is called {t.title!r} here"
        for t in tasks
        if t.issue and t.title == t.id
    )


@contextlib.contextmanager
def start_run(
    asked: RunRequest,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    say: Callable[[str], None],
    admit: Admit | None = None,
) -> Iterator[tuple[Survey, RunContext]]:
    """A new run, planned, with its journal and its broker; what every door that runs tasks begins with.

    From here on this process cannot be looked into: it holds the forge's token.
    """
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="oa-run-") as private,
        contextlib.ExitStack() as stack,
    ):
        with cancel.interrupting():
            way = plan_run(
                asked, env, private=Path(private), say=say, admit=admit, tell=teller(asked), anyway=True
            )
            found = stack.enter_context(way)
            blocked = preflight(found, env)
        run = stack.enter_context(enter_run(found, env, cancel, needs_agents=False))
        yield found, replace(run, blocked=blocked, token_ends_at=began + asked.token_life_s)


def teller(asked: RunRequest) -> Callable[[Forge, OrchestratorError], None]:
    """Says on the issues that wait why a run of them could not even begin."""
    label = "" if asked.prompts and not asked.label else asked.label or Config().label
    return lambda forge, error: tell_cannot_begin(forge, label, asked.issues, error)


@contextlib.contextmanager
def start_run_without_tasks(
    asked: RunRequest, env: Mapping[str, str], cancel: Cancel
) -> Iterator[RunContext]:
    """The parts of a run that plans nothing: it judges what another run did."""
    with (
        tempfile.TemporaryDirectory(prefix="oa-run-") as private,
        survey(asked, env, private=Path(private)) as found,
        enter_run(found, env, cancel, needs_agents=False) as run,
    ):
        try:
            yield run
        finally:
            if not run.journal.events:  # nothing was judged: nothing is left of it either
                shutil.rmtree(run.run_dir, ignore_errors=True)


@contextlib.contextmanager
def enter_run(
    found: Survey,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    journal: Journal | None = None,
    needs_agents: bool = True,
) -> Iterator[RunContext]:
    """The parts of a new run, or of the one whose open `journal` is given. Nothing survives the block.

    With `needs_agents`, raises AgentError when an agent's program is not there: to judge needs none.
    """
    if found.token:
        make_undumpable()
    if journal is None:
        run_id = new_run_id(now())
        journal = Journal(journal_of(found.git, run_id), run_id)
    load_all()
    load_exporter(env)
    with contextlib.closing(journal), leaving(cancel), Broker() as broker:
        folder = journal.path.parent
        note_scratch(folder, (broker.directory, found.remote.store.parent))
        made = run_context_of(
            found, run_id=journal.run, journal=journal, broker=broker, cancel=cancel, env=env
        )
        if needs_agents:
            config = found.config
            working = {name for t in found.tasks for name in agents_at(t, config.candidates, config.agent)}
            for name in {*(working or {config.agent}), *config.reviewers}:
                made.agents(name).check()
        yield made
        (folder / SCRATCH).unlink(missing_ok=True)


def run_context_of(
    found: Survey, *, run_id: str, journal: Any, broker: Any, cancel: Any, env: Mapping[str, str]
) -> RunContext:
    """The parts of a run from its plan."""
    agents: dict[str, Agent] = {}

    def agent(name: str) -> Agent:
        if name not in agents:
            agents[name] = make_agent(name, found.config)
        return agents[name]

    walled = found.isolation.level >= Level.CONFINED
    trees = Trees(
        found.git, run_id=run_id, root=Path(trees_root(env, found.config.trees)), walled=walled,
        fetch_objects=found.remote.fetch_objects,
    )  # fmt: skip
    return RunContext(
        run_id=run_id,
        run_dir=journal.path.parent,
        config=found.config,
        agents=agent,
        forge=found.forge,
        remote=found.remote.pushing_from(trees.private),
        trees=trees,
        git=found.git,
        journal=journal,
        broker=broker,
        cancel=cancel,
        env={k: v for k, v in env.items() if (v != found.token or not v) and k != APP_KEY},
        secrets=(found.token,) if found.token else (),
        base_sha=found.base_sha,
        base_branch=found.base_branch,
        test_commands=found.test_commands,
        include=patterns_at(found.git, found.base_sha) if found.base_sha else (),
        preparation=_preparation(found) if found.base_sha else None,
        run_url=run_url(env),
        parallel=found.config.max_parallel > 1,
        forge_name=found.forge_name,
        changed_program_files=InstalledProgram.of_action(env).changed,
        isolation=found.isolation,
    )


def _preparation(found: Survey) -> TreeSetup:
    steps = setup_in_force(found.git, found.base_sha, found.config)
    return TreeSetup(steps, cache=found.git.common_dir / SETUP_CACHE)


def slots_of(found: Survey, *, auto: bool) -> int | Literal["auto"]:
    """How many tasks run at once: as configured, never more than there are; or as the machine allows."""
    config = found.config
    wanted = sum(len(agents_at(t, config.candidates, config.agent)) for t in found.tasks)
    return "auto" if auto else min(config.max_parallel, wanted)


def now() -> float:
    """Seconds since the epoch, for the doors."""
    return time.time()
