"""A failure of the walls' making is said to be one, and no other is."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.sandbox.hints import hint_of
from orchestrator_action.sandbox.policy import Level, Policy, Role
from tests.sandbox.conftest import WalledStage

WALLED = Policy(role=Role.TESTS, level=Level.SANDBOXED, write=("/tree",))


def test_a_path_that_is_read_only_is_named_by_the_program_that_failed(stage: WalledStage):
    """The words are the kernel's: a real program tries."""
    outcome = stage.sh("echo more >>/usr/lib/os-release")

    assert (Ending.EXITED, 2) == (outcome.ending, outcome.exit_code)
    assert "/usr/lib/os-release is read-only in the sandbox" in hint_of(
        stage.log.read_text(), stage.policy, os.environ
    )


def test_a_network_that_was_taken_is_named(stage: WalledStage):
    policy = dataclasses.replace(stage.policy, network=False)

    outcome = stage.run(
        stage.command("python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 3)"),
        policy=policy,
    )

    assert 1 == outcome.exit_code
    assert "takes the network" in hint_of(stage.log.read_text(), policy, os.environ)


def test_a_file_that_is_hidden_is_named_by_the_program_that_did_not_find_it(stage: WalledStage):
    """It is there for us, below the home, and a real program says that there is no such file."""
    script = Path(os.environ["HOME"], "script.sh")
    script.write_text("exit 0\n")

    outcome = stage.sh(f"sh {script}")
    script.unlink()
    said = stage.log.read_text()

    assert 2 == outcome.exit_code
    assert "" == hint_of(said, stage.policy, os.environ), "what nobody has was not hidden"
    script.write_text("exit 0\n")
    hint = hint_of(said, stage.policy, os.environ)
    script.unlink()
    assert f"{script} is hidden in the sandbox (`sandbox: {{read: […]}}` shows it)" == hint


def test_where_landlock_refuses_to_write_the_path_is_named(tmp_path: Path):
    """Its words are those of any missing permission; they are the walls' when we could have written."""
    confined = Policy(role=Role.TESTS, level=Level.CONFINED, read=(str(tmp_path),))
    said = f"sh: 1: cannot create {tmp_path}/made: Permission denied"

    hint = hint_of(said, confined, os.environ)

    assert f"{tmp_path}/made is read-only in the sandbox" in hint
    assert "" == hint_of("cat: /nonexistent/key: Permission denied", confined, os.environ)


@pytest.mark.parametrize(
    "output", ["AssertionError: 1 != 2", "", "OSError: [Errno 28] No space left on device"]
)
def test_other_failures_are_not_blamed_on_the_walls(output: str):
    assert "" == hint_of(output, WALLED, os.environ)


def test_without_walls_nothing_is_blamed_on_them():
    assert "" == hint_of("touch: /etc/x: Read-only file system", Policy(role=Role.TESTS), os.environ)
