"""A clone of its own for each task: made in parallel without a lock, never in the way of each other, never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.repo import Git
from orchestrator_action.git.roots import SHARED_TEMP, make_root, trees_root
from orchestrator_action.git.trees import Trees
from tests.git.conftest import commit
from tests.kit.repos import Repo, clean_env, git
from tests.kit.tables import few
from tests.kit.trees import trees_of


def test_a_tree_is_on_its_branch_at_its_base(trees: Trees, repo: Repo, base: str):
    """Outside the checkout, in a folder called like the repository; the checkout does not see it."""
    made = trees.create("issue-1", "orchestrator/issue-1-x", base)

    assert made.path == trees.root / "run" / "issue-1" / "repo"
    assert not made.path.is_relative_to(repo.path)
    assert not [part for part in made.path.parts if part.startswith(".")]
    assert git(made.path, "rev-parse", "HEAD") == base
    assert git(made.path, "branch", "--show-current") == "orchestrator/issue-1-x"
    assert (made.path / "README.md").read_text() == "# hello\n"
    assert git(made.path, "status", "--porcelain") == repo.git("status", "--porcelain") == ""
    assert trees.problems(made) == ()
    assert (
        made.path / ".git" / "refs" / "heads" / made.branch
    ).read_text().strip() == base  # read without git


def test_branches_tags_and_the_remote_s_are_there(trees: Trees, repo: Repo, base: str):
    """As in the user's own checkout; our own refs and the user's stash are not."""
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("branch", "feature")
    repo.git("update-ref", "refs/orchestrator/tasks/x", base)
    (repo.path / "README.md").write_text("stashed\n")
    repo.git("stash", "-q")

    made = trees.create("t", "orchestrator/t", base)

    listed = git(made.path, "for-each-ref", "--format=%(refname)").split()
    assert listed == [
        "refs/heads/feature", "refs/heads/main", "refs/heads/orchestrator/t", "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main", "refs/tags/v1",
    ]  # fmt: skip
    assert git(made.path, "symbolic-ref", "refs/remotes/origin/HEAD") == "refs/remotes/origin/main"
    assert git(made.path, "describe", "--tags") == "v1"


def everything(repo: Repo) -> dict[str, bytes]:
    """The user's repository and checkout, byte for byte, but for what is ours."""
    ours = (repo.path / ".git" / "orchestrator", repo.path / ".git" / "refs" / "orchestrator")
    files = (p for p in repo.path.rglob("*") if p.is_file() and not any(p.is_relative_to(o) for o in ours))
    return {str(p): p.read_bytes() for p in files if not p.is_relative_to(repo.path / ".git" / "objects")}


def test_the_user_s_repository_is_byte_identical_after_a_task(trees: Trees, repo: Repo, base: str):
    """Refs, settings, hooks, index and files; whatever the task did to git in its own clone."""
    repo.git("config", "branch.autoSetupMerge", "always")
    before = everything(repo)

    made = trees.create("t", "orchestrator/t", base)
    commit(made)
    git(made.path, "config", "user.name", "Agent")
    git(made.path, "branch", "--set-upstream-to=origin/main")
    git(made.path, "update-ref", "refs/heads/main", "HEAD")
    git(made.path, "tag", "mine")
    (made.path / "draft").write_text("x")
    trees.salvage(made, "t")
    assert trees.keep_branch(made, "t") == "refs/orchestrator/branches/t"
    trees.measure("t", made.git.head())
    trees.remove(made)

    assert everything(repo) == before
    assert git(made.path, "rev-parse", "HEAD") == repo.git("rev-parse", "refs/orchestrator/branches/t")


def test_the_base_is_kept_while_a_tree_borrows_it(trees: Trees, repo: Repo):
    """By a ref of ours: the user may rewrite his branch and prune; the ref goes with the last tree."""
    base = repo.commit({"b": "1"})
    made = trees.create("t", "orchestrator/t", base)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")

    trees.drop_bases()
    assert (made.path / "b").read_text() == "1"
    git(made.path, "fsck", "--strict")
    assert trees.remove(made) == ""
    trees.drop_bases()
    assert repo.git("for-each-ref", "refs/orchestrator/bases") == ""


