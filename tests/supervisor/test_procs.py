"""Processes are known by identity, signalled through it, and counted without error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from orchestrator_action.process import table as procs
from tests.kit.ill import eventually


@pytest.fixture
def child():
    """A process of ours, not reaped before the end."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_who_it_was(child) -> None:
    """Its identity holds while it runs; a zombie is not alive any more."""
    who = procs.identity(child.pid)

    assert who is not None
    assert procs.is_alive(who)
    child.kill()
    eventually(lambda: procs.read(child.pid).ended, what="the zombie")
    assert not procs.is_alive(who)
    child.wait()
    assert not procs.is_alive(who)
    assert None is procs.identity(child.pid)


def test_another_start_time_or_boot_is_another_process(child) -> None:
    """A PID that came back."""
    who = procs.identity(child.pid)

    assert not procs.is_alive(who._replace(start_ticks=who.start_ticks + 1))
    assert not procs.is_alive(who._replace(boot="another"))
    assert not procs.is_alive(who._replace(start_ticks=0))


def test_a_signal_needs_the_right_start_time(child) -> None:
    """It is checked after the pidfd was opened."""
    ticks = procs.start_ticks(child.pid)

    assert not procs.send_signal(child.pid, ticks + 1, signal.SIGKILL)
    assert not procs.send_signal(child.pid, 0, signal.SIGKILL)
    assert not procs.send_signal(0, ticks, signal.SIGKILL)
    assert not procs.send_signal(-1, ticks, signal.SIGKILL)
    assert None is child.poll()
    assert procs.send_signal(child.pid, ticks, signal.SIGTERM)
    assert -signal.SIGTERM == child.wait(30)
    assert not procs.send_signal(child.pid, ticks, signal.SIGTERM)


@pytest.mark.parametrize("exact", [False, True])
def test_descendants_of_all_threads_are_found(exact: bool) -> None:
    """The kernel lists children by the thread that started them."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        started.append(subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000 & wait"]))
        hold.wait(60)

    hold = threading.Event()
    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:

        def below() -> set[int]:
            found = procs.descendants(os.getpid(), exact=exact)
            ours = {p.pid for p in started}
            return {p.pid for p in found if p.pid in ours or p.ppid in ours}

        eventually(lambda: len(below()) == 9, what="nine descendants")
        skipped = started[0].pid
        without = {p.pid for p in procs.descendants(os.getpid(), skip={skipped}, exact=exact)}
        assert below() - without == {skipped} | {p.pid for p in procs.descendants(skipped)}
    finally:
        for process in started:
            procs.kill_all(lambda process=process: procs.descendants(process.pid))
            process.kill()
            process.wait()
        hold.set()
        for thread in threads:
            thread.join()


def test_a_name_with_blanks_and_brackets_is_read(tmp_path) -> None:
    """The command's name stands unquoted in the middle of the line."""
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(odd), "1000"])
    try:
        eventually(lambda: b") S 1 (" in procs.slurp(f"/proc/{process.pid}/stat"), what="exec")
        assert os.getpid() == procs.read(process.pid).ppid
    finally:
        process.kill()
        process.wait()


def test_a_process_that_was_reaped_while_it_was_read_is_none() -> None:
    """The kernel then says 0 for its parent and -1 for its group: a signal there would meet everybody."""
    raw = procs.slurp(f"/proc/{os.getpid()}/stat")
    name, _, rest = raw.rpartition(b") ")
    state, _, _, *more = rest.split()
    gone = b" ".join([name + b")", state, b"0", b"-1", *more])

    assert procs.parse_stat(os.getpid(), raw) is not None
    assert procs.parse_stat(os.getpid(), gone) is None


def test_ps_says_what_proc_says() -> None:
    """Where there is no /proc, as on macOS, one call of ps(1) has to do."""
    process = subprocess.Popen([sys.executable, "-c", "x = b'1' * (50 << 20); import time; time.sleep(1000)"])
    try:
        eventually(
            lambda: (seen := procs.read(process.pid)).rss_bytes > 50 << 20 and seen.state == "S",
            what="its sleep",
        )
        ours = procs.read(process.pid)
        table = {p.pid: p for p in procs.read_ps()}
        theirs = table[process.pid]
        assert (ours.ppid, ours.pgid, ours.state) == (theirs.ppid, theirs.pgid, theirs.state)
        assert theirs.rss_bytes == pytest.approx(ours.rss_bytes, rel=0.05)
        assert abs(theirs.start_ticks - psutil.Process(process.pid).create_time()) < 3
        assert [process.pid] == [
            p.pid for p in procs.below(os.getpid(), table.values()) if p.pid == process.pid
        ]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("text", "seconds"), [("0:00.05", 0.05), ("01:02:03", 3723), ("2-00:00:01", 172801)])
def test_times_of_ps_are_understood(text: str, seconds: float) -> None:
    """Both dialects: Linux and macOS."""
    assert seconds == procs.ps_seconds(text)


UNDUMPABLE = """
import os, sys
from orchestrator_action.process import table as procs
assert procs.make_undumpable()
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_an_undumpable_process_keeps_its_environment_to_itself() -> None:
    """FACTS: popping a variable does not hide it, this does; the programs it starts are not affected."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNDUMPABLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pid = int(process.stdout.readline())
        owner = os.stat(f"/proc/{pid}/environ").st_uid
        reader = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "cat",
            f"/proc/{pid}/environ",
        ]
        if os.getuid() == 0:
            assert subprocess.run(reader, capture_output=True).returncode != 0
        else:
            assert 0 == owner
            with pytest.raises(PermissionError), open(f"/proc/{pid}/environ", "rb") as environ:
                environ.read()
    finally:
        process.communicate()


def test_a_marker_is_found_in_an_environment() -> None:
    """Whole entries only."""
    process = subprocess.Popen(["sleep", "1000"], env={"ORCHESTRATOR_ATTEMPT": "abc", "OTHER": "x"})
    try:
        eventually(lambda: procs.slurp(f"/proc/{process.pid}/cmdline").startswith(b"sleep"), what="exec")
        assert procs.carries(process.pid, b"ORCHESTRATOR_ATTEMPT=abc")
        assert not procs.carries(process.pid, b"ORCHESTRATOR_ATTEMPT=ab")
        assert not procs.carries(process.pid, b"")
    finally:
        process.kill()
        process.wait()


def test_killing_meets_a_tree_that_grows() -> None:
    """Frozen first: what is stopped cannot start anything."""
    grow = "import os, time\nwhile True:\n    os.fork() or time.sleep(1000)\n    time.sleep(0.0005)"
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", grow], start_new_session=True)
    eventually(lambda: len(procs.descendants(process.pid)) > 20, what="a crowd")

    def all_of_it() -> list[procs.Process]:
        top = procs.read(process.pid)
        return [p for p in ([top] if top else []) + procs.descendants(process.pid, exact=True) if not p.ended]

    killed = procs.kill_all(all_of_it)

    pids = {p.pid for p in killed}
    assert process.pid in pids
    assert len(pids) > 20
    process.wait(30)
    deadline = time.monotonic() + 30
    while any(p.pgid == process.pid and not p.ended for p in procs.everyone()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
