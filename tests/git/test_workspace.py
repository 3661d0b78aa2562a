"""One worktree per task: made in parallel, never in the way of each other, never lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.worktrees import Workspace
from tests.git.conftest import commit
from tests.kit.repos import Repo, clean_env, git


def test_a_worktree_is_on_its_branch_at_its_base(space: Workspace, repo: Repo, base: str):
    """And the main checkout does not see it."""
    made = space.create("issue-1", "orchestrator/issue-1-x", base)

    assert made.path == repo.path / ".worktrees" / "task-issue-1"
    assert git(made.path, "rev-parse", "HEAD") == base
    assert git(made.path, "branch", "--show-current") == "orchestrator/issue-1-x"
    assert (made.path / "README.md").read_text() == "# hello\n"
    assert git(made.path, "status", "--porcelain") == repo.git("status", "--porcelain") == ""
    assert space.protect(made) == ()


def test_the_configuration_is_byte_identical_after_a_task(space: Workspace, repo: Repo, base: str):
    """Also when the user asked for tracking and rebasing everywhere."""
    repo.git("config", "branch.autoSetupMerge", "always")
    repo.git("config", "branch.autoSetupRebase", "always")
    before = (repo.path / ".git/config").read_bytes()

    made = space.create("t", "orchestrator/t", base)
    commit(made)
    git(made.path, "config", "user.name", "Agent")
    git(made.path, "branch", "--set-upstream-to=origin/main")
    space.remove(made)

    assert (repo.path / ".git/config").read_bytes() == before


def test_240_worktrees_12_at_a_time_from_threads(space: Workspace, repo: Repo, base: str):
    """Without the lock more than half of them fail."""
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda n: space.create(f"t{n}", f"orchestrator/t{n}", base), range(240)))

    assert len({w.path for w in made}) == 240
    assert len(repo.git("worktree", "list").splitlines()) == 241
    assert all((w.path / "README.md").is_file() for w in made)
    for worktree in made:
        assert space.remove(worktree) == ""
    assert not (repo.path / ".worktrees").exists()


_ADDER = """
import sys
from pathlib import Path
from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktrees import Workspace
space = Workspace(Git.open(Path(sys.argv[1])))
for n in range(20):
    space.create(f"{sys.argv[3]}-{n}", f"orchestrator/{sys.argv[3]}-{n}", sys.argv[2])
"""


def test_240_worktrees_from_12_processes(repo: Repo, base: str):
    """The lock is the kernel's, not this process's."""
    adders = [
        subprocess.Popen(
            [sys.executable, "-c", _ADDER, str(repo.path), base, f"p{n}"], stderr=subprocess.PIPE
        )
        for n in range(12)
    ]
    errors = [p.communicate(timeout=100)[1].decode() for p in adders]

    assert errors == [""] * 12
    assert len(repo.git("worktree", "list").splitlines()) == 241


_AGENT = """
cd "$1" && i=0
while [ ! -e "$2/stop" ]; do
  i=$((i+1))
  echo $i > file-$$ && git add -A && git commit -q -m "c $i" &&
  git branch -q "side-$$-$i" && git branch -q -D "side-$$-$i" &&
  git config "test.k$$" "$i" && git fetch -q origin && echo $i > "$2/count-$$" ||
    { echo failed > "$2/failed-$$"; exit 1; }
