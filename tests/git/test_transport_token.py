"""The token is where it must be, and nowhere else; whatever an agent or a checkout left behind."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.git.remotes import (
    open_remote,
    persisted_credentials,
)
from orchestrator_action.git.repo import Git
from tests.git.conftest import REF, elsewhere
from tests.git.server import TOKEN, GitServer, serve
from tests.kit.repos import Repo, git
from tests.kit.trees import trees_of


def test_a_token_goes_to_the_https_url_and_not_to_ssh(repo: Repo, server: GitServer, tmp_path: Path):
    """On a runner there is no key, and the token was given to be used."""
    repo.git("config", "remote.origin.pushurl", "git@127.0.0.1:nobody/nothing.git")
    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "private", token=TOKEN)
    assert remote is not None
    sha = repo.commit({"x": "1"})

    assert remote.push(sha, REF, known="") == sha
    assert repo.at_remote(REF) == sha


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


def test_a_token_goes_to_no_other_server(repo: Repo, server: GitServer, tmp_path: Path):
    """A remote that is elsewhere, or was led there by `insteadOf`, gets none; where an agent of an earlier step
    may have done that, it is an error."""
    elsewhere = {"servers": ["https://github.com"], "token": TOKEN}

    remote = open_remote(Git.open(repo.path), private_dir=tmp_path / "p", **elsewhere)
    assert remote is not None and () == remote.secrets
    with pytest.raises(GitError, match=r"the token is for https://github\.com") as caught:
        open_remote(Git.open(repo.path), private_dir=tmp_path / "p", strict=True, **elsewhere)
    assert "git remote get-url origin" in caught.value.hint
    repo.git("remote", "set-url", "origin", "https://github.com/a/b.git")
    repo.git("config", f"url.{server.url}/.insteadOf", "https://github.com/")
    with pytest.raises(GitError, match=f"is at {server.url}"):
        open_remote(Git.open(repo.path), private_dir=tmp_path / "p", strict=True, **elsewhere)

    assert [] == server.authorized


@pytest.mark.parametrize(
    "url", ["https://GitHub.com/a/b.git", "https://github.com:443/a/b", "https://u@github.com/a/b"]
)
def test_a_server_is_known_in_any_spelling(repo: Repo, tmp_path: Path, url: str):
    repo.git("remote", "set-url", "origin", url)

    remote = open_remote(
        Git.open(repo.path),
        private_dir=tmp_path / "p",
        token=TOKEN,
        servers=["https://github.com"],
        strict=True,
    )

    assert remote is not None and TOKEN in remote.secrets


def test_a_proxy_of_an_agents_making_sees_no_token(repo: Repo, server: GitServer, tmp_path: Path):
    """Where an agent of an earlier step may have written the settings, only the system's count."""
    repo.git("config", "http.proxy", "http://127.0.0.1:9")
    here = {"private_dir": tmp_path / "p", "token": TOKEN, "servers": [server.url]}

    remote = open_remote(Git.open(repo.path), strict=True, **here)
    assert remote is not None

    assert "main" == remote.default_branch()
    assert server.authorized


def test_no_git_that_talks_to_the_forge_has_the_token_or_runs_where_an_agent_wrote(
    repo: Repo, server: GitServer, tmp_path: Path
):
    """Seen by tracing every git our pushing and fetching starts: environments, arguments, directories."""
    tool = tmp_path / "git"
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    tool.write_text(
        f'#!/bin/sh\n{{ env; echo "$*"; }} >> {tmp_path}/seen\n'
        f'case "$*" in *http://127.0.0.1*) echo "$PWD|$GIT_DIR|$*" >> {tmp_path}/talks;; esac\n'
        f'exec {real} "$@"\n'
    )
    tool.chmod(0o755)
    from orchestrator_action.git import process as gitcall

    gitcall.git_program.cache_clear()
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert gitcall.git_program(path) == str(tool)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from orchestrator_action.git.repo import Git\n"
        "from orchestrator_action.git.remotes import open_remote\n"
        "token = sys.stdin.read()\n"
        "r = open_remote(Git.open(Path(sys.argv[1])), private_dir=Path(sys.argv[2]), token=token)\n"
        "r.fetch('main'); r.push(sys.argv[3], 'refs/heads/orchestrator/issue-1', known='')\n"
    )
    theirs = elsewhere(repo, tmp_path, {"b": "2"})
    sha = repo.commit({"x": "1"})
    import sys

    private = tmp_path / "private"
    argv = [sys.executable, "-c", code, str(repo.path), str(private), sha]
    subprocess.run(argv, check=True, env={**os.environ, "PATH": path}, input=TOKEN, text=True)
    gitcall.git_program.cache_clear()

    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    seen = (tmp_path / "seen").read_text()
    assert "receive-pack" in seen or "push" in seen
    assert TOKEN not in seen and basic not in seen
    lines = [one for one in (tmp_path / "talks").read_text().splitlines() if "get-urlmatch" not in one]
    assert len(lines) >= 3
    assert all(line.startswith(f"{private}/") for line in lines)
    assert "commit" == repo.git("cat-file", "-t", theirs)


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


def test_a_password_in_the_url_is_used_and_not_shown(repo: Repo, server: GitServer, tmp_path: Path):
    """It goes the way of a token; neither agents nor messages get to see it."""
    host = server.url.removeprefix("http://")
    repo.git("remote", "set-url", "origin", f"http://x-access-token:{TOKEN}@{host}/remote.git")
    seen = Git.open(repo.path)
    remote = open_remote(seen, private_dir=tmp_path / "private")
    assert remote is not None

    assert remote.default_branch() == "main"
    assert remote.url == f"{server.url}/remote.git"
    made = trees_of(seen).create("t", "orchestrator/t", seen.head())
    assert git(made.path, "remote", "get-url", "origin") == f"{server.url}/remote.git"


def test_the_header_that_checkout_left_works_for_its_owner(repo: Repo, server: GitServer, tmp_path: Path):
    """Without a token of ours the repository's own settings are used, and named as readable by agents."""
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
