"""Set-up: what makes a fresh tree ready for its tests, found like the test command and kept for the next tree.

The plan is the base commit's; what an agent writes into a manifest changes what is installed, not how. What a
set-up at the base has filled (`node_modules`, `.venv`) is kept by the contents of lock file, manifest, tool
and isolation level, and copied into later trees: no two trees share a file that one of them could write.
What ran in a tree with an agent's work is never kept, because its install scripts could have changed it.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.config.schema import Config
from orchestrator_action.errors import SetupError
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import open_plain
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.state.context import TaskRun, command_env
from orchestrator_action.text.causes import cause_of
from orchestrator_action.text.redact import mask
from orchestrator_action.verify.ecosystems.base import Files, SetupStep
from orchestrator_action.verify.ecosystems.detection import MOST_PROJECTS, find_projects, read_files
from orchestrator_action.verify.setup_cache import keep_copy, locked, restore, setup_key
from orchestrator_action.verify.test_run import read_end

SETUP_CACHE = "orchestrator/setup"
"""Where set-ups are kept, below the git directory."""
_MOST_WORDS_BYTES = 16 * 1024
_LONGEST_SHOWN = 200

RunStep = Callable[[str, SetupStep | None, str], None]
"""Runs a shell command in the tree, for a step; logged under a name. Raises SetupError when it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlan:
    """The steps that the base commit's files ask for, in order. Without any a tree is ready as it is."""

    steps: tuple[SetupStep, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """Every command, for people to read."""
        return tuple(command for step in self.steps for command in step.commands)

    @property
    def how(self) -> tuple[str, ...]:
        """What was found, a line each."""
        return tuple(step.how for step in self.steps)

    @property
    def wants_submodules(self) -> bool:
        """Whether the submodules of `.gitmodules` are brought."""
        return SUBMODULES in self.steps

    def missing(self, path: str | None) -> tuple[str, ...]:
        """The programs that the steps need and that are nowhere on `path`, each once."""
        tools = dict.fromkeys(tool for step in self.steps for tool in step.tools)
        return tuple(tool for tool in tools if shutil.which(tool, path=path) is None)

    def provides(self, program: str) -> bool:
        """Whether a program may come from what is set up in the tree."""
        return any(program in step.provides for step in self.steps)


def detect_setup(git: Git, commit: str) -> SetupPlan:
    """What a tree of the repository needs, from its files at `commit`."""
    return plan_setup(read_files(git, commit))


def setup_in_force(git: Git, commit: str, config: Config) -> SetupPlan:
    """The commands of the configuration; without any, what was detected."""
    if not config.setup:
        return detect_setup(git, commit)
    steps = [SetupStep(how=f"configured: {command}", commands=(command,)) for command in config.setup]
    return SetupPlan(steps=tuple(steps))


def plan_setup(files: Files) -> SetupPlan:
    """Submodules first, then every language of every project that has something to install."""
    steps = [SUBMODULES] if ".gitmodules" in files.paths else []
    projects = find_projects(files)
    steps += [
        _in_folder(step, project.folder)
        for project in (projects if len(projects) <= MOST_PROJECTS else ())
        for e in project.ecosystems
        if e.setup is not None and (step := e.setup(project.files)) is not None
    ]
    return SetupPlan(steps=tuple(steps))


def _in_folder(step: SetupStep, folder: str) -> SetupStep:
    """The step as it is made from the tree, for a project in one of its folders."""
    if not folder:
        return step

    def there(command: str) -> str:
        return f"cd {shlex.quote(folder)} && {{ {command}; }}"

    return replace(
        step,
        how=f"{step.how} in {folder}",
        commands=tuple(there(c) for c in step.commands),
        again=tuple(there(c) for c in step.again),
        inputs=tuple(f"{folder}/{p}" for p in step.inputs),
        keeps=tuple(f"{folder}/{p}" for p in step.keeps),
        path=tuple(f"{folder}/{p}" for p in step.path),
        env={name: value.replace("{tree}", f"{{tree}}/{folder}") for name, value in step.env.items()},
        unless=there(step.unless) if step.unless else "",
    )


SUBMODULES = SetupStep(
    how="git: submodules of .gitmodules",
    commands=(
        (
            "git config -f .gitmodules --get-regexp '^submodule\\..*\\.path$' | while read -r key path; do "
            "name=${key#submodule.}; name=${name%.path}; own={common}/modules/$name; "
            '[ ! -d "$own" ] || git -c protocol.file.allow=always -c "submodule.$name.url=$own" '
            'submodule update --init --quiet -- "$path" || true; done'
        ),
        "git submodule update --init --recursive --quiet",
    ),
    tools=("git",),
)
"""First from the user's own modules, which needs no network; what is not there, from where `.gitmodules` says."""


def setup_environment(plan: SetupPlan, tree: Path, env: Mapping[str, str]) -> dict[str, str]:
    """`env` as commands in a tree that was set up get it: with the tree's own programs first on PATH."""
    made = dict(env)
    for step in plan.steps:
        if step.unless and not all((tree / folder).exists() for folder in step.keeps):
            continue
        made |= {name: value.replace("{tree}", str(tree)) for name, value in step.env.items()}
        if step.path:
            made["PATH"] = os.pathsep.join([*(str(tree / p) for p in step.path), made.get("PATH", "")])
    return made


def prepare_tree(
    plan: SetupPlan,
    tree: Path,
    *,
    env: Mapping[str, str],
    run: RunStep,
    cache: Path,
    level: str,
    at_base: bool,
    ignored_in: Sequence[Path] = (),
    probed: MutableMapping[str, bool] | None = None,
) -> None:
    """Make `tree` ready by the plan: from what is kept in `cache`, or by its commands.

    `level` names the walls the commands run in. `at_base` says that the tree is the base commit as it is: only
    then is the result kept. What set-up leaves in the tree is added to the lists of ignored files `ignored_in`.
    `probed` remembers what the machine was found to have.

    Raises SetupError naming the command that failed.
    """
    git = Git.open(tree)
    before = _untracked(git)
    for number, step in enumerate(plan.steps, 1):
        if step.unless and _holds(step.unless, run, f"{number}-probe", probed if probed is not None else {}):
            continue
        if not step.keeps:
            _run_commands(step.commands, step, run, number)
            continue
        place = cache / setup_key(step, tree, env, level)
        with locked(place):
            restored = restore(place, step, tree)
            if not restored:
                _run_commands(step.commands, step, run, number)
                if at_base:
                    keep_copy(place, step, tree)
        if restored:
            _run_commands(step.again, step, run, number)
    _exclude(git, before, ignored_in)


def _holds(command: str, run: RunStep, name: str, probed: MutableMapping[str, bool]) -> bool:
    if command not in probed:
        try:
            run(command, None, name)
        except SetupError:
            probed[command] = False
        else:
            probed[command] = True
    return probed[command]


def _run_commands(commands: Sequence[str], step: SetupStep, run: RunStep, number: int) -> None:
    for part, command in enumerate(commands):
        run(command, step, f"{number}" if not part else f"{number}-{part + 1}")


class TreeSetup:
    """The set-up of a run's trees, as `state` hands it around."""

    def __init__(self, plan: SetupPlan, *, cache: Path) -> None:
        self.plan, self.cache = plan, cache
        self._probed: dict[str, bool] = {}

    def environment(self, tree: Path, env: Mapping[str, str]) -> Mapping[str, str]:
        """`env` with the tree's own programs first on PATH."""
        return setup_environment(self.plan, tree, env)

    def prepare(self, task_run: TaskRun, tree: Path, name: str) -> None:
        """Make a tree of this task ready. Raises SetupError naming the command that failed."""
        if not self.plan.steps:
            return
        base, git = task_run.base_sha, Git.open(tree)
        at_base = _is_base(base, git)
        env = command_env(task_run.run.env, task_run.run.config.test_env)
        # Keys are for the base's dependencies only: one that an agent added could send them away, and so could a
        # build of the project's own.
        locked = _as_at(base, git, [name for step in self.plan.steps for name in step.inputs])
        keys = command_env(task_run.run.env, task_run.run.config.setup_env) if locked else {}

        def run(command: str, step: SetupStep | None, part: str) -> None:
            added = (
                {n: v.replace("{tree}", str(tree)) for n, v in step.env.items()} if step is not None else {}
            )
            added.pop("VIRTUAL_ENV", None)  # it is being made
            given = keys if at_base or step is None or not step.again else {}
            log = task_run.directory / f"{name}-{part}.log"
            outcome = task_run.run_command(
                ["/bin/sh", "-c", command.replace("{common}", shlex.quote(str(task_run.run.git.common_dir)))],
                cwd=tree,
                env={**env, **given, **added},
                log=log,
                timeout_s=task_run.run.config.setup_timeout,
                role=Role.SETUP,
            )
            if outcome.ending is not Ending.EXITED or outcome.exit_code != 0:
                how = f"exit {outcome.exit_code}" if outcome.exit_code is not None else str(outcome.ending)
                named = f"command {command!r}" if step is None or len(command) <= _LONGEST_SHOWN else step.how
                why = mask(last_words(log), keys.values())
                raise SetupError(f"setup {named} failed: {how}{why and f': {why}'}", hint=f"see {log}")

        prepare_tree(
            self.plan,
            tree,
            env=env,
            run=run,
            cache=self.cache,
            level=task_run.policy(Role.SETUP, tree).level.word,
            at_base=at_base,
            probed=self._probed,
            ignored_in=[
                tree / ".git" / "info" / "exclude",
                task_run.run.private.common_dir / "info" / "exclude",
            ],
        )


def last_words(log: Path) -> str:
    """The line of a log that says why; see `cause_of`."""
    return cause_of(read_end(log, _MOST_WORDS_BYTES))[:_LONGEST_SHOWN]


def _is_base(commit: str, git: Git) -> bool:
    """Whether a tree is at `commit` and holds nothing else."""
    return git.head() == commit and not git.dirty()


def _as_at(commit: str, git: Git, names: Sequence[str]) -> bool:
    """Whether these files of a tree are what they are at `commit`."""
    return (
        not names or git.run("diff", "--quiet", "--no-ext-diff", commit, "--", *names, check=False).code == 0
    )


# -- what set-up leaves in a tree ------------------------------------------------------------------


def _untracked(git: Git) -> frozenset[str]:
    said = git.text("ls-files", "--others", "--exclude-standard", "--directory", "-z")
    return frozenset(name for name in said.split("\0") if name)


def _exclude(git: Git, before: frozenset[str], lists: Sequence[Path]) -> None:
    """Leave out of `git status` what set-up put there: the agent is asked for a clean tree, and `foo.egg-info`
    is none of its work. The lists are those of repositories of ours, never of the user's."""
    left = [f"/{name}" for name in sorted(_untracked(git) - before)]
    own = git.work_tree is not None and (git.work_tree / ".git").is_dir()
    for exclude in lists if left and own else ():
        if exclude.parent.is_symlink() or exclude.parent.parent.is_symlink():
            continue  # set-up may write into the tree's `.git`, and a link there leads us elsewhere
        exclude.parent.mkdir(parents=True, exist_ok=True)
        with open(exclude, "a+", encoding="utf-8", opener=open_plain) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = set(file.read().splitlines())
            file.writelines(f"{name}\n" for name in left if name not in known)
