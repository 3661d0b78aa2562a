"""The remote says what is demanded, by whatever URL it is reached, and whatever its HEAD says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy, processes_in, start_push, wait_for
from tests.hook.test_never_allowed import NO_RULES, commit_in, single_branch_clone
from tests.kit.repos import git
from tests.kit.tables import few


@pytest.mark.parametrize("known", ["one branch", "a tracking ref moved by hand"])
def test_a_remote_whose_head_leads_nowhere_is_judged_by_its_usual_branch(
    g: Governed, tmp_path: Path, known: str
):
    """`git init --bare` names a default branch that nobody ever pushes; the branch itself does not decide."""
    git(g.repo.remote, "symbolic-ref", "HEAD", "refs/heads/never-pushed")
    where = g.path
    if known == "one branch":
        where = single_branch_clone(g, tmp_path)
        git(where, "config", "user.name", "a")
    else:
        g.git("checkout", "-q", "-b", "evil")
    commit_in(where, ".github/orchestrator.yml", NO_RULES)
    commit_in(where, "f", "BAD\n")
    if known == "one branch":
        git(where, "push", "-q", "--no-verify", "origin", "HEAD")
    else:
        g.git("update-ref", "refs/remotes/origin/main", "evil")

    protected = g.push("origin", "HEAD:main", cwd=where)
    gated = g.push("origin", "HEAD:refs/heads/other", cwd=where)

    assert protected.code != 0
    assert "refs/heads/main is protected" in protected.err
    assert gated.code != 0
    assert "gate check failed" in gated.err


def by_url(g: Governed, how: str, tmp_path: Path) -> str:
    """Lead the remote to its repository in another way; what to push to."""
    url = str(g.repo.remote)
    match how:
        case "a path":
            return url
        case "a file URL":
            return f"file://{url}"
        case "an URL to push to":
            g.git("remote", "set-url", "origin", "https://forge.invalid/x")
            g.git("remote", "set-url", "--push", "origin", url)
        case "two of them":
            shutil.copytree(url, tmp_path / "second.git")
            g.git("remote", "set-url", "--push", "origin", url)
            g.git("remote", "set-url", "--add", "--push", "origin", str(tmp_path / "second.git"))
        case "insteadOf":
            g.git("config", f"url.{g.repo.remote.parent}/.insteadOf", "short:")
            g.git("remote", "set-url", "origin", "short:remote.git")
        case "pushInsteadOf":
            g.git("config", f"url.{g.repo.remote.parent}/.pushInsteadOf", "https://forge.invalid/")
            g.git("remote", "set-url", "origin", "https://forge.invalid/remote.git")
    return "origin"


@pytest.mark.parametrize(
    "how", few(["two of them", "a path", "a file URL", "an URL to push to", "insteadOf", "pushInsteadOf"], 2)
)
def test_a_remote_is_the_same_by_any_url(govern: Callable[..., Governed], tmp_path: Path, how: str):
    """And a pass counts for each of them."""
    g = govern(policy(gate("check", f"echo run >> $COUNT; {CHECK}")))
    g.branch("bad", {"f": "BAD\n"})
    g.git("checkout", "-q", "main")
    g.branch("good", {"x": "1"})
    remote = by_url(g, how, tmp_path)

    bad, protected, good = (g.push(remote, ref) for ref in ("bad", "good:main", "good"))

    assert "gate check failed" in bad.err
    assert "refs/heads/main is protected" in protected.err
    assert 0 == good.code, good.err
    assert (3 if how == "two of them" else 2) == g.runs  # the bad one at each URL
    assert g.git("rev-parse", "good") == g.at_remote("refs/heads/good")
    asked = list((g.path / ".git/orchestrator/hook/base").iterdir())
    assert (2 if how == "two of them" else 1) == len(asked)


def test_a_push_killed_while_its_remote_is_asked_runs_no_gate_and_leaves_nobody(
    govern: Callable[..., Governed], tmp_path: Path
):
    """A server that takes the push and does not answer the question."""
    g = govern(policy(gate("check", "echo run >> $COUNT")))
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f'#!/bin/sh\ncase "$*" in\n*upload-pack*) : >{tmp_path}/asked; exec sleep 300;;\n'
        f"*receive-pack*) exec git-receive-pack {g.repo.remote};;\nesac\n"
    )
    ssh.chmod(0o755)
    g.branch("task", {"x": "1"})
    g.git("remote", "set-url", "origin", "ssh://host/x")
    g.more["GIT_SSH"] = str(ssh)

    with start_push(g) as push:
        wait_for((tmp_path / "asked").exists, "the remote is asked")
        push.kill()
    wait_for(
        lambda: not processes_in(tmp_path), "nobody is left before the half minute that a remote is given"
    )

    assert 0 == g.runs
