"""`status --watch` looks at trees that other processes make and remove meanwhile."""

from __future__ import annotations

import threading

from orchestrator_action.git.repo import Git
from orchestrator_action.run.watching import standing
from tests.kit.repos import Repo
from tests.kit.trees import trees_of


def test_a_tree_that_is_removed_while_it_is_looked_at_is_no_error(repo: Repo):
    """The looker sees each tree as it was, or not at all."""
    git = Git.open(repo.path)
    head, stop, seen = git.head(), threading.Event(), set()

    def work() -> None:
        trees = trees_of(repo.path)
        for number in range(20):
            trees.remove(trees.create(f"t{number}", f"orchestrator/t{number}", head))
        stop.set()

    worker = threading.Thread(target=work)
    worker.start()
    while not stop.is_set():
        seen |= {tree["path"] for tree in standing(git, [])["worktrees"]}
    worker.join()

    assert seen, "trees were looked at while they came and went"
