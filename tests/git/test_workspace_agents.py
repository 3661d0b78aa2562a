"""What an agent does to git in its worktree: it works as ever, stays its own, and what is not is named."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktrees import Workspace
from tests.git.conftest import commit
from tests.kit.repos import Repo, clean_env, git


def test_what_an_agent_configures_stays_its_own(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """Its task is told what it did; another task's git and hooks do not notice."""
    bad = space.create("bad", "orchestrator/bad", base)
    good = space.create("good", "orchestrator/good", base)

    git(bad.path, "config", "user.name", "Mallory")
    hooks = Path(git(bad.path, "rev-parse", "--git-path", "hooks"))
    hook = (bad.path / hooks) / "post-commit"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    commit(good)

    assert space.protect(bad) == ("git setting user.name was added", "git hook post-commit was added")
    assert space.protect(good) == ()
    assert git(good.path, "config", "--get", "user.name", check=False) == ""
    assert not (tmp_path / "hook-ran").exists()


def test_changes_of_the_shared_configuration_are_named(space: Workspace, repo: Repo, base: str):
    """An agent that walks out of its worktree to plant something is seen."""
    made = space.create("t", "orchestrator/t", base)

    repo.git("config", "core.fsmonitor", "/tmp/evil")
    (repo.path / ".git/hooks/pre-push").write_text("#!/bin/sh\n")

    assert space.protect(made) == (
        "git setting core.fsmonitor was added in the shared git directory, and was put back",
        "git hook pre-push was added in the shared git directory, and was put back",
    )


def test_planted_settings_run_nothing_of_ours(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """Hooks, fsmonitor, filters, external diffs and textconv of an agent's making."""
    made = space.create("t", "orchestrator/t", base)
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\ncat\n')
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "filter.x.smudge", "filter.x.clean", "diff.x.textconv",
                "diff.x.command", "core.sshCommand", "core.pager", "gpg.program", "core.editor"):  # fmt: skip
        git(made.path, "config", key, str(trap))
        repo.git("config", key, str(trap))
    repo.git("config", "filter.x.required", "true")
    repo.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        (tmp_path / "hooks" / hook).write_bytes(trap.read_bytes())
        (tmp_path / "hooks" / hook).chmod(0o755)
    (made.path / ".gitattributes").write_text("* filter=x diff=x\n")
    quiet = ("-c", "core.fsmonitor=false", "-c", "filter.x.clean=", "-c", "filter.x.required=false",
             "-c", "core.hooksPath=/dev/null")  # fmt: skip
    git(made.path, *quiet, "add", "-A")
    git(made.path, *quiet, "commit", "-q", "-m", "trap")
    (tmp_path / "ran").unlink(missing_ok=True)

    (made.path / "more.txt").write_text("more\n")
    head = made.git.head()
    space.measure("t", head)
    space.create("u", "orchestrator/u", head)
    assert made.git.dirty() == ("more.txt",)
    made.git.changes(base, head)
    made.git.diff_text(base, head)
    assert space.salvage(made, "t")
    space.leftovers()

    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("rm -rf ../task-t", "the worktree was deleted"),
        ("rm .git", "the worktree's .git file was removed or changed"),
        ("rm .git && git init -q .", "the worktree's .git file was removed or changed"),
        ("git checkout -q -b elsewhere", "HEAD is on elsewhere, not on the task branch orchestrator/t"),
        ("git checkout -q --detach", "HEAD is on no branch, not on the task branch orchestrator/t"),
        (
            "echo ../../elsewhere > $(git rev-parse --git-dir)/commondir",
            "the worktree's git directory was changed",
        ),
        ("git worktree remove -f -f . ", "the worktree was removed from git's list of worktrees"),
    ],
)
def test_what_an_agent_does_to_its_worktree_is_named(
    space: Workspace, repo: Repo, base: str, harm: str, sentence: str
):
    """And the neighbour's worktree is as it was."""
    made = space.create("t", "orchestrator/t", base)
    neighbour = space.create("n", "orchestrator/n", base)

    subprocess.run(["sh", "-c", harm], cwd=made.path, env=clean_env(), check=False)

    assert sentence in space.protect(made)
    assert space.protect(neighbour) == ()
    assert (neighbour.path / "README.md").is_file()


def test_a_prune_by_an_agent_takes_nothing(space: Workspace, repo: Repo, base: str):
    """A worktree in use is locked in git's own sense."""
    made = space.create("t", "orchestrator/t", base)
    moved = made.path.rename(made.path.with_name("moved"))

    repo.git("worktree", "prune", "--expire=now")
    moved.rename(made.path)

    assert space.protect(made) == ()


