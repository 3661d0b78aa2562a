"""Where and how `git push` is started changes nothing of what it is judged by."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy
from tests.hook.test_manager_table import HERE, MANAGERS
from tests.kit.repos import git
from tests.kit.tables import few


@pytest.fixture
def both(g: Governed) -> Governed:
    """Two branches, `bad` and `good`; the second is checked out."""
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"x": "1"})
    return g


def judged(
    g: Governed, what: str, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """The bad branch is refused by its gate, the good one goes; `argv` comes before `git`'s verb."""
    bad, good = (g.call(*(argv or ["git"]), "push", "--force", "origin", f"{name}:refs/heads/{name}", cwd=cwd, env=env)
                 for name in ("bad", "good"))  # fmt: skip
    assert bad.code != 0, what
    assert "gate check failed" in bad.err, (what, bad.err)
    assert 0 == good.code, (what, good.err)


def test_what_git_is_told_by_the_environment_changes_nothing(both: Governed, tmp_path: Path):
    """A GUI, an IDE, a script that has set what git knows."""
    g = both
    (tmp_path / "elsewhere").mkdir()
    told: dict[str, dict[str, str]] = {
        "a work tree": {"GIT_WORK_TREE": "."},
        "a relative git folder": {"GIT_DIR": ".git"},
        "an index": {"GIT_INDEX_FILE": str(tmp_path / "index")},
        "objects": {"GIT_OBJECT_DIRECTORY": str(g.path / ".git/objects")},
        "traces": {"GIT_TRACE": "1"},
        "bare repositories by name only": {
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.bareRepository", "GIT_CONFIG_VALUE_0": "explicit",
        },
    }  # fmt: skip
    before = g.git("status", "--porcelain")

    for what, env in told.items():
        judged(g, what, env=env)
    away = {"GIT_DIR": str(g.path / ".git"), "GIT_WORK_TREE": str(tmp_path / "elsewhere")}
    judged(g, "a work tree elsewhere", cwd=tmp_path, env=away)
    judged(g, "a mask", "sh", "-c", 'umask 077; exec git "$@"', "sh")
    assert before == g.git("status", "--porcelain")


def test_what_is_set_for_peoples_eyes_changes_nothing(both: Governed):
    """Colours, columns, signatures, another form of diffs."""
    settings = {
        "color.ui": "always", "column.ui": "always", "log.showSignature": "true", "log.date": "relative",
        "diff.noprefix": "true", "diff.relative": "true", "status.short": "true", "core.pager": "false",
        "core.quotePath": "true", "core.worktree": str(both.path),
    }  # fmt: skip
    for key, value in settings.items():
        both.git("config", key, value)

    judged(both, "settings")
    assert 0 == both.hook("status").code
    assert "was judged" in both.hook("audit").out


@pytest.mark.parametrize("how", few(["no PATH", "cron", "no standard input", "no locale"], 2))
def test_a_push_from_a_program_without_a_terminal(both: Governed, how: str):
    """A GUI that was started without PATH, cron without HOME."""
    env = both.env()
    if how == "no PATH":
        del env["PATH"]
    elif how == "cron":
        env = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "RUNNER_TEMP": env["RUNNER_TEMP"]}
    elif how == "no locale":
        env |= {"LANG": "xx_YY.ISO-8859-1", "LC_ALL": "xx_YY"}
    closed = "exec <&-; " if how == "no standard input" else ""
    program = str(shutil.which("git"))

    bad, good = (
        subprocess.run(
            ["/bin/sh", "-c", f'{closed}exec {program} push origin "$0"', name], cwd=both.path, env=env, text=True,
            capture_output=True, start_new_session=True, stdin=subprocess.DEVNULL, check=False,
        ) for name in ("bad", "good")
    )  # fmt: skip

    assert bad.returncode != 0
    assert "gate check failed" in bad.stderr
    assert 0 == good.returncode, good.stderr


def test_a_program_that_is_not_on_the_path_of_a_gui_is_named_with_that_path(govern: Callable[..., Governed]):
    """Pushed from a terminal it may well be found, so the path is what to look at."""
    g = govern(policy(gate("lint", "my-own-lint")))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task", env={"PATH": "/usr/bin:/bin"})

    assert done.code != 0
    assert "exit 127: a program it names was not found" in done.err
    assert "PATH of this push: /usr/bin:/bin\n" in done.err


