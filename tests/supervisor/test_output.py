"""Output goes into the log byte for byte, and is read from there line by line, whatever it is."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator_action.process.tail import LINE_BYTES, Tail
from orchestrator_action.protocol.attempt import Ending, Mark
from tests.supervisor.conftest import PYTHON, Stage

PARENT = Path(__file__).parents[2]


def emit(payload: bytes) -> list[str]:
    """A program that writes exactly `payload`, in two parts."""
    return [PYTHON, "-c", f"import sys; w = sys.stdout.buffer.write; w({payload[:7]!r}); w({payload[7:]!r})"]


ODD = {
    "binary": bytes(range(256)) * 40,
    "NUL": b"a\0b\n\0\0\nc",
    "invalid UTF-8": b"\xff\xfe\n\xc3\n\xa9ok\n",
    "progress bar": b"".join(b"\r%3d %%" % n for n in range(100)) + b"\rdone\nnext\n",
    "no final newline": b"first\nlast",
    "newlines only": b"\n\n\n",
    "CRLF": b"a\r\nb\r\n",
    "workflow commands": b"::error::x\n##[group]y\n\xef\xbb\xbf::set-output name=a::b\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_output_is_kept_exactly_and_read_line_by_line(stage: Stage, kind: str) -> None:
    """FAULTS 15: the log has every byte; the reader goes on with the next line."""
    payload, lines = ODD[kind], []

    outcome = stage.run(stage.command(*emit(payload)), feed=lines.append)

    assert outcome.exit_code == 0
    assert payload == stage.log.read_bytes()
    assert len(payload) == outcome.log_bytes
    whole = payload.split(b"\n")
    assert (whole[:-1] if not whole[-1] else whole) == lines


def test_a_line_of_50_mib_is_logged_whole_and_read_cut(stage: Stage) -> None:
    """FAULTS 15: memory stays bounded, the line after it arrives."""
    lines: list[int | bytes] = []
    script = "import sys; [sys.stdout.write('x' * 1048576) for _ in range(50)]; print(); print('after')"

    outcome = stage.run(
        stage.command(PYTHON, "-c", script),
        feed=lambda line: lines.append(line if len(line) < 100 else len(line)),
    )

    assert 50 * 1024**2 + 7 == outcome.log_bytes == stage.log.stat().st_size
    assert [LINE_BYTES, b"after"] == lines


@pytest.mark.slow
@pytest.mark.parametrize("fed", [False, True])
def test_two_gib_of_output_are_identical_and_cost_no_memory(stage: Stage, fed: bool) -> None:
    """FAULTS 15: the supervisor's own memory does not grow with the output. 2 GiB unread, 256 MiB read."""
    size = (256 if fed else 2048) * 1024**2
    line = b"%d: the quick brown fox jumps over the lazy dog, and on it goes\n" % size
    program = f"yes '{line.decode().strip()}' | head -c {size}"
    watch = f"""
import resource, sys, hashlib
from pathlib import Path
from orchestrator_action.protocol.attempt import Command, Limits
from orchestrator_action.process.supervisor import Cancel, supervise
seen = hashlib.sha256()
def feed(line):
    seen.update(line + b"\\n")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
outcome = supervise(
    Command(argv=("sh", "-c", {program!r}), cwd="/", env={{"PATH": "/usr/bin:/bin"}}),
    log=Path({str(stage.root / "big")!r}), limits=Limits(log_bytes=0, disk_free_bytes=0), cancel=Cancel(),
    feed=feed if {fed} else None)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(outcome.exit_code, outcome.log_bytes, after - before, seen.hexdigest())
"""
    done = subprocess.run(
        [sys.executable, "-c", watch], cwd=PARENT, capture_output=True, text=True, check=True
    )

    code, logged, grown, digest = done.stdout.split()
    expected = line * (1024**2 // len(line))
    with (stage.root / "big").open("rb") as log:
        while chunk := log.read(len(expected)):
            assert chunk == expected[: len(chunk)]
    (stage.root / "big").unlink()
    assert ("0", str(size)) == (code, logged)
    assert int(grown) < 8 * 1024, "KiB"
    if fed:
        whole, rest = divmod(size, len(line))
        heard = hashlib.sha256()
        for _ in range(whole):
            heard.update(line)
        heard.update(line[:rest] + b"\n" * bool(rest))
        assert heard.hexdigest() == digest


def test_a_program_that_writes_a_mebibyte_and_ends_loses_nothing(stage: Stage) -> None:
    """FAULTS 18: the log is a file, not a pipe somebody has to empty."""
    lines: list[bytes] = []

    outcome = stage.sh("yes 0123456789abcde | head -c 1048576", feed=lines.append)

    assert 1048576 == outcome.log_bytes
    assert [b"0123456789abcde"] * 65536 == lines


def test_chatty_tasks_do_not_mix_their_lines(stage: Stage, background) -> None:
    """FAULTS 18: 16 at once, each with its own log."""
    heard: dict[int, list[bytes]] = {n: [] for n in range(16)}

    def talk(number: int) -> bytes:
        log = stage.root / f"chat-{number}"
        command = stage.command("sh", "-c", f"yes task-{number} | head -n 20000")
        stage.run(command, log=log, feed=heard[number].append)
        return log.read_bytes()

    logs = [background(talk, n) for n in range(16)]

    for number, log in enumerate(logs):
        assert b"task-%d\n" % number * 20000 == log.result()
        assert [b"task-%d" % number] * 20000 == heard[number]


def test_stdout_and_stderr_come_in_the_order_they_were_written(stage: Stage) -> None:
    """One file, appended to."""
    stage.sh("for i in 1 2 3; do echo out $i; echo err $i >&2; done")

    assert "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n" == stage.log.read_text()


def test_a_second_attempt_can_append(stage: Stage) -> None:
    """And its reader sees only what is new."""
    log, lines = stage.root / "log", []
    stage.sh("echo one", log=log)

    outcome = stage.sh("echo two", log=log, append=True, feed=lines.append)

    assert "one\ntwo\n" == log.read_text()
    assert [b"two"] == lines
    assert 4 == outcome.log_bytes


def test_a_program_may_close_its_output_and_go_on(stage: Stage) -> None:
    """It is finished when it ends, not when it falls silent."""
    outcome = stage.sh("echo early; exec >&- 2>&-; sleep 0.3; exit 6")

    assert 6 == outcome.exit_code
    assert outcome.wall_s >= 0.3
    assert "early\n" == stage.log.read_text()


def test_a_program_that_cuts_its_own_log_is_read_on(stage: Stage) -> None:
    """`> /dev/stderr` opens the file anew and empties it; what comes afterwards is seen."""
    lines: list[bytes] = []

    outcome = stage.sh("echo before; sleep 0.6; : > /dev/stderr; echo after", feed=lines.append)

    assert outcome.exit_code == 0
    assert [b"before", b"after"] == lines


def test_lines_are_passed_on_while_the_program_runs(stage: Stage, background) -> None:
    """Progress is progress only while it happens."""
    heard = threading.Event()

    def feed(line: bytes) -> Mark | None:
        heard.set()
        return Mark.ACTIVITY

    running = background(stage.sh, "echo now; exec sleep 1000", feed=feed)

    assert heard.wait(30)
    assert not running.done()
    stage.cancel.set()
    assert Ending.CANCELLED is running.result().ending


def test_a_tail_reads_any_file_in_any_pieces(tmp_path: Path) -> None:
    """Whatever the pieces in which a file grows, the lines are the same."""
    path = tmp_path / "log"
    text = b"a\n\nbb\n" + b"c" * 300_000 + b"\nlast"
    for step in (1, 7, 4096, 299_999):
        text_now = text[:50] if step == 1 else text
        tail, seen = Tail(path), []
        path.write_bytes(b"")
        with path.open("ab", buffering=0) as out:
            for start in range(0, len(text_now), step):
                out.write(text_now[start : start + step])
                seen += list(tail.lines())
        tail.behind = True
        while tail.behind:
            seen += list(tail.lines())
        last = tail.last()
        assert text_now.split(b"\n") == [*seen, *([last] if last is not None else [])]
