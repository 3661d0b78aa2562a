"""The exact process of a session, as argv, directory and environment; nothing is started here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.agents.claude.agent import PLUGIN, ClaudeAgent
from orchestrator_action.errors import AgentError
from orchestrator_action.protocol.attempt import Limits
from tests.agents.conftest import context_in
from tests.kit.repos import Repo

UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def context(repo: Repo, tmp_path: Path):
    return replace(context_in(repo, tmp_path / "a run"), session_id=UUID, limits=Limits(max_turns=50))


def argv(context, tmp_path, agent=None, env=None):
    return (agent or ClaudeAgent()).command(context, env=env or {}, private=tmp_path / "private").argv


def test_the_argv_is_exact(context, tmp_path):
    assert (
        "claude",
        "-p",
        f"/agent:workflow-manager {context.path}",
        "--plugin-dir",
        str(PLUGIN),
        "--dangerously-skip-permissions",
        "--verbose",
        "--max-turns=50",
        "--output-format=stream-json",
        "--setting-sources",
        "user",
        "--session-id",
        UUID,
    ) == argv(context, tmp_path)


def test_money_and_further_arguments_come_last(context, tmp_path):
    limited = replace(context, limits=Limits(max_turns=7, max_budget_usd=2.5))
    given = argv(limited, tmp_path, ClaudeAgent(executable="/x/claude", args=("--model", "opus")))

    assert ("--max-budget-usd", "2.5", "--model", "opus") == given[-4:]
    assert "--max-turns=7" in given
    assert "/x/claude" == given[0]


def test_a_resumed_session_gets_the_message_and_no_new_id(context, tmp_path):
    resumed = argv(replace(context, resume_session="s-1", message="Open: testing."), tmp_path)

    assert ("-p", "Open: testing.") == resumed[1:3]
    assert "s-1" == resumed[resumed.index("--resume") + 1]
    assert "--session-id" not in resumed


def test_a_session_that_was_begun_is_not_begun_again(context, tmp_path):
    """A second try in the same configuration directory: the CLI refuses an id it has seen."""
    first = argv(context, tmp_path)
    seen = tmp_path / "private" / "claude" / "projects" / "-x"
    seen.mkdir(parents=True)
    (seen / f"{UUID}.jsonl").touch()
    second = argv(context, tmp_path)

    assert first[:-1] == second[:-1]
    assert first[-1] != second[-1]
    assert second == argv(context, tmp_path)


def test_each_task_has_a_configuration_of_its_own(context, tmp_path):
    """Also for notes, and neither can be read by others."""
    env = ClaudeAgent().command(context, env={"HOME": "/h"}, private=tmp_path / "p").env

    assert str(tmp_path / "p" / "claude") == env["CLAUDE_CONFIG_DIR"]
    assert str(tmp_path / "p" / "notes") == env["ORCHESTRATOR_NOTES"]
    assert 0o700 == (tmp_path / "p" / "claude").stat().st_mode & 0o777
    assert {"1"} == {env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"], env["DISABLE_AUTOUPDATER"]}


def test_root_says_that_it_is_a_sandbox_and_others_do_not(context, tmp_path, monkeypatch):
    """The CLI asks it of root only; for others the variable would change what a session may do."""
    seen = {}
    for uid in (0, 1000):
        monkeypatch.setattr("os.geteuid", lambda uid=uid: uid)
        env = {"IS_SANDBOX": "1"} if uid else {}
        seen[uid] = ClaudeAgent().command(context, env=env, private=tmp_path / "p").env.get("IS_SANDBOX")

    assert {0: "1", 1000: None} == seen


def test_a_users_own_bounds_win(context, tmp_path):
    env = ClaudeAgent().command(context, env={"CLAUDE_CODE_MAX_RETRIES": "9"}, private=tmp_path / "p").env

    assert "9" == env["CLAUDE_CODE_MAX_RETRIES"]
    assert int(env["BASH_DEFAULT_TIMEOUT_MS"]) > 90_000


def test_a_missing_program_or_plugin_is_named(tmp_path, make: Callable[..., Repo]):
    with pytest.raises(AgentError, match="no-such-claude") as told:
        ClaudeAgent(executable="no-such-claude").check()
    assert "npm" in told.value.hint
    with pytest.raises(AgentError, match="plugin"):
        ClaudeAgent(executable="git", plugin=tmp_path).check()
    assert "" == ClaudeAgent(executable="no-such-claude").version()


@pytest.mark.claude
def test_the_real_program_is_found_and_says_its_version(claude_cli: Path):
    agent = ClaudeAgent(executable=str(claude_cli))
    agent.check()

    assert 3 == len(agent.version().split("."))
