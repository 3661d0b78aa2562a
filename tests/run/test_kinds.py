"""FAULTS 31: whatever kind of repository a run meets is usable to its end, or refused by name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.kit.repos import Repo, clean_env, git, make_repo
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIBRARY, House, house

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 12345\n"


def clone(repo: Repo, to: Path, *how: str) -> Path:
    git(to.parent, "clone", "-q", *how, f"file://{repo.remote}", str(to))
    return to


def shallow(repo: Repo, there: Path) -> Path:
    return clone(repo, there, "--depth=1")


def partial(repo: Repo, there: Path) -> Path:
    git(repo.remote, "config", "uploadpack.allowFilter", "true")
    return clone(repo, there, "--filter=blob:none")


def sparse(repo: Repo, there: Path) -> Path:
    git(clone(repo, there), "sparse-checkout", "set", "tests")
    return there


def submodule(repo: Repo, there: Path) -> Path:
    inner = make_repo(there.parent / "inner", {"inner.txt": "i\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.remote), "inner")
    repo.git("commit", "-qm", "a submodule")
    repo.push()
    return repo.path


def pointers(repo: Repo, there: Path) -> Path:
    repo.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": POINTER}, "lfs")
    repo.push()
    return repo.path


def filtered(repo: Repo, there: Path) -> Path:
    for setting, value in {"clean": "cat", "smudge": "cat", "required": "true"}.items():
        repo.git("config", f"filter.lfs.{setting}", value)
    return pointers(repo, there)


def linked(repo: Repo, there: Path) -> Path:
    repo.git("worktree", "add", "-q", "-b", "mine", str(there))
    return there


def names(repo: Repo, there: Path) -> Path:
    repo.commit({"dir with space/ünï — x.txt": "1\n", "-dash.txt": "2\n", '"quote".txt': "3\n"}, "names")
    repo.push()
    return repo.path


def dirty(repo: Repo, there: Path) -> Path:
    repo.write({"numbers_.py": "def double(n):\n    return 7\n", "untracked.txt": "u\n"})
    return repo.path


KINDS = {
    "shallow": shallow, "partial": partial, "sparse": sparse, "submodule": submodule, "LFS pointers": pointers,
    "LFS with its filter": filtered, "linked worktree": linked, "dirty": dirty, "names": names,
    "detached HEAD": lambda repo, _: (repo.git("checkout", "-q", "--detach"), repo.path)[1],
    "subdirectory": lambda repo, _: repo.path / "tests",
    "packed": lambda repo, _: (repo.git("gc", "-q"), repo.path)[1],
}  # fmt: skip
"""Kind → how it is made; the checkout that a run is started in."""


@pytest.mark.parametrize("kind", few(KINDS, 3))
def test_a_task_succeeds_in_a_repository_of_any_kind(home: House, tmp_path: Path, kind: str):
    home.issue(1, "Add a module", GOOD)
    home.env["GIT_CONFIG_NOSYSTEM"] = "1"  # a machine's own git-lfs would ask for what a pointer names
    home.repo.commit({f"later{n}.txt": "x\n" for n in range(3)}, "later")
    home.repo.push()
    at = KINDS[kind](home.repo, tmp_path / "there")
    before = git(at, "status", "--porcelain")
    head = git(at, "rev-parse", "HEAD"), (at / ".git").is_file()

    done = subprocess.run(
        home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch", "--json"),
        cwd=at, env=home.environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    [task] = json.loads(done.stdout)["tasks"]
    assert ("success", task["head_sha"]) == (
        task["status"],
        home.repo.at_remote(f"refs/heads/{task['branch']}"),
    )
    assert before == git(at, "status", "--porcelain")
    assert head == (git(at, "rev-parse", "HEAD"), (at / ".git").is_file())


def test_a_repository_of_another_hash_succeeds_too(tmp_path: Path):
    remote, path = tmp_path / "remote.git", tmp_path / "repo"
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "-b", "main", str(remote))
    git(tmp_path, "init", "-q", "--object-format=sha256", "-b", "main", str(path))
    repo = Repo(path, remote)
    repo.git("remote", "add", "origin", str(remote))
    repo.commit(LIBRARY, "first")
    repo.push()
    home = house(tmp_path, repo)
    home.issue(1, "Add a module", GOOD)

    ran = home.run()

    assert (0, "success") == (ran.code, ran.report["tasks"][0]["status"]), ran.err


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        ("mkdir x", 5, "not a git repository"),
        ("git init -q x", 5, "no branch with a commit"),
        ("git init -q --bare x", 5, ""),
        ("git init -q x; cd x; echo x > .git/HEAD", 5, "not a git repository"),
    ],
)
def test_what_is_no_usable_repository_is_refused_by_name(tmp_path: Path, make: str, code: int, words: str):
    subprocess.run(["sh", "-ec", make], cwd=tmp_path, env=clean_env(), check=True)
    home = house(tmp_path, Repo(tmp_path / "x", tmp_path))
    home.issue(1, "Add a module", GOOD)

    ran = home.run()

    assert code == ran.code, ran.err
    assert words in ran.err
    assert [1, 1] == [ran.err.count(f"{kind}: ") for kind in ("error", "hint")], ran.err