@pytest.mark.parametrize("state", few(["rebase", "merge", "bisect", "am", "cherry-pick"], 1))
def test_a_push_in_the_middle_of_something_else(g: Governed, state: str):
    """What is under way stays as it was, and what is pushed is judged by its commit."""
    g.branch("one", {"f": "GOOD 1\n"})
    g.git("checkout", "-q", "main")
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"f": "GOOD 2\n"})
    patch = g.path.parent / "one.patch"
    patch.write_text(g.git("format-patch", "--stdout", "main..one") + "\n")
    command = {"bisect": ["bisect", "start", "good", "main"], "am": ["am", str(patch)]}
    g.git(*command.get(state, [state, "one"]), check=False)
    before = g.git("status"), g.git("diff"), g.git("rev-parse", "HEAD")

    judged(g, state)

    assert before == (g.git("status"), g.git("diff"), g.git("rev-parse", "HEAD"))


def test_a_push_by_a_step_of_a_rebase_is_judged(g: Governed):
    """git has variables of its own set for that."""
    g.branch("task", {"f": "BAD\n"})
    g.commit({"f": "GOOD 3\n"})

    done = g.call("git", "rebase", "-q", "-x", "git push origin HEAD:refs/heads/by-step", "main")

    assert done.code != 0
    assert "gate check failed" in done.err
    g.git("rebase", "--abort")


def test_a_submodule_pushed_along_is_judged_by_its_own_hook(govern: Callable[..., Governed]):
    """`--recurse-submodules=on-demand`: a refusal there holds the parent back, too."""
    inner = govern(name="s")
    inner.git("checkout", "-q", "-b", "dev")
    inner.git("push", "-q", "--no-verify", "origin", "dev")
    g = govern()
    add = (
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        "-b",
        "dev",
        str(inner.repo.remote),
        "lib",
    )
    assert 0 == g.call("git", *add, env={"GIT_ALLOW_PROTOCOL": "file"}).code
    g.git("checkout", "-q", "-b", "dev")
    lib = g.path / "lib"
    assert 0 == g.hook("install", cwd=lib).code

    ended = []
    for text in ("BAD\n", "GOOD again\n"):
        (lib / "f").write_text(text)
        git(lib, "commit", "-qam", "change")
        g.git("commit", "-qam", "a newer lib")
        ended.append(
            (g.push("--recurse-submodules=on-demand", "origin", "dev"), g.at_remote("refs/heads/dev"))
        )

    (bad, at_bad), (good, at_good) = ended
    assert bad.code != 0
    assert "gate check failed" in bad.err
    assert "" == at_bad
    assert 0 == good.code, good.err
    assert at_good == g.git("rev-parse", "HEAD")
    assert git(lib, "rev-parse", "HEAD") == inner.at_remote("refs/heads/dev")


def test_objects_lent_by_a_lenders_lender_are_there_within_walls(
    govern: Callable[..., Governed], tmp_path: Path
):
    """A clone of a clone, each made with `--shared`."""
    command = f"git fsck --connectivity-only && git log --oneline && {CHECK}"
    g = govern(policy(gate("check", command), isolation="required"))
    one, two = tmp_path / "one", tmp_path / 'the "second" #2'
    git(tmp_path, "clone", "-q", "--shared", str(g.path), str(one))
    git(one, "commit", "-q", "--allow-empty", "-m", "here only")
    git(tmp_path, "clone", "-q", "--shared", str(one), str(two))
    git(two, "remote", "set-url", "origin", str(g.repo.remote))
    assert 0 == g.hook("install", cwd=two).code
    git(two, "checkout", "-q", "-b", "task")

    done = g.push("origin", "task", cwd=two)

    assert 0 == done.code, done.err


@pytest.mark.parametrize("form", few(["tree:0", "blob:none"], 1))
def test_a_partial_clone_pushes_elsewhere_while_its_promisor_is_away(g: Governed, tmp_path: Path, form: str):
    """To a backup on a stick, in a train."""
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(g.repo.remote, "config", key, "true")
    clone, backup = tmp_path / "partial", tmp_path / "backup.git"
    git(tmp_path, "clone", "-q", f"--filter={form}", f"file://{g.repo.remote}", str(clone))
    assert 0 == g.hook("install", cwd=clone).code
    shutil.copytree(g.repo.remote, backup)
    git(clone, "remote", "add", "backup", str(backup))
    git(clone, "checkout", "-q", "-b", "task")
    (clone / "x").write_text("1")
    git(clone, "add", "x")
    git(clone, "commit", "-q", "-m", "change")
    g.repo.remote.rename(tmp_path / "away.git")

    done = g.push("backup", "task", cwd=clone)

    assert 0 == done.code, done.err


