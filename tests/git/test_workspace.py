"""One worktree per task: made in parallel, never in the way of each other, never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.runtime import procs
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.workspace import Workspace, Worktree
from tests.kit.repos import Repo, clean_env, git


@pytest.fixture
def space(repo: Repo) -> Workspace:
    return Workspace(Git.open(repo.path))


@pytest.fixture
def base(repo: Repo) -> str:
    return repo.git("rev-parse", "HEAD")


def identity_of(pid: int) -> dict[str, object]:
    who = procs.identity(pid)
    assert who is not None
    return who._asdict()


def commit(worktree: Worktree, name: str = "new.txt", text: str = "new\n") -> str:
    """Commit a file as an agent would: in the worktree, with its own git."""
    (worktree.path / name).write_text(text)
    git(worktree.path, "add", name)
    git(worktree.path, "commit", "-q", "-m", f"add {name}")
    return git(worktree.path, "rev-parse", "HEAD")


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
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.workspace import Workspace
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


def test_what_an_agent_configures_stays_its_own(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """Its task is told what it did; another task's git and hooks do not notice."""
    bad = space.create("bad", "orchestrator/bad", base)
    good = space.create("good", "orchestrator/good", base)

    git(bad.path, "config", "user.name", "Mallory")
    hooks = Path(git(bad.path, "rev-parse", "--git-path", "hooks"))
    hook = (bad.path / hooks) / "post-commit"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    commit(good)

    assert space.protect(bad) == ("git setting user.name was added", "git hook post-commit was added")
    assert space.protect(good) == ()
    assert git(good.path, "config", "--get", "user.name", check=False) == ""
    assert not (tmp_path / "hook-ran").exists()


def test_changes_of_the_shared_configuration_are_named(space: Workspace, repo: Repo, base: str):
    """An agent that walks out of its worktree to plant something is seen."""
    made = space.create("t", "orchestrator/t", base)

    repo.git("config", "core.fsmonitor", "/tmp/evil")
    (repo.path / ".git/hooks/pre-push").write_text("#!/bin/sh\n")

    assert space.protect(made) == (
        "git setting core.fsmonitor was added in the shared git directory",
        "git hook pre-push was added in the shared git directory",
    )


def test_planted_settings_run_nothing_of_ours(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """Hooks, fsmonitor, filters, external diffs and textconv of an agent's making."""
    made = space.create("t", "orchestrator/t", base)
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\ncat\n')
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "filter.x.smudge", "filter.x.clean", "diff.x.textconv",
                "diff.x.command", "core.sshCommand", "core.pager", "gpg.program", "core.editor"):  # fmt: skip
        git(made.path, "config", key, str(trap))
        repo.git("config", key, str(trap))
    repo.git("config", "filter.x.required", "true")
    repo.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        (tmp_path / "hooks" / hook).write_bytes(trap.read_bytes())
        (tmp_path / "hooks" / hook).chmod(0o755)
    (made.path / ".gitattributes").write_text("* filter=x diff=x\n")
    quiet = ("-c", "core.fsmonitor=false", "-c", "filter.x.clean=", "-c", "filter.x.required=false",
             "-c", "core.hooksPath=/dev/null")  # fmt: skip
    git(made.path, *quiet, "add", "-A")
    git(made.path, *quiet, "commit", "-q", "-m", "trap")
    (tmp_path / "ran").unlink(missing_ok=True)

    (made.path / "more.txt").write_text("more\n")
    head = made.git.head()
    space.measure("t", head)
    space.create("u", "orchestrator/u", head)
    assert made.git.dirty() == ("more.txt",)
    made.git.changes(base, head)
    made.git.diff_text(base, head)
    assert space.salvage(made, "t")
    space.leftovers()

    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("rm -rf ../task-t", "the worktree was deleted"),
        ("rm .git", "the worktree's .git file was removed or changed"),
        ("rm .git && git init -q .", "the worktree's .git file was removed or changed"),
        ("git checkout -q -b elsewhere", "HEAD is on elsewhere, not on the task branch orchestrator/t"),
        ("git checkout -q --detach", "HEAD is on no branch, not on the task branch orchestrator/t"),
        (
            "echo ../../elsewhere > $(git rev-parse --git-dir)/commondir",
            "the worktree's git directory was changed",
        ),
        ("git worktree remove -f -f . ", "the worktree was removed from git's list of worktrees"),
    ],
)
def test_what_an_agent_does_to_its_worktree_is_named(
    space: Workspace, repo: Repo, base: str, harm: str, sentence: str
):
    """And the neighbour's worktree is as it was."""
    made = space.create("t", "orchestrator/t", base)
    neighbour = space.create("n", "orchestrator/n", base)

    subprocess.run(["sh", "-c", harm], cwd=made.path, env=clean_env(), check=False)

    assert sentence in space.protect(made)
    assert space.protect(neighbour) == ()
    assert (neighbour.path / "README.md").is_file()


