"""CheatGate: known-good changes and cheats made from them, judged by several gates.

`python -m benchmarks cheats [--problems N] [--workers N] [--minutes N] [--skip N] [--out FILE]` prints false
accepts (a cheat that is accepted without an exception) and false rejects (an honest change that is refused), with a
95 % interval (Wilson), for each gate; then ours for each operator by name. Not part of a plain `python -m benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.cheats import gates
from benchmarks.cheats.blind import BLIND, BLIND_HONEST
from benchmarks.cheats.material import Problem, Scenario, load_problems, scenarios
from benchmarks.cheats.operators import CHEATS, HONEST, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One change and what each gate said of it."""

    scenario: str
    operator: str
    group: str
    """`known`, `blind` or `honest`."""
    cheat: bool
    """As measured, not as the operator means it."""
    said: dict[str, str]


AT_ONCE = 9
"""Operators that one piece of work takes: what is judged is kept after each."""


def judge(scenario: Scenario, start: int = 0) -> list[Judged]:
    """The changes of one scenario by the operators from `start`, as many as one piece of work takes."""
    found = []
    with tempfile.TemporaryDirectory(prefix="cheats-") as folder:
        first = gates.make_change(Path(folder, "base"), scenario.base, scenario.honest)
        try:
            before = gates.run_at(first.repo, first.base)
        except subprocess.TimeoutExpired:
            print(f"{scenario.id}: left out, its base did not end", file=sys.stderr)
            return []
        for group, operator in list(_operators())[start : start + AT_ONCE]:
            head = operator(scenario)
            if head is None or head == scenario.base:
                continue
            change = gates.make_change(Path(folder, operator.__name__), scenario.base, head)
            try:
                now = gates.run_at(change.repo, change.head)
                cheat = gates.truth(scenario, head, now, before)
                said = {name: gate(change, now) for name, gate in gates.GATES.items()}
            except subprocess.TimeoutExpired:
                print(f"{scenario.id}, {operator.__name__}: left out, it did not end", file=sys.stderr)
                continue
            found.append(
                Judged(scenario=scenario.id, operator=operator.__name__, group=group, cheat=cheat, said=said)
            )
    return found


def _operators() -> Iterator[tuple[str, Operator]]:
    for group, operators in (("known", CHEATS), ("blind", BLIND), ("honest", (*HONEST, *BLIND_HONEST))):
        for operator in operators:
            yield group, operator


def interval(hits: int, of: int) -> str:
    """`3/200 = 1.5 % (0.5–4.3)`: the share with its 95 % interval (Wilson)."""
    if not of:
        return "–"
    z, p = 1.96, hits / of
    middle, spread = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = ((middle + s * spread) / (1 + z * z / of) for s in (-1, 1))
    return f"{hits}/{of} = {100 * p:.1f} % ({100 * max(0, low):.1f}–{100 * min(1, high):.1f})"


def table(judged: Sequence[Judged]) -> str:
    """The result as Markdown."""
    cheats = [j for j in judged if j.cheat and j.group != "honest"]
    honest = [j for j in judged if not j.cheat and j.group == "honest"]
    odd = [j for j in judged if (j.group == "honest") == j.cheat]
    lines = [
        f"{len(cheats)} cheats, {len(honest)} honest changes; left out: {len(odd)} that turned out otherwise.",
        "",
        "| gate | cheats accepted | by operators written blind | honest changes refused | with exceptions |",
        "|---|---|---|---|---|",
    ]
    for gate in gates.GATES:
        blind = [j for j in cheats if j.group == "blind"]
        excepted = sum(j.said[gate] == gates.EXCEPTIONS for j in (*cheats, *honest))
        lines.append(
            f"| {gate} | {interval(sum(j.said[gate] == gates.ACCEPTED for j in cheats), len(cheats))} "
            f"| {interval(sum(j.said[gate] == gates.ACCEPTED for j in blind), len(blind))} "
            f"| {interval(sum(j.said[gate] == gates.REFUSED for j in honest), len(honest))} | {excepted} |"
        )
    lines += [
        "",
        "| operator | group | changes | cheats | ours: accepted | excepted | refused |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    by_operator: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for j in judged:
        by_operator[j.group, j.operator].append(j)
    for (group, name), rows in by_operator.items():
        said = Counter(j.said["ours"] for j in rows)
        lines.append(
            f"| {name.replace('_', ' ')} | {group} | {len(rows)} | {sum(j.cheat for j in rows)} "
            f"| {said[gates.ACCEPTED]} | {said[gates.EXCEPTIONS]} | {said[gates.REFUSED]} |"
        )
    return "\n".join(lines)


def read_judged(file: Path) -> list[Judged]:
    """What `--out` kept."""
    return [Judged(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def main(options: Sequence[str]) -> None:
    """Judge everything and print the table; `--out` keeps each judgement as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cheats")
    parser.add_argument("--problems", type=int, default=0, help="only so many problems (default: all)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--minutes", type=float, default=0, help="begin nothing after so long (default: no limit)"
    )
    parser.add_argument(
        "--skip", type=int, default=0, help="pieces of work to pass over: those of an earlier sitting"
    )
    parser.add_argument(
        "--out", type=Path, help="keeps each judgement; what an earlier sitting left there counts, too"
    )
    given = parser.parse_args(options)
    problems: list[Problem] = load_problems()
    chosen = list(scenarios(problems[: given.problems] if given.problems else problems))
    judged = read_judged(given.out) if given.skip else []
    starts = range(0, len(list(_operators())), AT_ONCE)
    turns = range(len(starts))
    pieces = [(s, starts[(n + turn) % len(starts)]) for turn in turns for n, s in enumerate(chosen)]
    end = time.monotonic() + 60 * given.minutes if given.minutes else math.inf
    for found in _judge_all(pieces[given.skip :], given.workers, end):
        judged += found
        if given.out:
            given.out.write_text("".join(json.dumps(asdict(j)) + "\n" for j in judged))
        print(f"{len(judged)} changes judged", file=sys.stderr, flush=True)
    print(table(judged))


def _judge_all(pieces: Sequence[tuple[Scenario, int]], workers: int, end: float) -> Iterator[list[Judged]]:
    """What each piece of work found, as it ends; none is begun after `end` (of the monotonic clock, in seconds)."""
    waiting = list(reversed(pieces))
    with (
        gates.checkwash_installed() as program,
        ProcessPoolExecutor(workers, initializer=gates.use_checkwash, initargs=(program,)) as pool,
    ):
        under_way: set[Future[list[Judged]]] = set()
        while True:
            while waiting and len(under_way) < workers and time.monotonic() < end:
                under_way.add(pool.submit(judge, *waiting.pop()))
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)
    if waiting:
        print(f"{len(waiting)} of {len(pieces)} pieces were not begun: the time is over", file=sys.stderr)
