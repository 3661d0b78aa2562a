"""Every limit ends an attempt in its own way, with the measured figure."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.process.limits import Curve
from orchestrator_action.protocol.attempt import Ending, Mark
from tests.kit.ill import eventually
from tests.kit.small_disk import small_disk
from tests.supervisor.conftest import Stage, lone_guard

__all__ = ["small_disk"]

MIB = 1024**2


HOLDS_90_MIB = "x = b'1' * (90 << 20)\ntime.sleep(1.5)"


def marks(line: bytes) -> Mark | None:
    return {b"init": Mark.STARTED, b"work": Mark.ACTIVITY, b"result": Mark.RESULT}.get(line)


def test_a_flood_is_stopped_at_the_cap(stage: Stage) -> None:
    """FAULTS 17: its own ending; the log keeps the first bytes and no more."""
    outcome = stage.sh("exec yes", limits={"log_bytes": 8 * MIB, "stop_grace_s": 5})

    assert Ending.LOG_LIMIT is outcome.ending
    assert 8 * MIB == stage.log.stat().st_size == outcome.log_bytes
    assert b"y\n" * (4 * MIB) == stage.log.read_bytes()
    assert str(8 * MIB) in outcome.error


def test_a_log_that_grew_at_the_last_moment_is_too_long(stage: Stage) -> None:
    """A hole of a terabyte is made in no time, and nobody reads that much: the log is cut as after any flood."""
    outcome = stage.run(
        stage.command(sys.executable, "-c", "import os; os.ftruncate(1, 1 << 40); os._exit(0)"),
        limits={"log_bytes": MIB},
    )

    assert Ending.LOG_LIMIT is outcome.ending
    assert outcome.exit_code in {0, None}  # None: the guard looked between the two calls
    assert MIB == stage.log.stat().st_size == outcome.log_bytes


def test_no_line_of_a_flood_is_read_twice(stage: Stage) -> None:
    """FAULTS 17: the reader may be ahead of the cap when the log is cut back to it."""
    lines: list[bytes] = []

    outcome = stage.sh("exec seq 100000000", limits={"log_bytes": 2 * MIB}, feed=lines.append)

    assert Ending.LOG_LIMIT is outcome.ending
    assert [b"%d" % n for n in range(1, len(lines))] == lines[:-1]
    assert 2 * MIB <= len(b"\n".join(lines))


def test_a_flood_is_stopped_at_the_cap_when_appending(stage: Stage) -> None:
    """The cap is that of the attempt, not of those before it."""
    log = stage.root / "log"
    log.write_bytes(b"x" * 3 * MIB)

    outcome = stage.sh("exec yes", limits={"log_bytes": 2 * MIB}, log=log, append=True)

    assert (Ending.LOG_LIMIT, 2 * MIB) == (outcome.ending, outcome.log_bytes)
    assert b"x" * 3 * MIB + b"y\n" * MIB == log.read_bytes()


def test_a_flood_during_the_grace_is_cut_short(stage: Stage) -> None:
    """Who answers a polite request with gigabytes gets no more grace."""
    outcome = stage.sh(
        'trap "" INT TERM; sleep 0.5; exec yes',
        limits={"wall_s": 0.3, "log_bytes": 8 * MIB, "stop_grace_s": 300},
    )

    assert (Ending.TIMEOUT, 9) == (outcome.ending, outcome.signal)
    assert outcome.wall_s < 60


def test_the_disk_keeps_its_floor(stage: Stage) -> None:
    """FAULTS 17: free space below the floor ends the attempt, with both figures."""
    disk = os.statvfs(stage.root)
    floor = disk.f_bavail * disk.f_frsize + 1024 * MIB

    outcome = stage.run(stage.ill("polite.sh"), limits={"disk_free_bytes": floor})

    assert Ending.DISK_LIMIT is outcome.ending
    assert re.fullmatch(r"\d+ MiB of disk free, the floor is \d+", outcome.error)


def test_a_small_disk_that_a_tree_fills_is_named(stage: Stage, small_disk: Path) -> None:
    """Its floor is a part of it; the log's own disk has room enough."""
    command = stage.command(
        "sh", "-c", "echo here >f; sleep 0.6; cat /dev/zero >full; sleep 1000", cwd=small_disk
    )

    outcome = stage.run(command, limits={"disk_free_bytes": 256 * MIB})

    assert Ending.DISK_LIMIT is outcome.ending
    assert outcome.wall_s > 0.5  # not for its size alone
    assert re.fullmatch(r"0\.\d MiB free on the disk of its tree, the floor is 0\.5", outcome.error)


