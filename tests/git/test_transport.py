"""Fetching and pushing: to our own refs only, read back, and told in words when it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import (
    folder_remote,
    make_bare,
    open_remote,
    seed_bare,
)
from orchestrator_action.git.repo import Git
from tests.git.conftest import REF, elsewhere
from tests.git.server import TOKEN, GitServer
from tests.kit.repos import Repo, clean_env, git
from tests.kit.trees import trees_of


def test_the_base_is_the_remote_s_not_the_checkout_s(remote: Remote, repo: Repo, tmp_path: Path):
    """What somebody pushed a minute ago is where tasks start; the user's refs stay where they are."""
    theirs = elsewhere(repo, tmp_path, {"b": "2"})
    before = repo.git("for-each-ref")

    assert remote.default_branch() == "main"
    assert remote.fetch("main") == theirs
    assert repo.git("for-each-ref") == before
    assert repo.git("cat-file", "-t", theirs) == "commit"


def test_a_push_is_read_back_from_the_remote(remote: Remote, repo: Repo):
    """And noted in our private repository, so that the commits count as kept; no ref of the user's moves."""
    private = trees_of(repo.path).private
    remote = remote.pushing_from(private)
    sha = repo.commit({"x": "1"})
    before = repo.git("for-each-ref")

    assert remote.push(sha, REF, known="") == sha
    assert repo.at_remote(REF) == sha
    assert private.rev_parse("refs/remotes/origin/orchestrator/issue-1") == sha
    assert repo.git("for-each-ref") == before
    assert remote.push(sha, REF, known=sha) == sha


def test_a_rewritten_branch_replaces_what_we_pushed(remote: Remote, repo: Repo):
    """Only as long as nobody else pushed there."""
    first = repo.commit({"x": "1"})
    remote.push(first, REF, known="")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    second = repo.commit({"x": "2"})

    assert remote.push(second, REF, known=first) == second

    with pytest.raises(GitError, match="stale info") as caught:
        remote.push(first, REF, known=first)
    assert "somebody else" in caught.value.hint
    assert repo.at_remote(REF) == second


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/tags/v1", "main", "refs/heads/orchestratorx", "--all"]
)
def test_only_our_own_refs_are_pushed_to(remote: Remote, repo: Repo, ref: str):
    """Whatever a caller asks for."""
    with pytest.raises(GitError, match="not ours"):
        remote.push(repo.git("rev-parse", "HEAD"), ref, known="")


def test_a_push_url_of_its_own_is_where_pushes_go(repo: Repo, tmp_path: Path):
    """And where they are read back from."""
    mine = make_bare(tmp_path / "mine.git")
    repo.git("config", "remote.origin.pushurl", str(mine))
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")
    assert remote is not None
    sha = repo.commit({"x": "1"})

    assert remote.push(sha, REF, known="") == sha
    assert git(mine, "rev-parse", REF) == sha
    assert repo.at_remote(REF) == ""


def test_several_refs_move_together_or_not_at_all(remote: Remote, repo: Repo):
    """The branch and the ledger of a task."""
    sha = repo.commit({"x": "1"})
    ledger = "refs/orchestrator/tasks/issue-1"

    assert remote.push_many({REF: sha, ledger: sha}, known={}) == {REF: sha, ledger: sha}
    base = repo.git("rev-parse", "HEAD~1")
    with pytest.raises(GitError, match="stale info"):
        remote.push_many({REF: base, ledger: base}, known={REF: sha, ledger: base})

    assert {repo.at_remote(REF), repo.at_remote(ledger)} == {sha}


def test_a_remote_without_branches_is_named(repo: Repo, tmp_path: Path):
    """With what to do about it."""
    make_bare(tmp_path / "empty.git")
    repo.git("remote", "set-url", "origin", str(tmp_path / "empty.git"))
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")
    assert remote is not None

    with pytest.raises(GitError, match="no default branch") as caught:
        remote.default_branch()
    assert "--base" in caught.value.hint
    with pytest.raises(GitError, match="'nope' does not exist on remote origin"):
        remote.fetch("nope")


def test_no_remote_is_an_answer(repo: Repo, tmp_path: Path):
    """Several, none of them origin, are a question."""
    repo.git("remote", "remove", "origin")
    assert open_remote(Git.open(repo.path), private_dir=tmp_path / "p") is None
    repo.git("remote", "add", "one", str(repo.remote))
    only = open_remote(Git.open(repo.path), private_dir=tmp_path / "p")
    assert only is not None and only.name == "one"
    repo.git("remote", "add", "two", str(repo.remote))
    with pytest.raises(GitError, match="none is called origin: one, two"):
        open_remote(Git.open(repo.path), private_dir=tmp_path / "p")
    with pytest.raises(GitError, match="no remote 'three'"):
        open_remote(Git.open(repo.path), private_dir=tmp_path / "p", name="three")


def test_a_relative_path_is_a_remote(repo: Repo, tmp_path: Path):
    """Relative to the checkout, as git takes it."""
    repo.git("remote", "set-url", "origin", "../remote.git")

    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")

    assert remote is not None
    assert remote.url == str(repo.remote)
    assert remote.default_branch() == "main"


