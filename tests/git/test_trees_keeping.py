"""A tree goes only when nothing is lost with it; what is left over is kept, saved or taken up again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.private import known_branches, prune
from orchestrator_action.git.process import git_program
from orchestrator_action.git.task_tree import TaskTree
from orchestrator_action.git.trees import Trees
from orchestrator_action.work.commits import taking_commits
from tests.git.conftest import commit, identity_of
from tests.kit.ill import eventually
from tests.kit.repos import Repo, clean_env, git
from tests.kit.trees import trees_of
from tests.kit.whole import PACKAGE


def test_a_tree_with_nothing_to_lose_goes(trees: Trees, repo: Repo, base: str):
    """Ignored files are nothing of value."""
    (repo.path / ".git/info/exclude").write_text("*.log\n")
    made = trees.create("t", "orchestrator/t", base)
    (made.path / "x.log").write_text("x")

    assert trees.remove(made) == ""
    assert not made.path.exists()
    assert not trees.root.joinpath("run").exists()


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("echo x >> README.md", "uncommitted changes: README.md"),
        ("echo x > näw.txt", "uncommitted changes: näw.txt"),
        ("rm README.md", "uncommitted changes: README.md"),
        (
            "git update-index --assume-unchanged README.md && echo x >> README.md",
            "uncommitted changes: README.md",
        ),
        (
            "git update-index --skip-worktree README.md && echo x >> README.md",
            "uncommitted changes: README.md",
        ),
        ("git init -q inner && cd inner && git commit -q --allow-empty -m x", "uncommitted changes: inner/"),
        ("echo x > a && git add a && git commit -q -m x", "1 commit not on any remote: orchestrator/t"),
        ("git checkout -q --detach && git commit -q --allow-empty -m x", "1 commit not on any remote: "),
        ("touch .git-x && git bisect start && rm .git-x", "a bisect is under way"),
    ],
)
def test_a_tree_with_something_to_lose_stays(trees: Trees, base: str, work: str, reason: str):
    """With the reason."""
    made = trees.create("t", "orchestrator/t", base)
    subprocess.run(["sh", "-ec", work], cwd=made.path, env=clean_env(), check=True, capture_output=True)

    assert trees.remove(made).startswith(reason)
    assert made.path.is_dir()
    assert [left.kept_because.startswith(reason) for left in trees.leftovers()] == [True]


def test_an_ignored_repository_inside_keeps_the_tree(trees: Trees, repo: Repo, base: str):
    """`git status` says nothing of it, and its commits are nowhere else."""
    (repo.path / ".git/info/exclude").write_text("inner/\n")
    made = trees.create("t", "orchestrator/t", base)
    git(made.path, "init", "-q", "inner")
    git(made.path / "inner", "commit", "-q", "--allow-empty", "-m", "x")

    assert trees.remove(made) == "it holds other repositories: inner"


def test_a_pushed_worktree_goes(trees: Trees, repo: Repo, base: str):
    """A person pushed its commits from where they are kept in his repository."""
    made = trees.create("t", "orchestrator/t", base)
    commit(made)
    assert trees.remove(made).startswith("1 commit")
    trees.keep_branch(made, "t")
    repo.git("push", "-q", "origin", "refs/orchestrator/branches/t:refs/heads/orchestrator/t")

    assert trees.remove(made.path) == ""


def owned_by_a_dead_process(*trees: TaskTree):
    gone = subprocess.Popen(["true"])
    who = json.dumps(identity_of(gone.pid))
    gone.wait()
    for tree in trees:
        tree.slot.owner_file.write_text(who)


def test_clean_checkouts_of_a_dead_process_go_and_those_of_a_living_one_stay(trees: Trees, base: str):
    """FAULTS 25: of an orchestrator that was killed while it measured; a task's own tree is not one of them."""
    task, living = trees.create("t", "orchestrator/t", base), trees.measure("t", base)
    dead, reviewed = trees.measure("t", base), trees.review("t", base)
    for tree in (task, dead, reviewed):
        owned_by_a_dead_process(tree)

    trees.discard_dead()

    assert [True, True, False, False] == [t.path.exists() for t in (task, living, dead, reviewed)]


