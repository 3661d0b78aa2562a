"""`resume RUN` on a machine that never ran it: from the branch and the trail that the dead run had pushed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.repos import Repo, git
from tests.kit.runner import wait_for
from tests.kit.whole import GOOD, House, alive, copy, house

pytestmark = pytest.mark.timeout(200)
TRAIL = "refs/orchestrator/tasks/issue-1"


def killed(home: House, tmp_path: Path) -> tuple[str, str]:
    """A run that was killed while its tests ran; its id, and the commit it had pushed."""
    signals = tmp_path / "signals"
    signals.mkdir()
    go_on, mark = signals / "go-on", signals / "testing"
    hang = f"touch {mark}; sleep 600"
    quick = f"[ ! -e more.py ] || [ -e {go_on} ]"
    test = f"if {quick}; then {sys.executable} -m unittest discover; else {hang}; fi"
    walls = f"sandbox: {{write: [{signals}]}}"  # the tests tell us where they are, and wait for us
    home.repo.commit({".github/orchestrator.yml": f"agent: patch\n{walls}\ntest: {json.dumps(test)}\n"})
    home.repo.push()
    home.issue(1, "Add more", GOOD)
    process = subprocess.Popen(
        home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch"), cwd=home.repo.path,
        env=home.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def pushed() -> bool:
        name = git(home.repo.remote, "ls-tree", "--name-only", TRAIL, check=False)
        text = git(home.repo.remote, "show", f"{TRAIL}:{name.strip()}", check=False)
        return mark.exists() and '"phase":"implementation","rule"' in text

    wait_for(pushed, "the push")
    process.kill()
    process.wait()
    wait_for(lambda: not alive(home.repo.path, home.temp), "the end of all processes")
    go_on.touch()
    return home.run_dir.name, home.repo.at_remote("refs/heads/orchestrator/issue-1-add-more")


@pytest.fixture
def elsewhere(home: House, tmp_path: Path) -> tuple[House, str, str]:
    run, head = killed(home, tmp_path)
    other = house(tmp_path, Repo(copy(home.repo, tmp_path / "clone"), home.repo.remote))
    other.forge = home.forge
    return other, run, head


def test_a_run_of_another_machine_is_gone_on_with(elsewhere: tuple[House, str, str]):
    at, run, head = elsewhere

    ran = at.cli("resume", run, "--forge", f"local:{at.forge}", "--json")

    task = ran.task("issue-1")
    assert (0, "success", head) == (ran.code, task["status"], task["head_sha"]), ran.err
    assert 1 == len(list((at.forge / "pulls").glob("*/pull.md")))
    assert f"it goes on at {head[:12]}" in ran.err
    at.assert_tidy()


def test_a_run_that_nobody_knows_is_named(elsewhere: tuple[House, str, str]):
    at, _, _ = elsewhere

    ran = at.cli("resume", "20260101-000000-abcdef", "--forge", f"local:{at.forge}")

    assert (2, True) == (ran.code, "no run 20260101-000000-abcdef is known here" in ran.err)


def test_a_run_that_ended_elsewhere_leaves_nothing_to_go_on_with(elsewhere: tuple[House, str, str]):
    at, run, _ = elsewhere
    assert 0 == at.cli("resume", run, "--forge", f"local:{at.forge}").code

    again = at.cli("resume", run, "--forge", f"local:{at.forge}")

    assert (2, True) == (again.code, "no issue that it left open" in again.err), again.err
