"""The GitHub Action's door: inputs come in by environment, outputs, summary and log lines go out.

Inputs are `INPUT_*` variables of the step, never part of a command line. The step `exec`s this program, so
that the runner's SIGINT reaches it; nobody of the same user can look into it from its first line on.
What runs here writes the runner's files anew at its end: an agent that found them changes no later step.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator_action.action.step import Step
from orchestrator_action.errors import ConfigError, Interrupted, NothingToDo, OrchestratorError
from orchestrator_action.process import own_environment
from orchestrator_action.process.table import make_undumpable
from orchestrator_action.sandbox.start import run_to_end

MODES_THAT_JUDGE = ("verify", "measure", "report")
MODES = ("run", *MODES_THAT_JUDGE, "settle")
INSTALL = "install"
"""Makes everything ready and does nothing: the steps after it call the command."""


def prepare(step: Step) -> int:
    """Which agent will run, and what has to be installed for it: outputs for the steps that follow."""
    import shutil

    from orchestrator_action.agents.registry import kind_of, package_to_install
    from orchestrator_action.config.load import load_bytes
    from orchestrator_action.config.schema import Config

    mode = step["FOR_MODE"] or "run"
    if mode not in (*MODES, INSTALL):
        raise ConfigError(f"no mode {mode!r}", hint=f"one of {', '.join((*MODES, INSTALL))}")
    trust_checkout(step.repo, step.env)
    file = step.repo / (step["CONFIG"] or ".github/orchestrator.yml")
    config = load_bytes(file.read_bytes(), source=step["CONFIG"]) if file.is_file() else Config()
    agent = step["AGENT"] or config.agent
    candidates = step["CANDIDATES"].replace(",", " ").split() or config.candidates
    rivals = tuple(name for name in candidates if not name.isdecimal())
    named = (agent, *rivals, *config.agent_fallback, *config.reviewers)
    used = dict.fromkeys(map(kind_of, named if mode in {"run", "verify", INSTALL} else ()))
    wanted = [
        p for name in used if (p := package_to_install(name, step.inputs.get(f"{name.upper()}_VERSION")))
    ]
    step.files.set_output("agent", agent)
    step.files.set_output("npm-packages", " ".join(wanted))
    step.files.set_output("isolation", "off" if mode == "report" else config.isolation)  # it runs nothing
    step.files.set_output("needs-node", "true" if wanted and not shutil.which("npm") else "false")
    return 0


def trust_checkout(repo: Path, env: Mapping[str, str]) -> None:
    """Let root's git work in the job's own checkout: in a container its folder is the runner's user's."""
    path = repo.resolve()
    if os.geteuid() != 0 or not path.is_dir() or path.stat().st_uid == 0:
        return
    given = {**env, "GIT_CONFIG_NOSYSTEM": "1"}
    known = ["git", "config", "--global", "--get-all", "safe.directory"]
    there = run_to_end(known, env=given).stdout.splitlines()
    if str(path) not in there:
        run_to_end([*known[:3], "--add", "safe.directory", str(path)], env=given)


def main() -> int:
    """Do what the input `mode` says; the exit code of the step."""
    own_environment.take_secrets()
    make_undumpable()
    sys.dont_write_bytecode = True
    step = Step(own_environment.environment())
    for name in [n for n in os.environ if n.startswith("INPUT_")]:
        del os.environ[name]
    _show_lines()
    try:
        return _mode(step)
    except NothingToDo as exc:
        step.say(f"nothing to do: {exc.message}")
        step.files.set_output("conclusion", "neutral")
        return 0
    except OrchestratorError as exc:
        step.remark("error", exc.message + (f"\nhint: {exc.hint}" if exc.hint else ""))
        ended = "cancelled" if isinstance(exc, Interrupted) else "failure"
        step.files.set_output("conclusion", ended)
        return exc.exit_code
    except Exception as exc:  # noqa: BLE001 - the outermost door
        return _crash(step, exc)


def _mode(step: Step) -> int:
    mode = step["MODE"] or "run"
    if mode == "prepare":
        return prepare(step)
    if mode not in MODES:
        raise ConfigError(f"no mode {mode!r}", hint=f"one of {', '.join(MODES)}")
    if bool(step["APP_ID"]) != bool(step["APP_PRIVATE_KEY"]):
        raise ConfigError("app-id and app-private-key belong together", hint="give both, or none")
    if step["SIGNING_KEY"] and mode != "report":
        raise ConfigError(
            f"mode {mode} runs code of the repository, so it gets no signing-key",
            hint="sign in the job of mode report, which runs none",
        )
    if not step["GITHUB_TOKEN"] and not step["APP_ID"]:
        raise ConfigError("there is no token for GitHub", hint="give github-token, or leave it out")
    from orchestrator_action.action import judging, modes

    do: Callable[[Step], int] = getattr(judging if mode in MODES_THAT_JUDGE else modes, mode)
    return do(step)


def _show_lines() -> None:
    """The runner reads lines as they are said."""
    import logging

    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    level = os.environ.get("ORCHESTRATOR_LOG", "WARNING").upper()
    logging.basicConfig(
        stream=sys.stdout, level=level if level.isalpha() else "WARNING", format="%(message)s"
    )


def _crash(step: Step, exc: Exception) -> int:
    import tempfile
    import traceback

    fd, name = tempfile.mkstemp(prefix="orchestrator-crash-", suffix=".txt")
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as out:
        traceback.print_exception(exc, file=out)
    step.remark("error", f"a bug of ours: {type(exc).__name__}: {exc}; please report it with {name}")
    step.files.set_output("conclusion", "failure")
    return 70
