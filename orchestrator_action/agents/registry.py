"""The agents there are, by name. Adding one touches its folder, this file and the docs.

Each is imported when it is asked for: a run pays for the agents that it uses.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.agents.base import Agent
from orchestrator_action.agents.environment import looks_like_forge_token
from orchestrator_action.agents.key_proxy import ModelRoute
from orchestrator_action.agents.meter import Meter
from orchestrator_action.agents.refusals import MOST_REFUSALS
from orchestrator_action.config.schema import CONFIG_PATH, Config
from orchestrator_action.errors import AgentError, ConfigError

Make = Callable[[Config, str], Agent]
"""From the configuration and a model's name, which may be empty."""
_MODEL = re.compile(r"[\w.][\w.:/@+-]*")
"""What a model may be called: it becomes an argument."""


def _claude(config: Config, model: str) -> Agent:
    from orchestrator_action.agents.claude.agent import ClaudeAgent

    return ClaudeAgent(args=_args("claude", config, model), env_names=config.agent_env)


def _patch(config: Config, model: str) -> Agent:  # noqa: ARG001 - it has nothing to be configured
    from orchestrator_action.agents.patch.agent import PatchAgent

    if model:
        raise ConfigError("the agent patch has no model", hint="leave agent-model out, or name another agent")
    return PatchAgent()


def _command(config: Config, model: str) -> Agent:
    from orchestrator_action.agents.command.agent import CommandAgent

    settings = replace(config.agent_command, model=model or config.agent_command.model)
    return CommandAgent(settings=settings, args=_args("command", config), env_names=config.agent_env)


def _acp(config: Config, model: str) -> Agent:
    from orchestrator_action.agents.acp.agent import cli_of
    from orchestrator_action.agents.headless import HeadlessAgent

    settings = replace(config.agent_command, model=model or config.agent_command.model)
    return HeadlessAgent(
        cli=cli_of(settings), executable=settings.argv[0] if settings.argv else "", install=settings.install,
        args=_args("acp", config), env_names=config.agent_env,
    )  # fmt: skip


def _headless(name: str) -> Make:
    """What makes an agent from the `CLI` of its module."""

    def make(config: Config, model: str) -> Agent:
        from orchestrator_action.agents.headless import HeadlessAgent

        cli = importlib.import_module(f"orchestrator_action.agents.{name}.agent").CLI
        args = _args(name, config, model)
        return HeadlessAgent(cli=cli, package=AGENTS[name].npm_package, args=args, env_names=config.agent_env)

    return make


