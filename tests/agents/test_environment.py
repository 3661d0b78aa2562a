"""What untrusted processes may see of an environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.agents.claude.agent import model_variables
from orchestrator_action.agents.environment import (
    agent_environment,
    command_environment,
    looks_like_forge_token,
)

FORGE = {
    "GITHUB_TOKEN": "x",
    "GH_TOKEN": "x",
    "GH_ENTERPRISE_TOKEN": "x",
    "GITHUB_ENTERPRISE_TOKEN": "x",
    "github_token": "x",
    "MY_GITHUB_PAT": "x",
    "GITLAB_TOKEN": "x",
    "CI_JOB_TOKEN": "x",
    "GITEA_ACCESS_TOKEN": "x",
    "BITBUCKET_APP_PASSWORD": "x",
    "INPUT_GITHUB-TOKEN": "x",
    "INPUT_ANTHROPIC-API-KEY": "x",
    "ACTIONS_RUNTIME_TOKEN": "x",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "x",
    "GITHUB_ENV": "/x",
    "GITHUB_PATH": "/x",
    "GITHUB_OUTPUT": "/x",
    "GITHUB_STATE": "/x",
    "GITHUB_STEP_SUMMARY": "/x",
    "SSH_AUTH_SOCK": "/x",
    "GIT_DIR": "/x",
    "GIT_ASKPASS": "/x",
    "GIT_CONFIG_VALUE_0": "x",
}
VALUES = [
    "ghp_" + "a" * 36,
    "gho_" + "a" * 36,
    "ghu_" + "a" * 36,
    "ghs_" + "a" * 36,
    "ghr_" + "a" * 36,
    "github_pat_" + "a" * 40,
    "glpat-" + "a" * 20,
    "https://x-access-token:abc@github.com/o/r",
    "http://proxy:1/?t=ghs_" + "a" * 36,
    "AUTHORIZATION: basic eHh4",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nx",
]
MODEL = {
    "ANTHROPIC_API_KEY": "k",
    "ANTHROPIC_BASE_URL": "u",
    "CLAUDE_CODE_OAUTH_TOKEN": "t",
    "DISABLE_TELEMETRY": "1",
}
ORDINARY = {
    "PATH": "/bin",
    "HOME": "/h",
    "LANG": "C",
    "LC_ALL": "C",
    "TZ": "UTC",
    "https_proxy": "http://p",
    "VIRTUAL_ENV": "/v",
}
IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "b",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "d",
}
BROKER = {"ORCHESTRATOR_SOCKET": "s", "ORCHESTRATOR_CAPABILITY": "c", "ORCHESTRATOR_CONTEXT": "x"}


def claude_environment(env, extra=()):
    return agent_environment(env, extra=(*model_variables(env), *extra))


@pytest.mark.parametrize("choose", [claude_environment, agent_environment, command_environment])
@pytest.mark.parametrize(("name", "value"), FORGE.items())
def test_a_forges_token_passes_under_no_name(choose, name, value):
    """Not even when the configuration names it."""
    assert {} == choose({name: value}, extra=[name])


@pytest.mark.parametrize("choose", [claude_environment, agent_environment, command_environment])
@pytest.mark.parametrize("value", VALUES)
def test_a_forges_token_passes_in_no_value(choose, value):
    """Whatever the variable is called, and wherever in the value it stands."""
    assert {} == choose({"ANTHROPIC_NOTE": value, "HOME": value, "NOTE": value}, extra=["NOTE"])


def test_an_agent_sees_its_model_the_broker_and_an_identity():
    given_ = {**MODEL, **ORDINARY, **IDENTITY, **BROKER}

    assert given_ == claude_environment({**given_, "SECRET": "x", "AWS_SECRET_ACCESS_KEY": "x"})


def test_no_agent_sees_the_key_of_another_agents_model():
    """Whoever needs one names it."""
    assert {**ORDINARY, **BROKER} == agent_environment({**MODEL, **ORDINARY, **BROKER, "OPENAI_API_KEY": "k"})


def test_a_repositorys_command_sees_no_keys():
    assert {**ORDINARY, **IDENTITY} == command_environment(
        {**MODEL, **ORDINARY, **IDENTITY, **BROKER, "SECRET": "x"}
    )


def test_further_variables_pass_by_name():
    env = {"NPM_TOKEN": "n", "OTHER": "o"}

    assert {"NPM_TOKEN": "n"} == agent_environment(env, extra=["NPM_TOKEN", "MISSING"])
    assert {"NPM_TOKEN": "n"} == command_environment(env, ["NPM_TOKEN"])


def test_a_clouds_keys_pass_only_when_the_model_is_there():
    aws, gcp = {"AWS_REGION": "r", "AWS_SECRET_ACCESS_KEY": "k"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/f"}

    assert {} == claude_environment({**aws, **gcp})
    assert aws.items() <= claude_environment({**aws, **gcp, "CLAUDE_CODE_USE_BEDROCK": "1"}).items()
    assert gcp.items() <= claude_environment({**aws, **gcp, "CLAUDE_CODE_USE_VERTEX": "1"}).items()


def test_a_session_started_from_within_a_session_is_not_its_child():
    outer = {
        "CLAUDE_CODE_SESSION_ID": "x",
        "CLAUDE_CODE_MESSAGING_TOKEN": "x",
        "CLAUDE_CODE_ENTRYPOINT": "cli",
        "CLAUDECODE": "1",
    }

    assert {} == claude_environment(outer)


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60)))
def test_nothing_unknown_passes(env):
    """An allow-list: whatever is not named stays out."""
    known = {**MODEL, **ORDINARY}
    seen = claude_environment({**env, **known})

    assert known.items() <= seen.items()
    assert not [n for n, v in seen.items() if looks_like_forge_token(n, v)]
    assert seen.keys() - known.keys() <= env.keys()
