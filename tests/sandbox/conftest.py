"""Programs behind real walls: bubblewrap of this machine, probed before it is used."""

from __future__ import annotations

import os
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

    The kernel gives the number of a namespace that is gone to the next one, of anybody. A descriptor keeps it from
    being given away.
    """

    namespaces: dict[str, int] = field(default_factory=dict)
    """Each with its descriptor, from a program's start until nobody is in it any more."""

    def add(self, pid: int) -> str:
        """Watch the namespace of this process; empty when it has ended already."""
        try:
            held = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
        except OSError:
            return ""
        namespace = os.readlink(f"/proc/self/fd/{held}")
        if self.namespaces.setdefault(namespace, held) != held:
            os.close(held)
        return namespace

    def running(self) -> list[int]:
        there = ((p.pid, _namespace(p.pid)) for p in procs.everyone() if not p.ended)
        return [pid for pid, namespace in there if namespace in self.namespaces]

    def alive(self) -> list[int]:
        return self.running()

    def let_go(self) -> None:
        """Forget the namespaces, if nobody is left in any of them: nobody can come."""
        if not self.running():
            while self.namespaces:
                os.close(self.namespaces.popitem()[1])


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

        seen: set[str] = set()

        def began(pid: int, ticks: int) -> None:
            seen.add(pids.add(pid))
            if own is not None:
                own(pid, ticks)

        more.setdefault("policy", self.policy)
        outcome = super().run(command, limits=limits, on_start=began, **more)
        pids.let_go()
        assert _namespace(os.getpid()) not in seen, "it ran without walls"
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
    left = made.pids.alive()
    for held in made.pids.namespaces.values():
        os.close(held)
    assert [] == left
    assert [] == [p for p in procs.descendants(os.getpid(), exact=True) if p.pid not in before]