def test_the_agent_s_configuration_holds_no_credentials(repo: Repo, base: str):
    """What actions/checkout left behind is not in the view an agent gets."""
    repo.git("config", "http.https://github.com/.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    repo.git("config", "includeIf.gitdir:/x/.path", "/tmp/git-credentials.config")
    repo.git("remote", "add", "other", "https://me:s3cr3t@example.org/x.git")
    space = Workspace(Git.open(repo.path))

    made = space.create("t", "orchestrator/t", base)

    seen = git(made.path, "config", "--list", "--local")
    assert "c2VjcmV0" not in seen and "s3cr3t" not in seen and "git-credentials" not in seen
    assert git(made.path, "remote", "get-url", "other") == "https://example.org/x.git"
    assert git(made.path, "remote", "get-url", "origin") == str(repo.remote)


def test_settings_of_the_repository_s_own_setup_are_accepted(space: Workspace, base: str):
    """husky, say, sets core.hooksPath; what comes after it is the agent's doing."""
    made = space.create("t", "orchestrator/t", base)
    git(made.path, "config", "core.hooksPath", ".husky")

    space.accept(made)
    assert space.protect(made) == ()
    git(made.path, "config", "user.email", "a@b")

    assert space.protect(made) == ("git setting user.email was added",)


@pytest.mark.parametrize(
    "command",
    [
        "git config core.hooksPath .husky/_", "git remote add fork /nowhere", "git branch -q side origin/main",
        "git config branch.x.description y", "git config submodule.a.url /nowhere", "git fetch -q",
    ],
)  # fmt: skip
def test_what_ordinary_tools_write_is_no_tampering(space: Workspace, base: str, command: str):
    """`npm install` under husky, a further remote, a tracking branch, a submodule."""
    made = space.create("t", "orchestrator/t", base)

    subprocess.run(["sh", "-ec", command], cwd=made.path, env=clean_env(), check=True)

    assert space.protect(made) == ()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("git config core.hooksPath /tmp/evil", "git setting core.hookspath was added"),
        ("git config user.email a@b.c", "git setting user.email was added"),
        ("git config alias.x '!sh'", "git setting alias.x was added"),
        ("git remote set-url origin /elsewhere", "git setting remote.origin.url was changed"),
        ("git config url./x.insteadOf /y", "git setting url./x.insteadof was added"),
        (
            "echo '* filter=x' > $(git rev-parse --git-path info/attributes)",
            "git file info/attributes was added",
        ),
        ("git config include.path /tmp/evil", "git setting include.path was added"),
    ],
)
def test_what_an_agent_changes_of_git_is_named(space: Workspace, base: str, command: str, sentence: str):
    """Each by its name, without its value."""
    made = space.create("t", "orchestrator/t", base)

    subprocess.run(["sh", "-ec", command], cwd=made.path, env=clean_env(), check=True)

    assert space.protect(made) == (sentence,)


AGENT_GIT = """
git gc -q --prune=now
git pack-refs --all
git repack -q
git maintenance run --quiet
git fsck
git fetch -q origin
git stash -u && git stash pop
git commit -q --allow-empty -m x && git commit -q --amend --allow-empty -m y
git rebase -q --autostash HEAD~0
git branch side && git switch -q side && git switch -q -
git bisect start && git bisect reset
git tag v1 && git notes add -m n && git describe --tags
git worktree list && git worktree prune
git worktree add -q --detach ../../inner-$$ && git worktree remove ../../inner-$$
git log --all --oneline && git reflog && git blame README.md && git diff origin/main
git rev-parse --show-toplevel --git-common-dir
git clone -q --no-local . ../../clone-$$ && rm -rf ../../clone-$$
git remote add other /nowhere
git checkout -q -- README.md
git rm -q --cached README.md && git add README.md
git submodule status
""".strip().splitlines()


