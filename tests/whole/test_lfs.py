"""A whole run in a repository that keeps files in git-lfs: what an agent adds can be checked out by anybody."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.sandbox.isolation import Isolation
from tests.conftest import need
from tests.kit.repos import Repo, git
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIBRARY, House, house, new_file
from tests.sandbox.conftest import walls

__all__ = ["walls"]

CONTENT = "".join(f"{n * n}\n" for n in range(200))


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path: Path) -> House:
    """A library whose *.dat files real git-lfs keeps."""
    need(shutil.which("git-lfs"), "git-lfs (a package of most systems)")
    repo = make({**LIBRARY, ".gitattributes": "*.dat filter=lfs diff=lfs merge=lfs -text\n"})
    repo.git("lfs", "install", "--local")
    return house(tmp_path, repo)


@pytest.mark.parametrize("isolation", few(["required", "off"], 1))
def test_a_file_of_lfs_that_the_patch_agent_adds_reaches_everybody(
    home: House, walls: Isolation, tmp_path: Path, isolation: str
):
    """The branch has a pointer, the remote the contents; a clone of somebody else reads them by a real git-lfs."""
    home.configure(f"test: python3 -m unittest discover\nisolation: {isolation}\n")
    home.issue(1, "Add squares", GOOD + new_file("squares.dat", CONTENT))

    ran = home.run()

    task = ran.task("issue-1")
    assert (0, "success") == (ran.code, task["status"]), ran.err
    pointer = git(home.repo.remote, "show", f"{task['branch']}:squares.dat")
    assert pointer.startswith("version https://git-lfs.github.com/spec/v1")
    reader = tmp_path / "reader"
    git(tmp_path, "clone", "-q", "-b", task["branch"], str(home.repo.remote), str(reader))
    git(reader, "lfs", "install", "--local")
    git(reader, "lfs", "pull")
    assert CONTENT == (reader / "squares.dat").read_text()
