"""An index is read without git where that is safe; git's own words decide what is right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestrator_action.git.parse import hides_nothing
from orchestrator_action.git.repo import Git
from tests.kit.repos import Repo, clean_env


@pytest.mark.parametrize(
    "harm",
    [
        "git update-index --assume-unchanged README.md",
        "git update-index --skip-worktree README.md",
        "git update-index --index-version 4 && git update-index --assume-unchanged README.md",
        "git update-index --split-index; git update-index --assume-unchanged README.md; git update-index --split-index",
        "git update-index --assume-unchanged README.md && git update-index --split-index",
    ],
)
def test_a_hidden_change_is_found_whatever_kind_of_index_hides_it(repo: Repo, harm: str):
    subprocess.run(["sh", "-ec", harm], cwd=repo.path, env=clean_env(), check=True)
    repo.write({"README.md": "changed in secret\n"})

    assert not hides_nothing(repo.path / ".git" / "index", 20)
    assert ("README.md",) == Git.open(repo.path).dirty()


def test_a_sparse_index_is_left_to_git(make):
    repo = make({"a/one.txt": "1\n", "b/two.txt": "2\n"})
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "a")

    assert not hides_nothing(repo.path / ".git" / "index", 20)
    assert () == Git.open(repo.path).dirty()


@pytest.mark.parametrize(("kind", "size"), [("sha1", 20), ("sha256", 32)])
def test_a_plain_index_needs_no_git(tmp_path: Path, kind: str, size: int):
    names = ["a", "b" * 7, "c" * 8, "d" * 9, "deep/" + "e" * 200, "deep/" + "f/" * 60 + "g" * 3990, "ünï"]
    path = tmp_path / "r"
    path.mkdir()
    for args in (["init", "-q", f"--object-format={kind}"], ["config", "core.longpaths", "true"]):
        subprocess.run(["git", *args], cwd=path, env=clean_env(), check=True)
    blob = "0" * 39 + "1" if size == 20 else "0" * 63 + "1"
    lines = "".join(f"100644 {blob}\t{n}\0" for n in names)
    subprocess.run(
        ["git", "update-index", "-z", "--index-info"],
        input=lines.encode(),
        cwd=path,
        env=clean_env(),
        check=True,
    )

    assert hides_nothing(path / ".git" / "index", size)


@pytest.mark.parametrize("length", [0, 5, 12, 40, 73])
def test_a_torn_index_is_left_to_git(repo: Repo, tmp_path: Path, length: int):
    torn = tmp_path / "index"
    torn.write_bytes((repo.path / ".git" / "index").read_bytes()[:length])

    assert not hides_nothing(torn, 20)