def _args(name: str, config: Config, model: str = "") -> tuple[str, ...]:
    """The model, and `agent-args`: words of the configured agent, which a reviewer of another make does not know."""
    own = config.agent_args if name == kind_of(config.agent) else ()
    return (*own, *(("--model", model) if model else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKind:
    """How an agent is made, and what a machine needs for it."""

    make: Make
    npm_package: str = ""
    """What its program comes in."""
    npm_version: str = ""
    """The version that was tried. The Action installs it, or that of an input `NAME-version`."""
    secrets: tuple[str, ...] = ()
    """The variables of its keys. The Action takes each by an input of that name, and shows its value nowhere."""
    other_keys: tuple[str, ...] = ()
    """Variables that take a key's place, and for which the Action has no input."""
    ways: tuple[ModelRoute, ...] = ()
    """The keys that can stay in our process."""
    is_users: bool = False
    """Its program is the one that `agent-command` names."""
    counts_turns: bool = False
    """Its program counts its turns itself, those of its sub-agents not; else those count that the proxy sees."""
    asks_plainly: bool = False
    """Its program may work without offering its model tools: then each request is a turn."""
    asks_for_ever: bool = False
    """Its program may ask an API that refuses again and again, and say nothing of it."""
    root_env: Mapping[str, str] = field(default_factory=dict)
    """What its program wants to be told where it runs as root in a container."""


CLAUDE_KEYS = (
    "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY",
)  # fmt: skip
"""Source: code.claude.com/docs, "Authentication". What `claude login` keeps is not seen by a session of ours."""

_ANTHROPIC = ModelRoute(
    key="ANTHROPIC_API_KEY", address="ANTHROPIC_BASE_URL", vendor="https://api.anthropic.com"
)
_OPENAI = ModelRoute(key="OPENAI_API_KEY", address="OPENAI_BASE_URL", vendor="https://api.openai.com/v1")
_GEMINI = ModelRoute(
    key="GEMINI_API_KEY", address="GOOGLE_GEMINI_BASE_URL", vendor="https://generativelanguage.googleapis.com"
)
_OPENROUTER = ModelRoute(
    key="OPENROUTER_API_KEY", address="OPENROUTER_BASE_URL", vendor="https://openrouter.ai/api/v1"
)
_KNOWN = (
    _ANTHROPIC, replace(_ANTHROPIC, address="ANTHROPIC_API_BASE"), _OPENAI, replace(_OPENAI, address="OPENAI_API_BASE"),
    _GEMINI, _OPENROUTER,
)  # fmt: skip
"""How programs find their API: those of the vendors, and those that go by LiteLLM."""
_OPENCODE = (
    replace(_ANTHROPIC, vendor="https://api.anthropic.com/v1"), _OPENAI,
    replace(_GEMINI, vendor="https://generativelanguage.googleapis.com/v1beta"),
    _OPENROUTER,
)  # fmt: skip

AGENTS: Mapping[str, AgentKind] = {
    "claude": AgentKind(
        make=_claude, npm_package="@anthropic-ai/claude-code", npm_version="2.1.330",
        secrets=("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"), other_keys=CLAUDE_KEYS, root_env={"IS_SANDBOX": "1"},
        ways=(_ANTHROPIC,), counts_turns=True,
    ),
    "codex": AgentKind(
        make=_headless("codex"), npm_package="@openai/codex", npm_version="0.171.0", secrets=("OPENAI_API_KEY",),
        ways=(_OPENAI,),
    ),
    "copilot": AgentKind(
        make=_headless("copilot"), npm_package="@github/copilot", npm_version="1.0.102", secrets=("OPENAI_API_KEY",),
        ways=(_OPENAI,),
    ),
    "gemini": AgentKind(
        make=_headless("gemini"), npm_package="@google/gemini-cli", npm_version="0.61.0", secrets=("GEMINI_API_KEY",),
        ways=(_GEMINI,),
    ),
    "opencode": AgentKind(
        make=_headless("opencode"), npm_package="opencode-ai", npm_version="1.18.33",
        secrets=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"), other_keys=("OPENROUTER_API_KEY",),
        ways=_OPENCODE,
    ),
    "acp": AgentKind(make=_acp, is_users=True, asks_for_ever=True),
    "patch": AgentKind(make=_patch),
    "command": AgentKind(make=_command, is_users=True, asks_plainly=True),
}  # fmt: skip
"""By the name that `--agent` takes."""
_MANAGED = Path("/etc/claude-code/managed-settings.json")
"""Settings of a machine's administrator, which may name a program that has the key."""


def kind_of(name: str) -> str:
    """The agent that `NAME` or `NAME:MODEL` names."""
    return name.partition(":")[0]


def make_agent(name: str, config: Config) -> Agent:
    """The agent of this name, as `NAME` or `NAME:MODEL`. Raises ConfigError for one that nobody knows."""
    kind = _kind(name)
    _refuse_tokens(config)
    model = name.partition(":")[2] or (config.agent_model if kind_of(name) == kind_of(config.agent) else "")
    if model and not _MODEL.fullmatch(model):
        raise ConfigError(f"{model!r} is no model's name", hint=f"as in {kind_of(name)}:MODEL")
    return kind.make(config, model)


def _refuse_tokens(config: Config) -> None:
    """Raise ConfigError where the configuration hands an agent what opens the forge, or speaks to the runner."""
    for key, names in (("agent-env", config.agent_env), ("agent-command: env", config.agent_command.env)):
        for named in names:
            if looks_like_forge_token(named, ""):
                raise ConfigError(
                    f"{key} names {named}, which no agent is given",
                    hint="take it out: pushes and pull requests are made by the orchestrator",
                )


def keys_of(name: str) -> tuple[str, ...]:
    """The variables of which an agent needs one, the usual first; empty where it needs none."""
    kind = _kind(name)
    return (*kind.secrets, *kind.other_keys)


def require_key(name: str, config: Config, env: Mapping[str, str]) -> None:
    """Raise AgentError, naming secret and input, when none of an agent's keys is in `env`.

    A name in `agent-env`, or a helper of the machine's managed settings, may be a key that nobody here knows.
    """
    keys = _named_keys(config) if _kind(name).is_users else keys_of(name)
    if not keys or any(env.get(k) for k in (*keys, *config.agent_env)) or _MANAGED.exists():
        return
    first, second = keys[:2] if len(keys) > 1 else (keys[0], keys[0])
    named = first if first == second else f"{first} or {second}"
    if _kind(name).is_users:
        hint = f"set it, or take it out of agent-command: env in {CONFIG_PATH}"
    elif env.get("GITHUB_ACTIONS") == "true":
        given = f"`{first.lower().replace('_', '-')}: ${{{{ secrets.{first} }}}}`"
        hint = (
            f"add the secret {first} under Settings, Secrets and variables, Actions, and give it as {given}"
        )
    else:
        hint = f"export {first}=…"
    raise AgentError(f"the agent {name} has no key: {named} is empty", hint=hint)


def _named_keys(config: Config) -> tuple[str, ...]:
    """The variables that are keys by their names, of those that a program of the user's may see."""
    return tuple(n for n in config.agent_command.env if n.endswith(("_KEY", "_TOKEN")))


def _kind(name: str) -> AgentKind:
    if kind_of(name) not in AGENTS:
        raise ConfigError(f"no agent {kind_of(name)!r}", hint=f"one of {', '.join(AGENTS)}")
    return AGENTS[kind_of(name)]


def package_to_install(name: str, version: str | None = None) -> str:
    """The npm package, with its version, that is missing for an agent; empty when nothing is.

    Without `version` it is the one that was tried; with an empty one nothing is installed.

    Raises ConfigError for an agent nobody knows, and for what is no version.
    """
    kind = _kind(name)
    version = kind.npm_version if version is None else version
    if version and not version.replace(".", "").replace("-", "").isalnum():
        raise ConfigError(f"{version!r} is no version", hint=f"{name}-version is such as 2.1.330")
    if not version or not kind.npm_package or kind.make(Config(), "").version() == version:
        return ""
    return f"{kind.npm_package}@{version}"


def secret_variables() -> tuple[str, ...]:
    """The variables that hold a key of any agent."""
    return tuple(dict.fromkeys(name for kind in AGENTS.values() for name in kind.secrets))


def model_routes_of(name: str, config: Config) -> tuple[ModelRoute, ...]:
    """The keys of an agent that stay in our process; none where `key-proxy` is off.

    Of a program of the user's they are those that `agent-command` names together with the address of their API: it
    is said there that the program can be pointed at it.
    """
    if config.key_proxy != "auto":
        return ()
    kind, named = _kind(name), set(config.agent_command.env)
    return tuple(way for way in _KNOWN if {way.key, way.address} <= named) if kind.is_users else kind.ways


def make_meter(
    name: str, config: Config, *, give_up: Callable[[str], None], limit_usd: float = 0.0, max_turns: int = 0
) -> Meter:
    """What counts, at the proxy of an agent's keys, the requests of one attempt; `give_up` ends that."""
    kind = _kind(name)
    return Meter(
        prices=config.prices, limit_usd=limit_usd, counts_turns=not kind.counts_turns, max_turns=max_turns,
        asks_plainly=kind.asks_plainly,
        most_refusals=MOST_REFUSALS if kind.asks_for_ever else 0, give_up=give_up,
    )  # fmt: skip


def root_env(name: str) -> Mapping[str, str]:
    """What an agent's program wants to be told where it runs as root in a container."""
    return _kind(name).root_env


def words_of(name: str) -> Callable[[bytes], str]:
    """What a line of this agent's output says, in words; of an agent that nobody knows, the line itself."""
    return make_agent(kind_of(name) if kind_of(name) in AGENTS else "patch", Config()).words_of