_MAKER = """
import sys
from pathlib import Path
from tests.kit.trees import trees_of
trees = trees_of(Path(sys.argv[1]), sys.argv[3])
for n in range(20):
    trees.create(f"{sys.argv[3]}-{n}", f"orchestrator/{sys.argv[3]}-{n}", sys.argv[2])
"""


def test_240_trees_from_12_processes(repo: Repo, base: str):
    """None of them waits for a lock of ours."""
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", _MAKER, str(repo.path), base, f"p{n}"], stderr=subprocess.PIPE
        )
        for n in range(12)
    ]
    errors = [p.communicate(timeout=100)[1].decode() for p in makers]

    assert errors == [""] * 12
    left = trees_of(repo.path).leftovers()
    assert len({tree.path for tree in left}) == 240
    assert all((tree.path / "README.md").is_file() for tree in left)


_AGENT = """
cd "$1" && i=0
while [ ! -e "$2/stop" ]; do
  i=$((i+1))
  echo $i > file-$$ && git add -A && git commit -q -m "c $i" &&
  git branch -q "side-$$-$i" && git branch -q -D "side-$$-$i" &&
  git config "test.k$$" "$i" && git fetch -q origin && echo $i > "$2/count-$$" ||
    { echo failed > "$2/failed-$$"; exit 1; }
done
"""


@pytest.mark.slow
def test_200_trees_in_bursts_of_40_while_agents_work(trees: Trees, repo: Repo, base: str, tmp_path: Path):
    """Agents that branch, commit, configure and fetch neither break it nor are broken by it."""
    agents = []
    for n in range(4):
        home = trees.create(f"agent{n}", f"orchestrator/agent{n}", base)
        argv = ["sh", "-c", _AGENT, "agent", str(home.path), str(tmp_path)]
        agents.append(subprocess.Popen(argv, env=clean_env(), stderr=subprocess.PIPE))
    try:
        with ThreadPoolExecutor(40) as pool:
            for burst in range(5):
                names = [f"b{burst}-{n}" for n in range(40)]
                made = list(pool.map(lambda t: trees.create(t, f"orchestrator/{t}", base), names))
                assert all((tree.path / "README.md").is_file() for tree in made)
                assert list(pool.map(trees.remove, made)) == [""] * 40
    finally:
        (tmp_path / "stop").touch()
        errors = [a.communicate(timeout=30)[1].decode() for a in agents]

    assert list(tmp_path.glob("failed-*")) == [], errors
    assert len(list(tmp_path.glob("count-*"))) == 4


def test_a_directory_in_the_way_is_named(trees: Trees, base: str):
    """It is never emptied; an empty one is no obstacle."""
    way = trees.root / "run" / "t" / "repo"
    way.mkdir(parents=True)
    assert trees.remove(trees.create("t", "orchestrator/t", base)) == ""
    way.mkdir(parents=True)
    (way / "precious").write_text("x")

    with pytest.raises(WorktreeError, match="in the way"):
        trees.create("t", "orchestrator/t2", base)

    assert (way / "precious").read_text() == "x"


_KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator_action.git import trees as task_trees
from tests.kit.trees import trees_of
trees = trees_of(Path(sys.argv[1]))
step = sys.argv[3]
owner = task_trees.TreeSlot if step in {"take", "write"} else task_trees.Trees
real = getattr(owner, step)
def die(self, *args, **kwargs):
    made = real(self, *args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
    return made
setattr(owner, step, die)
trees.create("t", "orchestrator/t", sys.argv[2])
"""


@pytest.mark.parametrize("step", few(["_make_way", "take", "write", "_free_branch", "_tree", "_populate"], 2))
def test_an_orchestrator_killed_while_making_a_tree_leaves_nothing_in_the_way(
    trees: Trees, repo: Repo, base: str, step: str
):
    """Whatever was done by then, the next one makes or adopts a whole tree."""
    argv = [sys.executable, "-c", _KILLED, str(repo.path), base, step]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL

    adopted = trees.adopt("t", "orchestrator/t", base)
    made = adopted or trees.create("t", "orchestrator/t", base)

    assert made.git.head() == base
    assert made.git.dirty() == ()
    assert trees.remove(made) == ""
    assert not (trees.root / "run").exists()


@pytest.mark.parametrize(
    "task_id", ["", "../x", "a/b", "-x", ".hidden", "a b", "ü", "x" * 300, "a..b", "a.lock"]
)
def test_an_id_that_is_no_file_name_is_refused(trees: Trees, base: str, task_id: str):
    """By name, before anything is made."""
    with pytest.raises(WorktreeError, match="cannot name a directory"):
        trees.create(task_id, "orchestrator/x", base)


# -- where they are ---------------------------------------------------------------------------------


def test_trees_are_in_the_runner_s_folder_or_in_one_of_the_user_s(tmp_path: Path):
    """Never below a folder that begins with a dot: act, for one, has its temporary folder in `~/.cache`."""
    hidden = tmp_path / ".cache" / "temp"
    hidden.mkdir(parents=True)
    own = f"{SHARED_TEMP}/orchestrator-{os.geteuid()}"

    assert trees_root({"RUNNER_TEMP": str(tmp_path)}) == f"{tmp_path}/orchestrator"
    assert trees_root({"RUNNER_TEMP": str(hidden)}) == own
    assert trees_root({"RUNNER_TEMP": str(tmp_path / "gone")}) == trees_root({}) == own
    assert trees_root({"RUNNER_TEMP": str(tmp_path)}, "/big/trees") == "/big/trees"


@pytest.mark.parametrize(
    ("setting", "words"), [("trees", "not absolute"), ("/x/.y/trees", "begins with a dot")]
)
def test_a_folder_for_trees_that_cannot_serve_is_refused(setting: str, words: str):
    """With what to write instead."""
    with pytest.raises(WorktreeError, match=words) as caught:
        trees_root({}, setting)

    assert caught.value.hint


def test_the_folder_for_trees_belongs_to_its_user_alone(tmp_path: Path):
    """Others cannot look into it; a link in its place is refused."""
    root = tmp_path / "open"
    root.mkdir(mode=0o777)
    root.chmod(0o777)

    assert Path(make_root(str(root))).stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(WorktreeError, match="is not a directory"):
        make_root(str(tmp_path / "link"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_else_s_folder_for_trees_is_refused(tmp_path: Path):
    """`/var/tmp` is everybody's: who made the folder could change what is in it."""
    root = tmp_path / "theirs"
    root.mkdir()
    os.chown(root, 12345, -1)

    with pytest.raises(WorktreeError, match="belongs to somebody else") as caught:
        make_root(str(root))

    assert "trees" in caught.value.hint


@pytest.mark.parametrize(
    ("folder", "name"),
    [("plain", "plain"), (".dotfiles", "dotfiles"), ("bare.git", "bare"), ("p/.bare", "p")],
)
def test_the_last_folder_is_called_like_the_repository(repo: Repo, tmp_path: Path, folder: str, name: str):
    """Some tools take it for the project's name."""
    bare = ["--bare"] if "bare" in folder else []
    git(tmp_path, "clone", "-q", *bare, str(repo.remote), str(tmp_path / "in" / folder))
    seen = Git.open(tmp_path / "in" / folder)

    made = Trees(seen, run_id="run", root=tmp_path / "trees").create(
        "t", "orchestrator/t", repo.git("rev-parse", "main")
    )

    assert made.path == tmp_path / "trees" / "run" / "t" / name
