"""What became of pull requests: measured from trails, the forge and the history of the base."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from orchestrator_action.run.outcomes import Outcomes, TaskOutcome, outcomes_table
from tests.action.test_queue import issue, pulls_of
from tests.kit.github_server import PAT
from tests.kit.github_server.state import Issue
from tests.kit.repos import git
from tests.kit.runner import Runner
from tests.kit.whole import new_file

pytestmark = pytest.mark.timeout(200)


def outcomes(runner: Runner) -> dict[str, Any]:
    """`report --outcomes` on a laptop."""
    env, _ = runner.environment("run", "", None, {})
    mine = {k: v for k, v in env.items() if k in {"PATH", "HOME", "GITHUB_API_URL", "GITHUB_SERVER_URL"}}
    told = ("report", "--outcomes", "--json", "--forge", "github")
    done = subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", *told],
        cwd=runner.repo.path, env={**mine, "GITHUB_TOKEN": PAT}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def merge(runner: Runner, pull: Issue, *, more: bool = False) -> str:
    """A person squashes a pull request into main; with `more`, after a commit of their own on its branch."""
    remote, state = runner.repo.remote, runner.github.state
    assert pull.pull
    ref = f"refs/heads/{pull.pull.head}"
    if more:
        tip = git(remote, "commit-tree", f"{ref}^{{tree}}", "-p", ref, "-m", "mine").strip()
        git(remote, "update-ref", ref, tip)
    made = git(
        remote, "commit-tree", f"{ref}^{{tree}}", "-p", "main", "-m", f"{pull.title} (#{pull.number})"
    ).strip()
    git(remote, "update-ref", "refs/heads/main", made)
    pull.state, pull.pull.merged_as, pull.pull.merged_at = "closed", made, state.now()
    return made


def revert(runner: Runner, commit: str) -> None:
    remote = runner.repo.remote
    words = f'Revert "x"\n\nThis reverts commit {commit}.'
    made = git(remote, "commit-tree", f"{commit}~1^{{tree}}", "-p", "main", "-m", words).strip()
    git(remote, "update-ref", "refs/heads/main", made)


def test_each_pull_request_is_told_as_it_ended(runner: Runner):
    """Four verified ones: one merged as it was, one with a person's commit, one reverted, one closed."""
    for name in ("a", "b", "c", "d"):
        issue(runner, new_file(f"{name}.py"))
    runner.step(max_parallel="2")
    plain, edited, taken_back, closed = pulls_of(runner)
    merge(runner, plain)
    merge(runner, edited, more=True)
    revert(runner, merge(runner, taken_back))
    closed.state = "closed"

    told = outcomes(runner)

    assert {
        "tasks": 4, "verified": 4, "merged": 3, "edited": 1, "reverted": 1, "closed": 1, "open": 0,
        "cost_usd": None, "cost_per_merged_usd": None,
    } == told["by_agent"]["patch"], told  # fmt: skip
    became = {t["pull"]: (t["became"], t["edited"], t["reverted"]) for t in told["tasks"]}
    assert {
        plain.number: ("merged", False, False), edited.number: ("merged", True, False),
        taken_back.number: ("merged", False, True), closed.number: ("closed", False, False),
    } == became  # fmt: skip


def test_a_scheduled_run_tells_them_in_its_summary(runner: Runner):
    issue(runner)
    runner.step(event="issues", payload=runner.labeled(1))

    done = runner.step(event="schedule")

    assert ("neutral", 0) == (done.outputs["conclusion"], done.code), done.log
    assert "| `patch` | 1 | 1 | 0 |" in done.summary and "What became of the pull requests" in done.summary


def test_a_trail_that_somebody_changed_is_named_and_counts_nowhere(runner: Runner):
    issue(runner)
    runner.step(event="issues", payload=runner.labeled(1))
    remote, ref = runner.repo.remote, "refs/orchestrator/tasks/issue-1"
    names = git(remote, "ls-tree", "--name-only", ref).split()
    blob = git(remote, "hash-object", "-w", str(runner.repo.path / "README.md")).strip()
    git(remote, "read-tree", "--empty")
    git(remote, "update-index", "--add", "--cacheinfo", f"100644,{blob},{names[0]}")
    forged = git(remote, "commit-tree", git(remote, "write-tree").strip(), "-p", ref, "-m", "x").strip()
    git(remote, "update-ref", ref, forged)

    told = outcomes(runner)

    assert (["issue-1"], {}, []) == (told["changed_trails"], told["by_agent"], told["tasks"])


def test_without_a_trail_there_is_nothing_to_tell(runner: Runner):
    assert {"schema": 1, "by_agent": {}, "tasks": [], "changed_trails": []} == outcomes(runner)


def test_a_pull_request_that_this_forge_does_not_show_is_named():
    """Such as those of a local forge in another folder: none of the counts would say so."""
    gone = TaskOutcome(
        task_id="issue-1",
        agent="patch",
        verified=True,
        pull=5,
        became="gone",
        edited=False,
        reverted=False,
        cost_usd=None,
    )

    table = outcomes_table(Outcomes(tasks=(gone,)))

    assert "Not on this forge: #5." in table
    assert "`--forge`" in table
