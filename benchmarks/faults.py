"""Every fault of GitHub's, or of the line to it, at every request of a whole run of the Action.

`FAULTS` says how many of the cases are played, evenly spread (`all` for each one), or `lasting`: every request failing
for good from there on, until the run has settled; the next run follows. Printed are a table (request × fault → end) and
each case that ends badly, with what is wrong.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import Figure, show
from tests.kit.sweep import Case, Played, lasting, play, whole


def main() -> None:
    """40 cases of some 900, two at once."""
    asked = os.environ.get("FAULTS", "40")
    every = lasting() if asked.startswith("lasting") else whole()
    wanted = asked.removeprefix("lasting").strip(":") or "all"
    step = 1 if wanted == "all" else max(1, len(every) // int(wanted))
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(_one, every[::step]))
    for line in _table(every[::step], played):
        print(line)
    print(f"{len(played)} of {len(every)} cases, {time.monotonic() - began:.0f} s")
    bad = sum(bool(p.wrong) for p in played)
    show("one request fails", [Figure(what="cases that end badly", value=bad, unit="", goal=0)])


def _one(case: Case) -> Played:
    root = Path(tempfile.mkdtemp(prefix="oa-faults-"))
    try:
        played = play(case, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if played.wrong:
        print(f"{case}: {'; '.join(w.splitlines()[0] for w in played.wrong[:4])}", flush=True)
    return played


def _table(cases: Sequence[Case], played: Sequence[Played]) -> list[str]:
    """Request × fault → end: exit code of the run, then what the next run left. A dot was not played."""
    ways = list(dict.fromkeys(_way(c) for c in cases))
    requests: dict[tuple[int, bool], str] = {}
    ends: dict[tuple[int, bool, str], str] = {}
    for case, one in zip(cases, played, strict=True):
        where = (case.position, case.graphql)
        requests.setdefault(where, one.request)
        ends[(*where, _way(case))] = ("BAD: " if one.wrong else "") + one.end
    rows = [
        [f"{n + 1} {requests[n, graphql]}", *(ends.get((n, graphql, way), "·") for way in ways)]
        for n, graphql in sorted(requests, key=lambda w: (not w[1], w[0]))
    ]
    return [f"| {' | '.join(row)} |" for row in [["request", *ways], ["---"] * (1 + len(ways)), *rows]]


def _way(case: Case) -> str:
    return f"{case.kind}, lasting" if case.lasting else f"{case.kind} {case.when}"


if __name__ == "__main__":
    main()
