"""`hook status` and `audit` say what is true, whoever owns the hooks (HOOK-CASES 50 and 51)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import Governed
from tests.hook.test_manager_table import HERE, MANAGERS
from tests.kit.tables import few


@pytest.fixture
def bare(govern: Callable[..., Governed]) -> Governed:
    """A governed repository without our hook, and our command on PATH."""
    g = govern(install=False)
    g.more["PATH"] = f"{HERE}:{os.environ['PATH']}"
    return g


@pytest.mark.parametrize("manager", few(MANAGERS, 2))
def test_a_managers_documented_set_up_is_in_force(bare: Governed, manager: str):
    """Case 50: with the README's own lines; and nothing was pushed or left by finding out."""
    before = bare.hook("status")
    MANAGERS[manager](bare)
    remote = bare.remote_refs()

    done = bare.hook("status")

    assert 0 != before.code
    assert "not installed" in before.out
    assert 0 == done.code, done.out + done.err
    assert "installed" in done.out
    if manager != "`hook install`":
        assert manager in done.out
    assert remote == bare.remote_refs()
    assert "" == bare.git("for-each-ref", "refs/heads/orchestrator-probe")


@pytest.mark.parametrize("manager", ["husky", "lefthook", "pre-commit", "prek"])
@pytest.mark.parametrize("how", few(["commented", "not executable", "gone"], 1))
def test_a_set_up_that_does_nothing_is_not_in_force(bare: Governed, manager: str, how: str):
    """Case 50: the line is only a comment, git ignores the hook, or the manager's file is gone."""
    MANAGERS[manager](bare)
    files = {
        "husky": ".husky/pre-push",
        "lefthook": "lefthook.yml",
        "pre-commit": ".pre-commit-config.yaml",
        "prek": ".pre-commit-config.yaml",
    }
    file = bare.path / files[manager]
    if how == "commented":
        text = "".join(f"# {line}\n" for line in file.read_text().splitlines())
        file.write_text(
            "repos: []\n" + text if "pre-" in file.name else text + "true: {}\n" * (manager == "lefthook")
        )
    elif how == "gone":
        file.unlink()
    else:
        active = bare.git("rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-push")
        Path(active).chmod(0o644)

    done = bare.hook("status")

    assert 0 != done.code, done.out
    assert done.out.strip()
    assert not done.out.startswith("installed")


def test_a_worktree_in_which_nothing_runs_is_not_in_force(bare: Governed, tmp_path: Path):
    """Case 50: husky's folder is made by `npm install`, which nobody ran in this worktree."""
    MANAGERS["husky"](bare)
    bare.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))

    assert 0 == bare.hook("status").code
    assert 0 != bare.hook("status", cwd=tmp_path / "linked").code


def test_nobody_gets_round_the_hook_by_the_probes_variable(govern: Callable[..., Governed], tmp_path: Path):
    """Case 50: the probe is always refused."""
    g = govern()
    g.branch("task", {"f": "BAD\n"})

    done = g.push("origin", "task", env={"ORCHESTRATOR_PROBE": str(tmp_path)})

    assert done.code != 0
    assert "nothing was pushed" in done.err
    assert "" == g.at_remote("refs/heads/task")


def test_status_says_what_is_demanded_and_by_whom(govern: Callable[..., Governed]):
    """By the remote's default branch as it is known here, whatever the checkout holds."""
    g = govern()
    configured = g.hook("status").out
    head = g.git("rev-parse", "origin/main")[:12]
    g.git("rm", "-q", ".github/orchestrator.yml")
    g.git("commit", "-q", "-m", "no configuration")
    g.git("update-ref", "refs/remotes/origin/main", "HEAD")
    bare = g.hook("status").out
    g.commit({".github/orchestrator.yaml": "hook: {}\n"})
    g.git("update-ref", "refs/remotes/origin/main", "HEAD")
    near = g.hook("status")

    assert f"judged by: .github/orchestrator.yml of {head} (origin/HEAD)\n" in configured
    assert "\ngates: check\n" in configured and "\nprotected: main" in configured
    assert "judged by: the default policy; origin/HEAD has no .github/orchestrator.yml yet\n" in bare
    assert (
        "\nprotected: main, master, release/*\ngates: none (hook.gates in .github/orchestrator.yml)\n" in bare
    )
    assert 0 == near.code
    assert "every push is refused: " in near.out and "orchestrator.yaml is not read" in near.out


def test_doctor_mentions_the_hook(bare: Governed):
    """Case 50: whether it is there, and whether it was replaced; none is no fault."""

    def row() -> str:
        said = bare.call(str(HERE / "orchestrator-action"), "doctor")
        out = said.out + said.err
        [line] = [line for line in out.splitlines() if " hook: " in line]
        return line

    missing = row()
    assert 0 == bare.hook("install").code
    there = row()
    (bare.path / ".git/hooks/pre-push").write_text("#!/bin/sh\n")

    assert "ok   hook: not installed" == missing
    assert "ok   hook: installed" == there
    assert "displaced" in row()


def test_audit_says_what_it_cannot_know(govern: Callable[..., Governed], tmp_path: Path):
    """Case 51: tags, a bare URL, what was deleted since."""
    g = govern()
    g.branch("task", {"x": "1"})
    g.git("tag", "v1")
    g.git("push", "-q", "--no-verify", "origin", "v1")
    g.git("push", "-q", "--no-verify", str(g.repo.remote), "task:by-url")
    g.git("push", "-q", "--no-verify", "origin", "task:short-lived")
    g.git("push", "-q", "--no-verify", "origin", ":short-lived")

    done = g.hook("audit")

    for word in ("tags", "a bare URL", "deleted since"):
        assert word in done.out
    assert "every push since" not in done.out


@pytest.mark.parametrize("how", few(["off", "expired"], 1))
def test_audit_says_when_the_reflog_does_not_tell(govern: Callable[..., Governed], how: str):
    """Case 51: without reflogs, and with one that lost its beginning."""
    g = govern()
    g.branch("task", {"x": "1"})
    if how == "off":
        g.git("config", "core.logAllRefUpdates", "false")
        g.git("push", "-q", "--no-verify", "origin", "task")
    else:
        g.git("push", "-q", "--no-verify", "origin", "task")
        time.sleep(1.1)  # reflogs count in seconds
        g.commit({"x": "2"})
        assert 0 == g.push("origin", "task").code
        g.git("reflog", "delete", "refs/remotes/origin/task@{1}")

    done = g.hook("audit")

    assert "not known" in done.out
    assert ("reflogs are off" if how == "off" else "where its reflog begins") in done.out


def test_audit_prints_no_raw_escapes(govern: Callable[..., Governed]):
    """Case 51: a reason, and a remote, may hold anything."""
    g = govern()
    g.git("remote", "add", "odd", str(g.repo.remote))
    g.branch("task", {"f": "BAD\n"})
    reason = "why\033[2J\u202enot"
    assert 0 == g.push("origin", "task", env={"ORCHESTRATOR_SKIP": reason}).code

    done = g.hook("audit")

    assert "why" in done.out
    assert not set("\033\u202e") & set(done.out)


def test_status_is_of_the_repository_that_git_is_told_of(govern: Callable[..., Governed], tmp_path: Path):
    """Case 50: GIT_DIR from another folder."""
    g = govern()
    away = {"GIT_DIR": str(g.path / ".git"), "GIT_WORK_TREE": str(g.path)}

    assert 0 == g.hook("status", cwd=tmp_path, env=away).code
    shutil.rmtree(g.path / ".git/hooks")
    assert 0 != g.hook("status", cwd=tmp_path, env=away).code
