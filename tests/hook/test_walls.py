"""Gates within walls: what they reach, what they do not, and that nothing of it holds up a push."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.sandbox.policy import Level
from orchestrator_action.sandbox.probe import find
from tests.hook.conftest import CHECK, Governed, gate, policy, processes_in, start_push, wait_for
from tests.kit.tables import few


def walled(*gates: str) -> str:
    """A configuration whose gates run within walls, or not at all."""
    return policy(*gates, isolation="required")


@pytest.fixture(scope="module", autouse=True)
def _walls_hold_here() -> None:
    found = find("auto", os.environ)
    if found.level is not Level.SANDBOXED:
        if os.environ.get("ORCHESTRATOR_REQUIRE_ALL"):
            pytest.fail(f"no sandbox here: {found.why}")
        pytest.skip(f"no sandbox here: {found.why}")


def test_gates_judge_within_walls(govern: Callable[..., Governed]):
    """Right both ways, from one remembered look at this machine."""
    g = govern(walled(gate("check", CHECK)))
    g.branch("bad", {"f": "BAD\n"})
    bad = g.push("origin", "bad")
    g.branch("good", {"f": "GOOD 2\n"})
    good = g.push("origin", "good")

    assert bad.code != 0
    assert "gate check failed" in bad.err
    assert "within walls" in bad.err
    assert 0 == good.code, good.err
    assert 1 == len(list(g.cache.rglob("walls-*")))


def test_a_walled_gate_has_git_and_its_tree(govern: Callable[..., Governed]):
    """It may ask git, commit, write what git ignores; /tmp is private and new each time."""
    command = (
        "git log -1 >/dev/null && git commit -q --allow-empty -m x && touch made.o && "
        "test ! -e /tmp/left && touch /tmp/left"
    )
    g = govern(walled(gate("git", command)), {".gitignore": "*.o\n"})
    for number in range(2):
        g.branch(f"task{number}", {"n": str(number)})
        done = g.push("origin", f"task{number}")
        assert 0 == done.code, done.err
    assert not Path("/tmp/left").exists()


@pytest.mark.parametrize("reach", few(["home", "checkout", "config", "tree of ours", "process"], 2))
def test_a_walled_gate_reaches_nothing_of_the_users(
    govern: Callable[..., Governed], tmp_path: Path, reach: str
):
    """Not the home, not the dirty checkout, not its configuration, not our state, no other process."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "secret").write_text("x")
    other = subprocess.Popen(["sleep", "60"])
    g = govern()
    command = {
        "home": f"cat {home}/secret",
        "checkout": f"cat {g.path}/f",
        "config": f"cat {g.path}/.git/config",
        "tree of ours": f"ls {g.cache}/orchestrator*/hook/*/1/lock",
        "process": f"kill {other.pid}",
    }[reach]
    g.commit({".github/orchestrator.yml": walled(gate("reach", command))})
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.branch("task", {"x": "1"})

    done = g.push("origin", "task", env={"HOME": str(home)})

    assert done.code != 0
    assert "gate reach failed" in done.err
    assert other.poll() is None
    other.kill()
    other.wait()


def test_the_end_of_the_push_is_the_end_of_walled_gates(govern: Callable[..., Governed]):
    """Within one second, daemons included."""
    g = govern(walled(gate("hold", "(setsid sleep 60 &); touch started; exec sleep 60")))
    g.branch("task", {"x": "1"})
    push = start_push(g)
    wait_for(lambda: any(tree.joinpath("started").exists() for tree in g.trees()), "the gate never started")

    push.kill()
    wait_for(lambda: not processes_in(g.cache), "a gate outlived its push", 2.0)
    push.communicate(timeout=20)

    assert "" == g.at_remote("refs/heads/task")


def test_walls_that_are_required_and_do_not_hold_refuse(govern: Callable[..., Governed], tmp_path: Path):
    """Without bubblewrap on PATH: said, with the cure."""
    g = govern(walled(gate("check", CHECK)))
    g.branch("task", {"x": "1"})
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("git", "sh", "grep", "rm", "chmod", "env"):
        (bin_ / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())

    done = g.push("origin", "task", env={"PATH": str(bin_)})

    assert done.code != 0
    assert "isolation is required and does not hold: bubblewrap is not installed" in done.err
    assert "apt-get install bubblewrap" in done.err
