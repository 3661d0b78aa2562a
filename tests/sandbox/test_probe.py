"""What holds is found by attacking: the level, what was reached, and why it is no higher."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.errors import IsolationError
from orchestrator_action.sandbox import landlock, probe
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level, Role


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without bubblewrap."""
    (tmp_path / "sleep").symlink_to("/bin/sleep")
    return {"PATH": str(tmp_path), "HOME": os.environ["HOME"]}


def test_required_and_not_held_is_an_error_with_exit_code_6(bare: dict[str, str]):
    with pytest.raises(IsolationError, match="bubblewrap is not installed") as raised:
        probe.find("required", bare)

    assert (6, True) == (raised.value.exit_code, "apt-get install bubblewrap" in raised.value.hint)


def test_a_bubblewrap_that_does_not_work_is_no_level(bare: dict[str, str]):
    """As where the kernel forbids namespaces: its own words are the reason."""
    program = Path(bare["PATH"], "bwrap")
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)

    found = probe.find("auto", bare)

    assert found.level is (Level.CONFINED if landlock.abi() else Level.OPEN)
    assert "No permissions to create new namespace" in found.why


def test_a_bubblewrap_that_holds_nothing_is_found_out(bare: dict[str, str]):
    """A program of its name that just runs the command: the attacks get through, so it is no level."""
    program = Path(bare["PATH"], "bwrap")
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    program.chmod(0o755)

    with pytest.raises(IsolationError, match=r"does not hold: .*reading other processes"):
        probe.find("required", bare)


def test_off_claims_nothing(bare: dict[str, str]):
    found = probe.find("off", bare)

    assert (Level.OPEN, (), ()) == (found.level, found.held, found.reached)
    assert "isolation is off" in found.sentence()


def test_the_network_that_stays_is_said(walls: Isolation):
    """Shared, it leaves loopback and abstract sockets within reach; without it both are out of reach."""
    assert {"services on loopback", "abstract sockets"} <= set(walls.reached)

    without = replace(walls, network=frozenset())
    reached = probe._attacked(without.policy(Role.TESTS), {**os.environ})

    assert not any(reached.values()), reached
