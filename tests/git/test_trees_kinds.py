"""Clean checkouts to measure and to review in, and every kind of repository they are made from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.git.private import missing
from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import Trees
from tests.conftest import REQUIRE_ALL
from tests.git.conftest import commit, identity_of
from tests.git.server import TOKEN, GitServer
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


def test_what_a_partial_clone_lacks_of_the_base_is_fetched_first(
    repo: Repo, server: GitServer, tmp_path: Path
):
    """With the token, by us: an agent's git reads the base without the network and without a token."""
    repo.commit({f"file{n}": f"{n}\n" for n in range(30)})
    git(repo.path, "push", "-q", str(repo.remote), "HEAD")
    git(repo.remote, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repo.remote}", "partial")
    git(tmp_path / "partial", "remote", "set-url", "origin", f"{server.url}/remote.git")
    seen = Git.open(tmp_path / "partial")
    remote = open_remote(seen, private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None and len(missing(seen, "HEAD")) == 31
    before = seen.refs()
    trees = Trees(seen, run_id="run", root=tmp_path / "trees", fetch_objects=remote.fetch_objects)

    made = trees.create("t", "orchestrator/t", seen.head())

    assert missing(seen, "HEAD") == ()
    git(made.path, "config", "remote.origin.url", "/nowhere")
    assert git(made.path, "show", "HEAD:file7") == "7"
    assert commit(made) == made.git.head()
    assert (trees.measure("t", made.git.head()).path / "file29").read_text() == "29\n"
    assert before == {
        ref: sha for ref, sha in seen.refs().items() if not ref.startswith("refs/orchestrator/")
    }


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
    trees = trees_of(Git.open(repo.path, clean_env(GIT_CONFIG_NOSYSTEM="1")))

    made = trees.create("t", "orchestrator/t", repo.git("rev-parse", "HEAD"))

    assert (made.path / "a.bin").read_text() == pointer
    assert made.git.dirty() == ()


@pytest.fixture
def large(make: Callable[..., Repo]) -> Repo:
    """A repository with a file of git-lfs, whose contents are in the user's store and nowhere else."""
    if shutil.which("git-lfs") is None:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("git-lfs is not installed (Debian package git-lfs)")
    repo = make({"README.md": "r"})
    repo.git("lfs", "install", "--local")
    repo.git("lfs", "track", "*.bin")
    (repo.path / "a.bin").write_bytes(b"large" * 1000)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "large")
    return repo


def stored(repo: Repo) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes() for p in (repo.path / ".git" / "lfs" / "objects").rglob("*") if p.is_file()
    }


def test_files_of_lfs_are_there_as_in_the_users_checkout(large: Repo):
    """Read from his store, through which the tree can write nothing; in clean checkouts too."""
    trees = trees_of(large.path)
    before = stored(large)

    made = trees.create("t", "orchestrator/t", trees.user.head())
    measured = trees.measure("t", made.base_sha)
    for file in (*made.path.rglob("lfs/objects/*/*/*"), made.path / "a.bin"):
        file.chmod(0o644)
        file.write_bytes(b"changed")

    assert (measured.path / "a.bin").read_bytes() == b"large" * 1000
    assert before == stored(large)


def test_files_of_lfs_that_a_task_adds_reach_its_checkouts(large: Repo):
    """Each is what its name says; one that is not does not arrive, and its commit cannot be checked out."""
    trees = trees_of(large.path)
    made = trees.create("t", "orchestrator/t", trees.user.head())
    (made.path / "b.bin").write_bytes(b"added" * 1000)
    git(made.path, "add", "b.bin")
    git(made.path, "commit", "-q", "-m", "b")

    measured = trees.measure("t", made.git.head())
    assert (measured.path / "b.bin").read_bytes() == b"added" * 1000

    (made.path / "c.bin").write_bytes(b"other" * 1000)
    git(made.path, "add", "c.bin")
    git(made.path, "commit", "-q", "-m", "c")
    oid = git(made.path, "cat-file", "blob", "HEAD:c.bin").split("sha256:")[1].split()[0]
    [file] = made.path.rglob(f"lfs/objects/*/*/{oid}")
    file.chmod(0o644)
    file.write_bytes(b"forged" * 1000)
    head = made.git.head()
    with pytest.raises(GitError, match=r"c\.bin"):
        trees.measure("t", head)
    assert [left.task_id for left in trees.leftovers() if "measure" in left.path.parent.name] == ["t"]


@pytest.fixture
def outer(make: Callable[..., Repo]) -> Repo:
    """A repository with a submodule that has one itself; the user's checkout has both."""
    deep, inner, outer = (make({name: "1"}, name=name) for name in ("deep", "inner", "outer"))
    allowed = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    for repo, sub, path in ((inner, deep, "lib/deep"), (outer, inner, "sub")):
        repo.git(*allowed, "add", str(sub.remote), path)
        repo.git("commit", "-q", "-m", "a submodule")
        repo.push()
    outer.git(*allowed, "update", "--init", "--recursive")
    return outer


