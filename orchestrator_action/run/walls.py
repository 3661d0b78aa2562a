"""The walls of a run, as its configuration asks for them and this machine has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.agents.environment import command_environment
from orchestrator_action.config.schema import Config
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.probe import find


def isolation_of(config: Config, env: Mapping[str, str]) -> Isolation:
    """What holds the untrusted processes of a run on this machine.

    Raises IsolationError when the configuration requires more.
    """
    home = Path(env.get("HOME") or "/")
    return replace(
        find(config.isolation, command_environment(env)),
        network=frozenset(config.network),
        read=_full(config.sandbox.read, home),
        write=_full(config.sandbox.write, home),
    )


def _full(names: Sequence[str], home: Path) -> tuple[str, ...]:
    return tuple(str(home / name.removeprefix("~/")) if name.startswith("~/") else name for name in names)
