"""The agents there are, by name. Adding one touches its folder, this file and the docs.

Each is imported when it is asked for: a run pays for the agents that it uses.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator_action.agents.base import Agent
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError


def _claude(config: Config) -> Agent:
    from orchestrator_action.agents.claude.agent import ClaudeAgent

    return ClaudeAgent(args=_args("claude", config), env_names=config.agent_env)


def _patch(config: Config) -> Agent:  # noqa: ARG001 - it has nothing to be configured
    from orchestrator_action.agents.patch.agent import PatchAgent

    return PatchAgent()


def _command(config: Config) -> Agent:
    from orchestrator_action.agents.command.agent import CommandAgent

    return CommandAgent(
        settings=config.agent_command, args=_args("command", config), env_names=config.agent_env
    )


def _headless(name: str) -> Callable[[Config], Agent]:
    """What makes an agent from the `CLI` of its module."""

    def make(config: Config) -> Agent:
        from orchestrator_action.agents.headless import HeadlessAgent

        cli = importlib.import_module(f"orchestrator_action.agents.{name}.agent").CLI
        args = _args(name, config)
        return HeadlessAgent(cli=cli, package=AGENTS[name].npm_package, args=args, env_names=config.agent_env)

    return make


def _args(name: str, config: Config) -> tuple[str, ...]:
    """`agent-args` are words of the agent that is configured; a reviewer of another make does not know them."""
    return config.agent_args if name == config.agent else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKind:
    """How an agent is made, and what a machine needs for it."""

    make: Callable[[Config], Agent]
    npm_package: str = ""
    """What its program comes in. The Action installs it at the version of its input `NAME-version`."""
    secrets: tuple[str, ...] = ()
    """The variables of its keys. The Action takes each by an input of that name, and shows its value nowhere."""
    root_env: Mapping[str, str] = field(default_factory=dict)
    """What its program wants to be told where it runs as root in a container."""


AGENTS: Mapping[str, AgentKind] = {
    "claude": AgentKind(
        make=_claude, npm_package="@anthropic-ai/claude-code",
        secrets=("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), root_env={"IS_SANDBOX": "1"},
    ),
    "codex": AgentKind(make=_headless("codex"), npm_package="@openai/codex", secrets=("OPENAI_API_KEY",)),
    "patch": AgentKind(make=_patch),
    "command": AgentKind(make=_command),
}  # fmt: skip
"""By the name that `--agent` takes."""


def make_agent(name: str, config: Config) -> Agent:
    """The agent of this name. Raises ConfigError for one that nobody knows."""
    return _kind(name).make(config)


def _kind(name: str) -> AgentKind:
    if name not in AGENTS:
        raise ConfigError(f"no agent {name!r}", hint=f"one of {', '.join(AGENTS)}")
    return AGENTS[name]


def package_to_install(name: str, version: str) -> str:
    """The npm package, with its version, that is missing for an agent; empty when nothing is.

    Raises ConfigError for an agent nobody knows, and for what is no version.
    """
    if version and not version.replace(".", "").replace("-", "").isalnum():
        raise ConfigError(f"{version!r} is no version", hint=f"{name}-version is such as 2.1.330")
    kind = _kind(name)
    if not version or not kind.npm_package or kind.make(Config()).version() == version:
        return ""
    return f"{kind.npm_package}@{version}"


def secret_variables() -> tuple[str, ...]:
    """The variables that hold a key of any agent."""
    return tuple(dict.fromkeys(name for kind in AGENTS.values() for name in kind.secrets))


def root_env(name: str) -> Mapping[str, str]:
    """What an agent's program wants to be told where it runs as root in a container."""
    return _kind(name).root_env


def words_of(name: str) -> Callable[[bytes], str]:
    """What a line of this agent's output says, in words; of an agent that nobody knows, the line itself."""
    return make_agent(name if name in AGENTS else "patch", Config()).words_of
