"""Clean checkouts to measure and to review in, and every kind of repository they are made from."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from orchestrator_action.git.repo import Git
from orchestrator_action.git.task_tree import Trees
from tests.git.conftest import commit, identity_of
from tests.kit.repos import Repo, clean_env, git
from tests.kit.trees import trees_of


def test_a_clean_checkout_is_at_exactly_one_commit_on_a_fresh_path(trees: Trees, base: str):
    """Nothing of the measurement before is met again, nor anybody else's files."""
    made = trees.create("t", "orchestrator/t", base)
    commit(made, "new.txt")
    first = trees.measure("t", made.git.head())
    assert (first.path / "new.txt").is_file()

    again = trees.measure("t", base)

    assert again.path != first.path
    assert sorted(p.name for p in again.path.iterdir()) == [".git", "README.md"]
    assert not [part for part in again.path.parts if part.startswith(".")]
    assert (again.git.head(), again.git.branch(), again.git.dirty()) == (base, "", ())
    assert git(again.path, "status", "--porcelain") == ""
    assert trees.remove(again) == trees.remove(first) == ""
    assert not again.path.exists() and not first.path.exists()


def test_what_is_left_in_a_checkout_does_not_keep_it(trees: Trees, base: str):
    """Read-only folders, repositories, links, a broken git folder: nothing in it is of value."""
    made = trees.measure("t", base)
    (made.path / "junk").mkdir()
    (made.path / "junk" / "inner").write_text("x")
    (made.path / "junk").chmod(0o500)
    git(made.path, "init", "-q", "nested")
    subprocess.run(["rm", "-rf", str(made.path / ".git")], check=True)

    assert trees.remove(made) == ""
    assert not made.path.exists()


def test_a_review_checkout_is_read_only(trees: Trees, base: str):
    """And goes like any other."""
    made = trees.review("t", base)

    assert not os.stat(made.path / "README.md").st_mode & 0o222
    assert trees.remove(made) == ""
    assert not made.path.exists()


def test_a_bare_repository_has_trees_too(repo: Repo, base: str):
    """With a checkout of their own."""
    trees = trees_of(repo.remote)

    made = trees.create("t", "orchestrator/t", base)

    assert made.path.name == "remote"
    assert (made.path / "README.md").is_file()
    assert trees.problems(made) == ()
    assert trees.remove(made) == ""


def test_a_linked_worktree_s_trees_are_known_to_its_main_checkout(repo: Repo, base: str, tmp_path: Path):
    """And called like it, wherever one starts."""
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))

    made = trees_of(tmp_path / "other").create("t", "orchestrator/t", base)

    assert made.path.name == "repo"
    assert [made.path] == [left.path for left in trees_of(repo.path).leftovers()]


def test_a_shallow_clone_is_usable(repo: Repo, tmp_path: Path):
    """As actions/checkout makes it: depth 1, HEAD detached."""
    repo.commit({"b": "2"})
    repo.push()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.remote}", "shallow")
    git(tmp_path / "shallow", "checkout", "-q", "--detach")
    head = git(tmp_path / "shallow", "rev-parse", "HEAD")
    trees = trees_of(Git.open(tmp_path / "shallow"))

    made = trees.create("t", "orchestrator/t", head)
    tip = commit(made)
    assert made.git.head() == tip

    assert git(made.path, "rev-parse", "--is-shallow-repository") == "true"
    assert trees.private.commits(head, tip) == (tip,)
    assert trees.private.merge_base(head, tip) == head
    assert made.git.dirty() == ()


def test_a_sparse_checkout_stays_sparse_and_clean(make: Callable[..., Repo]):
    """What is left out is not taken for deleted."""
    repo = make({"a/x": "1", "b/y": "2", "README.md": "r"})
    repo.git("sparse-checkout", "set", "a")
    base = repo.git("rev-parse", "HEAD")
    trees = trees_of(Git.open(repo.path))

    made = trees.create("t", "orchestrator/t", base)

    assert made.git.dirty() == ()
    assert trees.salvage(made, "t") is None
    assert trees.problems(made) == ()
    assert trees.remove(made) == ""


