"""What the version before left behind (commit 127ec9d) still resumes, verifies and reads.

`version_before.tar.gz` is a checkout with its bare remote, as that version left them: run 1 took issue 1 to
success; run 2 was killed while it measured `testing` of issue 3, with issue 2 done and issue 4 not begun.
The journals are byte for byte as they were written. The forge is `local:/proc/self/cwd/.git/forge`, so that
they name no folder of the machine they were made on. All other paths are put right when it is unpacked.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.kit.repos import Repo, git
from tests.kit.tables import few
from tests.kit.whole import House, copy

MADE_IN = "/tmp/oa-made/root"
FORGE = "local:/proc/self/cwd/.git/forge"


@pytest.fixture
def home(tmp_path: Path) -> House:
    with tarfile.open(Path(__file__).with_name("version_before.tar.gz")) as packed:
        packed.extractall(tmp_path, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "journal.jsonl":
            path.write_bytes(path.read_bytes().replace(MADE_IN.encode(), str(tmp_path).encode()))
    repo = Repo(tmp_path / "repo", tmp_path / "remote.git")
    return House(repo=repo, forge=repo.path / ".git" / "forge")


def on_another_machine(home: House) -> None:
    """The trees are gone, as they are where somebody only has the repository and the run's folder."""
    shutil.rmtree(home.repo.path / ".worktrees")
    home.repo.git("worktree", "unlock", "task-issue-3")
    home.repo.git("worktree", "prune")


@pytest.mark.parametrize("moved", few([False, True], 1), ids=["on its machine", "on another machine"])
def test_its_killed_run_resumes(home: House, tmp_path: Path, moved: bool):
    """Issue 3 goes on from what was proven, issue 4 is begun, issue 2 is not done again."""
    if moved:
        on_another_machine(home)
    before = (home.run_dir / "journal.jsonl").read_bytes()

    ran = home.cli("resume", "last", "--json")

    assert 0 == ran.code, ran.err
    assert {"issue-2": ("success", 1), "issue-3": ("success", 2), "issue-4": ("success", 1)} == {
        t["task_id"]: (t["status"], t["attempts"]) for t in ran.report["tasks"]
    }
    assert (home.run_dir / "journal.jsonl").read_bytes().startswith(before)
    assert [3, 4] == [e["data"]["issue"] for e in home.events() if e["kind"] == "task-started"][-2:]
    trail = home.cli("report", "--task", "issue-3")
    assert (0, []) == (trail.code, json.loads(trail.out)["problems"])
    # this forge lies where `assert_tidy` looks for git's locks
    (home.forge / ".lock").rename(tmp_path / "lock")
    home.assert_tidy()


def test_its_trail_is_verified(home: House, tmp_path: Path):
    """On a fresh clone that never saw the run; the verdict is added to the trail, nothing is taken back."""
    clone = copy(home.repo, tmp_path / "clone")
    shutil.copytree(home.forge, clone / ".git" / "forge")
    elsewhere = House(repo=Repo(clone, home.repo.remote), forge=clone / ".git" / "forge")
    ref = "refs/orchestrator/tasks/issue-1"
    before = git(home.repo.remote, "rev-parse", ref)

    ran = elsewhere.cli(
        "verify", "--branch", "orchestrator/issue-1-add-more", "--forge", FORGE, "--agent", "patch", "--json"
    )

    assert (0, "success") == (ran.code, json.loads(ran.out)["task"]["status"]), ran.err
    assert before == git(home.repo.remote, "rev-parse", f"{ref}~1")
    report = elsewhere.cli("report", "--task", "issue-1")
    assert (0, []) == (report.code, json.loads(report.out)["problems"])


def test_its_runs_are_listed_and_reported(home: House):
    status, report = home.cli("status", "--json"), home.cli("report", "20261129-123156")

    assert 0 == status.code, status.err
    assert 2 == len(json.loads(status.out)["runs"])
    assert [("issue-1", "success")] == [(t["task_id"], t["status"]) for t in report.report["tasks"]]
