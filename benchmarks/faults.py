"""Every fault of GitHub's, or of the line to it, at every request of a whole run of the Action.

`FAULTS` says how many of the cases are played, evenly spread (`all` for each one); a case that ends badly
is printed with what is wrong.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import Figure, show
from tests.kit.sweep import Case, play, whole


def main() -> None:
    """40 cases of some 900, two at once."""
    asked = os.environ.get("FAULTS", "40")
    every = whole()
    step = 1 if asked == "all" else max(1, len(every) // int(asked))
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        bad = [said for said in pool.map(_one, every[::step]) if said]
    count = len(every[::step])
    print(f"{count} of {len(every)} cases, {time.monotonic() - began:.0f} s")
    show("one request fails", [Figure(what="cases that end badly", value=len(bad), unit="", goal=0)])


def _one(case: Case) -> str:
    root = Path(tempfile.mkdtemp(prefix="oa-faults-"))
    try:
        _, wrong = play(case, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if wrong:
        print(f"{case}: {'; '.join(w.splitlines()[0] for w in wrong[:4])}", flush=True)
    return str(case) if wrong else ""


if __name__ == "__main__":
    main()