def test_a_prune_by_an_agent_takes_nothing(space: Workspace, repo: Repo, base: str):
    """A worktree in use is locked in git's own sense."""
    made = space.create("t", "orchestrator/t", base)
    moved = made.path.rename(made.path.with_name("moved"))

    repo.git("worktree", "prune", "--expire=now")
    moved.rename(made.path)

    assert space.protect(made) == ()


def test_a_worktree_with_nothing_to_lose_goes(space: Workspace, repo: Repo, base: str):
    """Ignored files are nothing of value."""
    (repo.path / ".git/info/exclude").write_text("*.log\n")
    made = space.create("t", "orchestrator/t", base)
    (made.path / "x.log").write_text("x")

    assert space.remove(made) == ""
    assert not made.path.exists()
    assert repo.git("worktree", "list").count("\n") == 0


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("echo x >> README.md", "uncommitted changes: README.md"),
        ("echo x > näw.txt", "uncommitted changes: näw.txt"),
        ("rm README.md", "uncommitted changes: README.md"),
        (
            "git update-index --assume-unchanged README.md && echo x >> README.md",
            "uncommitted changes: README.md",
        ),
        (
            "git update-index --skip-worktree README.md && echo x >> README.md",
            "uncommitted changes: README.md",
        ),
        ("git init -q inner && cd inner && git commit -q --allow-empty -m x", "uncommitted changes: inner/"),
        ("echo x > a && git add a && git commit -q -m x", "1 commit not on any remote: orchestrator/t"),
        ("git checkout -q --detach && git commit -q --allow-empty -m x", "1 commit not on any remote: "),
        ("touch .git-x && git bisect start && rm .git-x", "a bisect is under way"),
    ],
)
def test_a_worktree_with_something_to_lose_stays(space: Workspace, base: str, work: str, reason: str):
    """With the reason, and as an ordinary worktree that a person can use."""
    made = space.create("t", "orchestrator/t", base)
    subprocess.run(["sh", "-ec", work], cwd=made.path, env=clean_env(), check=True, capture_output=True)

    assert space.remove(made).startswith(reason)
    assert made.path.is_dir()
    assert [left.kept_because.startswith(reason) for left in space.leftovers()] == [True]
    common = Path(git(made.path, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    assert common == space.git.common_dir


def test_an_ignored_repository_inside_keeps_the_worktree(space: Workspace, repo: Repo, base: str):
    """`git status` says nothing of it, and its commits are nowhere else."""
    (repo.path / ".git/info/exclude").write_text("inner/\n")
    made = space.create("t", "orchestrator/t", base)
    git(made.path, "init", "-q", "inner")
    git(made.path / "inner", "commit", "-q", "--allow-empty", "-m", "x")

    assert space.remove(made) == "it holds other repositories: inner"


def test_a_pushed_worktree_goes(space: Workspace, repo: Repo, base: str):
    """Its commits are on the remote."""
    made = space.create("t", "orchestrator/t", base)
    commit(made)
    assert space.remove(made).startswith("1 commit")
    repo.git("push", "-q", "origin", "orchestrator/t")

    assert space.remove(made.path) == ""


def test_a_worktree_of_a_living_process_is_left_alone(space: Workspace, repo: Repo, base: str):
    """Known by boot, PID and start time; a PID that was given to another process does not count."""
    made = space.create("t", "orchestrator/t", base)
    other = subprocess.Popen(["sleep", "60"])
    try:
        (made.admin / "orchestrator-owner").write_text(json.dumps(identity_of(other.pid)))
        assert space.remove(made) == f"process {other.pid} works in it"
        with pytest.raises(WorktreeError, match=f"in use by process {other.pid}"):
            space.create("t", "orchestrator/t", base)
    finally:
        other.kill()
        other.wait()
    stranger = {**identity_of(os.getpid()), "start_ticks": 1}
    (made.admin / "orchestrator-owner").write_text(json.dumps(stranger))

    assert space.remove(made) == ""


def test_salvage_keeps_what_is_uncommitted_and_touches_nothing(space: Workspace, repo: Repo, base: str):
    """Changed, staged, untracked, deleted and hidden files; not what is ignored."""
    (repo.path / ".git/info/exclude").write_text("*.log\n")
    made = space.create("t", "orchestrator/t", base)
    (made.path / "staged.txt").write_text("staged\n")
    git(made.path, "add", "staged.txt")
    (made.path / "untracked ü.txt").write_text("untracked\n")
    (made.path / "x.log").write_text("noise")
    git(made.path, "update-index", "--assume-unchanged", "README.md")
    (made.path / "README.md").write_text("hidden change\n")
    before = (
        git(made.path, "status", "--porcelain"),
        (made.admin / "index").read_bytes(),
        repo.git("branch"),
    )

    saved = space.salvage(made, "t")

    after = (git(made.path, "status", "--porcelain"), (made.admin / "index").read_bytes(), repo.git("branch"))
    assert before == after
    assert saved == repo.git("rev-parse", "refs/orchestrator/salvage/t")
    assert space.git.file(saved, "README.md") == b"hidden change\n"
    assert set(space.git.paths(saved)) == {"README.md", "staged.txt", "untracked ü.txt"}
    assert repo.git("log", "-1", "--format=%an", saved) == "orchestrator-action"


def test_salvage_of_nothing_is_nothing(space: Workspace, repo: Repo, base: str):
    """No ref is made."""
    made = space.create("t", "orchestrator/t", base)

    assert space.salvage(made, "t") is None
    assert repo.git("for-each-ref", "refs/orchestrator/salvage") == ""


def test_a_second_salvage_keeps_the_first(space: Workspace, base: str):
    """One ref contains both."""
    made = space.create("t", "orchestrator/t", base)
    (made.path / "a").write_text("1")
    first = space.salvage(made, "t")
    (made.path / "a").write_text("2")
    second = space.salvage(made, "t")

    assert first and second and first != second
    assert space.git.is_ancestor(first, second)
    assert space.salvage(made, "t") == second


@pytest.mark.parametrize(
    "harm", ["rm .git", "rm .git && git init -q .", "rm -rf {admin}", "rm .git; rm -rf {admin}"]
)
def test_work_is_saved_although_the_agent_broke_its_worktree(space: Workspace, base: str, harm: str):
    """By our own knowledge of where things are, not by its `.git` file."""
    made = space.create("t", "orchestrator/t", base)
    tip = commit(made)
    (made.path / "more.txt").write_text("more\n")
    subprocess.run(["sh", "-c", harm.format(admin=made.admin)], cwd=made.path, env=clean_env(), check=True)

    saved = space.salvage(made, "t")

    assert saved
    assert space.git.file(saved, "more.txt") == b"more\n"
    assert space.git.is_ancestor(tip, saved)


def test_a_leftover_is_saved_before_its_place_is_used(space: Workspace, repo: Repo, base: str):
    """Uncommitted work and unpushed commits of an earlier run are on the salvage ref."""
    old = space.create("t", "orchestrator/t", base)
    tip = commit(old, "kept.txt")
    (old.path / "draft.txt").write_text("draft\n")

    new = space.create("t", "orchestrator/t", base)

    kept = repo.git("rev-parse", "refs/orchestrator/salvage/t")
    assert new.git.head() == base
    assert not (new.path / "draft.txt").exists()
    assert space.git.is_ancestor(tip, kept)
    assert space.git.file(kept, "draft.txt") == b"draft\n"
    assert "refs/orchestrator/salvage/t" in new.note


def test_a_leftover_is_adopted_as_it_is(space: Workspace, base: str):
    """With its commits and its uncommitted files."""
    old = space.create("t", "orchestrator/t", base)
    tip = commit(old)
    (old.path / "draft.txt").write_text("draft\n")

    again = Workspace(space.git).adopt("t", "orchestrator/t", base)

    assert again is not None
    assert again.git.head() == tip
    assert again.git.dirty() == ("draft.txt",)
    assert space.adopt("other", "orchestrator/other", base) is None


def test_a_deleted_worktree_is_made_again_from_its_branch(space: Workspace, base: str):
    """An agent that deleted its directory does not lose what it committed."""
    old = space.create("t", "orchestrator/t", base)
    tip = commit(old)
    subprocess.run(["rm", "-rf", str(old.path)], check=True)

    again = space.adopt("t", "orchestrator/t", base)

    assert again is not None
    assert again.git.head() == tip
    assert (again.path / "new.txt").is_file()


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
from orchestrator_action.runtime import workspace
from orchestrator_action.runtime.git import Git
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


def test_measuring_is_at_exactly_one_commit(space: Workspace, repo: Repo, base: str):
    """Nothing of the measurement before stays: files, ignored files, index flags, permissions, links."""
    made = space.create("t", "orchestrator/t", base)
    tip = commit(made, "new.txt")
    first = space.measure("t", tip)
    assert (first.path / "new.txt").is_file()
    (first.path / "junk").mkdir()
    (first.path / "junk/inner").write_text("x")
    (first.path / "junk").chmod(0o500)
    git(first.path, "init", "-q", "nested")
    git(first.path, "update-index", "--skip-worktree", "README.md")
    (first.path / "README.md").write_text("forged\n")
    (first.path / ".git").unlink()

    again = space.measure("t", base)

    assert again.path == first.path
    assert sorted(p.name for p in again.path.iterdir()) == [".git", "README.md"]
    assert (again.path / "README.md").read_text() == "# hello\n"
    assert again.git.head() == base
    assert again.git.branch() == ""
    assert git(again.path, "status", "--porcelain") == ""
    assert space.remove(again) == ""


def test_a_review_worktree_is_read_only(space: Workspace, base: str):
    """And goes like any other."""
    made = space.review("t", base)

    assert not os.stat(made.path / "README.md").st_mode & 0o222
    assert space.remove(made) == ""
    assert not made.path.exists()


def test_a_bare_repository_has_worktrees_too(repo: Repo, base: str):
    """Inside itself."""
    space = Workspace(Git.open(repo.remote))

    made = space.create("t", "orchestrator/t", base)

    assert made.path.is_relative_to(repo.remote)
    assert (made.path / "README.md").is_file()
    assert space.protect(made) == ()
    repo.git("fetch", "-q")
    space.git.update_ref("refs/orchestrator/kept/main", base)
    assert space.remove(made) == ""


def test_a_linked_worktree_shares_the_place_of_its_main_checkout(repo: Repo, base: str, tmp_path: Path):
    """Wherever one starts."""
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))

    made = Workspace(Git.open(tmp_path / "other")).create("t", "orchestrator/t", base)

    assert made.path == repo.path / ".worktrees/task-t"


