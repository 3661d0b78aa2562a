"""Sets up a gate tree, in a helper process with the whole package: detected, run within walls and kept as for a run.

The question is a file (JSON), the answer another one. What is kept lies in a folder of the hook's own: what was
installed for a pushed commit is not believed by runs.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator_action.agents.environment import command_environment
from orchestrator_action.config.schema import Config, SandboxConfig
from orchestrator_action.errors import OrchestratorError, SetupError
from orchestrator_action.git.repo import Git
from orchestrator_action.process.supervisor import Cancel, supervise
from orchestrator_action.protocol.attempt import Command, Ending, Limits
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.verify.ecosystems.base import SetupStep
from orchestrator_action.verify.setup import (
    SUBMODULES,
    SetupPlan,
    last_words,
    prepare_tree,
    setup_environment,
    setup_in_force,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSetup:
    """One set-up of one tree."""

    asked: dict[str, Any]
    walls: Isolation
    env: dict[str, str]
    did: list[str] = field(default_factory=list)
    """The commands that ran."""

    def run(self, command: str, step: SetupStep | None, part: str) -> None:
        """Run one of its commands in the tree. Raises SetupError when it fails."""
        tree, home = self.asked["tree"], Path(self.asked["home"])
        added = {n: v.replace("{tree}", tree) for n, v in step.env.items()} if step is not None else {}
        added.pop("VIRTUAL_ENV", None)  # it is being made
        text = command.replace("{common}", shlex.quote(self.asked["common"]))
        log = home / f"setup-{part}.log"
        outcome = supervise(
            Command(argv=("/bin/sh", "-c", text), cwd=tree, env={**self.env, **added}),
            log=log,
            limits=Limits(wall_s=max(self.asked["timeout_s"], 0.001), stall_s=0.0, start_s=0.0),
            cancel=Cancel(),
            policy=self.walls.policy(
                Role.SETUP,
                write=map(Path, self.asked["own"]),
                read=[Path(self.asked["common"], "objects"), Path(self.asked["common"], "modules")],
                scratch=home / "scratch",
            ),
        )
        if outcome.ending is not Ending.EXITED or outcome.exit_code != 0:
            how = f"exit {outcome.exit_code}" if outcome.exit_code is not None else str(outcome.ending)
            raise SetupError(f"setup command {command!r} failed: {how}: {last_words(log)}", hint=f"see {log}")
        if step is not None:
            self.did.append(command)


def set_up_tree(asked: dict[str, Any]) -> dict[str, Any]:
    """Set up the tree; what its gates get. Raises OrchestratorError with what the user can mend."""
    config = Config(
        isolation=asked["isolation"],
        network=tuple(asked["network"]),
        sandbox=SandboxConfig(read=tuple(asked["read"]), write=tuple(asked["write"])),
        setup=tuple(asked["commands"]),
    )
    env = command_environment(asked["env"])
    tree = Path(asked["tree"])
    walls = isolation_of(config, asked["env"], Path(asked["checkout"]) if asked["checkout"] else None)
    git = Git.open(tree)
    plan = setup_in_force(git, git.head(), config)
    plan = SetupPlan(steps=tuple(step for step in plan.steps if step is not SUBMODULES))  # the tree has them
    made = GateSetup(asked=asked, walls=walls, env=env)
    prepare_tree(
        plan, tree, env=env, run=made.run, cache=Path(asked["cache"]), level=walls.level.word, at_base=True
    )
    ready = setup_environment(plan, tree, {"PATH": ""})
    path = [folder for folder in ready.pop("PATH").split(os.pathsep) if folder]
    return {"path": path, "variables": ready, "did": made.did}


def main(question: str) -> int:
    """Answer the question in a file."""
    asked = json.loads(Path(question).read_text(encoding="utf-8"))
    try:
        Path(asked["answer"]).write_text(json.dumps(set_up_tree(asked)), encoding="utf-8")
    except OrchestratorError as exc:
        print(f"{exc.message}\n{exc.hint}", file=sys.stderr)
        return 2
    return 0
