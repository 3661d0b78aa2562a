"""Fetching and pushing: with the token where it must be, and nowhere else."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.runtime.git import Git
from orchestrator_action.runtime.remotes import (
    folder_remote,
    make_bare,
    open_remote,
    persisted_credentials,
    seed_bare,
)
from orchestrator_action.runtime.transport import Remote
from orchestrator_action.runtime.workspace import Workspace
from tests.git.server import TOKEN, GitServer, serve
from tests.kit.repos import Repo, clean_env, git

REF = "refs/heads/orchestrator/issue-1"


@pytest.fixture
def remote(repo: Repo, tmp_path: Path) -> Remote:
    found = open_remote(Git.open(repo.path), private_dir=tmp_path / "private")
    assert found is not None
    return found


@pytest.fixture
def server(repo: Repo) -> Iterator[GitServer]:
    git(repo.remote, "config", "http.receivepack", "true")
    with serve(repo.remote.parent) as running:
        repo.git("remote", "set-url", "origin", f"{running.url}/remote.git")
        yield running


def elsewhere(repo: Repo, tmp_path: Path, files: dict[str, str]) -> str:
    """Somebody else pushes to main."""
    other = tmp_path / "somebody"
    if not other.exists():
        git(tmp_path, "clone", "-q", str(repo.remote), str(other))
    for name, text in files.items():
        (other / name).write_text(text)
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "from elsewhere")
    git(other, "push", "-q")
    return git(other, "rev-parse", "HEAD")


def test_the_base_is_the_remote_s_not_the_checkout_s(remote: Remote, repo: Repo, tmp_path: Path):
    """What somebody pushed a minute ago is where tasks start."""
    theirs = elsewhere(repo, tmp_path, {"b": "2"})

    assert remote.default_branch() == "main"
    assert remote.fetch("main") == theirs
    assert repo.git("rev-parse", "origin/main") == theirs
    assert repo.git("cat-file", "-t", theirs) == "commit"


def test_a_push_is_read_back_from_the_remote(remote: Remote, repo: Repo):
    """And the remote-tracking branch moves, so that the commits count as kept."""
    sha = repo.commit({"x": "1"})

    assert remote.push(sha, REF, known="") == sha
    assert repo.at_remote(REF) == sha
    assert repo.git("rev-parse", "refs/remotes/origin/orchestrator/issue-1") == sha
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


def test_a_token_goes_to_the_https_url_and_not_to_ssh(repo: Repo, server: GitServer, tmp_path: Path):
    """On a runner there is no key, and the token was given to be used."""
    repo.git("config", "remote.origin.pushurl", "git@127.0.0.1:nobody/nothing.git")
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    sha = repo.commit({"x": "1"})

    assert remote.push(sha, REF, known="") == sha
    assert repo.at_remote(REF) == sha


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


def test_the_token_reaches_the_server_and_nothing_else(
    repo: Repo, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Not an argument, a URL, a file, or the environment of a git in the repository."""
    spy = tmp_path / "bin"
    spy.mkdir()
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    theirs = elsewhere(repo, tmp_path, {"b": "2"})
    sha = repo.commit({"x": "1"})

    assert remote.fetch("main") == theirs
    assert remote.push(sha, REF, known="") == sha

    assert server.authorized and not server.refused
    assert TOKEN not in repr(remote) and TOKEN not in remote.url
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [p for p in files if TOKEN.encode() in p.read_bytes()] == []
    assert repo.at_remote(REF) == sha


