"""Programs behind real walls: bubblewrap of this machine, probed before it is used."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.process import table as procs
from orchestrator_action.protocol.attempt import Command, Outcome
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level, Policy, Role
from orchestrator_action.sandbox.probe import find
from tests.conftest import REQUIRE_ALL
from tests.kit.ill import Pids
from tests.supervisor.conftest import Stage

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def walls() -> Isolation:
    """What holds on this machine; a machine where bubblewrap does not is a skip, and a failure in CI."""
    found = find("auto", os.environ)
    if found.level is not Level.SANDBOXED:
        (pytest.fail if REQUIRE_ALL else pytest.skip)(f"no sandbox on this machine: {found.why}")
    return found


@dataclass
class WalledPids(Pids):
    """Who registered, by a PID of its own namespace; who lives is known by the namespace.

    The kernel gives the number of a namespace that is gone to the next one, of anybody: who began after the
    program of ours had ended is none of it.
    """

    namespaces: dict[tuple[str, int], float] = field(default_factory=dict)
    """By namespace and the program in it: when that had ended, in ticks since boot."""

    def running(self) -> list[int]:
        ended: dict[str, float] = {}
        for (namespace, _), at in self.namespaces.items():
            ended[namespace] = max(at, ended.get(namespace, 0.0))
        there = ((p, _namespace(p.pid)) for p in procs.everyone() if not p.ended)
        return [p.pid for p, namespace in there if p.start_ticks <= ended.get(namespace, -1.0)]

    def alive(self) -> list[int]:
        return self.running()


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


@dataclass
class WalledStage(Stage):
    """Runs programs in a folder of the test, behind walls."""

    policy: Policy = field(default_factory=lambda: Policy(role=Role.TESTS))

    def run(self, command: Command, *, limits: dict[str, Any] | None = None, **more: Any) -> Outcome:
        pids = self.pids
        assert isinstance(pids, WalledPids)
        own = more.pop("on_start", None)

        seen: list[tuple[str, int]] = []

        def began(pid: int, ticks: int) -> None:
            if namespace := _namespace(pid):  # it may be gone already
                seen.append((namespace, pid))
                pids.namespaces[namespace, pid] = math.inf
            if own is not None:
                own(pid, ticks)

        more.setdefault("policy", self.policy)
        outcome = super().run(command, limits=limits, on_start=began, **more)
        pids.namespaces |= dict.fromkeys(seen, time.clock_gettime(time.CLOCK_BOOTTIME) * procs.TICKS_PER_S)
        assert _namespace(os.getpid()) not in {namespace for namespace, _ in seen}, "it ran without walls"
        return outcome


@pytest.fixture
def stage(tmp_path: Path, walls: Isolation) -> Iterator[WalledStage]:
    """Ends with nobody alive behind the walls and no child of ours that was not there before."""
    folder = tmp_path / "pids"
    folder.mkdir()
    before = {p.pid for p in procs.descendants(os.getpid(), exact=True)}
    policy = walls.policy(Role.TESTS, write=[tmp_path], read=[REPOSITORY], scratch=tmp_path / "scratch")
    made = WalledStage(tmp_path, WalledPids(folder), policy=policy)
    yield made
    assert [] == made.pids.alive()
    assert [] == [p for p in procs.descendants(os.getpid(), exact=True) if p.pid not in before]
