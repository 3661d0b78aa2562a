"""Ways to a wrong pass by a second name: of the folder, of the default branch, of the remote, of a program."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import CHECK, PROTECTED, Governed, gate, policy
from tests.kit.repos import git
from tests.kit.tables import few

COUNTED = f"echo run >> $COUNT; {CHECK}"


def let_a_day_pass(g: Governed) -> None:
    """Make what the remote answered a day and an hour old."""
    for kept in (g.path / ".git/orchestrator/hook/base").iterdir():
        lines = kept.read_text().split("\n")
        lines[6] = f"{time.time() - 90_000:.0f}"
        kept.write_text("\n".join(lines))


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_a_configuration_behind_a_link_is_said_and_refused(govern: Callable[..., Governed], what: str):
    """Case 40: `.github` is a link to a folder that has it: git shows no file there, an editor does."""
    g = govern()
    assert 0 == g.push("origin", "main:warm").code
    g.git("mv", ".github", "gh")
    if what == "a link":
        (g.path / ".github").symlink_to("gh")
    else:
        (g.path / ".github").write_text("gh\n")
    g.commit({"x": "1"})
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.branch("task", {"f": "BAD\n"})

    done = g.push("origin", "task")

    assert done.code != 0
    assert ".github is no folder but a link or a file" in done.err
    assert "" == g.at_remote("refs/heads/task")


def test_a_default_branch_of_another_name_is_found_within_a_day(g: Governed):
    """Case 38: the remote's default branch got another name, and the old one still stands in this clone."""
    assert 0 == g.push("origin", "main:warm").code
    g.git("checkout", "-q", "-b", "trunk", "main")
    g.commit({".github/orchestrator.yml": policy(gate("check", "grep -q BETTER f"), protected="[trunk]")})
    g.git("push", "-q", "--no-verify", "origin", "trunk")
    git(g.repo.remote, "symbolic-ref", "HEAD", "refs/heads/trunk")
    g.branch("task", {"f": "GOOD 2\n"})
    let_a_day_pass(g)

    done = g.push("origin", "task")

    assert done.code != 0
    assert "gate check failed" in done.err
    assert "is protected by" in g.push("origin", "+task:trunk").err


def test_a_remote_that_does_not_answer_any_more_is_judged_as_it_was(g: Governed):
    """No push fails for the daily question: here the remote says nothing to those who ask."""
    assert 0 == g.push("origin", "main:warm").code
    let_a_day_pass(g)
    g.branch("task", {"f": "BAD\n"})
    for hidden in ("refs", "HEAD"):
        git(g.repo.remote, "config", "--add", "uploadpack.hideRefs", hidden)
    assert "" == g.git("ls-remote", "origin")

    bad = g.push("origin", "task")
    g.branch("good", {"f": "GOOD 2\n"})
    good = g.push("origin", "good")

    assert "gate check failed" in bad.err
    assert 0 == good.code, good.err


@pytest.mark.parametrize("spelled", few(["as it is", "with a slash", "relative", "by file:"], 2))
def test_a_second_name_for_a_remote_opens_nothing(govern: Callable[..., Governed], spelled: str):
    """Case 49: a rule for `my-fork` holds for a fork, not for the remote itself under that name."""
    more = "  remotes: [{match: my-fork, protected-branches: []}]\n"
    g = govern(policy(gate("check", COUNTED, 'skip: ["remote:my-fork"]'), more=more))
    at = str(g.repo.remote)
    urls = {
        "as it is": at, "with a slash": f"{at}/", "by file:": f"file://{at}",
        "relative": os.path.relpath(at, g.path),
    }  # fmt: skip
    g.git("remote", "add", "my-fork", urls[spelled])
    g.commit({"f": "BAD\n"})

    protected = g.push("my-fork", "main")
    skipped = g.push("my-fork", "main:other")

    assert "refs/heads/main is protected" in protected.err
    assert "gate check failed" in skipped.err
    assert g.git("rev-parse", "main~") == g.at_remote("refs/heads/main")


@pytest.mark.parametrize(
    "now", few(["isolation: auto\n", "network: [agents]\n", "sandbox: {read: [/opt]}\n"], 1)
)
def test_a_pass_counts_for_the_walls_that_it_was_earned_in(govern: Callable[..., Governed], now: str):
    """Case 41: what passed in the open may not pass within walls."""
    own = policy(gate("check", COUNTED))
    g = govern(own)
    g.branch("task", {"x": "1"})
    assert 0 == g.push("origin", "task").code
    g.git("checkout", "-q", "main")
    changed = own.replace("isolation: off\n", "") if now.startswith("isolation") else own
    assert changed != own or not now.startswith("isolation")
    g.commit({".github/orchestrator.yml": now + changed.replace("$COUNT", "${COUNT:-/dev/null}")})
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.git("checkout", "-q", "task")

    walled = g.push("origin", "task:again")
    again = g.push("origin", "task:once-more")

    assert 0 == walled.code, walled.err
    assert ": check" in walled.err
    assert ": check" not in again.err


def test_a_package_replaced_behind_a_shim_is_another_tool(govern: Callable[..., Governed], tmp_path: Path):
    """Case 41: pyenv's shims stay as they are; what they start changes."""
    root = tmp_path / ".pyenv"
    site = root / "versions/3.11.9/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (root / "shims").mkdir()
    shim = root / "shims/python3"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)
    g = govern(policy(gate("check", f"python3 -c 'import sys' && {COUNTED}")))
    g.more["PATH"] = f"{shim.parent}:{os.environ['PATH']}"
    g.branch("task", {"x": "1"})
    assert 0 == g.push("origin", "task").code
    assert 0 == g.push("origin", "task:same").code
    assert 1 == g.runs

    (site / "another").mkdir()

    assert 0 == g.push("origin", "task:other").code
    assert 2 == g.runs


def test_the_rules_of_a_remote_hold_when_no_other_has_its_url(
    govern: Callable[..., Governed], tmp_path: Path
):
    """Case 49, the honest user: a fork of one's own keeps its rules beside a remote of another URL."""
    g = govern(policy(protected=PROTECTED, more="  remotes: [{match: my-fork, protected-branches: []}]\n"))
    fork = tmp_path / "fork.git"
    git(tmp_path, "clone", "-q", "--bare", str(g.repo.remote), str(fork))
    g.git("remote", "add", "my-fork", str(fork))
    g.commit({"x": "1"})

    assert 0 == g.push("my-fork", "main").code
    assert 0 != g.push("origin", "main").code