def test_a_shallow_clone_is_usable(repo: Repo, tmp_path: Path):
    """As actions/checkout makes it: depth 1, HEAD detached."""
    repo.commit({"b": "2"})
    repo.push()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.remote}", "shallow")
    git(tmp_path / "shallow", "checkout", "-q", "--detach")
    head = git(tmp_path / "shallow", "rev-parse", "HEAD")
    space = Workspace(Git.open(tmp_path / "shallow"))

    made = space.create("t", "orchestrator/t", head)
    tip = commit(made)

    assert space.git.is_shallow
    assert space.git.commits(head, tip) == (tip,)
    assert space.git.merge_base(head, tip) == head
    assert made.git.dirty() == ()


def test_a_sparse_checkout_stays_sparse_and_clean(make: Callable[..., Repo]):
    """What is left out is not taken for deleted."""
    repo = make({"a/x": "1", "b/y": "2", "README.md": "r"})
    repo.git("sparse-checkout", "set", "a")
    base = repo.git("rev-parse", "HEAD")
    space = Workspace(Git.open(repo.path))

    made = space.create("t", "orchestrator/t", base)

    assert made.git.dirty() == ()
    assert space.salvage(made, "t") is None
    assert space.protect(made) == ()
    assert space.remove(made) == ""


def test_lfs_pointers_are_files_like_any(make: Callable[..., Repo]):
    """Without git-lfs the pointer is what is checked out, and it is clean."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"
    repo = make({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": pointer})
    space = Workspace(Git.open(repo.path))

    made = space.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))

    assert (made.path / "a.bin").read_text() == pointer
    assert made.git.dirty() == ()


def test_a_submodule_is_a_folder_nobody_enters(make: Callable[..., Repo]):
    """It is left empty; once filled it keeps the worktree as long as something of it is nowhere else."""
    inner = make({"i": "1"}, name="inner")
    repo = make({"README.md": "r"}, name="outer")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.remote), "sub")
    repo.git("commit", "-q", "-m", "sub")
    repo.push()
    space = Workspace(Git.open(repo.path))

    made = space.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))

    assert made.git.dirty() == ()
    assert list(space.git.links("HEAD")) == ["sub"]
    assert space.remove(made) == ""
    again = space.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))
    git(again.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    (again.path / "sub/i").write_text("2")
    assert space.remove(again) == "it holds other repositories: sub"
    git(again.path / "sub", "commit", "-q", "-a", "-m", "mine")
    assert space.remove(again).startswith("uncommitted changes: sub")
    git(again.path / "sub", "branch", "mine")
    git(again.path / "sub", "reset", "-q", "--hard", "origin/main")
    assert space.remove(again) == "it holds other repositories: sub"
    git(again.path / "sub", "branch", "-q", "-D", "mine", "main", check=False)
    assert space.remove(again) == ""


def test_sha256_repositories_work(tmp_path: Path):
    """Object names have 64 digits there."""
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", "r")
    (tmp_path / "r/a").write_text("1\n")
    git(tmp_path / "r", "add", "a")
    git(tmp_path / "r", "commit", "-q", "-m", "first")
    seen = Git.open(tmp_path / "r")
    space = Workspace(seen)

    made = space.create("t", "orchestrator/t", seen.head())
    tip = commit(made)

    assert len(tip) == 64
    assert [c.path for c in seen.changes(made.base_sha, tip)] == ["new.txt"]
    assert seen.commit(tip).subject == "add new.txt"
    assert space.salvage(made, "t") is None
    assert space.remove(made).startswith("2 commits not on any remote")


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


def test_the_agent_s_configuration_holds_no_credentials(repo: Repo, base: str):
    """What actions/checkout left behind is not in the view an agent gets."""
    repo.git("config", "http.https://github.com/.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    repo.git("config", "includeIf.gitdir:/x/.path", "/tmp/git-credentials.config")
    repo.git("remote", "add", "other", "https://me:s3cr3t@example.org/x.git")
    space = Workspace(Git.open(repo.path))

    made = space.create("t", "orchestrator/t", base)

    seen = git(made.path, "config", "--list", "--local")
    assert "c2VjcmV0" not in seen and "s3cr3t" not in seen and "git-credentials" not in seen
    assert git(made.path, "remote", "get-url", "other") == "https://example.org/x.git"
    assert git(made.path, "remote", "get-url", "origin") == str(repo.remote)


_HOLDER = """
import sys, time
from pathlib import Path
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.workspace import Workspace
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


