"""`kill -9` of the orchestrator: at random points of short runs, and at every step one can take; each resumed.

`CRASHES` and `CRASH_SEED` change how many random ones there are and where they strike, `CRASH_STEPS` is the
distance between steps (0 for none). A fault is printed with its seed or step.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks import Figure, show
from tests.kit.crashes import Survived, crash, crash_at_git, crash_at_step

Strike = Callable[[Path], Survived | None]


def main() -> None:
    """200 runs of two tasks; then one task, killed before and after each step, and by each of its gits."""
    count, first = int(os.environ.get("CRASHES", "200")), int(os.environ.get("CRASH_SEED", "1"))
    seeds = [(f"seed {n}", lambda root, n=n: crash(root, n)) for n in range(first, first + count)]
    _table(f"{count} short runs, killed at random points and resumed", _all(seeds))
    if apart := int(os.environ.get("CRASH_STEPS", "5")):
        seen = [
            one
            for name, strike in (("after step", _after), ("before step", _before), ("at git", _at_git),
                                 ("instead of git", _instead))
            for one in _until_over(name, strike, apart)
        ]  # fmt: skip
        _table(f"a short run, killed at each of {len(seen)} steps and resumed", seen)


def _after(root: Path, step: int) -> Survived | None:
    return crash_at_step(root, step)


def _before(root: Path, step: int) -> Survived | None:
    return crash_at_step(root, -step)


def _at_git(root: Path, number: int) -> Survived | None:
    return crash_at_git(root, number, works_on=True)


def _instead(root: Path, number: int) -> Survived | None:
    return crash_at_git(root, number, works_on=False)


def _until_over(name: str, strike: Callable[[Path, int], Survived | None], apart: int) -> list[Survived]:
    """Strike at 1, 1 + apart, … until the run ends before it is struck."""
    found: list[Survived] = []
    step = 1
    while seen := _all([(f"{name} {step}", lambda root, step=step: strike(root, step))]):
        found += seen
        step += apart
    return found


def _all(strikes: list[tuple[str, Strike]]) -> list[Survived]:
    began = time.monotonic()
    found = []
    for name, strike in strikes:
        root = Path(tempfile.mkdtemp(prefix="oa-crash-"))
        try:
            seen = strike(root)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        if seen is not None:
            found.append(seen)
            if not seen.faultless:
                print(f"{name}: {seen}", flush=True)
    if len(strikes) > 1:
        print(f"{strikes[0][0]} to {strikes[-1][0]}: {time.monotonic() - began:.0f} s")
    return found


def _table(title: str, seen: list[Survived]) -> None:
    where = Counter(event for one in seen for event in one.killed_at)
    print(f"killed after: {dict(where)}")
    duplicates = sum(len(s.duplicates) for s in seen)
    unlike = sum(end != "success" for s in seen for end in s.ends.values())
    show(
        title,
        [
            Figure(what="lost commits", value=sum(s.lost_commits for s in seen), unit="", goal=0),
            Figure(what="duplicated pulls, comments, reviews", value=duplicates, unit="", goal=0),
            Figure(what="survivors", value=sum(len(s.survivors) for s in seen), unit="", goal=0),
            Figure(what="worktrees, locks, labels left", value=sum(len(s.left) for s in seen), unit="", goal=0),
            Figure(what="tasks not a success", value=unlike, unit="", goal=0),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
