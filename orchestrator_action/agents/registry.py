"""The agents there are, by name. Adding one touches its folder, this file and the docs.

Each is imported when it is asked for: a run pays for the agents that it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator_action.agents.base import Agent
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError


def _claude(config: Config) -> Agent:
    from orchestrator_action.agents.claude.agent import ClaudeAgent

    return ClaudeAgent(args=config.agent_args, env_names=config.agent_env)


def _patch(config: Config) -> Agent:  # noqa: ARG001 - it has nothing to be configured
    from orchestrator_action.agents.patch.agent import PatchAgent

    return PatchAgent()


def _command(config: Config) -> Agent:
    from orchestrator_action.agents.command.agent import CommandAgent

    return CommandAgent(settings=config.agent_command, args=config.agent_args, env_names=config.agent_env)


AGENTS: Mapping[str, Callable[[Config], Agent]] = {"claude": _claude, "patch": _patch, "command": _command}
"""By the name that `--agent` takes."""


def make_agent(name: str, config: Config) -> Agent:
    """The agent of this name. Raises ConfigError for one that nobody knows."""
    if name not in AGENTS:
        raise ConfigError(f"no agent {name!r}", hint=f"one of {', '.join(AGENTS)}")
    return AGENTS[name](config)


def words_of(name: str) -> Callable[[bytes], str]:
    """What a line of this agent's output says, in words; of an agent that nobody knows, the line itself."""
    return make_agent(name if name in AGENTS else "patch", Config()).words_of
