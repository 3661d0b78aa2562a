"""A repository with its trees and its remotes, and what an agent does in a tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from orchestrator_action.git.task_tree import TaskTree
from orchestrator_action.git.trees import Trees
from orchestrator_action.process import table as procs
from tests.git.server import GitServer, serve
from tests.kit.repos import Repo, git
from tests.kit.trees import trees_of

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


@pytest.fixture
def trees(repo: Repo) -> Trees:
    return trees_of(repo.path)


@pytest.fixture
def base(repo: Repo) -> str:
    return repo.git("rev-parse", "HEAD")


def identity_of(pid: int) -> dict[str, object]:
    who = procs.identity(pid)
    assert who is not None
    return who._asdict()


def commit(tree: TaskTree, name: str = "new.txt", text: str = "new\n") -> str:
    """Commit a file as an agent would: in the tree, with its own git."""
    (tree.path / name).write_text(text)
    git(tree.path, "add", name)
    git(tree.path, "commit", "-q", "-m", f"add {name}")
    return git(tree.path, "rev-parse", "HEAD")


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
