"""Where the network was taken, no kind of socket is left that knows no network namespace."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.sandbox import families
from tests.sandbox.conftest import WalledStage

TRIES = """
import ctypes, errno, os, socket

def makes(family):
    why = set()
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind).close()
            return True
        except OSError as exc:
            why.add(exc.errno)
    return False if why == {errno.EAFNOSUPPORT} else None  # None: there might be such sockets, but not for us

print("made", *(family for family in range(46) if makes(family)))
print("open", *(family for family in range(46) if makes(family) is not False))
socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)
print("ring", libc.syscall(425, 1, 0), ctypes.get_errno())
"""


def said(stage: WalledStage) -> dict[str, list[int]]:
    stage.run(stage.command(sys.executable, "-I", "-S", "-c", TRIES))
    lines = [line.split() for line in stage.log.read_text().splitlines()]
    return {word: list(map(int, numbers)) for word, *numbers in lines}


@pytest.mark.parametrize("network", [False, True])
def test_only_the_usual_kinds_of_sockets_are_left_without_a_network(stage: WalledStage, network: bool):
    """AF_VSOCK (40) reaches the host of a virtual machine from any network namespace."""
    stage.policy = replace(stage.policy, network=network)

    found = said(stage)

    assert {1, 2} <= set(found["made"])
    if network:
        return
    assert set(families.FAMILIES) >= set(found["open"])
    assert [-1, 38] == found["ring"]  # ENOSYS: programs do without


def test_the_filter_that_is_installed_is_the_one_that_is_written_down():
    """It is written anew by: open(families.FILTER_FILE, "wb").write(families.make_filter())."""
    assert families.make_filter() == Path(families.FILTER_FILE).read_bytes()
