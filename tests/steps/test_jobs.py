"""The matrix workflow's own lines, job by job: seven work jobs, two of them killed, and publish killed and run again.

`act` cannot show this: it keeps the outputs of one job of a matrix only (see `kit.jobs`, and what stands in there).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.github_server import GitHubServer
from tests.kit.github_server.state import Issue
from tests.kit.jobs import Jobs, Kill
from tests.kit.messages_api import KEY, Say, bash, by_session, claude_env, messages_api, steps, structured
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID
from tests.kit.whole import LIBRARY, alive, change, new_file

README = LIBRARY["README.md"]
PATCHED = 6


@pytest.fixture
def library(make) -> Repo:
    return make(LIBRARY, name="lib")


@pytest.fixture
def github(library: Repo) -> Iterator[GitHubServer]:
    with GitHubServer(library.remote) as server:
        server.state.runs[RUN_ID] = {"id": RUN_ID, "status": "in_progress", "conclusion": None}
        yield server


def claim(phase: str, more: str = "") -> Say:
    return bash(f"orchestrator-phase done {phase} {more}".strip())


AUTHOR = steps(
    claim("initial-setup"), claim("issue-creation"), claim("branch-management"),
    claim("research-and-planning", "--note 'make `by_claude.py`, mention it in `README.md`'"),
    bash("echo 'x = 1' > by_claude.py && echo '- `by_claude`' >> README.md && git add -A && git commit -qm 'Add it'"),
    claim("implementation"), claim("testing"), claim("documentation"),
    claim("pull-request", "--note 'Add it'"), claim("review"), claim("review-response"),
    claim("settings-update"), Say("Done."),
)  # fmt: skip
REVIEWER = steps(structured({"findings": []}), Say("reviewed"))


def labelled(github: GitHubServer, library: Repo, signals: Path) -> list[Issue]:
    """Six issues for the patch agent and one for Claude; the first tests of the last two of the six never end."""
    hang = f"for n in 5 6; do if [ -e more$n.py ] && mkdir {signals}/$n 2>/dev/null; then sleep 600; fi; done"
    config = f"sandbox: {{write: [{signals}]}}\ntest: {hang}; {sys.executable} -m unittest discover\n"
    library.commit({".github/orchestrator.yml": config}, "Configure")
    library.push()
    made = []
    for number in range(1, PATCHED + 1):
        text = new_file(f"more{number}.py") + change("README.md", README, f"{README}- `more{number}`\n")
        made.append(github.state.add_issue(f"Task {number}", text, user="octo", labels=("orchestrate",)))
    wanted = ("orchestrate", "orchestrate-agent:claude")
    return [
        *made,
        github.state.add_issue("By Claude", "Please add by_claude.py.", user="octo", labels=wanted),
    ]


def said_on(github: GitHubServer, issue: Issue) -> list[str]:
    return [c.body for c in github.state.comments_on(issue.number)]


@pytest.mark.slow
@pytest.mark.timeout(1500)  # some thirty commands, one after the other
@pytest.mark.usefixtures("graphql")
def test_seven_work_jobs_two_killed_and_publish_killed_every_issue_is_answered_once(
    github: GitHubServer, library: Repo, claude_cli: Path, tmp_path: Path
):
    """One of the two is killed in its step, the other's machine is lost as a whole: that one's commits are gone."""
    signals, home = tmp_path / "signals", tmp_path / "home"
    signals.mkdir()
    home.mkdir()
    issues = labelled(github, library, signals)
    inputs = {"label": "orchestrate", "agent": "patch", "shards": "7", "max-tasks": "256", "timeout": "5m"}
    with messages_api(by_session(("You review one change", REVIEWER), ("", AUTHOR))) as api:
        env = claude_env(home, api.url, path=f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}")
        del env["ANTHROPIC_API_KEY"]
        jobs = Jobs(github, library, tmp_path / "jobs", inputs, {"anthropic-api-key": KEY}, env)

        [plan] = jobs.run("plan")
        assert not plan.failed, plan.log
        shards = json.loads((plan.folder / "planned.json").read_text())["shards"]
        assert 7 == len(shards) and all(len(s) == 1 for s in shards)
        of = {int(task.rpartition("-")[2]): n for n, [task] in enumerate(shards, 1)}
        [base] = jobs.run("base")
        assert not base.failed, base.log
        hung = [issues[4].number, issues[5].number]
        kills = {
            of[hung[0]]: Kill((signals / "5").exists),
            of[hung[1]]: Kill((signals / "6").exists, machine=True),
        }
        work = jobs.run("work", kills)
    verify = jobs.run("verify")
    before = len(github.requests)
    [killed] = jobs.run("publish", {1: Kill(lambda: any(i.pull for i in github.state.issues.values()))})
    jobs.attempt = 2
    [publish] = jobs.run("publish")

    assert [of[hung[1]]] == [n for n, job in enumerate(work, 1) if job.failed], [j.log[-600:] for j in work]
    assert [of[hung[1]]] == [n for n, job in enumerate(verify, 1) if job.failed], [
        j.log[-600:] for j in verify
    ]
    assert killed.failed and len(github.requests) > before
    report = json.loads(publish.outputs["results"])
    status = {t["issue"]: t["status"] for t in report["tasks"]}
    good = [i for i in issues if i.number not in hung]
    assert (
        dict.fromkeys([i.number for i in good], "success") | {hung[0]: "cancelled", hung[1]: "failed"}
        == status
    ), publish.log
    pulls = [i for i in github.state.issues.values() if i.pull]
    assert len(good) == len(pulls) == len({i.pull.head for i in pulls if i.pull})
    for issue in issues:
        told = said_on(github, issue)
        assert 1 == len(told), told
        assert "orchestrate" not in issue.labels and "orchestrate:running" not in issue.labels
    assert "it was killed, or what it wrote was lost" in said_on(github, issues[5])[0]
    kept = next(t for t in report["tasks"] if t["issue"] == hung[0])
    assert kept["head_sha"] == github.state.sha_of(kept["branch"]) != "", (
        "what a killed job had committed is kept"
    )
    assert github.token not in "".join(j.log for j in (*work, *verify, base))
    assert KEY not in "".join(j.log for j in (*work, *verify, publish))
    assert [] == alive(tmp_path / "jobs")


FIRST = new_file("more.py") + change("README.md", README, f"{README}- `more`\n")
SECOND = change("more.py", "x = 1\n", "x = 2\n") + change(
    "README.md", f"{README}- `more`\n", f"{README}- `more`\n- two\n"
)
THIRD = new_file("three.py") + change(
    "README.md", f"{README}- `more`\n- two\n", f"{README}- `more`\n- two\n- three\n"
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("graphql")
def test_what_depends_on_others_is_worked_on_in_later_waves_by_other_machines(
    github: GitHubServer, library: Repo, tmp_path: Path
):
    """A chain of three over three waves; beside it one whose verify machine is lost, and what waits for that one."""
    texts = [
        FIRST, f"Blocked by #1\n\n{SECOND}", f"Blocked by #2\n\n{THIRD}",
        new_file("lost.py") + change("README.md", README, f"{README}- `lost`\n"),
        f"Blocked by #4\n\n{new_file('later.py')}",
    ]  # fmt: skip
    issues = [
        github.state.add_issue(f"Task {n}", text, user="octo", labels=("orchestrate",))
        for n, text in enumerate(texts, 1)
    ]
    assert [1, 2, 3, 4, 5] == [i.number for i in issues]
    inputs = {"label": "orchestrate", "agent": "patch", "shards": "4", "max-tasks": "256", "timeout": "5m"}
    jobs = Jobs(github, library, tmp_path / "jobs", inputs)

    [plan] = jobs.run("plan")
    planned = json.loads((plan.folder / "planned.json").read_text())
    assert [["issue-1"], ["issue-4"], ["issue-2"], ["issue-5"], ["issue-3"]] == planned["shards"]
    assert [[1, 2], [3, 4], [5]] == planned["waves"]
    jobs.run("base")
    work, verify = {}, {}
    for wave in (1, 2, 3):
        work[wave] = jobs.run("work", wave=wave)
        lost = {2: Kill(lambda: True, machine=True)} if wave == 1 else {}
        verify[wave] = jobs.run("verify", lost, wave=wave)
    [publish] = jobs.run("publish")

    assert [2, 2, 1] == [len(w) for w in work.values()]
    assert not any(j.failed for w in work.values() for j in w), [
        j.log[-600:] for w in work.values() for j in w
    ]
    assert "issue-4 is not verified, as far as was handed over" in work[2][1].log
    task = {t["issue"]: t for t in json.loads(publish.outputs["results"])["tasks"]}
    assert ["success"] * 3 + ["incomplete", "blocked"] == [task[n]["status"] for n in range(1, 6)], (
        publish.log
    )
    assert [task[1]["head_sha"], task[2]["head_sha"]] == [task[2]["base_sha"], task[3]["base_sha"]]
    bases = {i.pull.head: i.pull.base for i in github.state.issues.values() if i.pull}
    assert {task[1]["branch"]: "main", **{task[n]["branch"]: task[n - 1]["branch"] for n in (2, 3)}} == bases
    for issue in issues:
        assert 1 == len(said_on(github, issue)), said_on(github, issue)
        assert not {"orchestrate", "orchestrate:running"} & set(issue.labels)
    verdicts = {s for w in jobs.waves.values() for s in w.outputs["verify"].values()}
    assert {s.strip() for s in verdicts} == set(publish.outputs["verdicts"].split()), "what attest may sign"
    assert [] == alive(tmp_path / "jobs")


def test_a_wave_without_tasks_is_skipped(github: GitHubServer, library: Repo, tmp_path: Path):
    github.state.add_issue("Task", FIRST, user="octo", labels=("orchestrate",))
    inputs = {"label": "orchestrate", "agent": "patch", "shards": "8", "max-tasks": "256", "timeout": "5m"}
    jobs = Jobs(github, library, tmp_path / "jobs", inputs)

    [plan] = jobs.run("plan")

    assert ("", "") == (plan.outputs["work-2"], plan.outputs["verify-3"]) and plan.outputs["work-1"]
    assert [] == [
        j for wave in (2, 3) for name in ("work", "verify", "review") for j in jobs.run(name, wave=wave)
    ]
