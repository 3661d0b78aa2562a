"""Candidates on GitHub: only their task is on the forge, and what a killed step left of them is closed."""

from __future__ import annotations

from pathlib import Path

from tests.action.test_cancel import begun, slow
from tests.kit.repos import git
from tests.kit.runner import Runner, wait_for
from tests.kit.whole import GOOD, alive


def test_github_sees_one_task(runner: Runner):
    """One pull request, one comment, one check on its head; the branches of all; the issue is taken once."""
    one = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step(agent="patch", candidates="2")

    state = runner.github.state
    assert (0, ["orchestrate:done"]) == (done.code, one.labels), done.log
    [pull] = [i.pull for i in state.issues.values() if i.pull]
    own = f"orchestrator/issue-{one.number}-add-more"
    assert own == pull.head
    [comment] = state.comments_on(one.number)
    assert "#### Candidates" in comment.body and "chosen, success" in comment.body
    branches = git(
        runner.repo.remote, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/orchestrator"
    )
    assert [own, f"{own}.1", f"{own}.2"] == branches.split()
    assert {"success"} == {c.conclusion for c in state.checks.values()}
    assert 1 == len(state.checks)


def test_a_killed_step_with_candidates_is_settled_by_the_next(runner: Runner, tmp_path: Path):
    """Each of them ends as cancelled, its commits are at the remote, and the comment names both."""
    [one], mark = slow(runner, tmp_path, 1)
    process, _ = runner.start(candidates="2")
    wait_for(lambda: begun(mark) == 2, "two tests")

    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not alive(runner.repo.path, runner.temp), "the end of all processes", within_s=15)
    done = runner.step("settle")

    assert (0, ["orchestrate:failed"]) == (done.code, one.labels), done.log
    [comment] = runner.github.state.comments_on(one.number)
    for name in (f"issue-{one.number}.1", f"issue-{one.number}.2"):
        assert f"| `{name}` | `patch` | cancelled" in comment.body, comment.body
    branches = git(
        runner.repo.remote, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/orchestrator"
    )
    assert 2 == len(branches.split()), branches
