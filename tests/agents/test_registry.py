"""Agents by name, and what a machine needs for each."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.agents.refusals import may_pass, wait_s
from orchestrator_action.agents.registry import (
    AGENTS,
    make_agent,
    model_routes_of,
    package_to_install,
    require_key,
    secret_variables,
)
from orchestrator_action.config.load import with_flags
from orchestrator_action.config.schema import AgentCommand, Config
from orchestrator_action.errors import AgentError, ConfigError
from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.state.failure import failure_of

NPM_OF_TESTS = {"opencode": "opencode-linux-x64-baseline"}
"""The program of this machine alone, where the package would bring those of all."""
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


def test_the_version_that_is_installed_is_the_one_that_the_tests_run():
    """An input `NAME-version` of the Action, where there is one, has the same default."""
    action = (ROOT / "action.yml").read_text()
    tried = json.loads((ROOT / "tests" / "npm" / "package.json").read_text())["dependencies"]

    for name, kind in AGENTS.items():
        package = NPM_OF_TESTS.get(name, kind.npm_package)
        assert not kind.npm_package or kind.npm_version == tried[package]
        if f"  {name}-version:\n" in action:
            assert f'default: "{kind.npm_version}"' in action.partition(f"  {name}-version:\n")[2][:200]
            assert f"INPUT_{name.upper()}_VERSION:" in action


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


@pytest.mark.parametrize(
    ("name", "config", "model"),
    [
        ("codex:gpt-x", Config(), "gpt-x"),
        ("codex", Config(agent="codex", agent_model="gpt-y"), "gpt-y"),
        ("codex", Config(agent="codex:gpt-z", agent_model="gpt-y"), "gpt-y"),
        ("opencode:openrouter/a/b:free", Config(), "openrouter/a/b:free"),
        ("codex", Config(agent="claude", agent_model="opus"), ""),
        ("claude:opus", Config(), "opus"),
    ],
)
def test_a_model_is_named_behind_its_agent_or_is_that_of_the_configured_one(
    name: str, config: Config, model: str
):
    args = getattr(make_agent(name, config), "args", ())

    assert (("--model", model) if model else ()) == args


def test_a_command_gets_its_model_where_it_asks_for_it():
    agent = make_agent(
        "command:small", Config(agent_command=AgentCommand(argv=("a", "{model}"), model="big"))
    )

    assert "small" == agent.settings.model


@pytest.mark.parametrize("name", ["codex:--yolo", "codex:a b", "patch:any"])
def test_what_is_no_model_reaches_no_command_line(name: str):
    with pytest.raises(ConfigError, match="model"):
        make_agent(name, Config())


@pytest.mark.parametrize(
    ("env", "kept"),
    [
        (("OPENAI_API_KEY", "OPENAI_BASE_URL"), ["OPENAI_BASE_URL"]),
        (("OPENAI_API_KEY", "OPENAI_API_BASE", "OTHER_KEY"), ["OPENAI_API_BASE"]),
        (("OPENAI_API_KEY",), []),
        (("OPENAI_BASE_URL",), []),
    ],
)
def test_a_key_of_a_program_of_the_users_is_kept_where_its_address_is_named(
    env: tuple[str, ...], kept: list[str]
):
    """It is the sign that the program can be pointed at our proxy."""
    config = Config(agent_command=AgentCommand(argv=("a",), env=env))

    for name in ("command", "acp"):
        assert kept == [way.address for way in model_routes_of(name, config)]
        assert () == model_routes_of(name, replace(config, key_proxy="off"))
    assert ["OPENAI_BASE_URL"] == [way.address for way in model_routes_of("codex", config)]


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "SSH_AUTH_SOCK"])
@pytest.mark.parametrize("key", ["agent-env", "agent-command: env"])
def test_a_configuration_that_hands_out_what_opens_the_forge_is_refused(key: str, name: str):
    command = AgentCommand(argv=("a",), env=(name,) if key.startswith("agent-command") else ())
    config = Config(agent_command=command, agent_env=(name,) if key == "agent-env" else ())

    with pytest.raises(ConfigError, match=f"^{key} names {name}, which no agent is given$"):
        make_agent("command", config)


@pytest.mark.parametrize(
    ("env", "named", "says"),
    [
        ({}, ("MY_KEY", "MY_URL"), "the agent command has no key: MY_KEY is empty"),
        ({"MY_KEY": "k"}, ("MY_KEY", "MY_URL"), ""),
        ({"B_KEY": "k"}, ("A_KEY", "B_KEY"), ""),
        ({}, ("MY_URL",), ""),
    ],
)
def test_a_key_that_a_program_of_the_users_asks_for_has_to_be_there(env, named, says: str):
    """One of them: which it needs, nobody but the user knows."""
    config = Config(agent_command=AgentCommand(argv=("a",), env=named))

    with pytest.raises(AgentError, match=says) if says else contextlib.nullcontext():
        require_key("command", config, env)


def test_another_agent_of_the_command_line_does_not_get_the_model_of_the_configured_one():
    config = with_flags(Config(agent="claude", agent_model="opus", agent_args=("--x",)), {"agent": "codex"})

    assert ("", ()) == (config.agent_model, config.agent_args)


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("You've hit your usage limit. Upgrade to Pro or try again in 3 days 4 hours 5 minutes.", "quota"),
        ("You've hit your limit · resets 3pm (UTC)", "quota"),
        ("usage limit (five hour), resets at 2026-11-29 21:00 UTC", "quota"),
        ("429 You exceeded your current quota, please check your plan and billing details", "quota"),
        ("Quota exceeded for quota metric GenerateRequestsPerDayPerProjectPerModel", "quota"),
        ("You exceeded your current quota, please check your plan and billing details. Please retry in 43.5s.",
         "overloaded"),
        ("429 Quota exceeded: GenerateRequestsPerDayPerProject. Please retry in 36s.", "quota"),
        ("You've hit your usage limit. Try again in 5 minutes.", "overloaded"),
        ("Your credit balance is too low to access the Anthropic API", "quota"),
        ("429 Rate limit reached for x on tokens per min (TPM): Please try again in 6s", "overloaded"),
        ("Resource has been exhausted (e.g. check quota).", "overloaded"),
        ("529 overloaded_error", "overloaded"),
        ("Incorrect API key provided", "authentication"),
        ("models/gemini-9 is not found for API version v1beta", "model"),
        ("The model `gpt-9` does not exist or you do not have access to it.", "model"),
        ("the disk is full", "agent"),
    ],
)  # fmt: skip
def test_words_of_an_api_are_told_as_what_they_mean(words: str, failure: str):
    report = AgentReport(problems=(words,), transient=may_pass(words), retry_after_s=wait_s(words))

    assert failure == failure_of(Outcome(ending=Ending.EXITED, exit_code=1), report)


def test_the_table_of_the_docs_has_the_cases_of_the_contract_suite():
    """Each by its name, with a column for each agent that it is run with; `python -m benchmarks contract` prints it."""
    from tests.agents import test_headless_cli as suite
    from tests.kit.headless import PLAYED, SPEAKING_ACP

    docs = (ROOT / "docs" / "agents.md").read_text()
    head, *rows = docs[docs.index("| case, run on ") :].partition("\n\n")[0].splitlines()
    told = {re.sub(r" \(\d+\)$", "", row.split("|")[1].strip()) for row in rows[1:]}

    cases = [name for name in vars(suite) if name.startswith("test_")]
    assert {name.removeprefix("test_").replace("_", " ") for name in cases} == told
    assert len(PLAYED | SPEAKING_ACP) == head.count("|") - 2
    assert "NO" not in [cell.strip() for row in rows for cell in row.split("|")]
