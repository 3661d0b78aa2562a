"""The four steps on GitHub, as a workflow's jobs call them; and a run of them that died, taken up by the next one."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.action.test_orders import answer, order
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo, git
from tests.kit.runner import Runner, checked_out, wait_for
from tests.kit.whole import GOOD, Ran

pytestmark = pytest.mark.timeout(300)
DEAD, ALIVE = 500, 501


@dataclass
class Jobs:
    """One workflow run: a clone for each job, and a folder of files that travel."""

    github: GitHubServer
    library: Repo
    at: Path
    run_id: int

    def job(self, name: str, *args: str, token: bool = False) -> Ran:
        clone = self.at / name / "lib"
        if not clone.exists():
            clone.parent.mkdir(parents=True)
            checked_out(self.github, self.library, clone)
        env = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.at), "GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": self.github.url, "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(self.run_id), "GITHUB_RUN_ATTEMPT": "1", "RUNNER_TEMP": str(self.at / f"{name}-temp"),
            **({"GITHUB_TOKEN": self.github.token} if token else {}),
        }  # fmt: skip
        Path(env["RUNNER_TEMP"]).mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-I", "-m", "orchestrator_action.cli.main", *args], cwd=clone, env=env, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=200, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def plan_file(self) -> str:
        return str(self.at / "plan.json")

    def plan(self) -> dict[str, Any]:
        ran = self.job("plan", "plan", "--agent", "patch", "--out", self.plan_file, "--json", token=True)
        assert 0 == ran.code, ran.err
        return dict(json.loads(ran.out))

    def work_and_verify(self) -> None:
        worked = self.job(
            "work", "work", self.plan_file, "--shard", "1", "--out", str(self.at / "bundles"), "--json"
        )
        assert 0 == worked.code, worked.err
        verified = self.job(
            "verify", "verify", "--plan", self.plan_file, "--bundle", str(self.at / "bundles" / "issue-1"),
            "--out", str(self.at / "issue-1.json"),
        )  # fmt: skip
        assert 0 == verified.code, verified.err

    def publish(self) -> Ran:
        bundles = [str(p) for p in sorted((self.at / "bundles").glob("*"))]
        verdicts = [v for p in self.at.glob("issue-*.json") for v in ("--verdict", str(p))]
        return self.job("publish", "publish", self.plan_file, *bundles, *verdicts, "--json", token=True)


@pytest.mark.slow
def test_a_run_whose_jobs_all_died_is_taken_up_by_the_next_and_published_once(
    github: GitHubServer, library: Repo, tmp_path: Path
):
    """The first run took the issue and worked; its publish never came. When it comes late, it writes nothing."""
    issue = github.state.add_issue("Add more", GOOD, user="octo")
    github.label(issue.number, "orchestrate", actor="octo")
    for run_id in (DEAD, ALIVE):
        github.state.runs[run_id] = {"id": run_id, "status": "in_progress", "conclusion": None}
    first, second = (Jobs(github, library, tmp_path / str(n), n) for n in (DEAD, ALIVE))
    first.plan()
    first.work_and_verify()
    assert ["orchestrate:running"] == issue.labels
    github.state.runs[DEAD] |= {"status": "completed", "conclusion": "failure"}

    second.plan()
    second.work_and_verify()
    late, published = first.publish(), second.publish()

    assert ("skipped", "success") == (late.task("issue-1")["status"], published.task("issue-1")["status"]), (
        late.err
    )
    [pull] = [i for i in github.state.issues.values() if i.pull]
    [check] = github.state.checks.values()
    assert ("success", github.state.sha_of(pull.pull.head)) == (check.conclusion, check.head_sha)
    assert ["orchestrate:done"] == issue.labels
    assert 1 == len(github.state.comments_on(issue.number))
    [branch] = git(library.remote, "for-each-ref", "--format=%(refname)", "refs/heads/orchestrator/").split()
    assert branch.removeprefix("refs/heads/") == pull.pull.head


def test_cancel_reaches_the_agent_of_a_work_job(
    runner: Runner, github: GitHubServer, library: Repo, tmp_path: Path
):
    """By a comment, from another machine; the job has no token. What comes after it tells of the end."""
    signals = tmp_path / "signals"
    signals.mkdir()
    github.state.read_by_all = True
    test = f"[ ! -e more.py ] || {{ touch {signals / 'testing'}; sleep 600; }}; echo 'OK: 1 passed'"
    library.commit(
        {
            ".github/orchestrator.yml": f"agent: patch\ntest: {json.dumps(test)}\nphases: {{testing: waivable}}\n"
            f"sandbox: {{write: [{signals}]}}\n"
        },
        "slow tests",
    )
    library.push()
    issue = github.state.add_issue("Add more", GOOD, user="octo")
    github.label(issue.number, "orchestrate", actor="octo")
    github.state.runs[ALIVE] = {"id": ALIVE, "status": "in_progress", "conclusion": None}
    jobs = Jobs(github, library, tmp_path / "jobs", ALIVE)
    jobs.plan()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(
            jobs.job,
            "work",
            "work",
            jobs.plan_file,
            "--shard",
            "1",
            "--out",
            str(jobs.at / "bundles"),
            "--json",
        )
        wait_for(lambda: (signals / "testing").exists() or working.done(), "the tests")

        done = order(runner, issue, "/orchestrate cancel")
        worked = working.result(timeout=100)

    assert f"Run `{ALIVE}.1` is told to end its agent" in answer(runner, issue), done.log
    assert (1, "cancelled") == (worked.code, worked.report["bundles"][0]["status"]), worked.err
    assert "issue-1: cancelled after" in worked.err and "cancelled by a comment" in worked.err
    published = jobs.publish()
    assert "cancelled" == published.task("issue-1")["status"], published.err
    assert ["orchestrate:failed"] == issue.labels
