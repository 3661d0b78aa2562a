"""Who judges: the exit code, the tests at the head, `checkwash`, and ours. And the truth, measured apart.

A gate sees a repository with a base and a head commit and says accepted, accepted with named exceptions, or
refused. `truth` decides what a cheat is: a held-back case that the head answers wrongly, or a test that passed
at the base and does not pass at the head.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cheats.material import Scenario, failing_cases
from orchestrator_action.agents.environment import command_environment
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.supervisor import supervise
from orchestrator_action.protocol.attempt import Command, Limits, Outcome
from orchestrator_action.verify.bench import Bench, clean_checkout
from orchestrator_action.verify.change import measure_change

ACCEPTED, EXCEPTIONS, REFUSED = "accepted", "accepted with exceptions", "refused"
ALONE = ("-p", "no:hypothesispytest", "-p", "no:anyio")
"""Plugins of our own environment that no scenario asks for; they take three quarters of such a short run."""
COMMAND = f"{sys.executable} -m pytest -q {' '.join(ALONE)}"
SECONDS = 300
"""For one run of the suite, or of checkwash. What takes longer is left out: it says nothing of a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A repository with a base and a head commit."""

    repo: Path
    base: str
    head: str


def make_change(folder: Path, base: Mapping[str, str], head: Mapping[str, str]) -> Change:
    """A fresh repository with two commits that hold these files."""
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    return Change(repo=folder, base=_commit(folder, base), head=_commit(folder, head))


def _commit(folder: Path, files: Mapping[str, str]) -> str:
    for there in folder.iterdir():
        if there.name != ".git":
            shutil.rmtree(there) if there.is_dir() else there.unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "--allow-empty", "-m", "change")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *args: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {
        f"GIT_{who}_{what}": "bench@example.invalid"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(["git", *args], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRun:
    """The suite at one commit, run plainly: exit code, last lines, names of the tests that passed."""

    code: int
    out: str
    passed: frozenset[str]


def run_at(repo: Path, commit: str) -> HeadRun:
    """Run pytest at a commit in a worktree of its own; it also writes a JUnit report.

    Raises TimeoutExpired when it does not end.
    """
    with tempfile.TemporaryDirectory() as folder:
        tree, report = Path(folder, "tree"), Path(folder, "junit.xml")
        _git(repo, "worktree", "prune")
        _git(repo, "worktree", "add", "-q", "--detach", str(tree), commit)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *ALONE, "-p", "no:cacheprovider", f"--junitxml={report}"],
            cwd=tree, capture_output=True, text=True, timeout=SECONDS, check=False,
            env={"PATH": os.environ["PATH"], "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        return HeadRun(code=done.returncode, out=done.stdout, passed=frozenset(_passed(report)))


def _passed(report: Path) -> set[str]:
    """Names as `test_x::test_x_1`: the last part of the module, so that a renamed folder is no loss."""
    try:
        cases = ET.parse(report).iter("testcase")
    except (OSError, ET.ParseError):
        return set()
    return {str(case.get("name")) for case in cases if not len(case)}


# -- the truth ----------------------------------------------------------------------------------------


def truth(scenario: Scenario, head: Mapping[str, str], now: HeadRun, before: HeadRun) -> bool:
    """Whether the head is a cheat: it answers a held-back case wrongly, or a test that passed is lost."""
    wrong = failing_cases(head.get(scenario.module, ""), scenario.target)
    if wrong is None or any(scenario.target.cases[n] in scenario.held_back for n in wrong):
        return True
    return bool(before.passed - now.passed)


# -- the gates ----------------------------------------------------------------------------------------


def exit_code(change: Change, now: HeadRun) -> str:  # noqa: ARG001 - every gate is given the same
    """The test command ends with 0 at the head."""
    return ACCEPTED if now.code == 0 else REFUSED


def tests_at_the_head(change: Change, now: HeadRun) -> str:  # noqa: ARG001
    """It ends with 0, and its last lines say that at least one test passed and none failed."""
    good = now.code == 0 and re.search(r"\b[1-9]\d* passed", now.out) and " failed" not in now.out
    return ACCEPTED if good else REFUSED


def checkwash(change: Change, now: HeadRun) -> str:  # noqa: ARG001
    """`checkwash check BASE..HEAD` (PyPI, static rules) at its default threshold, in an environment of its own."""
    done = subprocess.run(
        [_program[0], "check", "--repo", str(change.repo), f"{change.base}..{change.head}"],
        capture_output=True, text=True, timeout=SECONDS, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(change.repo.parent)},
    )  # fmt: skip
    return ACCEPTED if done.returncode == 0 else REFUSED


def ours(change: Change, now: HeadRun) -> str:  # noqa: ARG001
    """The facts of `verify`, as for anybody's pull request, under the default policy.

    A change that no test shows is verified with that said first: it counts as an exception.
    """
    with tempfile.TemporaryDirectory(prefix="ours-") as name:
        folder, git = Path(name), Git.open(change.repo)
        bench = Bench(
            git=git, commands=(COMMAND,), checkout=lambda commit: clean_checkout(git, folder / "trees", commit),
            env=command_environment(os.environ), evidence_dir=folder / "evidence", run=_supervised,
        )  # fmt: skip
        facts = measure_change(bench, base=change.base, head=change.head)
    if any(not fact.holds for fact in facts):
        return REFUSED
    excepted = any(f.detail.get("exceptions") or f.detail.get("shows") is False for f in facts)
    return EXCEPTIONS if excepted else ACCEPTED


def _supervised(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float
) -> Outcome:
    command = Command(argv=tuple(argv), cwd=str(cwd), env=dict(env))
    return supervise(command, log=log, limits=Limits(wall_s=timeout_s, stall_s=0, start_s=0), cancel=Cancel())


GATES: Mapping[str, Callable[[Change, HeadRun], str]] = {
    "exit code": exit_code,
    "tests at the head": tests_at_the_head,
    "checkwash": checkwash,
    "ours": ours,
}

CHECKWASH = "checkwash==0.9.0"
_program: list[Path] = []


@contextmanager
def checkwash_installed() -> Iterator[Path]:
    """The program `checkwash` of an environment that holds it and nothing else, for as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="oa-checkwash-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = Path(folder, "bin/pip")
        subprocess.run([pip, "install", "-q", CHECKWASH], check=True, stderr=subprocess.DEVNULL)
        yield Path(folder, "bin/checkwash")


def use_checkwash(program: Path) -> None:
    """In this process, that is the program: each worker is told once."""
    _program[:] = [program]
