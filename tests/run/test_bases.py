"""The base is measured before an agent is paid: what cannot run there ends the tasks, with the cure."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.run.bases import Bases
from orchestrator_action.run.setup import RunRequest, start_run
from tests.kit.repos import Repo
from tests.kit.runner import wait_for
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIBRARY, House, house

UNITTEST = f"{sys.executable} -m unittest discover"


@pytest.fixture
def home_with(make, tmp_path: Path):
    """A house whose configuration and other files are the test's choice."""

    def build(config: str, **files: str) -> House:
        repo: Repo = make({**LIBRARY, **files, ".github/orchestrator.yml": config})
        made = house(tmp_path, repo)
        made.issue(1, "Add more", GOOD)
        return made

    return build


@pytest.mark.parametrize(
    ("config", "words"),
    few(
        [
            ("label: orchestrate\n", "no test command is known"),
            ("test: no-such-runner --all\n", "no-such-runner is not installed"),
            (f'test: "{sys.executable} -m nowhere_to_be_found"\n', "No module named"),
            ("test: 'true'\n", "no test count could be read"),
            (f"setup: exit 7\ntest: {UNITTEST}\n", "setup command 'exit 7' failed: exit 7"),
        ],
        2,
    ),
    ids=["no command", "no runner", "no dependency", "no count", "set-up fails"],
)
def test_what_cannot_run_at_the_base_ends_the_task_before_an_agent_starts(home_with, config, words):
    """Blocked, exit 2, one line with the cure; the label stays for the next run."""
    home = home_with(config, **({} if "unittest" in config else {"tests/__init__.py": ""}))
    if "no test command" in words:
        for name in ("tests/__init__.py", "tests/test_numbers.py"):
            home.repo.git("rm", "-q", name)
        home.repo.git("commit", "-qm", "no tests")
        home.repo.push()

    ran = home.run()

    task = ran.task("issue-1")
    assert (2, "blocked", "action_required") == (ran.code, task["status"], task["conclusion"]), ran.err
    assert words in task["error"]
    assert [] == [e["kind"] for e in home.events() if e["kind"] in {"claimed", "attempt-started"}]
    issue = (home.forge / "issues" / "1.md").read_text()
    assert '"orchestrate"' in issue
    assert "orchestrate:" not in issue
    home.assert_tidy()


@pytest.mark.parametrize("policy", few(["off", "waivable"], 1))
def test_a_repository_that_does_not_ask_for_tests_is_not_blocked(home_with, policy):
    """`testing: off | waivable` is the repository's word for it."""
    home = home_with(f"test: no-such-runner\nphases: {{testing: '{policy}'}}\n")

    ran = home.run()

    assert "blocked" != ran.task("issue-1")["status"], ran.err
    started = list(home.repo.path.glob(".git/orchestrator/runs/*/tasks/*/evidence/tests-*"))
    assert policy != "off" or started == []


def test_tests_that_were_red_before_hinder_nobody(home_with):
    """A red base is for the facts to compare with, or for the agent to mend."""
    red = "import unittest\n\n\nclass Red(unittest.TestCase):\n    def test_red(self):\n        self.fail()\n"
    home = home_with(f"test: {UNITTEST}\n", **{"tests/test_red.py": red})

    ran = home.run()

    assert "blocked" != ran.task("issue-1")["status"], ran.err
    assert [e for e in home.events() if e["kind"] == "attempt-started"]


def test_agents_start_beside_a_suite_whose_first_test_has_ended(home_with, tmp_path: Path):
    """The rest of the suite goes on in a slot of its own; only the verdict waits for it."""
    signals = tmp_path / "signals"
    signals.mkdir()
    gate = signals / "agent-started"
    slow = (
        "import pathlib, time, unittest\n\n\nclass Slow(unittest.TestCase):\n    def test_a(self):\n        pass\n\n"
        "    def test_b(self):\n"
        f"        for _ in range(600):\n            if pathlib.Path({str(gate)!r}).exists():\n                return\n"
        "            time.sleep(0.1)\n        self.fail('no agent started')\n"
    )
    seen = f"sandbox: {{read: [{signals}]}}"
    home = home_with(f"test: {UNITTEST} -v\nsetup: 'true'\n{seen}\n", **{"tests/test_slow.py": slow})
    process = _started(home)
    try:
        wait_for(lambda: has_started(home), "the agent")
        gate.touch()
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()

    assert 0 == process.returncode, err


def has_started(home: House) -> bool:
    """Whether an agent of the run is at work."""
    runs = home.repo.path / ".git" / "orchestrator" / "runs"
    return runs.is_dir() and any("attempt-started" in j.read_text() for j in runs.glob("*/journal.jsonl"))


def _started(home: House) -> subprocess.Popen[str]:
    return subprocess.Popen(
        home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch", "--json"), cwd=home.repo.path,
        env=home.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_run_that_ends_as_it_begins_leaves_no_checkout_of_its_base(home_with) -> None:
    """What was only about to begin when the run ended is waited for, too."""
    home = home_with(f"test: {UNITTEST}\n")
    asked = RunRequest(
        repo=home.repo.path, forge=f"local:{home.forge}", flags={"agent": "patch", "isolation": "off"}
    )
    with start_run(asked, home.environment(), Cancel(), say=lambda _: None) as (found, run):
        for _ in range(5):
            bases = Bases(run, found.tasks)
            bases.start()
            bases.close()

            at_work = {"base", "base-suite"} & {t.name for t in threading.enumerate()}
            assert (set(), []) == (at_work, home.trees())