def test_no_git_with_the_token_runs_where_an_agent_wrote(repo: Repo, server: GitServer, tmp_path: Path):
    """Seen by tracing every git our pushing and fetching starts: their directories and their environments."""
    tool = tmp_path / "git"
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    tool.write_text(
        f"#!/bin/sh\nif env | grep -q extraheader; then\n"
        f'echo "$PWD|$GIT_DIR|$*" >> {tmp_path}/with-token; fi\n'
        f'exec {real} "$@"\n'
    )
    tool.chmod(0o755)
    from orchestrator_action.runtime import gitcall

    gitcall.git_program.cache_clear()
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert gitcall.git_program(path) == str(tool)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from orchestrator_action.runtime.git import Git\n"
        "from orchestrator_action.runtime.remotes import open_remote\n"
        "r = open_remote(Git.open(Path(sys.argv[1])), private_dir=Path(sys.argv[2]), token=sys.argv[3])\n"
        "r.fetch('main'); r.push(sys.argv[4], 'refs/heads/orchestrator/issue-1', known='')\n"
    )
    theirs = elsewhere(repo, tmp_path, {"b": "2"})
    sha = repo.commit({"x": "1"})
    import sys

    private = tmp_path / "private"
    argv = [sys.executable, "-c", code, str(repo.path), str(private), TOKEN, sha]
    subprocess.run(argv, check=True, env={**os.environ, "PATH": path})
    gitcall.git_program.cache_clear()

    lines = (tmp_path / "with-token").read_text().splitlines()
    assert len(lines) >= 3
    assert all(line.startswith(f"{private}/") for line in lines)
    assert theirs == repo.git("rev-parse", "origin/main")


def test_the_private_repository_is_private_and_borrows(repo: Repo, server: GitServer, tmp_path: Path):
    """Mode 0700, no objects copied for a push."""
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    sha = repo.commit({"big.bin": "x" * 100_000})

    remote.push(sha, REF, known="")

    assert stat.S_IMODE(remote.store.stat().st_mode) == 0o700
    objects = [p for p in (remote.store / "objects").rglob("*") if p.is_file()]
    assert [p.name for p in objects] == ["alternates"]


