"""A worktree goes only when nothing is lost with it; what is left over is kept, saved or taken up again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.process import git_program
from orchestrator_action.git.worktrees import Workspace
from tests.git.conftest import commit, identity_of
from tests.kit.ill import eventually
from tests.kit.repos import Repo, clean_env, git


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


def test_a_worktree_that_another_process_is_just_making_is_its_own(
    space: Workspace, repo: Repo, base: str, tmp_path: Path
):
    """Its files are not checked out yet; neither a second run nor a clean-up takes it away."""
    tool, real = tmp_path / "bin" / "git", git_program()
    tool.parent.mkdir()
    pause = f": >{tmp_path}/at; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    tool.write_text(f'#!/bin/sh\ncase "$*" in *"reset --hard"*) {pause} ;; esac\nexec {real} "$@"\n')
    tool.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from orchestrator_action.git.repo import Git; "
        "from orchestrator_action.git.worktrees import Workspace; "
        "Workspace(Git.open(Path())).create('t', 'orchestrator/t', sys.argv[1])"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, base], cwd=repo.path,
        env={**clean_env(), "PATH": f"{tool.parent}:{clean_env()['PATH']}"},
    )  # fmt: skip
    try:
        eventually(lambda: (tmp_path / "at").exists(), what="the checkout")
        with pytest.raises(WorktreeError, match=f"in use by process {other.pid}"):
            space.create("t", "orchestrator/t", base)
        assert f"process {other.pid} works in it" == space.remove(space.root / "task-t")
    finally:
        (tmp_path / "go").touch()
        other.wait()

    assert (0, True) == (other.returncode, (space.root / "task-t" / "README.md").exists())
