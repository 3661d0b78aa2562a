"""Install, uninstall and status; the other paths are the other managers' (HOOK-CASES 32 to 35)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy, tree_of
from tests.kit.repos import git
from tests.kit.tables import few


def test_installing_twice_is_installing_once(g: Governed):
    """Case 32."""
    before = tree_of(g.path / ".git/hooks")

    assert 0 == g.hook("install").code
    assert before == tree_of(g.path / ".git/hooks")
    assert 0 == g.hook("status").code


def test_what_is_installed_is_a_shell_script_with_the_interpreter_in_it(g: Governed):
    """Case 34: never the interpreter in the #! line."""
    hook = g.path / ".git/hooks/pre-push"

    lines = hook.read_text().splitlines()

    assert "#!/bin/sh" == lines[0]
    assert f"python='{sys.executable}'" in lines
    assert os.access(hook, os.X_OK)


@pytest.mark.parametrize("scope", few(["--global", "--local"], 1))
def test_a_foreign_hooks_path_is_never_written_to(
    govern: Callable[..., Governed], tmp_path: Path, scope: str
):
    """Case 33: husky's way; the cure is one line."""
    g = govern(install=False)
    foreign = g.path / ".husky/_" if scope == "--local" else tmp_path / "company hooks"
    foreign.mkdir(parents=True)
    (foreign / "pre-push").write_text("#!/bin/sh\nexit 0\n")
    home = {"HOME": str(tmp_path)}
    value = ".husky/_" if scope == "--local" else str(foreign)
    assert 0 == g.call("git", "config", scope, "core.hooksPath", value, env=home).code
    before, own = tree_of(foreign), tree_of(g.path / ".git/hooks")

    done = g.hook("install", env=home)

    version = tuple(int(n) for n in git(g.path, "version").split()[2].split(".")[:2])
    assert before == tree_of(foreign)
    assert own == tree_of(g.path / ".git/hooks")
    if version < (2, 54):
        assert 2 == done.code
        assert 'orchestrator-action hook pre-push "$@"' in done.err
        assert 1 == g.hook("status", env=home).code
    else:
        assert 0 == done.code
        g.commit({"f": "GOOD 2\n"})
        assert g.push("origin", "main", env=home).code != 0
        assert 0 == g.hook("status", env=home).code
        assert 0 == g.hook("uninstall", env=home).code
        assert 0 == g.push("origin", "main", env=home).code


def test_the_line_for_other_managers_judges_all_refs(govern: Callable[..., Governed]):
    """Case 33: what husky's .husky/pre-push runs, with git's own arguments and stdin."""
    g = govern(install=False)
    husky = g.path / ".husky"
    husky.mkdir()
    line = f'exec "{sys.executable}" -I -m orchestrator_action.hook pre-push "$@"'
    (husky / "pre-push").write_text(f"#!/bin/sh\n{line}\n")
    (husky / "pre-push").chmod(0o755)
    g.git("config", "core.hooksPath", ".husky")
    g.branch("bad", {"f": "BAD\n"})

    refused = g.push("origin", "main:refs/heads/good", "bad")

    assert refused.code != 0
    assert "refs/heads/bad" in refused.err
    assert 0 == g.push("origin", "main:refs/heads/good").code


def test_an_own_hooks_path_is_written_to(govern: Callable[..., Governed]):
    """Case 33: core.hooksPath that names .git/hooks itself is nobody else's."""
    g = govern(install=False)
    g.git("config", "core.hooksPath", str(g.path / ".git/hooks"))

    assert 0 == g.hook("install").code
    assert 0 == g.hook("status").code


@pytest.mark.parametrize(
    ("harm", "word"),
    few([
        ("displaced", "displaced"), ("removed", "not installed"), ("edited", "edited"),
        ("mode", "not executable"), ("shadowed", "shadowed"), ("moved aside", "displaced"),
        ("interpreter", "broken"),
    ], 3),
)  # fmt: skip
def test_status_sees_what_keeps_the_hook_from_its_work(g: Governed, harm: str, word: str):
    """Case 33."""
    hook = g.path / ".git/hooks/pre-push"
    match harm:
        case "displaced":
            hook.write_text("#!/bin/sh\nexit 0\n")
        case "removed":
            hook.unlink()
        case "edited":
            hook.write_text(hook.read_text().replace("exec ", "exit 0; exec "))
        case "mode":
            hook.chmod(0o644)
        case "shadowed":
            (g.path / "elsewhere").mkdir()
            g.git("config", "core.hooksPath", "elsewhere")
        case "moved aside":
            hook.rename(hook.with_name("pre-push.legacy"))
            hook.write_text("#!/bin/sh\nexit 0\n")
        case "interpreter":
            hook.write_text(hook.read_text().replace(sys.executable, "/nowhere/python"))

    done = g.hook("status")

    assert 1 == done.code
    assert done.out.startswith(word)


