"""A failure of the walls' making is said to be one, and no other is."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator_action.protocol.model import Ending
from orchestrator_action.sandbox.hints import hint_of
from orchestrator_action.sandbox.policy import Level, Policy, Role
from tests.sandbox.conftest import WalledStage

WALLED = Policy(role=Role.TESTS, level=Level.SANDBOXED, write=("/tree",))


def test_a_path_that_is_read_only_is_named_by_the_program_that_failed(stage: WalledStage):
    """The words are the kernel's: a real program tries."""
    outcome = stage.sh("echo more >>/usr/lib/os-release")

    assert (Ending.EXITED, 2) == (outcome.ending, outcome.exit_code)
    assert "/usr/lib/os-release is read-only in the sandbox" in hint_of(stage.log.read_text(), stage.policy)


def test_a_network_that_was_taken_is_named(stage: WalledStage):
    policy = dataclasses.replace(stage.policy, network=False)

    outcome = stage.run(
        stage.command("python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 3)"),
        policy=policy,
    )

    assert 1 == outcome.exit_code
    assert "takes the network" in hint_of(stage.log.read_text(), policy)


@pytest.mark.parametrize(
    "output", ["AssertionError: 1 != 2", "", "OSError: [Errno 28] No space left on device"]
)
def test_other_failures_are_not_blamed_on_the_walls(output: str):
    assert "" == hint_of(output, WALLED)


def test_without_walls_nothing_is_blamed_on_them():
    assert "" == hint_of("touch: /etc/x: Read-only file system", Policy(role=Role.TESTS))