def test_silent_and_idle_is_stalled(stage: Stage) -> None:
    """FAULTS 20: no output, no CPU use of anybody."""
    outcome = stage.run(stage.ill("polite.sh"), limits={"stall_s": 0.6})

    assert Ending.STALLED is outcome.ending
    assert "no output and no CPU use for" in outcome.error
    assert 0.6 <= float(re.findall(r"[\d.]+ s", outcome.error)[0].removesuffix(" s")) < 30


def test_silent_but_at_work_is_not_stalled(stage: Stage) -> None:
    """FAULTS 20: a descendant in a session of its own burns CPU, the leader sleeps."""
    burn = "import time\nwhile time.process_time() < 2: pass"

    outcome = stage.sh(f"setsid python3 -I -S -c '{burn}' & wait; exit 3", limits={"stall_s": 1})

    assert (Ending.EXITED, 3) == (outcome.ending, outcome.exit_code)


def test_work_in_short_lived_children_is_work(stage: Stage) -> None:
    """FAULTS 20: each of them is gone before it is seen."""
    outcome = stage.sh(
        "for i in $(seq 200); do /bin/true; /bin/sleep 0.01; done; exit 3", limits={"stall_s": 1}
    )

    assert (Ending.EXITED, 3) == (outcome.ending, outcome.exit_code)


def test_output_without_newlines_is_not_a_stall(stage: Stage) -> None:
    """A progress bar is life."""
    outcome = stage.sh("for i in 1 2 3 4 5 6 7 8 9; do printf .; sleep 0.25; done", limits={"stall_s": 1.5})

    assert (Ending.EXITED, 0) == (outcome.ending, outcome.exit_code)


def test_no_first_event_is_no_start(stage: Stage) -> None:
    """FAULTS 20: it prints, but never what an agent prints when it begins."""
    outcome = stage.sh(
        "while :; do echo noise; sleep 0.05; done", limits={"start_s": 0.5}, feed=marks, expects_start=True
    )

    assert Ending.NO_START is outcome.ending
    assert "0.5 s" in outcome.error


def test_a_first_event_in_time_is_a_start(stage: Stage) -> None:
    """FAULTS 20: and the deadline is over for good."""
    outcome = stage.sh(
        "echo init; sleep 2.2; exit 2", limits={"start_s": 1.5}, feed=marks, expects_start=True
    )

    assert (Ending.EXITED, 2) == (outcome.ending, outcome.exit_code)


def test_a_hang_after_the_result_is_ended_after_the_grace(stage: Stage) -> None:
    """FAULTS 19: the tree is ended, and the ending says that there was a result."""
    child = 'sh -c \': > "$0/$$"; exec sleep 1000\' "$FOLDER" & '
    script = f'echo init; echo result; {child} : > "$FOLDER/$$"; sleep 1000'

    outcome = stage.sh(script, limits={"result_grace_s": 0.4}, feed=marks)

    assert Ending.RESULT_GRACE is outcome.ending
    assert "0.4 s" in outcome.error
    stage.pids.assert_gone(at_least=2)


def test_an_exit_within_the_grace_is_an_exit(stage: Stage) -> None:
    """FAULTS 19: the usual way to end."""
    outcome = stage.sh("echo result; sleep 0.2; exit 0", limits={"result_grace_s": 20}, feed=marks)

    assert (Ending.EXITED, 0) == (outcome.ending, outcome.exit_code)


def test_a_second_result_gets_its_own_grace(stage: Stage) -> None:
    """FAULTS 19: a background shell may bring another result."""
    script = "echo result; sleep 0.8; echo result; sleep 0.8; echo result; sleep 0.8; exit 1"

    outcome = stage.sh(script, limits={"result_grace_s": 1.6}, feed=marks)

    assert (Ending.EXITED, 1) == (outcome.ending, outcome.exit_code)


@pytest.mark.parametrize("limit", ["wall_s", "stall_s", "start_s", "result_grace_s", "rss_mib", "log_bytes",
                                   "disk_free_bytes", "processes"])  # fmt: skip
def test_zero_switches_a_limit_off(stage: Stage, limit: str) -> None:
    """And nothing else."""
    outcome = stage.sh("echo result; sleep 0.4; exit 8", limits={limit: 0}, feed=marks, expects_start=False)

    assert (Ending.EXITED, 8) == (outcome.ending, outcome.exit_code)


