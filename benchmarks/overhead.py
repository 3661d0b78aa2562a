"""What one task costs in the orchestrator itself: `patch` tasks that do nothing, eight in parallel.

The peer is the work nobody can leave out, in the same run: `git worktree add` and `git worktree remove` plus
one start of the agent's Python, per task. Goal: below 0.5 s of orchestrator time per task at 8.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kit.repos import make_repo
from tests.kit.whole import LIBRARY, THERE, house

TASKS, SLOTS = 64, 8


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def orchestrator(root: Path, tasks: int) -> tuple[float, float, dict[str, object]]:
    """Wall and CPU seconds of a whole run of `tasks` tasks that need no change, and its report."""
    home = house(root, make_repo(root / "r", LIBRARY))
    for number in range(1, tasks + 1):
        home.issue(number, f"Task {number}", THERE)
    cpu, start = _cpu(), time.perf_counter()
    ran = home.run("--max-parallel", str(SLOTS))
    wall = time.perf_counter() - start
    assert ran.code == 0, ran.err
    return wall, _cpu() - cpu, ran.report


def unavoidable(root: Path) -> float:
    """Wall seconds of the bare steps for as many tasks, as parallel: worktree, interpreter, worktree."""
    repo = make_repo(root / "peer", LIBRARY).path
    lock = root / "lock"

    def one(number: int) -> None:
        tree = str(root / f"tree-{number}")
        add = ["git", "worktree", "add", "-q", "--detach", tree]
        subprocess.run(["flock", str(lock), *add], cwd=repo, check=True, capture_output=True)
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
        remove = ["git", "worktree", "remove", tree]
        subprocess.run(["flock", str(lock), *remove], cwd=repo, check=True, capture_output=True)

    start = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(one, range(TASKS)))
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
        root = Path(folder)
        one_wall, _, _ = orchestrator(root / "one", 1)
        wall, cpu, report = orchestrator(root / "many", TASKS)
        peer = unavoidable(root)
    counts = json.dumps({k: v for k, v in dict(report["counts"]).items() if v})  # type: ignore[call-overload]
    print(
        f"overhead: {TASKS} tasks that need no change, {SLOTS} in parallel, {os.cpu_count()} cores: {counts}"
    )
    print(f"  wall per task        {(wall - one_wall) / (TASKS - 1):7.3f} s   goal < 0.5 s")
    print(f"  CPU per task         {cpu / TASKS:7.3f} s   (orchestrator, agents, git, everything)")
    print(f"  bare steps per task  {peer / TASKS:7.3f} s   ratio {wall / peer:.1f}")
    print(f"  one task alone       {one_wall:7.3f} s")


if __name__ == "__main__":
    main()