done
"""


def test_200_worktrees_in_bursts_of_40_while_agents_work(
    space: Workspace, repo: Repo, base: str, tmp_path: Path
):
    """Agents that branch, commit, configure and fetch neither break it nor are broken by it."""
    agents = []
    for n in range(4):
        home = space.create(f"agent{n}", f"orchestrator/agent{n}", base)
        argv = ["sh", "-c", _AGENT, "agent", str(home.path), str(tmp_path)]
        agents.append(subprocess.Popen(argv, env=clean_env(), stderr=subprocess.PIPE))
    try:
        with ThreadPoolExecutor(40) as pool:
            for burst in range(5):
                names = [f"b{burst}-{n}" for n in range(40)]
                made = list(pool.map(lambda t: space.create(t, f"orchestrator/{t}", base), names))
                assert [space.remove(w) for w in made] == [""] * 40
    finally:
        (tmp_path / "stop").touch()
        errors = [a.communicate(timeout=30)[1].decode() for a in agents]

    assert list(tmp_path.glob("failed-*")) == [], errors
    assert len(list(tmp_path.glob("count-*"))) == 4


def test_a_branch_checked_out_elsewhere_is_named(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """And left alone."""
    repo.git("worktree", "add", "-q", "-b", "orchestrator/t", str(tmp_path / "mine"), base)

    with pytest.raises(WorktreeError, match="checked out at") as caught:
        space.create("t", "orchestrator/t", base)

    assert str(tmp_path / "mine") in caught.value.message
    assert (tmp_path / "mine/README.md").is_file()


def test_a_directory_in_the_way_is_named(space: Workspace, repo: Repo, base: str):
    """It is never emptied; an empty one is no obstacle."""
    way = repo.path / ".worktrees/task-t"
    way.mkdir(parents=True)
    space.remove(space.create("t", "orchestrator/t", base))
    way.mkdir(parents=True)
    (way / "precious").write_text("x")

    with pytest.raises(WorktreeError, match="in the way"):
        space.create("t", "orchestrator/t2", base)

    assert (way / "precious").read_text() == "x"
    assert repo.git("branch", "--list", "orchestrator/t2") == ""


def test_a_lock_file_somebody_left_is_named(space: Workspace, repo: Repo, base: str):
    """With its path, and no half-made worktree or branch stays behind."""
    lock = repo.path / ".git/refs/heads/orchestrator/t.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()

    with pytest.raises(WorktreeError, match=r"t\.lock") as caught:
        space.create("t", "orchestrator/t", base)

    assert "remove" in caught.value.hint
    assert not (repo.path / ".worktrees/task-t").exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1
    lock.unlink()
    assert space.create("t", "orchestrator/t", base).git.head() == base


_KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator_action.git import worktrees as workspace
from orchestrator_action.git.repo import Git
step = sys.argv[3]
real = getattr(workspace.Workspace, step)
def die(self, *args, **kwargs):
    if step == "_hand_out":
        os.kill(os.getpid(), signal.SIGKILL)
    made = real(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(workspace.Workspace, step, die)
workspace.Workspace(Git.open(Path(sys.argv[1]))).create("t", "orchestrator/t", sys.argv[2])
"""


@pytest.mark.parametrize("step", ["_prepare", "_add", "_hand_out", "_populate"])
def test_an_orchestrator_killed_while_making_a_worktree_leaves_nothing_in_the_way(
    space: Workspace, repo: Repo, base: str, step: str
):
    """Whatever was done by then, the next run makes or adopts a whole worktree."""
    argv = [sys.executable, "-c", _KILLED, str(repo.path), base, step]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL

    adopted = space.adopt("t", "orchestrator/t", base)
    made = adopted or space.create("t", "orchestrator/t", base)

    assert made.git.head() == base
    assert made.git.dirty() == ()
    assert space.remove(made) == ""


def test_a_killed_worktree_add_is_repaired(space: Workspace, repo: Repo, base: str):
    """git's own: killed during the checkout, its directory and its lock still there."""
    path = repo.path / ".worktrees/task-t"
    repo.git("worktree", "add", "-q", "--no-track", "-b", "orchestrator/t", str(path), base)
    admin = repo.path / ".git/worktrees/task-t"
    (admin / "locked").write_text("initializing\n")
    (admin / "index").unlink()
    (path / "README.md").write_text("# he")

    made = space.create("t", "orchestrator/t", base)

    assert (made.path / "README.md").read_text() == "# hello\n"
    assert made.git.dirty() == ()


@pytest.mark.parametrize(
    "task_id", ["", "../x", "a/b", "-x", ".hidden", "a b", "ü", "x" * 300, "a..b", "a.lock"]
)
def test_an_id_that_is_no_file_name_is_refused(space: Workspace, base: str, task_id: str):
    """By name, before anything is made."""
    with pytest.raises(WorktreeError, match="cannot name a directory"):
        space.create(task_id, "orchestrator/x", base)


def test_worktrees_behind_a_symbolic_link_are_refused(
    space: Workspace, repo: Repo, base: str, tmp_path: Path
):
    """A checkout could point `.worktrees` anywhere."""
    (repo.path / ".worktrees").symlink_to(tmp_path)

    with pytest.raises(WorktreeError, match="is not a directory"):
        space.create("t", "orchestrator/t", base)


_HOLDER = """
import sys, time
from pathlib import Path
from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktrees import Workspace
with Workspace(Git.open(Path(sys.argv[1]))).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_is_let_go_when_its_holder_is_killed(space: Workspace, repo: Repo, base: str):
    """The kernel does that; no file stays in the way."""
    argv = [sys.executable, "-c", _HOLDER, str(repo.path)]
    holder = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(space.create, "t", "orchestrator/t", base)
        time.sleep(0.05)
        assert not waiting.done()
        holder.kill()
        assert waiting.result(timeout=10).git.head() == base
    holder.wait()
    holder.stdout.close()