def test_a_tree_of_a_living_process_is_left_alone(trees: Trees, repo: Repo, base: str):
    """Known by boot, PID and start time; a PID that was given to another process does not count."""
    made = trees.create("t", "orchestrator/t", base)
    other = subprocess.Popen(["sleep", "60"])
    try:
        made.slot.owner_file.write_text(json.dumps(identity_of(other.pid)))
        assert trees.remove(made) == f"process {other.pid} works in it"
        with pytest.raises(WorktreeError, match=f"in use by process {other.pid}"):
            trees.create("t", "orchestrator/t", base)
    finally:
        other.kill()
        other.wait()
    stranger = {**identity_of(os.getpid()), "start_ticks": 1}
    made.slot.owner_file.write_text(json.dumps(stranger))

    assert trees.remove(made) == ""


def test_salvage_keeps_what_is_uncommitted_and_touches_nothing(trees: Trees, repo: Repo, base: str):
    """Changed, staged, untracked, deleted and hidden files; not what is ignored."""
    (repo.path / ".git/info/exclude").write_text("*.log\n")
    made = trees.create("t", "orchestrator/t", base)
    (made.path / "staged.txt").write_text("staged\n")
    git(made.path, "add", "staged.txt")
    (made.path / "untracked ü.txt").write_text("untracked\n")
    (made.path / "x.log").write_text("noise")
    git(made.path, "update-index", "--assume-unchanged", "README.md")
    (made.path / "README.md").write_text("hidden change\n")
    before = (
        git(made.path, "status", "--porcelain"),
        (made.path / ".git" / "index").read_bytes(),
        repo.git("branch"),
    )

    saved = trees.salvage(made, "t")

    after = (
        git(made.path, "status", "--porcelain"),
        (made.path / ".git" / "index").read_bytes(),
        repo.git("branch"),
    )
    assert before == after
    assert saved == repo.git("rev-parse", "refs/orchestrator/salvage/t")
    assert trees.private.file(saved, "README.md") == b"hidden change\n"
    assert set(trees.private.paths(saved)) == {"README.md", "staged.txt", "untracked ü.txt"}
    assert repo.git("log", "-1", "--format=%an", saved) == "orchestrator-action"


def test_salvage_of_nothing_is_nothing(trees: Trees, repo: Repo, base: str):
    """No ref is made."""
    made = trees.create("t", "orchestrator/t", base)

    assert trees.salvage(made, "t") is None
    assert repo.git("for-each-ref", "refs/orchestrator/salvage") == ""


def test_a_second_salvage_keeps_the_first(trees: Trees, base: str):
    """One ref contains both."""
    made = trees.create("t", "orchestrator/t", base)
    (made.path / "a").write_text("1")
    first = trees.salvage(made, "t")
    (made.path / "a").write_text("2")
    second = trees.salvage(made, "t")

    assert first and second and first != second
    assert trees.private.is_ancestor(first, second)
    assert trees.salvage(made, "t") == second


@pytest.mark.parametrize(
    "harm",
    [
        "rm -rf .git",
        "rm -rf .git && git init -q .",
        "rm .git/index",
        "echo garbage >.git/HEAD",
        "rm .git/HEAD",
    ],
)
def test_work_is_saved_although_the_agent_broke_its_tree(trees: Trees, base: str, harm: str):
    """By what was taken of it, and by the files that are there."""
    made = trees.create("t", "orchestrator/t", base)
    commit(made)
    tip = made.git.head()
    (made.path / "more.txt").write_text("more\n")
    subprocess.run(["sh", "-c", harm], cwd=made.path, env=clean_env(), check=True)

    saved = trees.salvage(made, "t")

    assert saved
    assert trees.private.file(saved, "more.txt") == b"more\n"
    assert trees.private.is_ancestor(tip, saved)


def test_a_commit_is_taken_while_its_agent_works(trees: Trees, base: str):
    """Nobody claims anything, and then `.git` is deleted: the commit is on the task's branch all the same."""
    made = trees.create("t", "orchestrator/t", base)

    with taking_commits(made.git, "orchestrator/t", every_s=0.02):
        tip = commit(made, "late.txt")
        eventually(lambda: trees.private.rev_parse("refs/heads/orchestrator/t") == tip)
        shutil.rmtree(made.path / ".git")

    assert trees.keep_branch(made, "t") and trees.user.file(tip, "late.txt") is not None


