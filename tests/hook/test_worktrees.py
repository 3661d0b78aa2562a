"""Worktrees, clones and the environment: nothing of the user's changes (HOOK-CASES 21 to 25)."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy, start_push, wait_for
from tests.kit.repos import git
from tests.kit.tables import few


def state_of(g: Governed) -> tuple[object, ...]:
    """Everything of the user's repository that a push must leave as it is."""
    return (
        (g.path / ".git/config").read_bytes(),
        (g.path / ".git/index").read_bytes(),
        (g.path / ".git/HEAD").read_bytes(),
        g.git("for-each-ref", "refs/heads", "refs/tags", "refs/stash"),
        g.git("status", "--porcelain", "--ignored"),
        [line for line in g.git("branch", "-a").splitlines() if "origin/task" not in line],
        g.git("stash", "list"),
    )


@pytest.mark.parametrize("where", ["main worktree", "linked worktree", "-c option"])
def test_a_gate_sees_none_of_gits_local_variables(
    govern: Callable[..., Governed], tmp_path: Path, where: str
):
    """Case 21: those `git rev-parse --local-env-vars` lists, and in a linked worktree git exports some."""
    g = govern(policy(gate("env", 'env > "$COUNT"')))
    g.git("worktree", "add", "-q", "-b", "task", str(tmp_path / "w w"))
    local = set(g.git("rev-parse", "--local-env-vars").split())
    extra = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "x"}
    arguments = ["git", "-c", "core.abbrev=9", "push", "origin", "task"]

    done = g.call(*arguments, cwd=tmp_path / "w w" if where == "linked worktree" else None, env=extra)

    assert 0 == done.code, done.err
    seen = {line.partition("=")[0] for line in g.count.read_text().splitlines()}
    assert "PATH" in seen
    assert set() == seen & (local | {"GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_EXEC_PATH"})


