"""Agents that reach their model and named hosts only, in whole runs behind real walls."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.sandbox.isolation import Isolation
from tests.agents.test_command import HONEST, home_with
from tests.kit.messages_api import Say, by_session, claude_env, messages_api, steps
from tests.kit.whole import House
from tests.sandbox.conftest import walls
from tests.whole.test_claude import GOOD, NO_FINDINGS, REVIEWER, TASK

__all__ = ["home_with", "walls"]

ASK = """
import os, urllib.request as u
print("model", u.urlopen(u.Request(os.environ["MY_BASE_URL"], method="HEAD")).status)
try:
    u.urlopen("http://elsewhere.test/")
except OSError as e:
    print("refused", e)
"""


def test_an_agent_keeps_its_model_and_is_refused_every_other_host(
    home_with: Callable[[str], House], tmp_path: Path, walls: Isolation
):
    """The model by the address among its variables; the journal and the screen say which host was refused."""
    home = home_with(f"{HONEST}\n/usr/bin/python3 - <<'ASK'\n{ASK}ASK")
    named = (home.repo.path / ".github/orchestrator.yml").read_text()
    named = named.replace("'{prompt_file}']", "'{prompt_file}']\n  env: [MY_BASE_URL]")
    home.configure(f"{named}sandbox: {{read: [{tmp_path / 'agent.sh'}]}}\nisolation: required\negress: []\n")
    home.issue(1, "Add triple", "Please.")
    with messages_api(steps(Say("hello"))) as api:
        ran = home.run(agent="command", env={"MY_BASE_URL": api.url})

    said = home.cli("logs", "issue-1").out
    assert (0, "success") == (ran.code, ran.task("issue-1")["status"]), ran.err + said
    assert "model 200" in said
    assert "refused HTTP Error 403" in said
    [refused] = [e["data"]["words"] for e in home.events() if e["kind"] == "egress-refused"]
    assert refused.startswith("the sandbox refused elsewhere.test (1×)")
    assert refused in ran.err
    assert "agents reach their model, nothing else" in ran.err


@pytest.mark.claude
def test_the_real_cli_goes_the_whole_way_with_its_model_only(home: House, claude_cli: Path, tmp_path: Path):
    """Author and reviewer; the API is on loopback, which is another one within the walls."""
    home.configure("test: python3 -m unittest\nisolation: required\negress: []\n")
    home.issue(1, "Add more", TASK)
    (tmp_path / "claude-home").mkdir()
    with messages_api(by_session((REVIEWER, NO_FINDINGS), ("", steps(*GOOD)))) as api:
        path = f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}"
        home.env = claude_env(tmp_path / "claude-home", api.url, path=path)
        ran = home.run(agent="claude")

    assert (0, "success") == (ran.code, ran.task("issue-1")["status"]), ran.err
    assert [] == [e["data"]["words"] for e in home.events() if e["kind"] == "egress-refused"]