def test_submodules_come_from_the_users_own_copies(outer: Repo):
    """Without the network, and each a clone of its own: the user's are as they were."""
    trees = trees_of(outer.path)
    outer.git("config", "remote.origin.url", "/nowhere")
    inner = outer.path / ".git" / "modules" / "sub"
    before = git(inner, "for-each-ref"), (inner / "config").read_bytes()

    made = trees.create("t", "orchestrator/t", trees.user.head())
    measured = trees.measure("t", made.base_sha)
    for tree in (made, measured):
        assert (tree.path / "sub" / "inner").is_file() and (
            tree.path / "sub" / "lib" / "deep" / "deep"
        ).is_file()
        assert git(tree.path, "status", "--porcelain") == ""
        assert [line[0] for line in git(tree.path, "submodule", "status", "--recursive").splitlines()] == [
            " ",
            " ",
        ]
    assert inner / "objects" in made.readable
    git(made.path / "sub", "commit", "-q", "--allow-empty", "-m", "mine")
    git(made.path / "sub", "config", "user.name", "Mallory")

    assert before == (git(inner, "for-each-ref"), (inner / "config").read_bytes())
    assert trees.remove(measured) == ""


def test_a_submodule_the_user_has_not_stays_an_empty_folder(outer: Repo, tmp_path: Path):
    """As it is in his own checkout."""
    git(tmp_path, "clone", "-q", str(outer.remote), "fresh")
    trees = trees_of(tmp_path / "fresh")

    made = trees.create("t", "orchestrator/t", trees.user.head())

    assert made.git.dirty() == ()
    assert list((made.path / "sub").iterdir()) == []
    assert trees.remove(made) == ""


def test_a_submodule_keeps_its_tree_while_something_of_it_is_nowhere_else(outer: Repo):
    """Changed files, a commit, a branch; a tree whose submodules are as they were goes."""
    trees = trees_of(outer.path)
    assert trees.remove(trees.create("t", "orchestrator/t", trees.user.head())) == ""
    made = trees.create("t", "orchestrator/t", trees.user.head())
    sub = made.path / "sub"

    (sub / "inner").write_text("2")
    assert trees.remove(made) == "it holds other repositories: sub"
    git(sub, "commit", "-q", "-a", "-m", "mine")
    assert trees.remove(made).startswith("uncommitted changes: sub")
    git(sub, "branch", "mine")
    git(sub, "reset", "-q", "--hard", "origin/main")
    assert trees.remove(made).startswith("it holds other repositories: sub")
    git(sub, "branch", "-q", "-D", "mine")
    assert trees.remove(made) == ""


@pytest.mark.parametrize("name", ["../../../hooks", "{outside}", "a/../../b"])
def test_a_submodule_cannot_name_a_place_outside(repo: Repo, base: str, tmp_path: Path, name: str):
    """`.gitmodules` of a commit is an agent's: it is not taken over, or the submodule stays empty."""
    trees = trees_of(repo.path)
    git(tmp_path, "clone", "-q", "--bare", str(repo.remote), "outside")
    name = name.format(outside=tmp_path / "outside")
    made = trees.create("t", "orchestrator/t", base)
    (made.path / ".gitmodules").write_text(f'[submodule "{name}"]\n\tpath = sub\n\turl = /nowhere\n')
    git(made.path, "update-index", "--add", "--cacheinfo", f"160000,{base},sub")
    git(made.path, "add", ".gitmodules")
    git(made.path, "commit", "-q", "-m", "sub")

    try:
        head = made.git.head()
    except GitError as exc:
        assert "cannot be taken over" in exc.message
    else:
        measured = trees.measure("t", head)
        assert list((measured.path / "sub").iterdir()) == []


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


def test_files_of_lfs_that_a_task_adds_reach_the_remote_with_its_branch(large: Repo, tmp_path: Path):
    """Somebody's clone has their contents, by a real git-lfs."""
    trees = trees_of(Git.open(large.path))
    made = trees.create("t", "orchestrator/t", large.git("rev-parse", "HEAD"))
    (made.path / "b.bin").write_bytes(b"added by the task" * 1000)
    git(made.path, "add", "b.bin")
    git(made.path, "commit", "-q", "-m", "b")
    sha = made.git.head()
    remote = open_remote(Git.open(large.path), private_dir=tmp_path / "private")
    assert remote is not None
    remote = remote.pushing_from(trees.private)

    assert 1 == remote.push_lfs(made.base_sha, sha, "refs/heads/orchestrator/t")
    remote.push(sha, "refs/heads/orchestrator/t", known="")

    git(tmp_path, "clone", "-q", "-b", "orchestrator/t", f"file://{large.remote}", "reader")
    git(tmp_path / "reader", "lfs", "install", "--local")
    git(tmp_path / "reader", "lfs", "pull", "--include=b.bin")
    assert b"added by the task" * 1000 == (tmp_path / "reader" / "b.bin").read_bytes()


@pytest.mark.parametrize("mark", ["\u2028", "\x85"])
def test_a_branch_named_with_another_end_of_line_is_taken_as_it_is(
    trees: Trees, repo: Repo, base: str, mark: str
):
    """Python ends a line there, git does not."""
    odd = f"refs/remotes/origin/one{mark}two"
    repo.git("update-ref", odd, base)

    made = trees.create("t", "orchestrator/t", base)

    assert base == git(made.path, "rev-parse", odd)
    assert base == Git.open(repo.path).refs("refs/remotes/")[odd]
