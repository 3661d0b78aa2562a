"""Worktrees to measure and to review in, and every kind of repository they are made from."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktrees import Workspace
from tests.git.conftest import commit, identity_of
from tests.kit.repos import Repo, clean_env, git


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

    assert git(made.path, "rev-parse", "--is-shallow-repository") == "true"
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
    assert "add new.txt" == git(tmp_path / "r", "log", "-1", "--format=%s", tip)
    assert space.salvage(made, "t") is None
    assert space.remove(made).startswith("2 commits not on any remote")


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
