"""The host that an agent's model is at: it is the one that stays within reach where egress is filtered."""

from __future__ import annotations

import pytest

from orchestrator_action.agents.claude.agent import model_hosts
from orchestrator_action.agents.hosts import host_of, hosts_named
from orchestrator_action.agents.registry import AGENTS, keys_of, make_agent
from orchestrator_action.config.schema import Config
from orchestrator_action.sandbox.egress import Destination


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_with_a_key_says_where_its_model_is(name: str):
    """Without any address in its environment: at the vendor's own host, which the proxy takes as one."""
    hosts = make_agent(name, Config()).hosts({})

    assert bool(keys_of(name)) == bool(hosts)
    assert all(Destination.of(host).port == 0 for host in hosts)


@pytest.mark.parametrize(
    ("env", "hosts"),
    [
        ({}, ("api.anthropic.com",)),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8080/x"}, ("127.0.0.1:8080",)),
        (
            {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1"},
            tuple(f"{name}.eu-west-1.amazonaws.com" for name in ("bedrock-runtime", "bedrock", "sts")),
        ),
        (
            {"CLAUDE_CODE_USE_VERTEX": "1", "CLOUD_ML_REGION": "europe-west1"},
            ("europe-west1-aiplatform.googleapis.com", "oauth2.googleapis.com"),
        ),
        ({"CLAUDE_CODE_USE_VERTEX": "1"}, ("aiplatform.googleapis.com", "oauth2.googleapis.com")),
        ({"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_FOUNDRY_RESOURCE": "me"}, ("me.services.ai.azure.com",)),
    ],
)  # fmt: skip
def test_where_claude_finds_its_model(env: dict[str, str], hosts: tuple[str, ...]):
    assert hosts == model_hosts(env)


def test_another_vendor_is_another_host():
    """opencode's is that of the model in its arguments; an address among the variables comes first."""
    agent = make_agent("opencode", Config(agent="opencode", agent_args=("--model", "openrouter/m")))

    assert ("openrouter.ai",) == agent.hosts({"ANTHROPIC_BASE_URL": "https://a.test"})
    assert ("own.test:8443",) == agent.hosts({"OPENROUTER_BASE_URL": "https://own.test:8443/v1"})


@pytest.mark.parametrize(
    ("address", "host"),
    [("https://a.test/v1", "a.test"), ("http://[::1]:99", "[::1]:99"), ("a.test", ""), ("http://a:x", ""), ("", "")],
)  # fmt: skip
def test_the_host_of_an_address(address: str, host: str):
    assert host == host_of(address)
    assert ((host,) if host else ()) == hosts_named({"MY_BASE_URL": address, "OTHER": "https://b.test"})