def test_an_older_version_of_ours_is_replaced_not_taken_for_an_edit(g: Governed):
    """Case 32: after an upgrade `status` says so and `install` does it; a kept hook stays kept.

    The interpreter that starts fastest is measured anew, so it can be another one of this machine.
    """
    from orchestrator_action.hook import install

    hook = g.path / ".git/hooks/pre-push"
    now = hook.read_bytes()
    older = now.replace(b"version 1.", b"version 0.").replace(b"exit 1\n", b"exit 3\n")
    stated = re.search(rb"# digest: (\w+)", older)
    assert stated
    hook.write_bytes(older.replace(stated[1], install._digest(older)))

    status, again = g.hook("status"), g.hook("install")

    assert status.out.startswith("outdated")
    assert 0 == again.code, again.err
    fast = re.compile(rb"(?m)^fast=.*$")
    assert fast.sub(b"", now) == fast.sub(b"", hook.read_bytes())
    assert not hook.with_name("pre-push.orchestrator-kept").exists()


@pytest.mark.parametrize("gone", ["python", "door"])
def test_without_the_tools_environment_a_push_ends_at_once_with_the_cure(g: Governed, gone: str):
    """Case 34: git before 2.54 would hang for ever on a missing interpreter."""
    hook = g.path / ".git/hooks/pre-push"
    lines = [
        f"{gone}='/gone/for/ever'" if line.startswith(f"{gone}=") else line
        for line in hook.read_text().splitlines()
    ]
    hook.write_text("\n".join(lines) + "\n")
    g.branch("task", {"f": "GOOD 2\n"})

    done = g.push("origin", "task")

    assert 1 == done.code
    assert "orchestrator-action hook install" in done.err
    assert "nothing was pushed" in done.err
    assert done.seconds < 5


