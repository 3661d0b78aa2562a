"""LFS objects that a branch adds are at the forge before the branch is, and no child holds the token for it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError
from orchestrator_action.git.forge_access import open_access
from orchestrator_action.git.lfs import endpoint_of, objects_added
from orchestrator_action.git.patience import Patience
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from tests.conftest import need
from tests.git.conftest import REF
from tests.git.lfs_server import KEY, OWN, LfsServer, serve_lfs
from tests.git.server import TOKEN
from tests.kit.repos import Repo, clean_env, git

CONTENT = os.urandom(300_000)


@pytest.fixture
def lfs() -> Iterator[LfsServer]:
    with serve_lfs() as running:
        yield running


@pytest.fixture
def tracked(make: Callable[..., Repo]) -> Repo:
    """A repository in which real git-lfs keeps *.bin."""
    need(shutil.which("git-lfs"), "git-lfs (a package of most systems)")
    repo = make({"a": "1", ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    for key, value in {
        "clean": "git-lfs clean -- %f",
        "smudge": "git-lfs smudge -- %f",
        "required": "true",
    }.items():
        repo.git("config", f"filter.lfs.{key}", value)
    return repo


def add(repo: Repo, name: str, content: bytes) -> str:
    (repo.path / name).write_bytes(content)
    repo.git("add", name)
    repo.git("commit", "-q", "-m", f"add {name}")
    return repo.git("rev-parse", "HEAD")


def with_token(repo: Repo, lfs: LfsServer, tmp_path: Path) -> Remote:
    """The remote of the repository as if its server were the one of these objects."""
    url = lfs.url.removesuffix("/info/lfs")
    seen = Git.open(repo.path)
    found = open_remote(seen, private_dir=tmp_path / "private")
    assert found is not None
    access = open_access(seen, url, authorization=lambda: OWN, env=clean_env())
    patience = Patience(for_s=5, sleep=lambda _: None)
    return replace(
        found, push_url=url, access={url: access}, lfs_url=lfs.url, secrets=(TOKEN,), patience=patience
    )


def test_what_a_branch_adds_is_uploaded_and_a_real_git_lfs_reads_it(
    tracked: Repo, lfs: LfsServer, tmp_path: Path
):
    """The API gets the token; the storage gets its own key and never the token."""
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    remote = with_token(tracked, lfs, tmp_path)

    assert 1 == remote.push_lfs(base, sha, REF)

    oid = hashlib.sha256(CONTENT).hexdigest()
    assert {oid: CONTENT} == lfs.objects and [oid] == lfs.verified
    assert {OWN} == {auth for what, auth in lfs.seen if what.startswith("POST")}
    assert [KEY] == [auth for what, auth in lfs.seen if what.startswith("PUT")]
    tracked.git("push", "-q", "origin", f"{sha}:{REF}")
    git(tmp_path, "clone", "-q", "-b", REF.removeprefix("refs/heads/"), str(tracked.remote), "reader")
    reader, there = tmp_path / "reader", lfs.url.replace("//", f"//x-access-token:{TOKEN}@")
    assert (reader / "big.bin").read_bytes() != CONTENT
    git(reader, "lfs", "install", "--local")
    git(reader, "-c", f"lfs.url={there}", "lfs", "pull")
    assert (reader / "big.bin").read_bytes() == CONTENT


def test_what_the_forge_has_is_not_sent_again(tracked: Repo, lfs: LfsServer, tmp_path: Path):
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    remote = with_token(tracked, lfs, tmp_path)
    remote.push_lfs(base, sha, REF)
    lfs.seen.clear()

    assert 1 == remote.push_lfs(base, sha, REF)
    assert 0 == remote.push_lfs(sha, sha, REF)

    assert ["POST /remote.git/info/lfs/objects/batch"] == [what for what, _ in lfs.seen]


@pytest.mark.parametrize("harm", ["gone", "other"])
def test_a_pointer_without_its_content_is_not_pushed(
    tracked: Repo, lfs: LfsServer, tmp_path: Path, harm: str
):
    """Nobody could check it out; content that does not fit its name is not sent."""
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    [kept] = [p for p in (tracked.path / ".git/lfs/objects").rglob("*") if p.is_file()]
    kept.chmod(0o644)
    kept.unlink() if harm == "gone" else kept.write_bytes(b"x" * len(CONTENT))

    with pytest.raises(GitError, match="only its pointer is committed") as caught:
        with_token(tracked, lfs, tmp_path).push_lfs(base, sha, REF)

    assert "git lfs install" in caught.value.hint
    assert {} == lfs.objects


def test_a_refusal_is_in_the_servers_words_and_a_busy_server_is_asked_again(
    tracked: Repo, lfs: LfsServer, tmp_path: Path
):
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    remote = with_token(tracked, lfs, tmp_path)
    lfs.fail_next = [422]
    with pytest.raises(GitError, match=r"answered 422: This repository is over its data quota\."):
        remote.push_lfs(base, sha, REF)

    lfs.fail_next = [503, 429]

    assert 1 == remote.push_lfs(base, sha, REF)
    assert 1 == len(lfs.objects)


def test_the_token_goes_to_no_other_lfs_server(tracked: Repo, lfs: LfsServer, tmp_path: Path):
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    remote = replace(with_token(tracked, lfs, tmp_path), lfs_url=f"{lfs.storage}/info/lfs")

    with pytest.raises(GitError, match="which is not the forge's server"):
        remote.push_lfs(base, sha, REF)

    assert [] == lfs.seen


def test_without_a_token_git_lfs_brings_them_by_the_users_own_way(
    tracked: Repo, lfs: LfsServer, tmp_path: Path
):
    """The real git-lfs with the user's credential helper."""
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)
    tracked.git("config", "remote.origin.url", lfs.url.removesuffix("/info/lfs"))
    helper = f"!f() {{ echo username=x-access-token; echo password={TOKEN}; }}; f"
    tracked.git("config", "credential.helper", helper)
    remote = open_remote(Git.open(tracked.path), private_dir=tmp_path / "private")
    assert remote is not None and not remote.holds_token

    assert 1 == remote.push_lfs(base, sha, REF)

    assert [CONTENT] == list(lfs.objects.values())


