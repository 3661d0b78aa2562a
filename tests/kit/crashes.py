"""Runs that are killed and resumed to their end, and what that left: at random points, or at every step there is."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.kit.ill import eventually
from tests.kit.repos import make_repo
from tests.kit.whole import LIBRARY, PACKAGE, House, alive, house, new_file

EVENTS = 90
"""About as many as a run of two tasks writes."""
KILLS = 2
"""At most so many times the same run is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What a run came to after it was killed; everything but `killed_at` and `ends` should be nothing."""

    killed_at: tuple[str, ...]
    """The last event before each kill."""
    ends: dict[str, str]
    lost_commits: int
    duplicates: tuple[str, ...]
    survivors: tuple[str, ...]
    left: tuple[str, ...]
    """Worktrees, locks and labels that should not be there."""

    @property
    def faultless(self) -> bool:
        """Nothing lost, nothing twice, nobody alive, every task a success."""
        wrong = (self.lost_commits, self.duplicates, self.survivors, self.left)
        return not any(wrong) and set(self.ends.values()) == {"success"}


def crash(root: Path, seed: int, tasks: int = 2) -> Survived:
    """One run of `tasks` with the patch agent, killed at points that `seed` chooses, resumed to its end."""
    dice = random.Random(seed)
    home = _home(root, tasks)
    killed: list[str] = []
    for _ in range(dice.randint(1, KILLS)):
        _killed(home, dice, killed)
    return _resumed(home, tasks, tuple(killed), f"seed {seed}")


def crash_at_step(root: Path, step: int) -> Survived | None:
    """One task, killed right after step `step` of `dying` (negative: before it); None when there are not so many."""
    home = _home(root, 1)
    agent, flags = json.dumps({"programs": ["patch"]}), json.dumps({"dies_at": step})
    argv = [sys.executable, "-P", "-m", "tests.kit.conduct", "run", f"local:{home.forge}", agent, "1", flags]
    env = {**home.environment(), "PYTHONPATH": str(PACKAGE)}
    code = subprocess.run(
        argv, cwd=home.repo.path, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    ).returncode
    return _resumed(home, 1, (_last_event(home),), f"step {step}") if code < 0 else None


GIT = """#!/bin/sh
# The {at}th git of the process in `pid` kills that process, and then {then}.
if [ "$PPID" = "$(cat {root}/pid 2>/dev/null)" ]; then
  printf x >>{root}/count
  if [ "$(wc -c <{root}/count)" -ge {at} ] && mkdir {root}/struck 2>/dev/null; then
    kill -9 "$PPID"
    {then}
  fi
fi
exec {git} "$@"
"""


def crash_at_git(root: Path, number: int, *, works_on: bool) -> Survived | None:
    """One task, killed by its `number`th git, which then works on or does nothing; None when there are not so many."""
    home = _home(root, 1)
    (root / "bin").mkdir()
    program = root / "bin" / "git"
    then = ":" if works_on else "exit 1"
    program.write_text(GIT.format(at=number, then=then, root=root, git=shutil.which("git")))
    program.chmod(0o755)
    env = {**home.environment(), "PATH": f"{program.parent}{os.pathsep}{home.environment()['PATH']}"}
    with subprocess.Popen(
        home.command("run", "--forge", f"local:{home.forge}", "--agent", "patch"), cwd=home.repo.path, env=env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        (root / "pid").write_text(str(process.pid))
        code = process.wait()
    return _resumed(home, 1, (_last_event(home),), f"git {number}") if code < 0 else None


def _home(root: Path, tasks: int) -> House:
    home = house(root, make_repo(root / "r", LIBRARY))
    for number in range(1, tasks + 1):
        home.issue(number, f"Task {number}", "x\n\n" + new_file(f"more{number}.py"))
    return home


def _resumed(home: House, tasks: int, killed: tuple[str, ...], what: str) -> Survived:
    """Resume, or begin again what never began; and look at what is there then."""
    eventually(lambda: not alive(home.repo.path, home.temp), what="the end of what the guards had to end")
    ran = home.cli(*_verb(home), "--json")
    assert ran.out, f"{what}: {ran.code} {ran.err}"
    return _seen(home, ran.report, tasks, killed)


def _verb(home: House) -> list[str]:
    anew = ["run", "--forge", f"local:{home.forge}", "--agent", "patch"]
    return ["resume", "last"] if _started(home) else anew


def _killed(home: House, dice: random.Random, killed: list[str]) -> None:
    """Start or resume, and kill after a random number of further events, or a little later."""
    before = len(_events(home))
    until, later_s = before + dice.randint(0, EVENTS), dice.choice([0.0, 0.0, 0.01, 0.1])
    process = subprocess.Popen(
        home.command(*_verb(home)), cwd=home.repo.path, env=home.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and len(_events(home)) < until:
        time.sleep(0.002)
    time.sleep(later_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.append(_last_event(home))


def _last_event(home: House) -> str:
    events = _events(home)
    return str(json.loads(events[-1])["kind"]) if events else "nothing"


def _events(home: House) -> list[bytes]:
    """The complete lines of the latest run's journal."""
    try:
        raw = (home.run_dir / "journal.jsonl").read_bytes()
    except (OSError, IndexError):
        return []
    return raw.split(b"\n")[:-1]


def _started(home: House) -> bool:
    return any(b'"kind":"run-started"' in line for line in _events(home))


def _seen(home: House, report: dict, tasks: int, killed: tuple[str, ...]) -> Survived:  # type: ignore[type-arg]
    twice, left, lost = [], [], 0
    heads = Counter(
        line.split(":", 1)[1].strip()
        for pull in (home.forge / "pulls").glob("*/pull.md")
        for line in pull.read_text().splitlines()
        if line.startswith("head:")
    )
    twice += [f"{n} pulls of {branch}" for branch, n in heads.items() if n > 1]
    for number in range(1, tasks + 1):
        comments = len(list((home.forge / "comments" / str(number)).glob("*.md")))
        twice += [f"{comments} comments on issue {number}"] if comments > 1 else []
        left += [f"no comment on issue {number}"] if not comments else []
        if "orchestrate:running" in (home.forge / "issues" / f"{number}.md").read_text().split("---")[1]:
            left.append(f"issue {number} still says running")
    for task in report["tasks"]:
        lost += (
            task["head_sha"] != home.repo.at_remote(f"refs/heads/{task['branch']}") or not task["head_sha"]
        )
        reviews = len(
            list((home.forge / "pulls" / str((task["pull"] or {}).get("number", 0)) / "reviews").glob("*"))
        )
        twice += [f"{reviews} reviews of {task['task_id']}"] if reviews > 1 else []
    left += home.trees()
    left += [str(lock) for lock in (home.repo.path / ".git").glob("**/*.lock")]
    return Survived(
        killed_at=killed,
        ends={t["task_id"]: t["status"] for t in report["tasks"]},
        lost_commits=lost,
        duplicates=tuple(twice),
        survivors=tuple(alive(home.repo.path, home.temp)),
        left=tuple(left),
    )
