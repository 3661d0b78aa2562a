"""A stage on which ill-behaved programs run under the real supervisor."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.process import table as procs
from orchestrator_action.process.supervisor import Cancel, supervise
from orchestrator_action.protocol.attempt import Command, Limits, Outcome
from tests.kit.ill import HERE, Pids, eventually

PYTHON = sys.executable


@dataclass
class Stage:
    """Runs programs in a folder of the test."""

    root: Path
    pids: Pids
    cancel: Cancel = field(default_factory=Cancel)
    log: Path = Path()
    """The log of the last program that was run."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def command(self, *argv: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Command:
        base = {"PATH": os.environ["PATH"], "FOLDER": str(self.pids.folder)}
        return Command(argv=argv, cwd=str(cwd or self.root), env={**base, **(env or {})})

    def ill(self, script: str, *args: object) -> Command:
        """An ill-behaved program of the kit; its first argument is the folder it registers in."""
        runner = ["sh"] if script.endswith(".sh") else [PYTHON, "-I", "-S", "-E"]
        return self.command(*runner, str(HERE / script), str(self.pids.folder), *map(str, args))

    def run(self, command: Command, *, limits: dict[str, Any] | None = None, **more: Any) -> Outcome:
        log = self.log = more.pop("log", self.root / f"log-{next(self._numbers)}")
        cancel = more.pop("cancel", self.cancel)
        return supervise(command, log=log, limits=Limits(**(limits or {})), cancel=cancel, **more)

    def sh(self, script: str, *, limits: dict[str, Any] | None = None, **more: Any) -> Outcome:
        return self.run(self.command("sh", "-c", script), limits=limits, **more)


GUARD = """
import socket, sys
from orchestrator_action.process import table as procs
{before}
from orchestrator_action.process.guard import Guard
from orchestrator_action.process.wakeup import wakeup
Guard(socket.socket(fileno=int(sys.argv[1])), wakeup(), adopts={adopts}).run()
"""


def lone_guard(
    stage: Stage,
    argv: list[str],
    limits: dict[str, float],
    *,
    before: str,
    adopts: str = "procs.become_subreaper()",
) -> dict[str, Any]:
    """Run a guard without spawner in an interpreter that `before` prepared; returns its last word."""
    ours, theirs = socket.socketpair()
    order = {
        "argv": argv, "env": {"PATH": os.environ["PATH"]}, "cwd": "/", "log": str(stage.root / "log"),
        "append": False, "expects_start": True, "record": "", "marker": "", "owner": 0, "owner_ticks": 0,
        "limits": {"stop_grace_s": 60, "wall_s": 0, "start_s": 0, "stall_s": 0, "result_grace_s": 0,
                   "log_bytes": 0, "disk_free_bytes": 0, "rss_mib": 0, "processes": 0, **limits},
    }  # fmt: skip
    with ours:
        with theirs:
            guard = subprocess.Popen(
                [PYTHON, "-c", GUARD.format(before=before, adopts=adopts), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
            )
        ours.sendall(json.dumps(order).encode() + b"\n")
        said = b""
        while chunk := ours.recv(65536):
            said += chunk
        guard.wait()
    last: dict[str, Any] = json.loads(said.splitlines()[-1])
    return last


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Ends with nobody alive and no child of ours that was not there before."""
    folder = tmp_path / "pids"
    folder.mkdir()
    before = {p.pid for p in procs.descendants(os.getpid(), exact=True)}
    made = Stage(tmp_path, Pids(folder))
    yield made
    assert [] == made.pids.alive()
    assert [] == [p for p in procs.descendants(os.getpid(), exact=True) if p.pid not in before]


@pytest.fixture
def background() -> Iterator[Callable[..., Future[Outcome]]]:
    """Call something in a thread; the test ends when it has."""
    with ThreadPoolExecutor(300) as pool:
        yield lambda call, *args, **kw: pool.submit(call, *args, **kw)


@dataclass
class Orchestra:
    """A whole orchestrator in a process of its own, which a test may kill."""

    process: subprocess.Popen[str]
    root: Path
    pids: Pids

    @property
    def records(self) -> list[Path]:
        return sorted(self.root.glob("record-*.json"))

    def guards(self) -> list[int]:
        """PIDs of the spawner and its guards, spawner first."""
        below = procs.descendants(self.process.pid, exact=True)
        return [p.pid for p in below if b"guard_main.py" in procs.slurp(f"/proc/{p.pid}/cmdline")]


@pytest.fixture
def orchestra(tmp_path: Path) -> Iterator[Callable[..., Orchestra]]:
    """Start an orchestrator that runs kit programs; nothing of it is left when the test ends."""
    started: list[Orchestra] = []

    def start(script: str, *args: object, tasks: int = 1, grace_s: float = 0.5, expect: int = 1) -> Orchestra:
        folder = tmp_path / "orchestra-pids"
        folder.mkdir(exist_ok=True)
        argv = [PYTHON, "-m", "tests.kit.orchestra", str(tmp_path), str(tasks), str(grace_s), script]
        argv += [str(folder), *map(str, args)]
        here = Path(__file__).parents[2]
        process = subprocess.Popen(argv, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        made = Orchestra(process, tmp_path, Pids(folder))
        started.append(made)
        made.pids.expect(expect)
        return made

    yield start
    for made in started:
        made.process.kill()
        made.process.communicate()
        eventually(lambda made=made: not made.pids.alive(), what="the end of everything started", within_s=60)