def test_a_remote_that_is_a_folder_gets_them_where_git_lfs_looks(tracked: Repo, tmp_path: Path):
    remote = open_remote(Git.open(tracked.path), private_dir=tmp_path / "private")
    assert remote is not None
    base = tracked.git("rev-parse", "HEAD")
    sha = add(tracked, "big.bin", CONTENT)

    assert 1 == remote.push_lfs(base, sha, REF)

    kept = [p.read_bytes() for p in (tracked.remote / "lfs/objects").rglob("*") if p.is_file()]
    assert [CONTENT] == kept
    tracked.git("push", "-q", "origin", f"{sha}:{REF}")
    git(tmp_path, "clone", "-q", "-b", REF.removeprefix("refs/heads/"), f"file://{tracked.remote}", "reader")
    git(tmp_path / "reader", "lfs", "install", "--local")
    git(tmp_path / "reader", "lfs", "pull")
    assert (tmp_path / "reader" / "big.bin").read_bytes() == CONTENT


def test_a_pointer_where_nothing_is_kept_in_lfs_is_a_file_like_any(repo: Repo):
    """A fixture of somebody's tests; only what git-lfs is set up for counts."""
    base = repo.git("rev-parse", "HEAD")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 12\n"
    sha = repo.commit({"a.bin": pointer})
    assert () == objects_added(Git.open(repo.path), base, sha)

    sha = repo.commit({".gitattributes": "*.bin filter=lfs\n"})

    assert [("1" * 64, 12)] == [tuple(o) for o in objects_added(Git.open(repo.path), base, sha)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "https://forge.example/a/b.git/info/lfs"),
        ({"lfs.url": "https://lfs.example/x/"}, "https://lfs.example/x"),
        ({"lfs.url": "https://no", "remote.origin.lfsurl": "https://lfs.example/y"}, "https://lfs.example/y"),
        ({"remote.other.lfsurl": "https://lfs.example/y"}, "https://forge.example/a/b.git/info/lfs"),
    ],
)
def test_where_lfs_objects_go(settings: dict[str, str], expected: str):
    assert expected == endpoint_of(settings, "origin", "https://forge.example/a/b")
    assert expected == endpoint_of(settings, "origin", "https://forge.example/a/b.git")