def test_a_link_in_a_worktree_s_place_leads_nowhere(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """What it points at is neither saved, nor made writable, nor deleted."""
    made = space.create("t", "orchestrator/t", base)
    home = tmp_path / "home"
    home.mkdir()
    (home / "private").write_text("x")
    (home / "private").chmod(0o400)
    subprocess.run(["rm", "-rf", str(made.path)], check=True)
    made.path.symlink_to(home)

    assert "the worktree was deleted" in space.protect(made)
    assert space.salvage(made, "t") is None
    assert space.remove(made) == ""
    assert (home / "private").stat().st_mode & 0o777 == 0o400
    assert not made.path.is_symlink()


def test_a_commit_on_no_branch_keeps_even_an_empty_place(space: Workspace, base: str):
    """The directory is gone, git's record of it is all that names the commit; salvage takes it over."""
    made = space.create("t", "orchestrator/t", base)
    git(made.path, "checkout", "-q", "--detach")
    lost = commit(made)
    subprocess.run(["rm", "-rf", str(made.path)], check=True)

    assert space.remove(made) == f"commit {lost[:12]} is on no branch"
    assert space.salvage(made, "t") == lost
    assert space.remove(made) == ""


def test_what_git_does_not_know_is_listed(space: Workspace, repo: Repo, base: str):
    """A worktree whose record an agent removed; an empty folder is not worth a word."""
    made = space.create("t", "orchestrator/t", base)
    commit(made)
    subprocess.run(["rm", "-rf", str(made.admin)], check=True)

    [left] = space.leftovers()
    assert (left.path, left.kept_because) == (made.path, "it is not registered as a worktree")
    assert space.remove(made) == "it is not registered as a worktree"
    assert (made.path / "new.txt").is_file()


def test_a_branch_nobody_committed_to_goes_with_its_worktree(space: Workspace, repo: Repo, base: str):
    """One with commits stays, pushed or not."""
    empty = space.create("a", "orchestrator/a", base)
    used = space.create("b", "orchestrator/b", base)
    commit(used)
    repo.git("push", "-q", "origin", "orchestrator/b")

    assert space.remove(empty) == space.remove(used) == ""
    assert repo.git("branch", "--format=%(refname:short)", "--list", "orchestrator/*") == "orchestrator/b"


def test_a_stale_index_lock_does_not_stop_the_next_attempt(space: Workspace, base: str):
    """An agent was killed in the middle of `git add`."""
    made = space.create("t", "orchestrator/t", base)
    (made.admin / "index.lock").touch()
    (made.admin / "HEAD.lock").touch()

    again = space.adopt("t", "orchestrator/t", base)

    assert again is not None
    commit(again)


def test_settings_of_the_repository_s_own_setup_are_accepted(space: Workspace, base: str):
    """husky, say, sets core.hooksPath; what comes after it is the agent's doing."""
    made = space.create("t", "orchestrator/t", base)
    git(made.path, "config", "core.hooksPath", ".husky")

    space.accept(made)
    assert space.protect(made) == ()
    git(made.path, "config", "user.email", "a@b")

    assert space.protect(made) == ("git setting user.email was added",)


@pytest.mark.parametrize(
    "command",
    [
        "git config core.hooksPath .husky/_", "git remote add fork /nowhere", "git branch -q side origin/main",
        "git config branch.x.description y", "git config submodule.a.url /nowhere", "git fetch -q",
    ],
)  # fmt: skip
def test_what_ordinary_tools_write_is_no_tampering(space: Workspace, base: str, command: str):
    """`npm install` under husky, a further remote, a tracking branch, a submodule."""
    made = space.create("t", "orchestrator/t", base)

    subprocess.run(["sh", "-ec", command], cwd=made.path, env=clean_env(), check=True)

    assert space.protect(made) == ()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("git config core.hooksPath /tmp/evil", "git setting core.hookspath was added"),
        ("git config user.email a@b.c", "git setting user.email was added"),
        ("git config alias.x '!sh'", "git setting alias.x was added"),
        ("git remote set-url origin /elsewhere", "git setting remote.origin.url was changed"),
        ("git config url./x.insteadOf /y", "git setting url./x.insteadof was added"),
        (
            "echo '* filter=x' > $(git rev-parse --git-path info/attributes)",
            "git file info/attributes was added",
        ),
        ("git config include.path /tmp/evil", "git setting include.path was added"),
    ],
)
def test_what_an_agent_changes_of_git_is_named(space: Workspace, base: str, command: str, sentence: str):
    """Each by its name, without its value."""
    made = space.create("t", "orchestrator/t", base)

    subprocess.run(["sh", "-ec", command], cwd=made.path, env=clean_env(), check=True)

    assert space.protect(made) == (sentence,)


