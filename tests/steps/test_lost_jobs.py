"""Whatever job of the workflow is killed or loses what it wrote: publish or the next run settles each issue, once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit.github_server import GitHubServer
from tests.kit.github_server.state import Issue
from tests.kit.jobs import Jobs, Kill
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID
from tests.kit.whole import LIBRARY, alive, change, new_file

README = LIBRARY["README.md"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("graphql")]


@pytest.fixture
def library(make: Callable[..., Repo]) -> Repo:
    made = make(LIBRARY, name="lib")
    made.commit(
        {".github/orchestrator.yml": f"integration: test\ntest: {sys.executable} -m unittest discover\n"},
        "Set up",
    )
    made.push()
    return made


@pytest.fixture
def github(library: Repo) -> Iterator[GitHubServer]:
    with GitHubServer(library.remote) as server:
        yield server


def labelled(github: GitHubServer, count: int) -> list[Issue]:
    return [
        github.state.add_issue(
            f"Task {n}",
            new_file(f"more{n}.py") + change("README.md", README, f"{README}- `more{n}`\n"),
            user="octo", labels=("orchestrate",),
        )
        for n in range(1, count + 1)
    ]  # fmt: skip


def begin(github: GitHubServer, library: Repo, root: Path, run_id: int, shards: int) -> Jobs:
    """A run of the workflow; those before it are over."""
    for run in github.state.runs.values():
        run |= {"status": "completed", "conclusion": "failure"}
    github.state.runs[run_id] = {"id": run_id, "status": "in_progress", "conclusion": None}
    inputs = {"label": "orchestrate", "agent": "patch", "max-tasks": "256", "timeout": "5m", "review": "true"}
    return Jobs(github, library, root / f"run-{run_id}", {**inputs, "shards": str(shards)}, run_id=run_id)


def jobs_of_issues(jobs: Jobs) -> dict[int, int]:
    """The number of the work and of the verify job of each issue, where each has one."""
    [planned] = jobs.root.glob("*-plan/planned.json")
    shards = json.loads(planned.read_text())["shards"]
    assert all(1 == len(tasks) for tasks in shards)
    return {int(task.rpartition("-")[2]): n for n, [task] in enumerate(shards, 1)}


def told(github: GitHubServer, issue: Issue) -> str:
    """The one comment that answers an issue, which waits for nothing more."""
    [comment] = github.state.comments_on(issue.number)
    assert not {"orchestrate", "orchestrate:running"} & set(issue.labels)
    return comment.body


AT_ONCE = Kill(lambda: True, machine=True)


def test_what_each_job_lost_is_said_on_its_issue_and_the_others_are_published(
    github: GitHubServer, library: Repo, tmp_path: Path
):
    """Lost: the measured base, a bundle, a bundle's digest, a verify machine, a verdict, all review machines, and
    integrate's."""
    fine, no_bundle, no_digest, no_machine, no_verdict, also_fine = issues = labelled(github, 6)
    jobs = begin(github, library, tmp_path, RUN_ID, 6)

    jobs.run("plan")
    of = jobs_of_issues(jobs)
    jobs.run("base")
    jobs.lose("orchestrator-base")
    work = jobs.run("work")
    assert not any(job.failed for job in work), [job.log[-600:] for job in work]
    jobs.lose(f"orchestrator-bundles-{of[no_bundle.number]}")
    jobs.forget("work", f"b{of[no_digest.number]}")
    verify = jobs.run("verify", {of[no_machine.number]: AT_ONCE})
    jobs.lose(f"orchestrator-verdict-1-{of[no_verdict.number]}")
    jobs.run("review", dict.fromkeys(range(1, 7), AT_ONCE))
    jobs.run("integrate", {1: AT_ONCE})
    [publish] = jobs.run("publish")

    failed = {n for n, job in enumerate(verify, 1) if job.failed}
    assert {of[i.number] for i in (no_bundle, no_digest, no_machine)} == failed, [
        j.log[-600:] for j in verify
    ]
    report = json.loads(publish.outputs["results"])
    expected = ["success", "failed", "failed", "incomplete", "incomplete", "success"]
    found = {t["issue"]: t for t in report["tasks"]}
    assert expected == [found[i.number]["status"] for i in issues], publish.log
    assert "nothing came from its work job" in told(github, no_bundle)
    assert "other-digest" in told(github, no_digest)
    for issue in (no_machine, no_verdict):
        assert "no verdict on what its work job brought has come" in told(github, issue)
        kept = found[issue.number]
        assert kept["head_sha"] == github.state.sha_of(kept["branch"]) != ""
    assert "reported by work" in told(github, fine), "nobody else reviewed it"
    pulls = [i.pull.head for i in github.state.issues.values() if i.pull]
    assert sorted(found[i.number]["branch"] for i in (fine, also_fine)) == sorted(pulls)
    assert "not run" == report["integration"]["tests"], "nobody says that they pass together"
    assert [] == alive(tmp_path)


def test_the_next_run_takes_what_a_killed_plan_and_a_killed_publish_left(
    github: GitHubServer, library: Repo, tmp_path: Path
):
    """The first run is killed while it takes the issues, the second while it writes them, the third has no bad luck.

    The first was an hour ago: an issue that was taken and not claimed is left alone for some minutes.
    """
    now = github.state.clock
    github.state.clock = lambda: now() - 3600
    issues = labelled(github, 3)
    first = begin(github, library, tmp_path, RUN_ID, 3)
    [plan] = first.run(
        "plan", {1: Kill(lambda: any("orchestrate:running" in i.labels for i in issues), machine=True)}
    )
    assert plan.failed
    github.state.clock = now

    second = begin(github, library, tmp_path, RUN_ID + 1, 3)
    for name in ("plan", "base", "work", "verify", "integrate"):
        done = second.run(name)
        assert not any(job.failed for job in done), [job.log[-600:] for job in done]
    assert 3 == len(jobs_of_issues(second))
    second.run("publish", {1: Kill(lambda: any(i.pull for i in github.state.issues.values()), machine=True)})

    third = begin(github, library, tmp_path, RUN_ID + 2, 3)
    for name in ("plan", "base", "work", "verify", "integrate", "publish"):
        done = third.run(name)
        assert not any(job.failed for job in done), [job.log[-600:] for job in done]

    pulls = [i for i in github.state.issues.values() if i.pull]
    still_open = [i.pull.head for i in pulls if i.pull and i.state == "open"]
    assert 3 == len(still_open) == len({head.split("-task-")[0] for head in still_open})
    [closed] = [i.pull for i in pulls if i.pull and i.state != "open"]
    assert f"{closed.head}-2" in still_open, "the one of the killed run gave way to a verified one"
    for issue in issues:
        assert "orchestrate:done" in issue.labels and "state=done" in told(github, issue)
    assert [] == alive(tmp_path)
