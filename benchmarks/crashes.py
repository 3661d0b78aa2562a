"""`kill -9` of the orchestrator at random points of short runs, each resumed to its end.

`CRASHES` and `CRASH_SEED` change how many there are and where they strike; a fault is printed with its seed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks import Figure, show
from tests.kit.crashes import Survived, crash


def main() -> None:
    """200 runs of two tasks."""
    count, first = int(os.environ.get("CRASHES", "200")), int(os.environ.get("CRASH_SEED", "1"))
    began = time.monotonic()
    seen: list[Survived] = []
    for seed in range(first, first + count):
        root = Path(tempfile.mkdtemp(prefix="oa-crash-"))
        try:
            seen.append(crash(root, seed))
        finally:
            shutil.rmtree(root, ignore_errors=True)
        if not seen[-1].faultless:
            print(f"seed {seed}: {seen[-1]}", flush=True)
    duplicates = sum(len(s.duplicates) for s in seen)
    unlike = sum(end != "success" for s in seen for end in s.ends.values())
    where = Counter(event for one in seen for event in one.killed_at)
    print(f"seeds {first}-{first + count - 1}, {time.monotonic() - began:.0f} s, killed after: {dict(where)}")
    show(
        f"{count} short runs, killed at random points and resumed",
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