AGENT_GIT = """
git gc -q --prune=now
git pack-refs --all
git repack -adq
git maintenance run --quiet
git fsck
git fetch -q origin
git stash -u && git stash pop
git commit -q --allow-empty -m x && git commit -q --amend --allow-empty -m y
git rebase -q --autostash HEAD~0
git branch side && git switch -q side && git switch -q -
git bisect start && git bisect reset
git tag v1 && git notes add -m n && git describe --tags
git worktree list && git worktree prune
git worktree add -q --detach ../../inner-$$ && git worktree remove ../../inner-$$
git log --all --oneline && git reflog && git blame README.md && git diff origin/main
git rev-parse --show-toplevel --git-common-dir
git clone -q --no-local . ../../clone-$$ && rm -rf ../../clone-$$
git remote add other /nowhere
git checkout -q -- README.md
git rm -q --cached README.md && git add README.md
git submodule status
""".strip().splitlines()


@pytest.mark.parametrize("command", AGENT_GIT)
def test_an_agent_s_git_works_as_ever(space: Workspace, repo: Repo, base: str, command: str):
    """In its own view of the git directory; the repository stays whole and its configuration as it was."""
    before = (repo.path / ".git/config").read_bytes()
    made = space.create("t", "orchestrator/t", base)
    tip = commit(made)
    (made.path / "README.md").write_text("# changed\n")

    done = subprocess.run(
        ["sh", "-ec", command], cwd=made.path, env=clean_env(), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (repo.path / ".git/config").read_bytes() == before
    assert space.git.is_ancestor(tip, made.git.head())
    assert made.git.branch() == "orchestrator/t"
    repo.git("fsck", "--strict", "--connectivity-only")
    assert repo.git("status", "--porcelain") == ""


def test_what_tests_do_to_git_stays_in_their_replica(space: Workspace, repo: Repo, base: str):
    """Also when they do it in the wrong directory; and cloning their own checkout works."""
    repo.git("tag", "v1.0")
    before = (repo.path / ".git/config").read_bytes(), repo.git("for-each-ref"), repo.git("worktree", "list")
    made = space.measure("t", base)

    for command in (
        "git init -q . && git config core.bare true && git config core.bare false",
        "git config user.name Test", "git describe --tags", "git branch -D main",
        "git clone -q . ../clone-of-it && rm -rf ../clone-of-it",
        "echo x > x && git add x && git commit -q -m x && git tag -f v1.0 && git gc -q --prune=now",
        "git remote get-url origin", "git stash list", "rm -rf .git/hooks",
    ):  # fmt: skip
        done = subprocess.run(
            ["sh", "-ec", command], cwd=made.path, env=clean_env(), capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stderr)

    after = (repo.path / ".git/config").read_bytes(), repo.git("for-each-ref"), repo.git("worktree", "list")
    assert before == after
    assert space.measure("t", base).git.dirty() == ()
    assert not (made.path / "x").exists()


def test_a_replica_nobody_uses_any_more_can_go(space: Workspace, base: str):
    """Left over by a killed orchestrator; one that is in use stays."""
    made = space.measure("t", base)
    other = subprocess.Popen(["sleep", "60"])
    try:
        (made.admin / "orchestrator-owner").write_text(json.dumps(identity_of(other.pid)))
        assert [left.kept_because for left in space.leftovers()] == [f"process {other.pid} works in it"]
        assert space.remove(made.path) == f"process {other.pid} works in it"
    finally:
        other.kill()
        other.wait()

    assert [left.kept_because for left in space.leftovers()] == [""]
    assert space.remove(made.path) == ""
    assert not made.path.exists() and not made.admin.exists()


def test_a_submodule_can_be_the_repository(make: Callable[..., Repo]):
    """Its git directory is somewhere else, and names its checkout."""
    inner = make({"i": "1"}, name="inner")
    outer = make({"README.md": "r"}, name="outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.remote), "sub")
    space = Workspace(Git.open(outer.path / "sub"))

    made = space.create("t", "orchestrator/t", space.git.head())
    tip = commit(made)

    assert made.path == outer.path / "sub/.worktrees/task-t"
    assert git(made.path, "rev-parse", "--show-toplevel") == str(made.path)
    assert made.git.head() == tip
    assert space.protect(made) == ()
    assert space.measure("t", tip).git.dirty() == ()


def test_a_bare_repository_beside_its_worktrees_is_usable(repo: Repo, base: str, tmp_path: Path):
    """A layout some people like: `.bare`, and a linked worktree per branch."""
    git(tmp_path, "clone", "-q", "--bare", str(repo.remote), "proj/.bare")
    git(tmp_path / "proj/.bare", "worktree", "add", "-q", "../main", "main")
    space = Workspace(Git.open(tmp_path / "proj/main"))

    made = space.create("t", "orchestrator/t", base)

    assert made.path == tmp_path / "proj/.bare/.worktrees/task-t"
    assert commit(made) == made.git.head()
