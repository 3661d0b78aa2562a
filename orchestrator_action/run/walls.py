"""The walls of a run, as its configuration asks for them and this machine has them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.agents.environment import command_environment
from orchestrator_action.config.schema import Config
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.probe import find
from orchestrator_action.sandbox.view import belongings, may_be_hidden


def isolation_of(config: Config, env: Mapping[str, str], checkout: Path | None = None) -> Isolation:
    """What holds the untrusted processes of a run on this machine.

    Nobody sees the user's `checkout`, unless it is a folder of the system, such as /etc.

    Raises IsolationError when the configuration requires more.
    """
    home = Path(env.get("HOME") or "/")
    mask = (str(checkout),) if checkout is not None and may_be_hidden(str(checkout)) else ()
    return replace(
        find(config.isolation, command_environment(env), network=bool(config.network)),
        network=frozenset(config.network),
        egress=config.egress,
        read=(*_full(config.sandbox.read, home), *_named(config, home, env, mask)),
        mask=mask,
        write=_full(config.sandbox.write, home),
    )


def _named(config: Config, home: Path, env: Mapping[str, str], mask: tuple[str, ...]) -> Iterator[str]:
    """The programs that the configuration's commands name by their whole path, and the files of the agent's."""
    commands = (*(test.command for test in config.test), *config.setup, *config.teardown)
    words = [word for command in commands for word in _words(command)]
    for name in _full((*words, *config.agent_command.argv), home):
        if name.startswith("/") and (os.access(name, os.X_OK) or name in config.agent_command.argv):
            yield from belongings(name, env, masked=mask)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _full(names: Sequence[str], home: Path) -> tuple[str, ...]:
    return tuple(str(home / name.removeprefix("~/")) if name.startswith("~/") else name for name in names)
