"""Where gate trees lie, and that they go when nobody needs them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy
from tests.kit.tables import few


def with_trees(folder: Path | str) -> str:
    return f'trees: "{folder}"\n' + policy(gate("where", f"pwd; pwd >> $COUNT; {CHECK}"))


def test_trees_of_the_configuration_moves_gate_trees_too(govern: Callable[..., Governed], tmp_path: Path):
    """One setting for all trees; `uninstall` finds them there."""
    big = tmp_path / "big disk"
    g = govern(with_trees(big))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    [ran_in] = g.count.read_text().splitlines()
    assert ran_in.startswith(f"{big}/hook/")
    assert [] == g.trees()
    assert 0 == g.hook("uninstall").code
    assert [] == list(big.glob("hook/*"))


def test_trees_elsewhere_go_with_clean_when_their_repository_is_gone(
    govern: Callable[..., Governed], tmp_path: Path
):
    """`clean` has no configuration of a repository that is gone; the usual folder says where its trees were."""
    gone, lives = govern(with_trees(tmp_path / "big"), name="gone"), govern(name="lives")
    gone.branch("task", {"x": "1"})
    assert 0 == gone.push("origin", "task").code
    assert 1 == len(list(tmp_path.glob("big/hook/*")))
    assert "nothing to remove" in lives.hook("clean").out
    shutil.rmtree(gone.path)

    done = lives.hook("clean")

    assert 0 == done.code
    assert [] == list(tmp_path.glob("big/hook/*"))
    assert "nothing to remove" in lives.hook("clean").out


@pytest.mark.parametrize("setting", ["trees", "/x/.hidden/trees"])
def test_a_folder_for_trees_that_cannot_serve_is_one_plain_line(
    govern: Callable[..., Governed], setting: str
):
    """Said and refused; never a folder somewhere else."""
    g = govern(with_trees(setting))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert [f"error: trees: {setting} "] == [
        line[: len(f"error: trees: {setting} ")] for line in done.err.splitlines() if "error: t" in line
    ]
    assert "nothing was pushed" in done.err


@pytest.mark.parametrize(
    "name",
    few(["scratch", "submodules", "index", "lock", "owner", "git.log", "lock-files", "changed-files",
     "repository.git", "checkout", ".dots", "left-over", "-x"], 3),
)  # fmt: skip
def test_a_repository_may_be_called_like_a_file_of_ours(govern: Callable[..., Governed], name: str):
    """The tree has a folder of its own: what we keep beside it can neither empty it nor stand in its place."""
    made = govern(policy(gate("check", f"{CHECK} && test -f d/deep")), {"d/deep": "x"})
    g = replace(made, repo=replace(made.repo, path=made.path.rename(made.path.with_name(name))))
    g.branch("good", {"x": "1"})
    good = g.push("origin", "good")
    g.branch("bad", {"f": "BAD\n"})
    bad = g.push("origin", "bad")
    again = g.branch("again", {"x": "2"}, at="good")

    assert 0 == good.code, good.err
    assert bad.code != 0
    assert "gate check failed" in bad.err
    assert 0 == g.push("origin", "again").code
    assert again == g.at_remote("refs/heads/again")


def test_every_worktree_of_a_repository_uses_the_same_trees(govern: Callable[..., Governed], tmp_path: Path):
    """Named after the repository: what was checked out for one push is only refreshed for the next."""
    g = govern(policy(gate("where", f"pwd >> $COUNT; {CHECK}")))
    g.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "a linked one"))
    g.branch("task", {"x": "1"})
    assert 0 == g.push("origin", "task").code
    g.git("commit", "-q", "--allow-empty", "-m", "nothing")
    (tmp_path / "a linked one/x").write_text("2\n")
    g.git("-C", str(tmp_path / "a linked one"), "add", "x")
    g.git("-C", str(tmp_path / "a linked one"), "commit", "-q", "-m", "x")

    assert 0 == g.push("origin", "other", cwd=tmp_path / "a linked one").code

    assert 2 == g.runs
    assert 1 == len(set(g.count.read_text().splitlines()))
