"""A soak: hundreds of tasks at sixteen in parallel whose agents fail at random; is the orchestrator flat?

Each task gets a real worktree and a real process. `SOAK_TASKS` and `SOAK_SEED` change the size and the dice.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import Figure, show
from orchestrator_action.process import table as procs
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.model import RunReport
from orchestrator_action.run import setup as wiring
from orchestrator_action.run.run import run_tasks
from tests.kit.ill import Pids
from tests.kit.repos import make_repo
from tests.kit.scripted import ScriptedAgent, overloaded, say
from tests.kit.whole import LIBRARY, PACKAGE, House, alive, house

OPEN = {".github/orchestrator.yml": "isolation: off\n"}
"""The faults reach for their guard and leave their PIDs outside of their tree, which walls would not let them."""
FAULTS = {
    "fine": ["sh", "-c", ': > "$FOLDER/$$"'],
    "fails": ["sh", "-c", ': > "$FOLDER/$$"; exit 3'],
    "overloaded": overloaded(),
    "401": say({"problem": "401 unauthorized"}, then="exit 1"),
    "daemon": ["sh", "-c", 'setsid sh -c \': > "$FOLDER/$$"; trap "" TERM; sleep 1000\' & sleep 0.05'],
    "holds the pipe": ["sh", "-c", 'sleep 1000 & : > "$FOLDER/$$"'],
    "killed guard": ["sh", "-c", ': > "$FOLDER/$$"; kill -9 $PPID; sleep 1000'],
    "killed": ["sh", "-c", ': > "$FOLDER/$$"; kill -9 $$'],
    "loud": ["sh", "-c", ': > "$FOLDER/$$"; head -c 3000000 /dev/zero | tr "\\0" "x"'],
    "missing": ["/nowhere/agent"],
    "dirty": ["sh", "-c", "echo x > left-over; git add left-over"],
    "commits": ["sh", "-c", "echo x > made; git add made; git commit -qm made"],
}


@dataclass
class Watched:
    """What this process had open, and how much memory, about every quarter second."""

    rss_mib: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def quarters(self) -> tuple[float, float, float, float]:
        """Medians of memory in the second and the third quarter, then of files: neither warm-up nor end."""
        quarter = max(1, len(self.rss_mib) // 4)
        second, last = slice(quarter, 2 * quarter), slice(-2 * quarter, -quarter)
        return (
            statistics.median(self.rss_mib[second]), statistics.median(self.rss_mib[last]),
            statistics.median(self.files[second]), statistics.median(self.files[last]),
        )  # fmt: skip


@contextmanager
def watching() -> Iterator[Watched]:
    """Sample this process while the block runs."""
    watched, over = Watched(), threading.Event()

    def sample() -> None:
        while not over.wait(0.25):
            here = procs.read(os.getpid())
            watched.rss_mib.append(here.rss_bytes / procs.MIB if here else 0.0)
            watched.files.append(len(os.listdir("/proc/self/fd")))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        over.set()
        thread.join()


class Dice(ScriptedAgent):
    """Another fate for every attempt, the same for the same seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(env={"FOLDER": str(folder)})
        self._seed = seed

    def command(self, context, *, env, private):  # type: ignore[no-untyped-def]
        dice = random.Random(f"{self._seed} {context.task.id} {context.attempt}")
        self.programs = (FAULTS[dice.choice(sorted(FAULTS))],)
        self.given.clear()
        return super().command(context, env=env, private=private)


def soak(root: Path, tasks: int, slots: int, seed: int) -> tuple[RunReport, Watched, House]:
    """Run it in `root`, which every process of it names in its environment."""
    folder = root / "pids"
    folder.mkdir(parents=True)
    home = house(root, make_repo(root / "r", {**LIBRARY, **OPEN}))
    for number in range(1, tasks + 1):
        home.issue(number, f"Task {number}", "nothing to do")
    asked = wiring.RunRequest(
        repo=home.repo.path, forge=f"local:{home.forge}", flags={"agent": "patch", "max_parallel": slots}
    )
    with (
        wiring.start_run(asked, home.environment(), Cancel(), say=lambda _: None) as (found, parts),
        watching() as watched,
    ):
        parts = replace(parts, agents=lambda _: Dice(seed, folder))
        report = run_tasks(found.tasks, parts, slots=slots, tell=lambda _: None, first_wait_s=0.05)
    return report, watched, home


def at_64(root: Path) -> None:
    """Memory of an orchestrator of its own with 64 agents at once."""
    root.mkdir(parents=True)
    home = house(root, make_repo(root / "r", {**LIBRARY, **OPEN}))
    folder = root / "pids"
    folder.mkdir()
    for number in range(1, 65):
        home.issue(number, f"Task {number}", "nothing to do")
    agent = {"programs": [["sh", "-c", f": > {folder}/$$; exec sleep 20"]]}
    argv = [
        sys.executable,
        "-P",
        "-m",
        "tests.kit.conduct",
        "run",
        f"local:{home.forge}",
        json.dumps(agent),
        "64",
    ]
    process = subprocess.Popen(
        argv, cwd=home.repo.path, env={**home.environment(), "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    most, together = 0.0, 0
    while process.poll() is None:
        here = procs.read(process.pid)
        most = max(most, here.rss_bytes / procs.MIB if here else 0.0)
        together = max(together, len(Pids(folder).alive()))
        time.sleep(0.1)
    figures = [
        Figure(what=f"largest memory, {together} agents alive at once", value=most, unit="MiB", goal=80)
    ]
    show("An orchestrator with 64 tasks", figures)


def main() -> None:
    """500 tasks at 16, and the orchestrator's memory with 64 at once."""
    seed = int(os.environ.get("SOAK_SEED", "7"))
    count = int(os.environ.get("SOAK_TASKS", "500"))
    root = Path(tempfile.mkdtemp(prefix="oa-soak-"))
    try:
        began = time.monotonic()
        report, watched, _ = soak(root, count, 16, seed)
        took = time.monotonic() - began
        before, after, files_before, files_after = watched.quarters()
        zombies = [p for p in procs.descendants(os.getpid(), exact=True) if p.ended]
        print(
            f"seed {seed}: {count} tasks in {took:.0f} s, {dict(Counter(str(t.status) for t in report.tasks))}"
        )
        print(f"failures: {dict(Counter(str(f) for t in report.tasks for f in t.failures))}")
        show(
            f"Soak: {count} tasks at 16, faults at random (seed {seed})",
            [
                Figure(what="tasks without exactly one end", value=count - len({t.task_id for t in report.tasks}),
                       unit="", goal=0),
                Figure(what="survivors", value=len(alive(root)), unit="", goal=0),
                Figure(what="zombies", value=len(zombies), unit="", goal=0),
                Figure(what="memory grown, second to third quarter", value=after - before, unit="MiB", goal=8),
                Figure(what="open files grown, second to third quarter", value=files_after - files_before,
                       unit="", goal=4),
                Figure(what="largest memory, all of this benchmark in it", value=max(watched.rss_mib), unit="MiB"),
            ],
        )  # fmt: skip
        at_64(root / "64")
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
