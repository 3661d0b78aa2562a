"""What holds gates on this machine, found by the probe in a helper process with the whole package.

A question on stdin (JSON), the answer on stdout (JSON). `gate_walls` asks and remembers: a push cannot wait
for the probe and its imports each time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orchestrator_action.config.schema import Config, SandboxConfig
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.protocol.attempt import Command
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.sandbox.start import prepare


def find_walls(asked: dict[str, Any]) -> dict[str, Any]:
    """The level, what builds its walls, and the environment as it is true within.

    Raises IsolationError when the configuration requires more than holds here.
    """
    config = Config(
        isolation=asked["isolation"],
        network=tuple(asked["network"]),
        sandbox=SandboxConfig(read=tuple(asked["read"]), write=tuple(asked["write"])),
    )
    env: dict[str, str] = asked["env"]
    found = isolation_of(config, env, Path(asked["checkout"]) if asked["checkout"] else None)
    policy = found.policy(
        Role.GATE,
        write=map(Path, asked["own"]),
        read=map(Path, asked["reads"]),
        scratch=Path(asked["scratch"]),
    )
    ready = prepare(Command(argv=("/bin/sh",), cwd=asked["cwd"], env=env), policy)
    changed = {name: value for name, value in ready.env.items() if env.get(name) != value}
    return {
        "level": found.level.word,
        "said": found.sentence(),
        "prefix": list(ready.prefix),
        "set": changed,
        "unset": sorted(set(env) - set(ready.env)),
    }


def main() -> int:
    """Answer the question on stdin."""
    try:
        print(json.dumps(find_walls(json.load(sys.stdin))))
    except OrchestratorError as exc:
        print(f"{exc.message}\n{exc.hint}", file=sys.stderr)
        return 2
    return 0