@pytest.mark.parametrize("command", AGENT_GIT)
def test_an_agent_s_git_works_as_ever(space: Workspace, repo: Repo, base: str, command: str):
    """In its own view of the git directory; the repository stays whole and its configuration as it was."""
    before = (repo.path / ".git/config").read_bytes()
    made = space.create("t", "orchestrator/t", base)
    tip = commit(made)
    (made.path / "README.md").write_text("# changed\n")

    done = subprocess.run(
        ["sh", "-ec", command], cwd=made.path, env=clean_env(), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (repo.path / ".git/config").read_bytes() == before
    assert space.git.is_ancestor(tip, made.git.head())
    assert made.git.branch() == "orchestrator/t"
    repo.git("fsck", "--strict", "--connectivity-only")
    assert repo.git("status", "--porcelain") == ""


def test_a_commit_of_an_agent_starts_no_maintenance(space: Workspace, repo: Repo, base: str, tmp_path: Path):
    """A lock of git's maintenance that was killed with its agent would end the user's own for good."""
    made = space.create("t", "orchestrator/t", base)

    def started(where: Path) -> bool:
        trace = tmp_path / f"trace-{where.name}"
        told = {**clean_env(), "GIT_TRACE": str(trace)}
        git(where, "commit", "-q", "--allow-empty", "-m", "more", env=told)
        return "maintenance run" in trace.read_text()

    assert (True, False) == (started(repo.path), started(made.path))


@pytest.mark.parametrize("command", ["gc --prune=now", "gc --aggressive --prune=all", "prune --expire=now"])
def test_no_object_of_another_task_is_deleted_by_an_agent(space: Workspace, base: str, command: str):
    """One that no ref names yet: so looks every commit while it is being made."""
    cleans = space.create("cleans", "orchestrator/cleans", base)
    works = space.create("works", "orchestrator/works", base)
    (works.path / "new.txt").write_text("precious\n")
    made = git(works.path, "hash-object", "-w", "new.txt")

    git(cleans.path, *command.split(), check=False)

    assert "precious" == git(works.path, "cat-file", "blob", made)
    assert () == space.protect(cleans)


def test_an_agent_may_pack_refs_while_those_of_others_move(space: Workspace, repo: Repo, base: str):
    """A `gc` of one task and the commits of another: neither hinders the other, and no ref goes back."""
    packs = space.create("packs", "orchestrator/packs", base)
    moves = space.create("moves", "orchestrator/moves", base)
    trail = "refs/orchestrator/tasks/moves"
    over = threading.Event()
    refusals: list[str] = []

    def pack() -> None:
        while not over.is_set():
            done = subprocess.run(
                ["git", "pack-refs", "--all", "--prune"], cwd=packs.path, env=clean_env(),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            refusals.extend([done.stderr] if done.returncode else [])

    packer = threading.Thread(target=pack)
    packer.start()
    try:
        for number in range(20):
            head = commit(moves, f"{number}.txt")
            repo.git("update-ref", trail, head)
    finally:
        over.set()
        packer.join()

    assert [] == refusals
    assert head == repo.git("rev-parse", "orchestrator/moves") == repo.git("rev-parse", trail)
    assert ((), ()) == (space.protect(packs), space.protect(moves))


def test_the_first_worktree_of_another_run_is_no_tampering(repo: Repo, base: str):
    """Two runs begin in one fresh repository: whoever is second finds `.worktrees` excluded already."""
    first, second = Workspace(Git.open(repo.path)), Workspace(Git.open(repo.path))
    made = [first.create("a", "orchestrator/a", base), second.create("b", "orchestrator/b", base)]

    assert [(), ()] == [first.protect(made[0]), second.protect(made[1])]


LFS_HOOK = """#!/bin/sh
command -v git-lfs >/dev/null 2>&1 || { %s >&2 %s; exit 2; }
git lfs post-checkout "$@"
"""


@pytest.mark.parametrize(
    ("body", "sentences"),
    [
        (LFS_HOOK % ("echo", '"\\nThis repository is configured for Git LFS, remove this hook.\\n"'), ()),
        (LFS_HOOK % ("printf", '"\\n%s\\n\\n" "This repository is configured for Git LFS."'), ()),
        (LFS_HOOK % ("echo", '"$(touch ran)"'), ("git hook post-checkout was added",)),
        (LFS_HOOK % ("echo", '"x"') + "touch ran\n", ("git hook post-checkout was added",)),
        (
            LFS_HOOK.replace("post-checkout", "post-merge") % ("echo", '"x"'),
            ("git hook post-checkout was added",),
        ),
    ],
)
def test_the_hooks_of_git_lfs_are_no_tampering_and_no_others_pass_for_them(
    space: Workspace, base: str, body: str, sentences: tuple[str, ...]
):
    """git-lfs installs them by itself when one of its files is added."""
    made = space.create("t", "orchestrator/t", base)
    (made.view / "hooks" / "post-checkout").write_text(body)

    assert sentences == space.protect(made)