@pytest.mark.slow
def test_cpu_time_is_that_of_the_whole_tree(stage: Stage) -> None:
    """FAULTS 22: 60 short children and a daemon, within 2 % of what they say themselves."""
    outcome = stage.run(stage.ill("burner.py", 60, 0.08))

    truth = sum(float(f.read_text()) for f in stage.pids.folder.glob("cpu-*"))
    assert outcome.exit_code == 0
    assert truth == pytest.approx(outcome.cpu_s, rel=0.02)


def test_memory_that_is_shared_counts_once(stage: Stage) -> None:
    """FAULTS 22: 120 MiB in 6 processes are not 840."""
    outcome = stage.run(stage.ill("memory.py", 120, 6, 1.5), limits={"rss_mib": 300})

    assert (Ending.EXITED, 6) == (outcome.ending, outcome.leftovers)
    assert 120 <= outcome.peak_rss_mib < 200


def test_memory_above_the_limit_ends_the_attempt(stage: Stage) -> None:
    """The figure is that of the tree."""
    outcome = stage.run(stage.ill("memory.py", 200, 1), limits={"rss_mib": 100})

    assert Ending.MEMORY_LIMIT is outcome.ending
    used, allowed = map(int, re.findall(r"\d+", outcome.error))
    assert used > allowed == 100


def test_memory_of_many_adds_up(stage: Stage) -> None:
    """None of them is above the limit alone."""
    one = f"{sys.executable} -c 'import time; x = b\"1\" * (40 << 20); time.sleep(1000)'"
    script = f"for i in 1 2 3 4; do {one} & done; wait"

    outcome = stage.sh(script, limits={"rss_mib": 120})

    assert Ending.MEMORY_LIMIT is outcome.ending


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_more_processes_than_are_allowed_end_the_attempt(stage: Stage, kind: str) -> None:
    """A fork bomb would leave none to anybody else on the machine; the figure is that of the tree."""
    threads = "import threading, time\nfor _ in range(300): threading.Thread(target=time.sleep, args=(1000,)).start()"
    bomb = {
        "processes": "while :; do sleep 1000 & done",
        "threads": f"exec {sys.executable} -c {shlex.quote(threads)}",
    }

    outcome = stage.sh(bomb[kind], limits={"processes": 200})

    assert (Ending.PROCESS_LIMIT, 0) == (outcome.ending, outcome.survivors)
    count, allowed = map(int, re.findall(r"\d+", outcome.error))
    assert count > allowed == 200


def test_a_small_program_is_not_charged_for_its_guard(stage: Stage) -> None:
    """A process inherits the peak of the one that started it; that one is ours."""
    outcome = stage.sh("sleep 0.5")

    assert 0 < outcome.peak_rss_mib < 6


def test_the_peak_of_a_short_life_is_known(stage: Stage) -> None:
    """It came and went between two samples."""
    outcome = stage.sh(f"sleep 1.2; {sys.executable} -c 'x = b\"1\" * (150 << 20)'; sleep 0.1")

    assert 150 <= outcome.peak_rss_mib < 190


def test_memory_and_cpu_are_kept_over_time(stage: Stage) -> None:
    """It computes, then holds memory and rests: in steps of the same length, as it was."""
    busy = "import time\nwhile time.process_time() < 0.6: pass\n"

    outcome = stage.sh(f"exec {sys.executable} -c {shlex.quote(busy + HOLDS_90_MIB)}")

    curve = outcome.curve
    cores, memory = curve["cores"], curve["rss_mib"]
    assert len(cores) == len(memory)
    assert outcome.wall_s / 2 <= curve["step_s"] * len(cores) <= outcome.wall_s + curve["step_s"]
    assert max(memory) >= 90 > memory[0]
    assert outcome.cpu_s == pytest.approx(sum(cores) * curve["step_s"], rel=0.4, abs=0.1)
    assert cores[-1] < max(cores), curve


def test_a_curve_has_so_many_steps_however_long_it_lasts() -> None:
    """Its steps grow; the most that was seen stays, and no CPU time is lost."""
    curve = Curve()
    for n in range(20_000):
        curve.add(n * 0.5, (900 if n == 777 else 100) << 20, n * 0.25)

    made: Any = curve.json()

    assert 24 <= len(made["cores"]) == len(made["rss_mib"]) <= Curve.MOST
    assert (900.0, 100.0) == (max(made["rss_mib"]), min(made["rss_mib"]))
    assert 20_000 * 0.25 == pytest.approx(sum(made["cores"]) * made["step_s"], rel=0.02)


