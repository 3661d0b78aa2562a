"""A disk without room for a tree is the machine's fault, and said to be full."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import Trees
from tests.kit.repos import Repo
from tests.kit.small_disk import small_disk

__all__ = ["small_disk"]


def test_a_tree_that_does_not_fit_on_its_disk_is_named_with_the_cure(repo: Repo, small_disk: Path):
    """And nothing of it is left in the way."""
    trees = Trees(Git.open(repo.path), run_id="run", root=small_disk)
    base = repo.git("rev-parse", "HEAD")
    with contextlib.suppress(OSError), open(small_disk / "full", "wb", buffering=0) as full:
        while True:
            full.write(b"x" * 4096)

    for make in (lambda: trees.measure("t", base), lambda: trees.create("t", "orchestrator/t", base)):
        with pytest.raises(WorktreeError, match="No space left on device") as raised:
            make()
        assert "RUNNER_TEMP" in raised.value.hint

    assert ["full"] == [left.name for left in small_disk.iterdir()]
    (small_disk / "full").unlink()
    assert trees.measure("t", base).path.is_dir()
