"""Supervision beside xargs -P, GNU parallel and a bare Popen loop, in the same run on the same machine."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import Figure, show
from benchmarks._peers import (
    ENV,
    GIB,
    MIB,
    POLITE,
    STUBBORN,
    Runner,
    all_cpu_s,
    bare,
    cancel_of_peers,
    output_of_peers,
    parallel,
    timed,
    xargs,
)
from orchestrator_action.process import table as procs
from orchestrator_action.process.supervisor import Cancel, spawner, supervise
from orchestrator_action.protocol.attempt import Command, Limits, Outcome
from tests.kit.repos import make_repo
from tests.kit.whole import GOOD, LIBRARY, PACKAGE, Ran, house

UNLIMITED = Limits(log_bytes=0, disk_free_bytes=0)
DAEMON = (
    'setsid sh -c \': > "$0/$$"; exec env -i /bin/sleep 1000\' "$0" & while [ ! -e "$0"/[0-9]* ]; do :; done'
)


def main() -> None:
    """Measure everything; takes about a minute and needs 4 GiB of disk for a moment."""
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as name:
        root = Path(name)
        with spawner():  # a run starts it once, before its first task
            per_process(root)
            makespan(root)
        survivors(root)
        output(root)
        cancelling(root)
        cancelling_runs(root)
        sampling(root)
        memory(root)
        memory_of_run(root)


def supervised(root: Path, argv: list[str], count: int, jobs: int) -> None:
    """The same program `count` times, `jobs` at a time, under supervision."""
    cancel = Cancel()

    def one(number: int) -> None:
        command = Command(argv=tuple(argv), cwd="/", env=ENV)
        supervise(command, log=root / f"log-{number % jobs}", limits=Limits(), cancel=cancel)

    with spawner(), ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, range(count)))


def peers() -> list[tuple[str, Runner]]:
    """Everybody who is installed; the others are named."""
    found: list[tuple[str, Runner]] = [("supervise", supervised), ("bare Popen", bare)]
    for name, runner in (("xargs", xargs), ("parallel", parallel)):
        if shutil.which(name):
            found.append((f"{name} -P" if name == "xargs" else "GNU parallel", runner))
        else:
            print(f"  {name} is not installed: its row is left out")
    return found


def _best_of_3(run: Runner, root: Path, argv: list[str], count: int, jobs: int) -> float:
    return min(timed(partial(run, root, argv, count, jobs)) for _ in range(3))


def per_process(root: Path) -> None:
    """What one more process costs when eight run at a time."""
    count, jobs = 240, 8
    took = {name: _best_of_3(run, root, ["true"], count, jobs) for name, run in peers()}
    figures = [
        Figure(what=name, value=seconds / count * 1000, unit="ms", goal=25.0 if name == "supervise" else None)
        for name, seconds in took.items()
    ]
    show(f"cost per process, {count} x true, {jobs} at a time, best of 3", figures)


def makespan(root: Path) -> None:
    """How close to ideal 64 tasks of 0.2 s come with 16 slots."""
    ideal = 64 * 0.2 / 16
    figures = [
        Figure(
            what=name,
            value=_best_of_3(run, root, ["sleep", "0.2"], 64, 16) / ideal,
            unit="x",
            goal=1.12 if name == "supervise" else None,
        )
        for name, run in peers()
    ]
    show("makespan over ideal, 64 x 0.2 s, 16 at a time, spawner up as in a run, best of 3", figures)


def survivors(root: Path) -> None:
    """Five leaders each leave a setsid daemon without environment: who is alive afterwards."""
    figures = []
    for name, run in peers():
        folder = root / f"survivors-{name.split()[0]}"
        folder.mkdir()
        script = folder / "leader.sh"
        script.write_text(f'd=$(mktemp -d {folder}/XXXXXX)\nset -- "$d"\nsh -c {_quoted(DAEMON)} "$d"\n')
        run(root, ["sh", str(script)], 5, 5)
        alive = [int(p.name) for p in folder.glob("*/[0-9]*") if procs.read(int(p.name))]
        figures.append(
            Figure(
                what=name, value=float(len(alive)), unit="alive", goal=0.0 if name == "supervise" else None
            )
        )
        for pid in alive:
            procs.send_signal(pid, procs.start_ticks(pid), signal.SIGKILL)
    show("survivors of 5 leaders that leave a daemon", figures)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def output(root: Path) -> None:
    """Two GiB of output: wall time beside a plain redirect, and the CPU time of whoever starts it per GiB."""
    size = 2 * GIB
    script = f"exec head -c {size} /dev/zero"
    plain, walls, costs = [], [], []
    for _ in range(3):
        plain.append(timed(partial(_redirect, root, script)))
        (root / "plain").unlink()
        wall, cost = _cost_of(root, script, None)
        walls.append(wall)
        costs.append(cost)
    lines = f"exec yes '{'x' * 99}' | head -c {size // 8}"
    fed_wall, fed_cost = _cost_of(root, lines, bytes.strip)
    show(
        "2 GiB of output, best of 3",
        [
            Figure(what="wall over plain redirect", value=min(walls) / min(plain), unit="x", goal=1.15),
            Figure(what="CPU of supervision per GiB", value=min(costs) / 2, unit="s", goal=0.1),
            Figure(what="  every line of 100 bytes read", value=fed_cost * 4, unit="s",
                   note=f"256 MiB in {fed_wall:.2f} s"),
            *output_of_peers(root, size),
            Figure(what="plain redirect", value=min(plain), unit="s"),
        ],
    )  # fmt: skip


def _redirect(root: Path, script: str) -> None:
    with (root / "plain").open("wb") as log:
        subprocess.run(["sh", "-c", script], stdout=log, check=True)


def _cost_of(root: Path, script: str, feed: Callable[[bytes], Any] | None) -> tuple[float, float]:
    """Wall time, and CPU time of everything but the program itself: us, the spawner and the guard."""
    before = all_cpu_s()
    began = time.perf_counter()
    command = Command(argv=("sh", "-c", script), cwd="/", env=ENV)
    outcome = supervise(command, log=root / "big", limits=UNLIMITED, cancel=Cancel(), feed=feed)
    took = time.perf_counter() - began
    cost = all_cpu_s() - before - outcome.cpu_s
    (root / "big").unlink()
    return took, cost


def cancelling(root: Path) -> None:
    """From the throw of the switch to the last of 16 outcomes."""
    figures = []
    for name, script, size, grace, goal in (
        ("polite", POLITE, 1, 3.0, 0.5),
        ("stubborn, 12 processes each, grace 3 s", STUBBORN, 12, 3.0, 4.0),
    ):
        took, left = _cancel(root / name.split(",")[0], script, size, grace)
        figures.append(Figure(what=name, value=took, unit="s", goal=goal))
        figures.append(Figure(what="  survivors", value=float(left), unit="alive", goal=0.0))
    figures += cancel_of_peers(root)
    took, _ = _cancel(root / "five", STUBBORN, 12, 0.5, trees=32)
    figures.append(
        Figure(what="32 x 12 stubborn: beyond the grace of 0.5 s", value=took - 0.5, unit="s", goal=0.15)
    )
    show("cancel latency, 16 trees; others told by TERM, and again by KILL after 3 s", figures)


def _cancel(folder: Path, script: str, size: int, grace: float, *, trees: int = 16) -> tuple[float, int]:
    folder.mkdir()
    cancel = Cancel()
    limits = Limits(stop_grace_s=grace)

    def one(number: int) -> Outcome:
        command = Command(argv=("sh", "-c", script, str(folder)), cwd="/", env=ENV)
        return supervise(command, log=folder / f"log-{number}", limits=limits, cancel=cancel)

    with spawner(), ThreadPoolExecutor(trees) as pool:
        running = [pool.submit(one, n) for n in range(trees)]
        while len(list(folder.glob("[0-9]*"))) < trees * size:
            time.sleep(0.01)
        began = time.perf_counter()
        cancel.set()
        wait(running)
        took = time.perf_counter() - began
    return took, sum(f.result().survivors for f in running)


def cancelling_runs(root: Path) -> None:
    """From SIGINT to the end of the process: 16 tasks of a whole run, with worktrees, journal and forge."""
    figures = []
    for name, hangs, programs, goal in (
        ("polite", False, ["sh", "-c", POLITE], 0.5),
        ("stubborn, 12 processes each, the forge hangs", True, ["sh", "-c", STUBBORN], 4.0),
    ):
        took, ran = _cancelled_run(root / f"run-{name[:3]}", programs, hangs=hangs)
        wrong = 16 - sum(t["status"] == "cancelled" for t in ran.report["tasks"]) + (ran.code != 130)
        figures += [
            Figure(what=name, value=took, unit="s", goal=goal),
            Figure(what="  tasks not cancelled, or exit not 130", value=float(wrong), unit="", goal=0.0),
        ]
    show("cancel of a whole run of 16 tasks, SIGINT to exit", figures)


def _cancelled_run(root: Path, program: list[str], *, hangs: bool) -> tuple[float, Ran]:
    forge, run = _started_run(root, program, tasks=16, processes=16 * 12 if hangs else 16)
    with (forge / ".lock").open("w") as lock:
        if hangs:
            fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.perf_counter()
        run.send_signal(signal.SIGINT)
        out, err = run.communicate()
        took = time.perf_counter() - began
    return took, Ran(run.returncode, out, err)


def _started_run(
    root: Path, program: list[str], *, tasks: int, processes: int
) -> tuple[Path, subprocess.Popen[str]]:
    """The folder of its forge, and a run all of whose tasks are at work."""
    root.mkdir()
    home, pids = house(root, make_repo(root / "r", LIBRARY)), root / "pids"
    pids.mkdir()
    for number in range(1, tasks + 1):
        home.issue(number, f"Task {number}", GOOD)
    agent = json.dumps({"programs": [[*program, str(pids)]]})
    run = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.kit.conduct", "run", f"local:{home.forge}", agent, str(tasks)],
        cwd=home.repo.path, env={**home.environment(), "PYTHONPATH": str(PACKAGE)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(list(pids.iterdir())) < processes:
        time.sleep(0.01)
    time.sleep(1.0)  # the starts have settled; what is measured is what comes after
    return home.forge, run


def sampling(root: Path) -> None:
    """One look at a tree of a hundred processes."""
    script = "i=1; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; wait"
    top = subprocess.Popen(["sh", "-c", script], cwd=root)
    while len(procs.descendants(top.pid)) < 99:
        time.sleep(0.01)
    try:
        ours = _best(lambda: procs.descendants(top.pid))
        exact = _best(lambda: procs.descendants(top.pid, exact=True))
        pss = _best(lambda: procs.pss_bytes(procs.descendants(top.pid)))
        theirs = _best(lambda: _psutil(top.pid))
    finally:
        procs.kill_all(lambda: procs.descendants(top.pid))
        top.kill()
        top.wait()
    show(
        "sampling a tree of 100 processes, CPU and memory, best of 11",
        [
            Figure(what="our walk of /proc children", value=ours * 1000, unit="ms", goal=3.0),
            Figure(what="the whole process table", value=exact * 1000, unit="ms"),
            Figure(what="with PSS (at most 2 % of the time)", value=pss * 1000, unit="ms"),
            Figure(what="psutil", value=theirs * 1000, unit="ms"),
        ],
    )


def memory(root: Path) -> None:
    """What 64 tasks at once cost in memory: here, and in the guards."""
    folder = root / "memory"
    folder.mkdir()
    cancel = Cancel()

    def heard(line: bytes) -> None:
        del line

    def one(number: int) -> Outcome:
        command = Command(argv=("sh", "-c", POLITE, str(folder)), cwd="/", env=ENV)
        return supervise(command, log=folder / f"log-{number}", limits=Limits(), cancel=cancel, feed=heard)

    me = psutil.Process()
    before = me.memory_info().rss
    with spawner(), ThreadPoolExecutor(64) as pool:
        running = [pool.submit(one, n) for n in range(64)]
        while len(list(folder.glob("[0-9]*"))) < 64:
            time.sleep(0.01)
        cpu = time.process_time()
        time.sleep(2.0)
        idle = (time.process_time() - cpu) / 2.0
        grown = me.memory_info().rss - before
        guards = [
            p for p in procs.descendants(me.pid) if b"guard_main.py" in procs.slurp(f"/proc/{p.pid}/cmdline")
        ]
        pss = procs.pss_bytes(guards)
        cancel.set()
        wait(running)
    show(
        "64 tasks at once, all of them idle",
        [
            Figure(
                what="memory of the orchestrator", value=me.memory_info().rss / MIB, unit="MiB", goal=80.0
            ),
            Figure(what="  of it for the tasks", value=grown / MIB, unit="MiB"),
            Figure(what="memory of 64 guards and the spawner (PSS)", value=pss / MIB, unit="MiB"),
            Figure(what="CPU of the orchestrator", value=idle * 100, unit="%"),
        ],
    )


def memory_of_run(root: Path) -> None:
    """What a whole run of 64 tasks at once holds: worktrees, journal, broker, local forge."""
    _, run = _started_run(root / "run-64", ["sh", "-c", POLITE], tasks=64, processes=64)
    first = psutil.Process(run.pid).memory_info().rss
    time.sleep(5.0)
    later = psutil.Process(run.pid).memory_info().rss
    run.send_signal(signal.SIGINT)
    run.communicate()
    show(
        "a whole run of 64 tasks at once, local forge",
        [
            Figure(what="memory of the orchestrator", value=later / MIB, unit="MiB", goal=80.0),
            Figure(what="  of it gained in 5 s at rest", value=(later - first) / MIB, unit="MiB"),
        ],
    )


def _psutil(pid: int) -> None:
    for process in psutil.Process(pid).children(recursive=True):
        process.cpu_times()
        process.memory_info()


def _best(call: Callable[[], object]) -> float:
    return min(timed(call) for _ in range(11))


if __name__ == "__main__":
    main()
