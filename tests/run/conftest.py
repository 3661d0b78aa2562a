from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.model import RunReport, TaskResult
from orchestrator_action.run import setup as wiring
from orchestrator_action.run.run import run_tasks
from tests.kit.ill import HERE, Pids, eventually
from tests.kit.repos import Repo
from tests.kit.scripted import ScriptedAgent
from tests.kit.whole import GOOD, LIBRARY, PACKAGE, House, Ran, house


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path: Path) -> House:
    """A small library with tests, a bare remote and an empty local forge."""
    return house(tmp_path, make(LIBRARY))


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Pids]:
    """Where ill-behaved programs register; none of them lives on."""
    folder = tmp_path / "pids"
    folder.mkdir()
    made = Pids(folder)
    yield made
    eventually(lambda: not made.running(), what="the end of every ill-behaved program")


def ill(script: str, *args: object) -> list[str]:
    """An ill-behaved program of the kit as an agent's argv."""
    runner = ["sh"] if script.endswith(".sh") else [sys.executable, "-I", "-S", "-E"]
    return [*runner, str(HERE / script), *map(str, args)]


def tasks(home: House, count: int) -> None:
    """So many issues that succeed."""
    for number in range(1, count + 1):
        home.issue(number, f"Task {number}", GOOD)


@dataclass
class Conducted:
    """An orchestrator in a process of its own."""

    home: House
    process: subprocess.Popen[str]

    def until(self, kind: str, count: int = 1) -> None:
        """Wait until the journal holds so many events of a kind."""
        eventually(lambda: self._seen(kind) >= count, what=f"{count} × {kind}")

    def _seen(self, kind: str) -> int:
        with contextlib.suppress(OSError, IndexError, ValueError):
            return sum(e["kind"] == kind for e in self.home.events())
        return 0

    def signal(self, number: int = signal.SIGINT) -> float:
        """Send a signal to the process itself; returns when, in monotonic seconds."""
        at = time.monotonic()
        self.process.send_signal(number)
        return at

    def end(self, timeout: float = 60) -> Ran:
        out, err = self.process.communicate(timeout=timeout)
        return Ran(self.process.returncode, out, err)


@pytest.fixture
def conduct(home: House) -> Iterator[Callable[..., Conducted]]:
    """Start an orchestrator with scripted agents; nothing of it is left when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(
        verb: str = "run", *, slots: int = 4, flags: dict[str, Any] | None = None, **agent: Any
    ) -> Conducted:
        argv = [
            sys.executable,
            "-P",
            "-m",
            "tests.kit.conduct",
            verb,
            f"local:{home.forge}",
            json.dumps(agent),
        ]
        process = subprocess.Popen(
            [*argv, str(slots), json.dumps(flags or {})],
            cwd=home.repo.path,
            env={**home.environment(), "PYTHONPATH": str(PACKAGE)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Conducted(home, process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@dataclass
class InProcess:
    """A run in this very process, with a scripted agent and no walls: programs register by their real PIDs."""

    home: House
    cancel: Cancel

    def run(
        self, agent: ScriptedAgent, *, slots: int = 2, first_wait_s: float = 0.01,
        others: Mapping[str, Any] | None = None, **more: Any,
    ) -> RunReport:  # fmt: skip
        """`others` are further agents by name."""
        agents = others or {}
        flags = {"agent": "patch", "isolation": "off", "max_parallel": slots, **more.pop("flags", {})}
        asked = wiring.RunRequest(repo=self.home.repo.path, forge=f"local:{self.home.forge}", flags=flags)
        told: list[TaskResult] = []
        with wiring.start_run(asked, self.home.environment(), self.cancel, say=lambda _: None) as (
            found,
            parts,
        ):
            limits = replace(parts.limits, **more.pop("limits", {}))
            parts = replace(parts, agents=lambda name: agents.get(name, agent), limits=limits)
            more.setdefault("tell", told.append)
            return run_tasks(found.tasks, parts, slots=slots, first_wait_s=first_wait_s, **more)


@pytest.fixture
def inside(home: House) -> InProcess:
    return InProcess(home, Cancel())


class Stuck:
    """A forge whose folder is locked by somebody who does not let go."""

    def __init__(self, home: House) -> None:
        home.forge.mkdir(exist_ok=True)
        self._path = home.forge / ".lock"
        self._code = (
            "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); "
            "print('held', flush=True); time.sleep(1000)"
        )

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self._code, str(self._path)], stdout=subprocess.PIPE, text=True
        )
        assert "held\n" == self.process.stdout.readline()

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
