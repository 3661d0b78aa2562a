"""Agents by name, and what a machine needs for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator_action.agents.registry import AGENTS, make_agent, package_to_install, secret_variables
from orchestrator_action.config.schema import AgentCommand, Config
from orchestrator_action.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def test_every_agent_answers_to_its_name():
    assert list(AGENTS) == [make_agent(name, Config()).name for name in AGENTS]


def test_an_agent_nobody_knows_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="no agent 'clyde'") as caught:
        make_agent("clyde", Config())

    assert "claude" in caught.value.hint


def test_what_has_to_be_installed_is_a_package_at_the_version_asked_for(tmp_path: Path):
    """Nothing for an agent that needs nothing, and nothing where the version is there."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        missing = package_to_install("claude", "2.1.330")
        program = tmp_path / "claude"
        program.write_text("#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
        program.chmod(0o755)
        there = package_to_install("claude", "2.1.330")

    assert ("@anthropic-ai/claude-code@2.1.330", "") == (missing, there)
    assert "" == package_to_install("claude", "") == package_to_install("patch", "1.0")


def test_what_is_no_version_reaches_no_command_line():
    with pytest.raises(ConfigError, match="is no version"):
        package_to_install("claude", "1.0; rm -rf /")


def test_every_package_is_installed_at_a_version_that_the_action_asks_for():
    """The input `NAME-version` is there for each agent whose program comes from npm."""
    action = (ROOT / "action.yml").read_text()

    for name, kind in AGENTS.items():
        assert not kind.npm_package or f"  {name}-version:\n" in action
        assert not kind.npm_package or f"INPUT_{name.upper()}_VERSION:" in action


def test_every_key_is_an_input_of_the_action_by_its_name():
    action = (ROOT / "action.yml").read_text()

    for name in secret_variables():
        kebab = name.lower().replace("_", "-")
        assert f"  {kebab}:\n" in action
        assert f"INPUT_{name}: ${{{{ inputs.{kebab} }}}}" in action


def test_arguments_are_those_of_the_agent_that_is_configured():
    """A reviewer of another make, or a task with an agent of its own, does not know them."""
    config = Config(agent="codex", agent_args=("-m", "x"), agent_command=AgentCommand(argv=("a",)))

    given = {name: getattr(make_agent(name, config), "args", ()) for name in AGENTS}
    assert {"codex": ("-m", "x")} == {name: args for name, args in given.items() if args}