def test_what_was_not_sampled_has_the_memory_of_before_and_its_share_of_the_cpu() -> None:
    curve = Curve(step_s=1.0)
    for at, rss, cpu in ((0.5, 10, 0.5), (1.5, 20, 1.5), (4.5, 30, 3.0)):
        curve.add(at, rss << 20, cpu)

    assert {
        "step_s": 1.0,
        "rss_mib": [10, 20, 20, 20, 30],
        "cores": [0.5, 1.0, 0.5, 0.5, 0.5],
    } == curve.json()


def test_what_was_too_short_has_no_curve(stage: Stage) -> None:
    assert {} == stage.sh("true").curve


def test_processes_that_vanish_while_sampled_are_no_error(stage: Stage) -> None:
    """FAULTS 22: a thousand short lives under constant sampling."""
    script = "for i in $(seq 250); do sh -c '/bin/true & /bin/true & wait' & done; wait; exit 5"

    outcome = stage.sh(script, limits={"rss_mib": 4000, "stall_s": 1})

    assert (Ending.EXITED, 5, 0) == (outcome.ending, outcome.exit_code, outcome.survivors)


def test_bytes_written_to_storage_are_counted(stage: Stage) -> None:
    """By a child that is gone when we look."""
    outcome = stage.sh("head -c 20000000 /dev/zero > file; rm file")

    assert outcome.write_bytes >= 20_000_000 or outcome.write_bytes == 0  # 0: a file system without storage


RESTLESS = """
import threading, time
jump = {"by": 0.0}
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + jump["by"]
time.time_ns = lambda: real_ns() + int(jump["by"] * 1e9)
def restless():
    while True:
        jump["by"] = 3600.0 - jump["by"]
        time.sleep(0.01)
threading.Thread(target=restless, daemon=True).start()
"""


def test_a_wall_clock_that_jumps_moves_no_limit(stage: Stage) -> None:
    """FAULTS 24: an hour forth and back, a hundred times a second, in the process that holds the limits."""
    began = time.monotonic()
    end = lone_guard(
        stage, ["sleep", "1000"], {"wall_s": 1.5, "start_s": 600, "stall_s": 600}, before=RESTLESS
    )
    took = time.monotonic() - began

    assert ("end", "timeout", 2) == (end["event"], end["ending"], end["signal"])
    assert 1.5 <= end["wall_s"] <= took < 60


@pytest.mark.slow
def test_256_tasks_share_few_descriptors(tmp_path: Path) -> None:
    """FAULTS 24: 128 open files allowed, 256 tasks at once: some wait, none fails."""
    watch = f"""
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from orchestrator_action.protocol.attempt import Command, Limits
from orchestrator_action.process.supervisor import Cancel, spawner, supervise
cancel = Cancel()
def one(n):
    command = Command(argv=("sh", "-c", "echo x; sleep 0.05"), cwd="/", env={{"PATH": "/usr/bin:/bin"}})
    return supervise(command,
        log=Path({str(tmp_path)!r}, f"{{n}}"), limits=Limits(), cancel=cancel, feed=lambda line: None)
with spawner(), ThreadPoolExecutor(256) as pool:
    print(sorted({{(o.ending.value, o.exit_code, o.error) for o in pool.map(one, range(256))}}))
"""
    here = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", watch], cwd=here, capture_output=True, text=True)

    assert ("", "[('exited', 0, '')]\n") == (done.stderr, done.stdout)


def test_an_out_of_memory_kill_is_named(stage: Stage) -> None:
    """FAULTS 23: where this machine lets us limit a control group; the kernel then kills for real."""
    group = _memory_group(64 * MIB)
    if group is None:
        pytest.skip("no control group with a memory limit can be made here")
    try:
        script = f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c 'x = b\"1\" * (300 << 20)'"
        outcome = stage.sh(script)
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text(), what="the end of the group")
        group.rmdir()

    assert (Ending.EXITED, 9, True) == (outcome.ending, outcome.signal, outcome.oom)
    assert "memory ran out" in outcome.error


def _memory_group(limit: int) -> Path | None:
    name = f"oa-test-{os.getpid()}-{threading.get_ident()}"
    for base, file in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = Path(base, name)
        try:
            if not Path(base, "cgroup.procs").exists():
                continue
            group.mkdir()
            if (group / file).exists():
                (group / file).write_text(str(limit))
                return group
            group.rmdir()
        except OSError:
            continue
    return None