def test_a_gate_that_plays_with_git_leaves_the_repository_byte_identical(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Case 21: init, config and commit in its temp dir, from a linked worktree."""
    script = (
        'd=$(mktemp -d) && cd "$d" && git init -q && git config user.name other && '
        "git config core.bare false && echo x > x && git add x && git -c user.email=a@b commit -q -m x && "
        "git branch extra && git init -q sub"
    )
    g = govern(policy(gate("git", script), gate("check", CHECK)))
    g.git("branch", "task")
    g.git("worktree", "add", "-q", str(tmp_path / "w"), "task")
    before = state_of(g)

    done = g.push("origin", "task", cwd=tmp_path / "w")

    assert 0 == done.code, done.err
    assert before == state_of(g)


def test_nothing_a_gate_does_to_git_reaches_the_users_repository(govern: Callable[..., Governed]):
    """Case 45: branches, tags, stashes, configuration, hooks and commits stay in the gates' repository."""
    script = (
        "git config user.name other && git config core.bare true && git config core.bare false && "
        "git branch extra && git tag extra && git update-ref refs/remotes/origin/main HEAD~0 && "
        "git checkout -q -b mine && git commit -q --allow-empty -m mine && echo x > x && git stash -q && "
        "touch $(git rev-parse --git-path hooks)/post-commit && git gc -q --prune=now"
    )
    g = govern(policy(gate("git", script)))
    g.branch("task", {"x": "1"})
    (g.path / "dirty").write_text("mine\n")
    g.git("stash", "-q", "-u")
    before, files = state_of(g), sorted(p.name for p in (g.path / ".git/hooks").iterdir())

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert before == state_of(g)
    assert files == sorted(p.name for p in (g.path / ".git/hooks").iterdir())
    assert "" == g.git("for-each-ref", "refs/heads/mine", "refs/heads/extra", "refs/tags")


def test_what_the_user_writes_while_gates_run_stays(govern: Callable[..., Governed]):
    """Case 44: `git config` and `git remote add` during a gate, whether it passes or fails."""
    g = govern(policy(gate("slow", 'touch "$COUNT"; until test -e "$COUNT.go"; do sleep 0.02; done; cat f')))
    g.branch("task", {"x": "1"})
    push = start_push(g)
    wait_for(g.count.exists, "the gate never started")

    g.git("config", "user.name", "while it ran")
    g.git("remote", "add", "second", "/elsewhere")
    g.git("branch", "while-it-ran")
    Path(f"{g.count}.go").touch()
    _, err = push.communicate(timeout=20)

    assert 0 == push.returncode, err
    assert "while it ran" == g.git("config", "user.name")
    assert "/elsewhere" == g.git("remote", "get-url", "second")
    assert g.git("rev-parse", "while-it-ran")


def test_two_pushes_at_once_keep_both_upstreams(govern: Callable[..., Governed], tmp_path: Path):
    """Case 44: `push -u` from two worktrees, each with a gate that waits for the other's; one ends after the other.

    Where both end at the same instant, git itself may find its configuration locked and keep one only.
    """
    both = (
        'me=$(cat x); touch "$COUNT.$me"; until [ -e "$COUNT.one" ] && [ -e "$COUNT.two" ]; do sleep 0.02; done; '
        'until [ $me = one ] || [ -e "$COUNT.go" ]; do sleep 0.02; done'
    )
    g = govern(policy(gate("both", both)))
    for name in ("one", "two"):
        g.git("worktree", "add", "-q", "-b", name, str(tmp_path / name))
        (tmp_path / name / "x").write_text(name)
        git(tmp_path / name, "add", "-A")
        git(tmp_path / name, "commit", "-q", "-m", name)
    pushes = [
        start_push(g, "git", "-C", str(tmp_path / name), "push", "-u", "origin", name)
        for name in ("one", "two")
    ]
    said = [pushes[0].communicate(timeout=60)[1]]
    Path(f"{g.count}.go").touch()
    said += [pushes[1].communicate(timeout=60)[1]]

    assert [0, 0] == [push.returncode for push in pushes], said
    for name in ("one", "two"):
        assert f"refs/heads/{name}" == g.git("config", f"branch.{name}.merge")


def test_forge_tokens_reach_no_gate_unless_it_names_them(govern: Callable[..., Governed]):
    """A gate is the repository's code, not the user's hands."""
    g = govern(
        policy(gate("one", 'env > "$COUNT"; exit 1'), gate("two", 'env > "$COUNT.2"', "env: [GH_TOKEN]"))
    )
    g.branch("task", {"x": "1"})
    secrets = {
        "GITHUB_TOKEN": "s3cret-1", "GH_TOKEN": "s3cret-2", "HARMLESS": "ghp_" + "s3cret" * 6, "NPM_TOKEN": "s3cret",
        "PLAIN": "visible", "ORCHESTRATOR_SOCKET": "/s3cret-5", "GIT_ASKPASS": "/s3cret-6",
    }  # fmt: skip

    done = g.push("origin", "task", env=secrets)

    one, two = g.count.read_text(), Path(f"{g.count}.2").read_text()
    assert "s3cret" not in one
    assert "PLAIN=visible" in one
    assert ["GH_TOKEN=s3cret-2"] == [line for line in two.splitlines() if "s3cret" in line]
    assert "s3cret" not in done.err
    assert "GITHUB_TOKEN" in done.err


@pytest.mark.slow
def test_a_password_in_a_remotes_url_reaches_no_gate_and_no_file_of_ours(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Neither as a variable, nor in the gates' repository, nor in what the hook remembers."""
    g = govern(
        policy(gate("env", 'env > "$COUNT"; git config --list >> "$COUNT"; git remote -v >> "$COUNT"'))
    )
    g.git("config", f"url.{g.repo.remote}.insteadOf", "https://me:s3cret@example.org/repo.git")
    g.git("remote", "add", "web", "https://me:s3cret@example.org/repo.git")
    g.branch("task", {"x": "1"})
    other = "https://me:s3cret@example.org/other.git"
    line = f"refs/heads/task {g.git('rev-parse', 'HEAD')} refs/heads/other {'0' * 40}\n"

    done = g.push("web", "task")
    subprocess.run(
        [g.path / ".git/hooks/pre-push", other, other], cwd=g.path, env=g.env(https_proxy="http://127.0.0.1:9"),
        input=line, text=True, capture_output=True, check=False,
    )  # fmt: skip

    assert 0 == done.code, done.err
    assert "example.org" in g.count.read_text()
    assert "s3cret" not in g.count.read_text()
    kept = [p for p in (g.path / ".git/orchestrator").rglob("*") if p.is_file()]
    assert kept
    assert [] == [p for p in kept if b"s3cret" in p.read_bytes()]


def test_a_shallow_clone_is_judged(g: Governed, tmp_path: Path):
    """Case 22: depth 1; the parent is unknown."""
    g.branch("task", {"f": "BAD\n"})
    clone = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{g.repo.remote}", str(clone))
    assert 0 == g.hook("install", cwd=clone).code
    git(clone, "checkout", "-q", "-b", "t")
    (clone / "f").write_text("BAD\n")
    git(clone, "commit", "-q", "-a", "-m", "bad")
    bad = g.push("origin", "t", cwd=clone)
    (clone / "f").write_text("GOOD 3\n")
    git(clone, "commit", "-q", "-a", "-m", "good")
    good = g.push("origin", "t", cwd=clone)

    assert bad.code != 0
    assert 0 == good.code, good.err
    assert g.push("origin", "t:main", cwd=clone).code != 0


def test_a_remote_commit_unknown_here_is_no_obstacle(g: Governed, tmp_path: Path):
    """Case 22: somebody else has pushed meanwhile; a forced push is judged by what it brings."""
    other = tmp_path / "other"
    g.branch("task", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "task").code
    git(tmp_path, "clone", "-q", "-b", "task", str(g.repo.remote), str(other))
    (other / "x").write_text("x")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "theirs")
    git(other, "push", "-q")
    g.commit({"f": "BAD\n"})
    bad = g.push("--force", "origin", "task")
    g.commit({"f": "GOOD 3\n"})

    assert bad.code != 0
    assert "check" in bad.err
    assert 0 == g.push("--force", "origin", "task").code


def test_the_first_push_to_an_empty_remote_works(g: Governed, tmp_path: Path):
    """Case 22: there is nothing to protect yet, and the gates of the commit are run."""
    fresh = tmp_path / "fresh"
    for name in ("a.git", "b.git"):
        git(tmp_path, "init", "-q", "--bare", "-b", "main", str(tmp_path / name))
    git(tmp_path, "init", "-q", "-b", "main", str(fresh))
    git(fresh, "remote", "add", "origin", str(tmp_path / "a.git"))
    assert 0 == g.hook("install", cwd=fresh).code
    (fresh / ".github").mkdir()
    (fresh / ".github/orchestrator.yml").write_text(policy(gate("check", CHECK)))
    (fresh / "f").write_text("BAD\n")
    git(fresh, "add", "-A")
    git(fresh, "commit", "-q", "-m", "first")
    bad = g.push("origin", "main", cwd=fresh)
    (fresh / "f").write_text("GOOD\n")
    git(fresh, "commit", "-q", "-a", "--amend", "-m", "first")
    first = g.push("-u", "origin", "main", cwd=fresh)
    git(fresh, "commit", "-q", "--allow-empty", "-m", "second")
    second = g.push("origin", "main", cwd=fresh)
    by_url = g.push(str(tmp_path / "b.git"), "main", cwd=fresh)

    assert bad.code != 0
    assert "check" in bad.err
    assert 0 == first.code, first.err
    assert second.code != 0
    assert "refs/heads/main" in second.err
    assert 0 == by_url.code, by_url.err


def test_an_unknown_remote_that_is_not_empty_is_protected(g: Governed, tmp_path: Path):
    """Case 22: never fetched from, but it has branches: a protected one is not created either."""
    git(tmp_path, "clone", "-q", "--bare", str(g.repo.remote), str(tmp_path / "second.git"))
    g.git("remote", "add", "second", str(tmp_path / "second.git"))

    assert g.push("second", "main:release/9").code != 0
    g.commit({"f": "GOOD 2\n"})
    assert g.push("second", "main").code != 0


def test_orphans_and_merges_are_commits_like_others(g: Governed):
    """Case 22."""
    g.branch("left", {"left": "1"})
    g.branch("right", {"right": "1"})
    g.git("merge", "-q", "--no-ff", "-m", "merge", "left")
    merged = g.push("origin", "right")
    g.git("checkout", "-q", "--orphan", "alone")
    g.git("rm", "-q", "-r", "-f", ".")
    bad = g.commit({"f": "BAD\n"}) and g.push("origin", "alone")
    good = g.commit({"f": "GOOD\n"}) and g.push("origin", "alone")

    assert 0 == merged.code, merged.err
    assert bad.code != 0
    assert 0 == good.code, good.err


@pytest.mark.parametrize(
    "name", few(["with space", "qu'ote", 'dou"ble', "dollar$(touch pwned)", "ünïcödé-漢字", "-dash"], 3)
)
def test_paths_are_only_data(tmp_path: Path, govern: Callable[..., Governed], name: str):
    """Case 23: the repository, the cache and HOME, with spaces, quotes and more."""
    g = govern(name=name)
    home = tmp_path / f"home {name}"
    home.mkdir()
    env = {"HOME": str(home)}
    g.branch("task", {"f": "BAD\n", "a b/ü'\".txt": "x"})
    bad = g.push("origin", "task", env=env)
    g.commit({"f": "GOOD 2\n"})
    good = g.push("origin", "task", env=env)

    assert bad.code != 0
    assert "check" in bad.err
    assert 0 == good.code, good.err
    assert [] == list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(
    "ref", few(["a;touch${IFS}pwned", "$(touch${IFS}pwned)", "`touch${IFS}pwned`", "a|b&c", "-n", "ü"], 3)
)
def test_ref_names_are_only_data(g: Governed, tmp_path: Path, ref: str):
    """Case 23."""
    g.branch("task", {"f": "BAD\n"})
    bad = g.push("origin", f"HEAD:refs/heads/{ref}")
    g.commit({"f": "GOOD 2\n"})
    good = g.push("origin", f"HEAD:refs/heads/{ref}")

    assert bad.code != 0
    assert 0 == good.code, good.err
    assert [] == list(tmp_path.rglob("pwned"))


def test_a_push_leaves_the_repository_as_it_was(g: Governed, tmp_path: Path):
    """Case 24: status, branches, stashes, worktrees as before; no post-checkout hook fired."""
    fired = tmp_path / "fired"
    hook = g.path / ".git/hooks/post-checkout"
    g.branch("task", {"f": "GOOD 2\n"})
    (g.path / "dirty").write_text("x")
    hook.write_text(f"#!/bin/sh\ntouch '{fired}'\n")
    hook.chmod(0o755)
    before, worktrees = state_of(g), g.git("worktree", "list", "--porcelain")

    done = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert before == state_of(g)
    assert worktrees == g.git("worktree", "list", "--porcelain")
    assert not fired.exists()
    assert not any(part.startswith(".") for part in g.tree.relative_to(g.cache).parts)


@pytest.mark.parametrize(
    "harm",
    few(
        [
            "deleted",
            "emptied",
            "dirty",
            "no .git",
            "other .git",
            "no repository",
            "index",
            "lock",
            "unwritable",
            "branch",
            "file",
        ],
        3,
    ),
)
def test_a_harmed_slot_is_repaired_and_tells_the_truth(g: Governed, tmp_path: Path, harm: str):
    """Case 25."""
    g.branch("one", {"f": "GOOD 1\n", "d/x": "x"})
    assert 0 == g.push("origin", "one").code
    slot = g.tree
    home = slot.parents[1]
    own = home / "repository.git"
    match harm:
        case "deleted":
            shutil.rmtree(slot)
        case "emptied":
            shutil.rmtree(slot)
            slot.mkdir()
        case "dirty":
            (slot / "f").write_text("GOOD 9\n")
            (slot / "left").write_text("GOOD\n")
            shutil.rmtree(slot / "d")
        case "no .git":
            (slot / ".git").unlink()
        case "other .git":
            (slot / ".git").write_text(f"gitdir: {g.path}/.git\n")
        case "no repository":
            shutil.rmtree(own)
        case "index":
            (own / "index").write_bytes(b"garbage")
            (home / "index").write_bytes(b"garbage")
        case "lock":
            (own / "index.lock").touch()
            (own / "HEAD.lock").touch()
            (home / "index.lock").touch()
        case "unwritable":
            (slot / "d/y").touch()
            (slot / "d").chmod(0o500)
        case "branch":
            git(slot, "checkout", "-q", "-b", "mine")
        case "file":
            shutil.rmtree(slot)
            slot.write_text("not a directory")
    g.branch("two", {"f": "BAD\n"})
    bad = g.push("origin", "two")
    g.branch("three", {"f": "GOOD 3\n", "d/x": "other"})
    good = g.push("origin", "three")

    assert bad.code != 0
    assert "gate check failed" in bad.err
    assert 0 == good.code, good.err


def test_a_run_killed_in_the_middle_leaves_nothing_that_matters(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Cases 17 and 25: everything killed at once, gate included in the slot's state."""
    g = govern(policy(gate("check", 'echo BAD > f; echo $$ > "$COUNT"; exec sleep 60')))
    g.branch("task", {"x": "1"})
    push = subprocess.Popen(
        ["git", "push", "origin", "task"], cwd=g.path, env=g.env(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not g.count.exists() or not g.count.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    push.send_signal(signal.SIGKILL)
    push.wait()
    g.count.unlink()
    # the policy changes at the base: the same slot, now an honest gate
    g.git("checkout", "-q", "main")
    g.commit({".github/orchestrator.yml": policy(gate("check", CHECK))})
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.branch("next", {"y": "1"})

    done = g.push("origin", "next")

    assert 0 == done.code, done.err


@pytest.mark.slow
def test_two_pushes_at_once_from_two_worktrees_are_both_right(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Case 25: each in a slot of its own."""
    both = (
        f'touch "$COUNT.$$"; n=0; while [ $(ls {tmp_path}/g-count.* | wc -l) -lt 2 ] && [ $n -lt 200 ]; '
        "do n=$((n+1)); sleep 0.05; done"
    )
    g = govern(policy(gate("check", f"{both}; grep -q GOOD f")))
    g.git("branch", "good")
    g.git("branch", "bad")
    for name, text in (("good", "GOOD 2\n"), ("bad", "BAD\n")):
        g.git("worktree", "add", "-q", str(tmp_path / name), name)
        (tmp_path / name / "f").write_text(text)
        git(tmp_path / name, "commit", "-q", "-a", "-m", name)
    pushes = [
        subprocess.Popen(
            ["git", "push", "origin", name],
            cwd=tmp_path / name,
            env=g.env(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("good", "bad")
    ]
    good, bad = (push.communicate(timeout=60)[1] for push in pushes)

    assert [0, 1] == [push.returncode for push in pushes], (good, bad)
    assert "gate check failed" in bad
    assert g.at_remote("refs/heads/good")
    assert "" == g.at_remote("refs/heads/bad")


def test_a_repository_that_is_home_itself_keeps_its_slots_elsewhere(govern: Callable[..., Governed]):
    """Case 18: dotfiles: ~/.cache would be inside the checkout."""
    g = govern(policy(gate("where", 'pwd > "$COUNT"')))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task", env={"HOME": str(g.path)})

    assert 0 == done.code, done.err
    assert not Path(g.count.read_text().strip()).is_relative_to(g.path)
    assert 0 == g.hook("uninstall", env={"HOME": str(g.path)}).code
    assert not Path(g.count.read_text().strip()).exists()