def test_what_nothing_names_any_more_goes_from_our_repository_after_a_day(trees: Trees, base: str):
    """`clean` prunes it; a commit of a task stays, and so does what was taken just now."""
    made = trees.create("t", "orchestrator/t", base)
    tip, git = commit(made), trees.private
    kept = made.git.head()
    old, new = (
        git.run("hash-object", "-w", "--stdin", stdin=body, write=True).text for body in (b"old", b"new")
    )
    day_before = time.time() - 90_000
    os.utime(git.common_dir / "objects" / old[:2] / old[2:], (day_before, day_before))

    prune(git)

    there = git.text("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    assert tip == kept and tip in there and new in there and old not in there


@pytest.mark.parametrize(
    "harm", ["mkfifo .git/refs/heads/orchestrator/pipe", "rm .git/HEAD && mkfifo .git/HEAD"]
)
def test_a_pipe_in_the_place_of_a_branch_keeps_nobody_waiting(trees: Trees, base: str, harm: str):
    """Whoever read it would wait for ever."""
    made = trees.create("t", "orchestrator/t", base)
    subprocess.run(["sh", "-ec", harm], cwd=made.path, env=clean_env(), check=True)

    assert trees.problems(made) == ("the tree's .git folder leads somewhere else",)


def test_a_leftover_is_saved_before_its_place_is_used(trees: Trees, repo: Repo, base: str):
    """Uncommitted work and unpushed commits of an earlier run are on the salvage ref."""
    old = trees.create("t", "orchestrator/t", base)
    tip = commit(old, "kept.txt")
    (old.path / "draft.txt").write_text("draft\n")

    new = trees.create("t", "orchestrator/t", base)

    kept = repo.git("rev-parse", "refs/orchestrator/salvage/t")
    assert new.git.head() == base
    assert not (new.path / "draft.txt").exists()
    assert trees.user.is_ancestor(tip, kept)
    assert trees.user.file(kept, "draft.txt") == b"draft\n"
    assert "refs/orchestrator/salvage/t" in new.note


def test_a_leftover_is_adopted_as_it_is(trees: Trees, base: str):
    """With its commits and its uncommitted files."""
    old = trees.create("t", "orchestrator/t", base)
    tip = commit(old)
    (old.path / "draft.txt").write_text("draft\n")

    again = trees_of(trees.user).adopt("t", "orchestrator/t", base)

    assert again is not None
    assert again.git.head() == tip
    assert again.git.dirty() == ("draft.txt",)
    assert trees.adopt("other", "orchestrator/other", base) is None


def test_a_deleted_tree_is_made_again_from_its_branch(trees: Trees, base: str):
    """What was taken of it at the last claim is not lost."""
    old = trees.create("t", "orchestrator/t", base)
    commit(old)
    tip = old.git.head()
    subprocess.run(["rm", "-rf", str(old.path)], check=True)

    again = trees.adopt("t", "orchestrator/t", base)

    assert again is not None
    assert again.git.head() == tip
    assert (again.path / "new.txt").is_file()


def test_a_link_in_a_tree_s_place_leads_nowhere(trees: Trees, repo: Repo, base: str, tmp_path: Path):
    """What it points at is neither saved, nor made writable, nor deleted."""
    made = trees.create("t", "orchestrator/t", base)
    home = tmp_path / "home"
    home.mkdir()
    (home / "private").write_text("x")
    (home / "private").chmod(0o400)
    subprocess.run(["rm", "-rf", str(made.path)], check=True)
    made.path.symlink_to(home)

    assert "the task's tree was deleted" in trees.problems(made)
    assert trees.salvage(made, "t") is None
    assert trees.remove(made) == ""
    assert (home / "private").stat().st_mode & 0o777 == 0o400
    assert not made.path.is_symlink()


def test_a_record_that_names_another_folder_deletes_nothing(trees: Trees, base: str, tmp_path: Path):
    """Whoever forges one of our records cannot have us delete what he likes."""
    made = trees.create("t", "orchestrator/t", base)
    precious = tmp_path / "home" / "precious"
    precious.mkdir(parents=True)
    record = made.slot.folder / "tree.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "path": str(precious), "kind": "gone"}))

    trees.discard()

    assert precious.is_dir() and made.path.is_dir()


def test_what_was_never_whole_is_swept_away(trees: Trees, base: str):
    """Records of checkouts that are gone, and folders of which a killed process wrote no record."""
    checkout = trees.measure("t", base)
    half = trees.create("half", "orchestrator/half", base)
    owned_by_a_dead_process(checkout, half)
    (half.slot.folder / "tree.json").unlink()
    shutil.rmtree(trees.root)

    trees.discard()

    assert not half.slot.folder.parent.parent.exists()


@pytest.mark.parametrize("left", ["window.git", "owner", ""])
def test_what_is_left_of_a_record_that_was_being_deleted_goes_with_the_next_run(
    trees: Trees, base: str, left: str
):
    """Of a process killed in the middle of it, also when its owner's name went first; a living one's stays."""
    given_up, living = trees.create("t", "orchestrator/t", base), trees.measure("t", base)
    owned_by_a_dead_process(given_up)
    folder = given_up.slot.folder.rename(given_up.slot.folder.with_name("gone-0123abcd"))
    (folder / "tree.json").unlink()
    for path in folder.iterdir():
        if path.name != left:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    (living.slot.folder / "tree.json").unlink()

    trees.discard_dead()

    assert (False, True) == (folder.exists(), living.slot.folder.exists())


def test_the_branch_of_a_task_is_kept_in_the_users_repository(trees: Trees, repo: Repo, base: str):
    """As a ref of ours, no branch of his; what a run before left there stays below the salvage ref."""
    first = trees.create("t", "orchestrator/t", base)
    old = commit(first, "old.txt")
    assert first.git.head() == old
    assert trees.keep_branch(first, "t") == "refs/orchestrator/branches/t"

    second = trees_of(repo.path, "second").create("t", "orchestrator/t-2", base)
    new = commit(second, "new.txt")
    assert second.git.head() == new
    trees.keep_branch(second, "t")

    assert repo.git("rev-parse", "refs/orchestrator/branches/t") == new
    assert repo.git("rev-parse", "refs/orchestrator/salvage/t") == old
    assert repo.git("branch", "--format=%(refname:short)") == "main"
    repo.git("fsck", "--strict")


def test_a_branch_nobody_committed_to_goes_with_its_tree(trees: Trees, base: str):
    """Its name is free again; that of one with commits is not."""
    empty = trees.create("a", "orchestrator/a", base)
    used = trees.create("b", "orchestrator/b", base)
    head = commit(used)
    assert used.git.head() == head
    trees.private.update_ref("refs/remotes/origin/orchestrator/b", head)

    assert trees.keep_branch(empty, "a") == ""
    assert trees.remove(empty) == trees.remove(used) == ""
    assert known_branches(trees.user, "orchestrator/") == {"orchestrator/b"}


def test_a_stale_index_lock_does_not_stop_the_next_attempt(trees: Trees, base: str):
    """An agent was killed in the middle of `git add`."""
    made = trees.create("t", "orchestrator/t", base)
    (made.path / ".git" / "index.lock").touch()
    (made.path / ".git" / "HEAD.lock").touch()

    again = trees.adopt("t", "orchestrator/t", base)

    assert again is not None
    commit(again)


def test_a_tree_that_another_process_is_just_making_is_its_own(
    trees: Trees, repo: Repo, base: str, tmp_path: Path
):
    """Its files are not checked out yet; neither a second run nor a clean-up takes it away."""
    tool, real = tmp_path / "bin" / "git", git_program()
    tool.parent.mkdir()
    pause = f": >{tmp_path}/at; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    tool.write_text(f'#!/bin/sh\ncase "$*" in *"reset --hard"*) {pause} ;; esac\nexec {real} "$@"\n')
    tool.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; "
        "from tests.kit.trees import trees_of; trees_of(Path()).create('t', 'orchestrator/t', sys.argv[1])"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, base], cwd=repo.path,
        env={**clean_env(), "PATH": f"{tool.parent}:{clean_env()['PATH']}", "PYTHONPATH": str(PACKAGE)},
    )  # fmt: skip
    try:
        eventually(lambda: (tmp_path / "at").exists(), what="the checkout")
        with pytest.raises(WorktreeError, match=f"in use by process {other.pid}"):
            trees.create("t", "orchestrator/t", base)
        assert f"process {other.pid} works in it" == trees.remove(trees.root / "run" / "t" / "repo")
    finally:
        (tmp_path / "go").touch()
        other.wait()

    assert (0, True) == (other.returncode, (trees.root / "run" / "t" / "repo" / "README.md").exists())