def test_half_an_installation_refuses_with_the_cure(g: Governed, tmp_path: Path):
    """Case 34: the door is there and the rest is not."""
    broken = tmp_path / "broken/orchestrator_action"
    broken.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "orchestrator_action/hook.py", broken)
    hook = g.path / ".git/hooks/pre-push"
    old = str(Path(__file__).parents[2] / "orchestrator_action/hook.py")
    hook.write_text(hook.read_text().replace(old, str(broken / "hook.py")))
    g.branch("task", {"f": "GOOD 2\n"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert "orchestrator-action hook install" in done.err
    assert "Traceback" not in done.err


def test_a_plain_copy_of_the_file_finds_the_tool_on_path(govern: Callable[..., Governed], tmp_path: Path):
    """`cp hooks/pre-push .git/hooks/`: works with the tool on PATH, refuses without."""
    g = govern(install=False)
    source = Path(__file__).parents[2] / "hooks/pre-push"
    shutil.copy(source, g.path / ".git/hooks/pre-push")
    tools = tmp_path / "tools"
    tools.mkdir()
    entry = tools / "orchestrator-action"
    entry.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -I -m orchestrator_action.hook "$@"\n')
    entry.chmod(0o755)
    g.branch("task", {"f": "BAD\n"})
    bare = "/usr/bin:/bin"
    without = g.push("origin", "task", env={"PATH": bare})
    refused = g.push("origin", "task", env={"PATH": f"{tools}:{bare}"})
    g.commit({"f": "GOOD 2\n"})
    allowed = g.push("origin", "task", env={"PATH": f"{tools}:{bare}"})

    assert without.code != 0
    assert "not on PATH" in without.err
    assert "gate check failed" in refused.err
    assert 0 == allowed.code, allowed.err


@pytest.mark.parametrize("kind", ["foreign", "edited"])
def test_uninstall_does_not_touch_what_is_not_ours(g: Governed, kind: str):
    """Case 35."""
    hook = g.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 0\n" if kind == "foreign" else hook.read_text() + "# mine\n")
    before = tree_of(g.path / ".git")

    done = g.hook("uninstall")

    assert 2 == done.code
    assert before == tree_of(g.path / ".git")


def test_uninstall_leaves_no_slot_behind(g: Governed):
    """The cache and `git worktree list` are as before; twice is once."""
    g.branch("task", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "task").code
    assert g.trees()

    codes = [g.hook("uninstall").code, g.hook("uninstall").code]

    assert [0, 0] == codes
    assert [] == g.trees()
    assert [] == [p for p in g.cache.rglob("*") if p.is_file()]
    assert not (g.path / ".git/hooks/pre-push").exists()


def test_uninstall_leaves_the_record_and_nothing_else(g: Governed, tmp_path: Path):
    """What was remembered of the remote goes, too."""
    g.branch("feat", {"x": "1"})
    g.git("push", "-q", "--no-verify", "origin", "feat")
    clone = tmp_path / "single"
    git(tmp_path, "clone", "-q", "--single-branch", "-b", "feat", f"file://{g.repo.remote}", str(clone))
    git(clone, "commit", "-q", "--allow-empty", "-m", "more")
    assert 0 == g.hook("install", cwd=clone).code
    assert 0 == g.push("origin", "HEAD:refs/heads/y", cwd=clone).code

    assert 0 == g.hook("uninstall", cwd=clone).code

    assert ["journal"] == [kept.name for kept in (clone / ".git/orchestrator/hook").iterdir()]


@pytest.mark.slow
def test_uninstall_waits_for_nobody_and_disturbs_nobody(govern: Callable[..., Governed]):
    """While a push runs gates, its slot stays."""
    g = govern(policy(gate("hold", 'echo run >> "$COUNT"; until test -e "$COUNT.go"; do sleep 0.02; done')))
    g.branch("task", {"x": "1"})
    push = subprocess.Popen(["git", "push", "-q", "origin", "task"], cwd=g.path, env=g.env())
    deadline = time.monotonic() + 20
    while not g.runs and time.monotonic() < deadline:
        time.sleep(0.01)

    done = g.hook("uninstall")
    Path(f"{g.count}.go").touch()

    assert 5 == done.code
    assert "a push is running" in done.err
    assert 0 == push.wait(20)
    assert 0 == g.hook("status").code


@pytest.mark.parametrize("kind", few(["linked worktree", "bare", "submodule"], 1))
def test_the_hook_goes_where_git_looks_for_it(g: Governed, tmp_path: Path, kind: str):
    """Case 33: linked worktrees share it, a bare repository and a submodule have their own."""
    g.hook("uninstall")
    match kind:
        case "linked worktree":
            where = tmp_path / "w"
            g.git("worktree", "add", "-q", "-b", "task", str(where))
            hook = g.path / ".git/hooks/pre-push"
        case "bare":
            where = tmp_path / "b.git"
            git(tmp_path, "clone", "-q", "--bare", str(g.repo.remote), str(where))
            hook = where / "hooks/pre-push"
        case _:
            outer = tmp_path / "outer"
            git(tmp_path, "init", "-q", "-b", "main", str(outer))
            git(
                outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(g.repo.remote), "sub"
            )
            where, hook = outer / "sub", outer / ".git/modules/sub/hooks/pre-push"

    assert 0 == g.hook("install", cwd=where).code
    assert hook.exists()
    if kind != "bare":
        git(where, "commit", "-q", "--allow-empty", "-m", "x")
    done = g.push("origin", "HEAD:refs/heads/t", cwd=where)
    assert 0 == done.code, done.err
    assert g.push("origin", "+HEAD:refs/heads/release/1", cwd=where).code != 0
    assert 0 == g.hook("uninstall", cwd=where).code
    assert not hook.exists()


def test_outside_a_repository_it_says_so(g: Governed, tmp_path: Path):
    """An exit code for git, and no traceback."""
    for verb in ("install", "uninstall", "status", "audit", "run"):
        done = g.hook(verb, cwd=tmp_path)
        assert 5 == done.code, (verb, done)
        assert "not in a git repository" in done.err
        assert "Traceback" not in done.err


def test_nothing_is_imported_from_the_checkout(govern: Callable[..., Governed], tmp_path: Path):
    """A module of any name in the checkout, on PYTHONPATH or in the user's site is not ours to run."""
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    names = (
        "dataclasses",
        "os",
        "select",
        "signal",
        "orchestrator_action",
        "yaml",
        "sitecustomize",
        "ctypes",
    )
    g = govern(policy(gate("check", CHECK)), {f"{name}.py": trap for name in names})
    g.branch("task", {"f": "GOOD 2\n"})

    done = g.push("origin", "task", env={"PYTHONPATH": str(g.path), "PYTHONSTARTUP": str(g.path / "os.py")})

    assert 0 == done.code, done.err
    assert not (tmp_path / "ran").exists()


def test_the_file_is_valid_posix_sh(g: Governed):
    """dash reads it without a word."""
    done = subprocess.run(
        ["/bin/sh", "-n", str(g.path / ".git/hooks/pre-push")], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
