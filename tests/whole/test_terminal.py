"""What is said to people: no slow or vanished reader holds the work up; one that pauses loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from orchestrator_action.cli.terminal import Terminal

TALKER = """
import os, sys
from orchestrator_action.cli.terminal import Terminal
sys.setrecursionlimit(60)
os.set_blocking(2, False)
voice = Terminal(2)
voice.write("x" * 300_000)
print(voice.drain(1.0), flush=True)
sys.stdin.read(1)
print(voice.drain(20.0), flush=True)
os._exit(0)
"""


def test_a_reader_that_pauses_gets_every_word():
    """Also where whoever shares our stderr has made it non-blocking."""
    talker = subprocess.Popen(
        [sys.executable, "-I", "-c", TALKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    assert talker.stdin and talker.stdout and talker.stderr
    stuck = talker.stdout.readline()
    talker.stdin.write(b"\n")
    talker.stdin.close()

    heard = talker.stderr.read()

    assert b"False\n" == stuck
    assert 300_000 * b"x" == heard
    assert b"True\n" == talker.stdout.read()
    assert 0 == talker.wait(20)
    talker.stdout.close()
    talker.stderr.close()


def test_a_reader_that_does_not_read_holds_nobody_up():
    reader, writer = os.pipe()
    voice = Terminal(writer)

    started = time.monotonic()
    for _ in range(20_000):
        voice.write("many words\n")
    out = voice.drain(0.1)

    assert (False, True) == (out, time.monotonic() - started < 5)
    os.close(reader)
    assert not voice.drain(20), "the reader has gone"
    os.close(writer)


def test_what_was_too_much_is_counted():
    reader, writer = os.pipe()
    voice = Terminal(writer)
    voice.write("y" * 200_000)
    for _ in range(11_000):
        voice.write("z")
    with open(reader, "rb", buffering=0) as stream:
        head = b""
        while len(head) < 200_000:
            head += stream.read(65536)
        voice.write("the end")
        assert voice.drain(20)
        os.close(writer)
        heard = head + b"".join(iter(lambda: stream.read(65536), b""))

    assert b"messages were lost: nobody read them" in heard  # where depends on when its thread began
