"""`orchestrator-phase` used wrongly: one line that says what is wrong, one that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.protocol.wire import SOCKET_VARIABLE, TOKEN_VARIABLE, PhaseAnswer, PhaseRequest
from orchestrator_action.work.broker import Broker


def phase(*args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", "-m", "orchestrator_action.phase_client.main", *args]
    done = subprocess.run(
        argv,
        env={"PATH": os.environ["PATH"], **env},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    ("args", "code", "error", "hint"),
    [
        ([], 2, "the following arguments are required: VERB", "orchestrator-phase --help"),
        (["fly"], 2, "no verb 'fly'", "one of show, status, start, done, wait, stop"),
        (["dome", "testing"], 2, "no verb 'dome'", "did you mean done?"),
        (["done"], 2, "the following arguments are required: PHASE", "orchestrator-phase done --help"),
        (["done", "tests"], 2, "no phase 'tests'", "did you mean testing?"),
        (["start", "Testing!"], 2, "no phase 'Testing!'", "did you mean testing?"),
        (["done", "testing", "now"], 2, "unrecognized arguments: now", "orchestrator-phase --help"),
        (["done", "testing", "--note"], 2, "argument --note: expected one argument", "orchestrator-phase done --help"),
        (["done", "documentation", "--waive", " "], 2, "--waive needs a reason", "orchestrator-phase --help"),
        (["stop"], 2, "the following arguments are required: --because", "orchestrator-phase stop --help"),
        (["stop", "--because", " "], 2, "--because needs a reason", "orchestrator-phase --help"),
        (["done", "implementation", "--no-change-needed", ""], 2, "--no-change-needed needs a reason",
         "orchestrator-phase --help"),
        (["done", "pull-request", "--file", "/nowhere"], 2, "cannot read /nowhere: No such file or directory",
         "--file takes a readable file"),
        (["done", "testing"], 4, "ORCHESTRATOR_SOCKET is not set", "this command works inside a task only"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_error_and_one_hint(args: list[str], code: int, error: str, hint: str):
    done = phase(*args)

    assert (code, "", f"error: {error}\nhint: {hint}\n") == (done.returncode, done.stdout, done.stderr)


def test_a_socket_nobody_listens_on_is_said(tmp_path: Path):
    done = phase("done", "testing", **{SOCKET_VARIABLE: str(tmp_path / "gone")})

    assert (4, 2) == (done.returncode, len(done.stderr.splitlines()))
    assert done.stderr.startswith("error: the broker does not answer: ")


@pytest.mark.parametrize("how", ["note", "file", "stdin"])
def test_what_is_too_large_is_refused_in_words(how: str, tmp_path: Path):
    """A file without an end is not read to its end."""
    said: list[PhaseRequest] = []
    with Broker() as broker:
        token = broker.register(lambda request: said.append(request) or PhaseAnswer(ok=True, message="ok"))
        env = {SOCKET_VARIABLE: str(broker.path), TOKEN_VARIABLE: token}
        args = {"note": ["--note", "x" * 100_000], "file": ["--file", "/dev/zero"], "stdin": ["--file", "-"]}[
            how
        ]
        done = phase("done", "testing", *args, stdin=b"y" * 3_000_000 if how == "stdin" else b"", **env)

    assert (1, []) == (done.returncode, said)
    assert "larger than" in done.stdout


def test_bytes_that_are_no_text_are_handed_in_all_the_same():
    said: list[PhaseRequest] = []
    with Broker() as broker:
        token = broker.register(lambda request: said.append(request) or PhaseAnswer(ok=True, message="ok"))
        env = {SOCKET_VARIABLE: str(broker.path), TOKEN_VARIABLE: token}
        note = os.fsdecode(b"a\xffb")
        done = phase("done", "testing", "--note", note, "--file", "-", stdin=b"c\xffd", **env)

    [request] = said
    assert 0 == done.returncode, done.stderr
    assert ("a?b", "cd") == (request.note, request.file.replace("\ufffd", "").replace("?", ""))