def test_a_repository_without_remote_pushes_to_a_folder(repo: Repo, tmp_path: Path):
    """Made and given its first branch by us; hooks put there by an agent do not run."""
    repo.git("remote", "remove", "origin")
    seen = Git.open(repo.path)
    base = seen.head()
    bare = make_bare(tmp_path / "forge" / "remote.git", branch="main")
    seed_bare(seen, bare, "main", base)
    remote = folder_remote(seen, bare, private_dir=tmp_path / "private")
    (bare / "hooks").mkdir(exist_ok=True)
    hook = bare / "hooks" / "update"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    sha = repo.commit({"x": "1"})

    assert remote.default_branch() == "main"
    assert remote.fetch("main") == base
    assert remote.push(sha, REF, known="") == sha
    assert not (tmp_path / "ran").exists()
    assert make_bare(bare) == bare


def test_a_refusal_comes_with_the_remote_s_words(remote: Remote, repo: Repo):
    """As GitHub words them for protected branches and for workflows."""
    hook = repo.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\necho 'error: GH006: Protected branch update failed for refs/heads/x.' >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    sha = repo.commit({"x": "1"})

    with pytest.raises(GitError, match="GH006: Protected branch") as caught:
        remote.push(sha, REF, known="")

    assert "pre-receive hook declined" in caught.value.message
    assert "protected" in caught.value.hint
    assert repo.at_remote(REF) == ""

    words = (
        "refusing to allow a GitHub App to create or update workflow `a.yml` without `workflows` permission"
    )
    hook.write_text(f"#!/bin/sh\necho 'error: {words}' >&2\nexit 1\n")
    with pytest.raises(GitError, match="without `workflows` permission") as caught:
        remote.push(sha, REF, known="")
    assert "workflow scope" in caught.value.hint


def test_an_unreachable_remote_is_named(repo: Repo, tmp_path: Path):
    """In bounded time, with git's words."""
    repo.git("remote", "set-url", "origin", "http://127.0.0.1:9/x.git")
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None

    with pytest.raises(GitError, match=r"unable to access|Failed to connect") as caught:
        remote.default_branch()

    assert "network" in caught.value.hint
    assert TOKEN not in caught.value.message


def test_a_missing_folder_is_named(repo: Repo, tmp_path: Path):
    """Like any remote that is not there."""
    repo.git("remote", "set-url", "origin", str(tmp_path / "gone.git"))
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")
    assert remote is not None

    with pytest.raises(GitError, match=r"gone\.git") as caught:
        remote.default_branch()
    assert "URL" in caught.value.hint


def test_a_passing_fault_of_the_server_is_tried_again(repo: Repo, server: GitServer, tmp_path: Path):
    """A 503 or two cost a moment; a refusal costs no second try."""
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    server.fail_next = [503, 502]

    assert remote.default_branch() == "main"


def test_a_shallow_clone_fetches_and_pushes(repo: Repo, tmp_path: Path):
    """As on a runner: depth 1; new commits come and go without its history."""
    for n in range(3):
        repo.commit({"n": str(n)})
    repo.push()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.remote}", "shallow")
    shallow = tmp_path / "shallow"
    remote = open_remote(Git.open(shallow), private_dir=tmp_path / "private")
    assert remote is not None
    theirs = elsewhere(repo, tmp_path, {"b": "2"})

    assert remote.fetch("main") == theirs
    git(shallow, "checkout", "-q", "-b", "work", theirs)
    (shallow / "c").write_text("3")
    git(shallow, "add", "c")
    git(shallow, "commit", "-q", "-m", "c")
    sha = git(shallow, "rev-parse", "HEAD")

    assert remote.push(sha, REF, known="") == sha
    assert git(repo.remote, "rev-list", "--count", sha) == "6"


def test_sha256_repositories_are_pushed_too(tmp_path: Path):
    """The private repository speaks the same object format."""
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "-b", "main", "remote.git")
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", "repo")
    git(tmp_path / "repo", "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(tmp_path / "repo", "commit", "-q", "--allow-empty", "-m", "first")
    git(tmp_path / "repo", "push", "-q", "origin", "main")
    sha = git(tmp_path / "repo", "rev-parse", "HEAD")
    remote = open_remote(Git.open(tmp_path / "repo"), private_dir=tmp_path / "private")
    assert remote is not None

    assert remote.fetch("main") == sha
    assert remote.push(sha, REF, known="") == sha


def test_names_that_are_not_ascii_travel(make: Callable[..., Repo], tmp_path: Path):
    """Branches and paths alike."""
    repo = make({"größe/ñ.txt": "1"}, branch="haupt-ä")
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")
    assert remote is not None

    assert remote.default_branch() == "haupt-ä"
    assert remote.fetch("haupt-ä") == repo.git("rev-parse", "HEAD")


def test_twelve_tasks_push_at_once(repo: Repo, server: GitServer, tmp_path: Path):
    """From one private repository."""
    from concurrent.futures import ThreadPoolExecutor

    seen = Git.open(repo.path)
    trees = trees_of(seen)
    opened = open_remote(seen, private_dir=tmp_path / "private", token=TOKEN)
    assert opened is not None
    remote = opened.pushing_from(trees.private)
    base = seen.head()

    def one(n: int) -> bool:
        made = trees.create(f"t{n}", f"orchestrator/t{n}", base)
        (made.path / f"f{n}").write_text("x")
        git(made.path, "add", "-A", env=clean_env())
        git(made.path, "commit", "-q", "-m", f"c{n}")
        sha = made.git.head()
        return remote.push(sha, f"refs/heads/orchestrator/t{n}", known="") == sha and not trees.remove(made)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(24)))
