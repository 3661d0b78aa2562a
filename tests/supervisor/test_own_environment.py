"""What a process was started with as a secret is seen by nobody from outside, and by no child of it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PROGRAM = """
import os, subprocess, sys
from orchestrator_action.process.own_environment import environment, take_secrets
print(take_secrets(), environment().get("GITHUB_TOKEN"), environment().get("PLAIN"), flush=True)
subprocess.run(["/bin/sh", "-c", "env; cat /proc/$PPID/environ; echo; echo END"])
sys.stdin.read()
"""


@pytest.fixture
def token() -> str:
    return f"ghs_{uuid.uuid4().hex}{uuid.uuid4().hex}"


@pytest.fixture
def started(token: str) -> Iterator[subprocess.Popen[str]]:
    env = {
        "PATH": "/usr/bin:/bin",
        "GITHUB_TOKEN": token,
        "ODD_NAME": token,
        "MODEL_API_KEY": "k-1234567",
        "PLAIN": "x",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield process
    process.communicate("", timeout=30)


def test_secrets_leave_the_environment_that_the_kernel_shows(started: subprocess.Popen[str], token: str):
    """By name or by shape; the process itself still has them, and what is no secret stays."""
    assert started.stdout is not None
    assert f"True {token} x" == started.stdout.readline().strip()

    shown = Path(f"/proc/{started.pid}/environ").read_bytes()

    assert b"GITHUB_TOKEN=\0" in shown and b"PLAIN=x\0" in shown, "the names stay, and the order"
    assert token.encode() not in shown and b"k-1234567" not in shown


def test_a_child_inherits_no_secret(started: subprocess.Popen[str], token: str):
    """Neither by its own environment nor by looking at its parent's."""
    assert started.stdout is not None
    started.stdout.readline()

    seen = "".join(iter(started.stdout.readline, "END\n"))

    assert "PLAIN=x" in seen
    assert token not in seen and "k-1234567" not in seen


def test_a_process_without_secrets_stays_as_it_is():
    code = PROGRAM.replace("sys.stdin.read()", "")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/usr/bin:/bin", "PLAIN": "x"}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip

    assert done.stdout.startswith("False None x\n")
