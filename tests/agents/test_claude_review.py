"""A review by a separate session of the real CLI: what it may do, and how its answer comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator_action.agents.base import ReviewRequest
from orchestrator_action.agents.claude.stream import ClaudeReader
from orchestrator_action.errors import AgentError
from orchestrator_action.protocol.attempt import Outcome
from tests.agents.conftest import Bench, run
from tests.kit.messages_api import (
    Fault,
    MessagesApi,
    Say,
    Script,
    bash,
    messages_api,
    refusing_url,
    steps,
    structured,
    write,
)

pytestmark = [pytest.mark.claude]
FINDINGS = {"findings": [{"path": "calc.py", "line": 2, "severity": "error", "text": "adds instead"}]}


def review(bench: Bench, script: Script, *faults: Fault) -> tuple[MessagesApi, str]:
    """One review of the bench's head; returns the API and the raw answer."""
    with messages_api(script, faults=faults) as api:
        return api, ask(bench, api.url)


def ask(bench: Bench, url: str) -> str:
    request = request_of(bench)
    env = {
        **bench.env,
        "ANTHROPIC_BASE_URL": url,
        "ORCHESTRATOR_SOCKET": "/s",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }
    command = bench.agent.review_command(request, env=env, private=bench.root / "private")
    log = bench.root / "review.log"
    _, outcome = run(command, ClaudeReader(""), log)
    return bench.agent.review_findings(request, log, outcome)


def request_of(bench: Bench) -> ReviewRequest:
    folder = bench.root / "given"
    folder.mkdir(exist_ok=True)
    for name, text in (("diff", "+return a - b"), ("task", "subtract, please"), ("plan", "change calc.py")):
        (folder / name).write_text(text)
    head = bench.repo.git("rev-parse", "HEAD")
    return ReviewRequest(
        worktree_path=str(bench.repo.path),
        head_sha=head,
        base_sha=head,
        diff_path=str(folder / "diff"),
        task_path=str(folder / "task"),
        plan_path=str(folder / "plan"),
        output_path="",
    )


def test_findings_come_back_as_the_schema_says(bench: Bench) -> None:
    """Given as structured output, which the CLI itself holds against the schema."""
    api, answer = review(bench, steps(structured(FINDINGS), Say("reviewed")))

    assert FINDINGS == json.loads(answer)
    assert "You review one change" in api.requests[0].first


def test_task_plan_and_diff_are_in_the_first_request(bench: Bench) -> None:
    api, _ = review(bench, steps(structured({"findings": []}), Say("")))

    first = api.requests[0].first
    assert [] == [t for t in ("+return a - b", "subtract, please", "change calc.py") if t not in first]


@pytest.mark.parametrize("text", ["{}", "```json\n{}\n```", "I looked.\n\n{}\n\nThat is all."])
def test_findings_in_the_closing_words_count_too(bench: Bench, text: str) -> None:
    """A model that answers in words instead of structured output."""
    _, answer = review(bench, steps(*[Say(text.replace("{}", json.dumps(FINDINGS)))] * 9))

    assert FINDINGS == json.loads(answer)


def test_words_without_findings_come_back_as_they_are(bench: Bench) -> None:
    """Whoever asked validates; nothing is made up here."""
    _, answer = review(bench, steps(*[Say("looks good to me")] * 9))

    assert "looks good to me" == answer


def test_a_reviewer_can_read_its_worktree_and_nothing_else(bench: Bench) -> None:
    """No shell, no writing, no file of this machine: what it finds is posted in public."""
    secret = bench.root / "id_ed25519"
    secret.write_text("very secret")
    read = [Say(calls=(("Read", {"file_path": str(p)}),)) for p in (secret, bench.repo.path / "calc.py")]
    script = steps(
        bash(f"touch '{bench.root}/ran'"),
        write(str(bench.repo.path / "new.py"), "x"),
        *read,
        Say(calls=(("Grep", {"pattern": "secret", "path": str(bench.root), "output_mode": "content"}),)),
        structured(FINDINGS),
        Say(""),
    )
    api, _ = review(bench, script)

    said = [r.last for r in api.requests[1:6]]
    assert [True, True, True, False, True] == [t.failed for t in said]
    assert "return a + b" in said[3].text
    assert not any("very secret" in t.text for t in said)
    assert not (bench.root / "ran").exists()
    assert not (bench.repo.path / "new.py").exists()
    assert set() == {"Bash", "Write", "Edit", "Agent", "Task", "WebFetch", "Skill"} & set(
        api.requests[0].tools
    )


def test_a_reviewer_does_not_reach_the_broker(bench: Bench) -> None:
    env = {**bench.env, "ORCHESTRATOR_SOCKET": "/s", "ORCHESTRATOR_CAPABILITY": "c", "GITHUB_TOKEN": "t"}
    command = bench.agent.review_command(request_of(bench), env=env, private=bench.root / "private")

    assert [] == [n for n in command.env if n.startswith(("ORCHESTRATOR_", "GITHUB_"))]
    author = bench.agent.command(bench.context, env=env, private=bench.root / "private")
    assert author.env["CLAUDE_CONFIG_DIR"] != command.env["CLAUDE_CONFIG_DIR"]


def test_a_review_that_fails_did_not_take_place(bench: Bench) -> None:
    with pytest.raises(AgentError, match="out of order"):
        review(bench, steps(), Fault(status=500, message="out of order"))
    with pytest.raises(AgentError, match="did not take place"):
        ask(bench, refusing_url())


def test_a_review_without_a_log_did_not_take_place(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="left no log"):
        bench.agent.review_findings(
            request_of(bench), tmp_path / "none", Outcome(ending="exited", exit_code=0)
        )  # type: ignore[arg-type]
