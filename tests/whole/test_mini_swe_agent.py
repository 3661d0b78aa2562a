"""mini-swe-agent, as PyPI has it, goes the whole way by the agent `command`, as docs/agents.md tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.headless import KEY, cli_env
from tests.kit.messages_api import bash, by_session, messages_api, steps
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, house
from tests.whole.test_headless import HONEST, LYING, session

ROOT = Path(__file__).parents[2]
MINI = ROOT / ".tools/mini/bin/mini"
"""From PyPI, by `.ci/run`; where it could not be had there is nothing to try."""
pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(200),
    pytest.mark.skipif(not MINI.exists(), reason="mini-swe-agent is not installed (.ci/run does it)"),
]  # fmt: skip

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; echo"
"""How its session ends; what follows is its result."""


def settings() -> str:
    """The example of the docs."""
    text = (ROOT / "docs/agents.md").read_text()
    [example] = re.findall(r"```yaml\n(agent: command:openai/.*?)```", text, re.DOTALL)
    return str(example)


@pytest.mark.parametrize(
    ("change", "code", "status"), [(HONEST, 0, "success"), (LYING, 1, "failed")], ids=["honest", "lying"]
)
def test_it_is_verified_when_it_is_honest_and_refuted_when_it_lies(
    make: Callable[..., Repo], tmp_path: Path, change: str, code: int, status: str
) -> None:
    (tmp_path / "h").mkdir()
    more = f"{settings()}retries: 0\nreminders: 0\n"
    files = {**LIBRARY, ".github/orchestrator.yml": LIBRARY[".github/orchestrator.yml"] + more}
    home = house(tmp_path, make(files))
    home.issue(1, "Add triple", "Please add `triple(n)`.")
    reviewer = steps(bash(f"""{SUBMIT} '{{"findings": []}}'"""))
    with messages_api(
        by_session(
            ("You review one change", reviewer),
            ("", session(change, last=bash(f"{SUBMIT} 'All tests pass.'"))),
        )
    ) as api:
        home.env = {
            **cli_env(tmp_path / "h", MINI.parent), "OPENAI_API_KEY": KEY, "OPENAI_API_BASE": f"{api.url}/v1",
            "MSWEA_CONFIGURED": "true", "MSWEA_COST_TRACKING": "ignore_errors",
        }  # fmt: skip
        ran = home.cli("run", "--forge", f"local:{home.forge}", "--json", timeout=180)

    task = ran.task("issue-1")
    assert (code, status) == (ran.code, task["status"]), f"{ran.err}\n{task['error']}"
    assert ("proven" if code == 0 else "refuted") == ran.state("issue-1", "testing")
    [ended] = [e["data"] for e in home.events() if e["kind"] == "attempt-ended"]
    assert task["turns"] == ended["metered"]["turns"] >= 12  # counted by the proxy that keeps its key
    assert all(KEY in r.headers["authorization"] for r in api.requests)
    assert [] == [f for f in home.run_dir.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]
