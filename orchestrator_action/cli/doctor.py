"""What `doctor` looks at: this machine, this repository, its configuration, the agent. It changes nothing."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.agents.registry import make_agent, require_key
from orchestrator_action.cli.doctor_forge import forge_rows
from orchestrator_action.cli.doctor_git import git_rows
from orchestrator_action.cli.doctor_row import Row
from orchestrator_action.config.load import load_bytes
from orchestrator_action.config.schema import CONFIG_PATH, Config
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.process import base_env, spawn_git
from orchestrator_action.git.remotes import persisted_credentials
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.judge import demand_of
from orchestrator_action.protocol.model import Demand
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.run import setup
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.policy import Level
from orchestrator_action.text.figures import duration
from orchestrator_action.verify.ecosystems.base import inside
from orchestrator_action.verify.registries import out_of_reach, submodules_out_of_reach
from orchestrator_action.verify.setup import SetupPlan, setup_in_force

OLDEST_GIT = (2, 38)
LONGEST_CONFIG = 1024 * 1024
"""Bytes that are read of a configuration; one that is longer is refused anyway."""


def check_file(path: Path) -> list[Row]:
    """A configuration file by itself: a row for each finding, or one that says it is valid."""
    return _read_config(path, str(path))[1]


def _read_config(path: Path, source: str) -> tuple[Config, list[Row]]:
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "not a file")  # a pipe would never end
        with path.open("rb") as file:
            config = load_bytes(file.read(LONGEST_CONFIG), source=source)
    except OSError as exc:
        found = f"{source}: {exc.strerror}"
        return Config(), [Row(what="configuration", found=found, ok=False, hint="name a readable file")]
    except OrchestratorError as exc:
        *rest, last = exc.message.splitlines()
        rows = [Row(what="configuration", found=found, ok=False) for found in rest]
        return Config(), [*rows, Row(what="configuration", found=last, ok=False, hint=exc.hint)]
    return config, [Row(what="configuration", found=f"{source} is valid")]


def check_all(repo: Path, agent: str, env: Mapping[str, str], forge: str = "") -> list[Row]:
    """Everything a run will need. `forge` as `--forge` takes it."""
    rows = [Row(what="python", found=sys.version.split()[0]), _git(env)]
    try:
        git = Git.open(repo, env)
    except OrchestratorError as exc:
        return [*rows, Row(what="repository", found=exc.message, ok=False, hint=exc.hint)]
    rows.append(Row(what="repository", found=str(git.work_tree or git.common_dir)))
    config, found = _config(git)
    on_forge = forge_rows(repo, agent, env, forge)
    refused = {row.what for row in on_forge if not row.ok}  # what the remote itself says is said once
    local = [
        *rows,
        *found,
        *_tests(git, config, env),
        *_agents(agent, config, env),
        *_isolation(config, env),
        *_credentials(git),
        *(row for row in git_rows(git) if row.what not in refused),
    ]
    said = {row.found for row in local if not row.ok}
    return [*local, *(row for row in on_forge if row.ok or row.found not in said), _hook(git)]


def _hook(git: Git) -> Row:
    """How the pre-push hook stands here, as far as files tell; `hook status` asks git itself."""
    from orchestrator_action.hook.install import hook_findings

    with contextlib.chdir(git.work_tree or git.common_dir):
        found = [line for line in hook_findings() if line]
    what, _, hint = (found[0] if found else "installed").partition(": ")
    return Row(what="hook", found=what, ok=not found or what == "not installed", hint=hint, optional=True)


def _git(env: Mapping[str, str]) -> Row:
    done = spawn_git(["version"], env=base_env(env), cwd=Path("/"))
    found = re.search(r"(\d+)\.(\d+)", done.text)
    ok = bool(found) and (int(found[1]), int(found[2])) >= OLDEST_GIT if found else False
    return Row(what="git", found=done.text, ok=ok, hint="" if ok else "git 2.38 or newer is needed")


def _config(git: Git) -> tuple[Config, list[Row]]:
    if not git.head():
        hint = "commit something first"
        return Config(), [Row(what="configuration", found="no commit yet", ok=False, hint=hint)]
    path = git.work_tree / CONFIG_PATH if git.work_tree else None
    if path and path.exists():
        return _read_config(path, CONFIG_PATH)
    return Config(), [Row(what="configuration", found=f"no {CONFIG_PATH}; the defaults apply")]


def _tests(git: Git, config: Config, env: Mapping[str, str]) -> list[Row]:
    """The test command, what makes a tree ready for it, and whether the programs of both are here."""
    head = git.head()
    plan = setup_in_force(git, head, config) if head else SetupPlan()
    lacking = plan.missing(env.get("PATH"))
    found = "; ".join(plan.how) or "nothing to install"
    hint = f"install {', '.join(lacking)}, or set `setup` in {CONFIG_PATH}" if lacking else ""
    row = Row(what="set-up", found=f"{found}{'; missing: ' if lacking else ''}{', '.join(lacking)}", ok=not lacking,
              hint=hint)  # fmt: skip
    return [row, *_registries(plan, git, env), _test_row(git, head, config, plan, env)]


def _registries(plan: SetupPlan, git: Git, env: Mapping[str, str]) -> list[Row]:
    """The registries and submodules that set-up needs and that do not answer."""
    tree = git.work_tree or git.common_dir
    modules = submodules_out_of_reach(tree, git.common_dir / "modules") if plan.wants_submodules else ()
    return [
        Row(
            what="registry", ok=False, optional=not gone.sure, hint=f"{gone.hint}; or set `setup` in {CONFIG_PATH}",
            found=f"{gone.name} ({gone.url}) cannot be reached: {gone.why}; needed by {gone.needed_by}",
        )
        for gone in (*modules, *out_of_reach(plan.steps, tree, env))
    ]  # fmt: skip


def _test_row(git: Git, head: str, config: Config, plan: SetupPlan, env: Mapping[str, str]) -> Row:
    commands, how = setup.test_commands(git, head, config) if head else ((), "no commit yet")
    if commands:
        if missing := [p for c in commands if (p := _program(c)) and not _is_here(p, plan, env)]:
            hint = f"install {missing[0]}, or let a `setup` command do it"
            return Row(what="tests", found=f"{missing[0]} is not installed; {how}", ok=False, hint=hint)
        timed = ", ".join(f"{command} ({_at_most(config.test_timeout_of(command))})" for command in commands)
        return Row(what="tests", found=f"{timed}; {how}")
    if demand_of(BY_ID["testing"], config.phases) is not Demand.REQUIRED:
        return Row(what="tests", found=f"{how}; {CONFIG_PATH} asks for none", optional=True)
    return Row(what="tests", found=how, ok=False, hint=f"set `test: COMMAND` in {CONFIG_PATH}")


def _program(command: str) -> str:
    """The program a test command begins with; empty where it is a path of the tree or more than a name."""
    match = re.match(r"(?:\w+=\S* )*([\w.+-]+)(?:\s|$)", inside(command)[1])
    return match[1] if match else ""


def _is_here(program: str, plan: SetupPlan, env: Mapping[str, str]) -> bool:
    return (
        plan.provides(program)
        or shutil.which(program, path=env.get("PATH")) is not None
        or program in _BUILTIN
    )


_BUILTIN = frozenset({"cd", "set", "export", "test", "true", "exit", "echo", "if", "for", "while", ":", "."})
"""Words that a shell knows by itself."""


def _at_most(seconds: float) -> str:
    return f"at most {duration(seconds)}" if seconds else "no time limit"


def _agents(chosen: str, config: Config, env: Mapping[str, str]) -> list[Row]:
    """Each agent that works or reviews: its program, and the key by which it reaches its model."""
    rows = []
    rivals = tuple(name for name in config.candidates if not name.isdecimal())
    for name in dict.fromkeys((chosen or config.agent, *rivals, *config.agent_fallback, *config.reviewers)):
        try:
            agent = make_agent(name, config)
            agent.check()
            require_key(name, config, env)
            rows.append(Row(what="agent", found=f"{name} {agent.version()}".strip()))
        except OrchestratorError as exc:
            rows.append(Row(what="agent", found=exc.message, ok=False, hint=exc.hint))
    return rows


def _isolation(config: Config, env: Mapping[str, str]) -> list[Row]:
    """The level that holds here, and what the probe reached from within it."""
    try:
        found = isolation_of(config, env)
    except OrchestratorError as exc:
        return [Row(what="isolation", found=exc.message, ok=False, hint=exc.hint)]
    why = f": {found.why}" if found.why else ""
    hint = "" if found.level is Level.SANDBOXED else "apt-get install bubblewrap"
    return [
        Row(
            what="isolation",
            found=f"{found.level.word}{why}; held: {', '.join(found.held) or 'nothing'}",
            ok=found.level is Level.SANDBOXED or config.isolation == "off",
            hint=hint,
            optional=True,
        ),
        *(
            Row(what="within reach", found=name, ok=True, optional=True)
            for name in [", ".join(found.reached)]
            if name
        ),
        *(
            Row(what="egress", found=words, ok=found.filters, optional=True)
            for words in [found.egress_words()]
            if words
        ),
    ]


def _credentials(git: Git) -> list[Row]:
    return [
        Row(
            what="credentials", found=f"an agent could read a token in {where}", ok=False, optional=True,
            hint="use actions/checkout with persist-credentials: false",
        )
        for where in persisted_credentials(git)
    ]  # fmt: skip