def test_what_an_agent_planted_does_not_run_with_the_token(repo: Repo, server: GitServer, tmp_path: Path):
    """Hooks, helpers, URL rewrites, proxies and commands in the repository's or the user's configuration."""
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\nenv >> {tmp_path}/stolen\n")
    trap.chmod(0o755)
    sha = repo.commit({"x": "1", ".gitattributes": "* filter=x diff=x\n"})
    home = Path(os.environ["HOME"])
    planted = {
        "core.fsmonitor": str(trap), "core.sshCommand": str(trap), "credential.helper": f"!{trap}",
        "core.askPass": str(trap), "filter.x.clean": str(trap), "core.gitProxy": str(trap),
        "core.alternateRefsCommand": str(trap), "uploadpack.packObjectsHook": str(trap),
        "core.pager": str(trap),
        "http.proxy": "http://127.0.0.1:9", f"url.ext::{trap} .insteadOf": server.url,
        "remote.origin.receivepack": str(trap), "remote.origin.uploadpack": str(trap),
        "protocol.ext.allow": "always",
    }  # fmt: skip
    for key, value in planted.items():
        repo.git("config", key, value)
        git(tmp_path, "config", "--file", str(home / ".gitconfig"), key, value)
    for hook in ("pre-push", "reference-transaction", "post-commit"):
        (repo.path / ".git/hooks").mkdir(exist_ok=True)
        (repo.path / ".git/hooks" / hook).write_bytes(trap.read_bytes())
        (repo.path / ".git/hooks" / hook).chmod(0o755)
    (home / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    try:
        assert remote.push(sha, REF, known="") == sha
        remote.fetch("main")
    finally:
        (home / ".gitconfig").unlink()
        (home / ".netrc").unlink()

    assert not (tmp_path / "stolen").exists()


def test_a_redirect_does_not_take_the_token_along(repo: Repo, server: GitServer, tmp_path: Path):
    """Another host would get to see it."""
    with serve(repo.remote.parent) as other:
        remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
        assert remote is not None
        server.redirect_to = other.url
        with pytest.raises(GitError) as caught:
            remote.default_branch()
        assert other.authorized == [] and other.refused == 0
    assert TOKEN not in caught.value.message


def test_a_wrong_token_is_named_and_nobody_is_asked(repo: Repo, server: GitServer, tmp_path: Path):
    """No prompt, no credential helper, no retry."""
    remote = open_remote(
        Git.open(repo.path), private_dir=tmp_path / "private", token="wrong-token-0123456789"
    )
    assert remote is not None

    with pytest.raises(GitError) as caught:
        remote.default_branch()

    assert "token" in caught.value.hint
    assert "wrong-token" not in caught.value.message + caught.value.hint
    assert server.refused <= 2


def test_a_passing_fault_of_the_server_is_tried_again(repo: Repo, server: GitServer, tmp_path: Path):
    """A 503 or two cost a moment; a refusal costs no second try."""
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    server.fail_next = [503, 502]

    assert remote.default_branch() == "main"


def test_a_password_in_the_url_is_used_and_not_shown(repo: Repo, server: GitServer, tmp_path: Path):
    """It goes the way of a token; neither agents nor messages get to see it."""
    host = server.url.removeprefix("http://")
    repo.git("remote", "set-url", "origin", f"http://x-access-token:{TOKEN}@{host}/remote.git")
    seen = Git.open(repo.path)
    remote = open_remote(seen, private_dir=tmp_path / "private")
    assert remote is not None

    assert remote.default_branch() == "main"
    assert remote.url == f"{server.url}/remote.git"
    made = Workspace(seen).create("t", "orchestrator/t", seen.head())
    assert git(made.path, "remote", "get-url", "origin") == f"{server.url}/remote.git"


def test_the_header_that_checkout_left_works_for_its_owner(repo: Repo, server: GitServer, tmp_path: Path):
    """Without a token of ours the repository's own settings are used, and named as readable by agents."""
    import base64

    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    repo.git(
        "config", f"http.{server.url}/.extraheader", f"AUTHORIZATION: basic {basic}".replace("basic", "Basic")
    )
    seen = Git.open(repo.path)

    remote = open_remote(seen, private_dir=tmp_path / "private")
    assert remote is not None
    with_token = open_remote(seen, private_dir=tmp_path / "private", token=TOKEN)
    assert with_token is not None

    assert remote.default_branch() == with_token.default_branch() == "main"
    [named] = persisted_credentials(seen)
    assert named.startswith(f"http.{server.url}/.extraheader in ")
    assert basic not in named


def test_credentials_in_an_included_file_are_found(repo: Repo, tmp_path: Path):
    """As newer versions of actions/checkout leave them."""
    included = tmp_path / "git-credentials-1.config"
    git(
        tmp_path,
        "config",
        "--file",
        str(included),
        "http.https://github.com/.extraheader",
        "AUTHORIZATION: basic x",
    )
    repo.git("config", f"includeIf.gitdir:{repo.path}/.git.path", str(included))
    repo.git("config", "remote.origin.pushurl", "https://user:hunter2hunter2@example.org/x")
    repo.git("config", "core.sshCommand", "ssh -i /home/runner/key")

    found = persisted_credentials(Git.open(repo.path))

    assert {f.split(" in ")[0] for f in found} == {
        "http.https://github.com/.extraheader", "remote.origin.pushurl", "core.sshcommand",
    }  # fmt: skip
    assert str(included) in str(found)
    assert "hunter2" not in str(found)


def test_an_ordinary_repository_holds_no_credentials(repo: Repo):
    """Remotes by ssh, https and path; the user's own global helper is not the repository's."""
    repo.git("remote", "add", "a", "git@github.com:o/r.git")
    repo.git("remote", "add", "b", "https://github.com/o/r.git")
    repo.git("remote", "add", "c", "ssh://git@example.org:2222/o/r.git")

    assert persisted_credentials(Git.open(repo.path)) == ()


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
    space = Workspace(seen)
    remote = open_remote(seen, private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    base = seen.head()

    def one(n: int) -> bool:
        made = space.create(f"t{n}", f"orchestrator/t{n}", base)
        (made.path / f"f{n}").write_text("x")
        git(made.path, "add", "-A", env=clean_env())
        git(made.path, "commit", "-q", "-m", f"c{n}")
        sha = made.git.head()
        return remote.push(sha, f"refs/heads/orchestrator/t{n}", known="") == sha and not space.remove(made)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(24)))