def test_a_linked_worktree_whose_pointer_is_relative_is_not_what_is_tested(
    govern: Callable[..., Governed], tmp_path: Path
):
    """git writes it so with `worktree.useRelativePaths`, from 2.48 on."""
    command = f"{sys.executable} -c 'import pkg; raise SystemExit(pkg.value != 1)'"
    g = govern(policy(gate("tests", command)), {"src/pkg.py": "value = 1\n"})
    linked = tmp_path / "linked"
    g.git("worktree", "add", "-q", "-b", "bad", str(linked))
    (linked / "src/pkg.py").write_text("value = 2\n")
    git(linked, "commit", "-qam", "bad")
    (linked / "src/pkg.py").write_text("value = 1\n")
    pointer = g.path / ".git/worktrees/linked/gitdir"
    pointer.write_text(os.path.relpath(linked / ".git", pointer.parent) + "\n")

    done = g.push("origin", "bad", env={"PYTHONPATH": str(linked / "src")})

    assert done.code != 0
    assert "gate tests failed" in done.err


@pytest.mark.parametrize("name", ["re\u2028po", "re\x85po", 'it\'s a "repo"', "-repo"])
def test_a_repository_may_lie_anywhere(govern: Callable[..., Governed], tmp_path: Path, name: str):
    """In a folder of any name, and a linked worktree in another one."""
    g = govern(name=name)
    linked = tmp_path / f"linked {name}"
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"x": "1"})
    g.git("worktree", "add", "-q", "--detach", str(linked))

    judged(g, "the checkout")
    judged(g, "a linked worktree", cwd=linked)


def test_a_hooks_path_is_meant_from_the_top_of_the_checkout(govern: Callable[..., Governed]):
    """Also when the hook is installed from a folder below it."""
    g = govern(install=False, files={"sub/x": "1"})
    g.git("config", "core.hooksPath", ".git/hooks")

    below, top = g.hook("install", cwd=g.path / "sub"), g.hook("install")

    assert [0, 0] == [below.code, top.code], below.err
    g.branch("bad", {"f": "BAD\n"})
    assert g.push("origin", "bad").code != 0


def test_no_variable_is_a_way_round(g: Governed):
    """Not even the one by which gates are known: it has to name a gate that runs."""
    g.branch("bad", {"f": "BAD\n"})

    for name in ("ORCHESTRATOR_GATE", "ORCHESTRATOR_RUN", "ORCHESTRATOR_FILES"):
        done = g.push("origin", "bad", env={name: "x"})
        assert done.code != 0, name
        assert "gate check failed" in done.err, name


def test_a_gate_that_pushes_another_governed_repository_is_judged_there(govern: Callable[..., Governed]):
    """Only a push of the same repository would run its own gates again."""
    other = govern(name="other")
    other.branch("bad", {"f": "BAD\n"})
    g = govern(policy(gate("nested", f"cd {other.path} && ! git push origin bad")))
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task")

    assert "" == other.at_remote("refs/heads/bad")
    assert 0 == done.code, done.err


@pytest.mark.parametrize("manager", few(["pre-commit", "prek"], 1))
def test_a_manager_that_asks_git_again_asks_it_in_the_same_place(
    govern: Callable[..., Governed], manager: str
):
    """`git -C folder push`: whoever runs the hook is in that folder already."""
    g = govern(install=False)
    g.more["PATH"] = f"{HERE}:{os.environ['PATH']}"
    MANAGERS[manager](g)
    g.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "the manager's file")
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"x": "1"})
    config = ("-c", "advice.pushUpdateRejected=false")

    bad, good = (
        g.call("git", "-C", g.path.name, *config, "push", "origin", name, cwd=g.path.parent)
        for name in ("bad", "good")
    )

    assert bad.code != 0
    assert "gate check failed" in bad.out + bad.err
    assert 0 == good.code, good.out + good.err
