"""A stage on which ill-behaved programs run under the real supervisor."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.core.model import Command, Limits, Outcome
from orchestrator_action.runtime import procs
from orchestrator_action.runtime.supervisor import Cancel, supervise
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
        """PIDs of the nursery and its guards, nursery first."""
        below = procs.descendants(self.process.pid, exact=True)
        return [p.pid for p in below if b"shim.py" in procs.slurp(f"/proc/{p.pid}/cmdline")]


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
        eventually(lambda made=made: not made.pids.alive(), what="the end of everything started")