def test_lfs_pointers_are_files_like_any(make: Callable[..., Repo]):
    """Without git-lfs the pointer is what is checked out, and it is clean."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"
    repo = make({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": pointer})
    trees = trees_of(Git.open(repo.path))

    made = trees.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))

    assert (made.path / "a.bin").read_text() == pointer
    assert made.git.dirty() == ()


def test_a_submodule_is_a_folder_nobody_enters(make: Callable[..., Repo]):
    """It is left empty; once filled it keeps the worktree as long as something of it is nowhere else."""
    inner = make({"i": "1"}, name="inner")
    repo = make({"README.md": "r"}, name="outer")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.remote), "sub")
    repo.git("commit", "-q", "-m", "sub")
    repo.push()
    trees = trees_of(Git.open(repo.path))

    made = trees.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))

    assert made.git.dirty() == ()
    assert list(trees.user.links("HEAD")) == ["sub"]
    assert trees.remove(made) == ""
    again = trees.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))
    git(again.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    (again.path / "sub/i").write_text("2")
    assert trees.remove(again) == "it holds other repositories: sub"
    git(again.path / "sub", "commit", "-q", "-a", "-m", "mine")
    assert trees.remove(again).startswith("uncommitted changes: sub")
    git(again.path / "sub", "branch", "mine")
    git(again.path / "sub", "reset", "-q", "--hard", "origin/main")
    assert trees.remove(again) == "it holds other repositories: sub"
    git(again.path / "sub", "branch", "-q", "-D", "mine", "main", check=False)
    assert trees.remove(again) == ""


def test_sha256_repositories_work(tmp_path: Path):
    """Object names have 64 digits there."""
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", "r")
    (tmp_path / "r/a").write_text("1\n")
    git(tmp_path / "r", "add", "a")
    git(tmp_path / "r", "commit", "-q", "-m", "first")
    seen = Git.open(tmp_path / "r")
    trees = trees_of(seen)

    made = trees.create("t", "orchestrator/t", seen.head())
    tip = commit(made)

    assert made.git.head() == tip
    assert len(tip) == 64
    assert [c.path for c in made.git.changes(made.base_sha, tip)] == ["new.txt"]
    assert git(made.path, "log", "-1", "--format=%s", tip) == "add new.txt"
    assert trees.salvage(made, "t") is None
    assert trees.remove(made).startswith("1 commit not on any remote")


def test_what_tests_do_to_git_stays_in_their_checkout(trees: Trees, repo: Repo, base: str):
    """Also when they do it in the wrong directory; and cloning their own checkout works."""
    repo.git("tag", "v1.0")
    before = (repo.path / ".git/config").read_bytes(), repo.git("for-each-ref"), repo.git("worktree", "list")
    made = trees.measure("t", base)

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


def test_a_checkout_nobody_uses_any_more_can_go(trees: Trees, base: str):
    """Left over by a killed orchestrator; one that is in use stays."""
    made = trees.measure("t", base)
    other = subprocess.Popen(["sleep", "60"])
    try:
        made.slot.owner_file.write_text(json.dumps(identity_of(other.pid)))
        assert [left.kept_because for left in trees.leftovers()] == [f"process {other.pid} works in it"]
        assert trees.remove(made.path) == f"process {other.pid} works in it"
    finally:
        other.kill()
        other.wait()

    assert [left.kept_because for left in trees.leftovers()] == [""]
    assert trees.remove(made.path) == ""
    assert not made.path.exists() and not made.slot.folder.exists()


def test_a_submodule_can_be_the_repository(make: Callable[..., Repo]):
    """Its git directory is somewhere else, and names its checkout."""
    inner = make({"i": "1"}, name="inner")
    outer = make({"README.md": "r"}, name="outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.remote), "sub")
    trees = trees_of(Git.open(outer.path / "sub"))

    made = trees.create("t", "orchestrator/t", trees.user.head())
    tip = commit(made)

    assert made.path.name == "sub"
    assert git(made.path, "rev-parse", "--show-toplevel") == str(made.path)
    assert made.git.head() == tip
    assert trees.problems(made) == ()
    assert trees.measure("t", tip).git.dirty() == ()


def test_a_bare_repository_beside_its_worktrees_is_usable(repo: Repo, base: str, tmp_path: Path):
    """A layout some people like: `.bare`, and a linked worktree per branch."""
    git(tmp_path, "clone", "-q", "--bare", str(repo.remote), "proj/.bare")
    git(tmp_path / "proj/.bare", "worktree", "add", "-q", "../main", "main")
    trees = trees_of(Git.open(tmp_path / "proj/main"))

    made = trees.create("t", "orchestrator/t", base)

    assert made.path.name == "proj"
    assert commit(made) == made.git.head()
