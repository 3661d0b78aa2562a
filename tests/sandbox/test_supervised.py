"""What supervision promises holds behind the walls: the same tests, with a stage that has some.

`stage` is the one of this folder's conftest; each of these is a line of the supervisor's own suite.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from orchestrator_action.protocol.attempt import Ending
from tests.sandbox.conftest import WalledStage
from tests.supervisor import test_limits, test_start, test_tree
from tests.supervisor.conftest import background

__all__ = ["background"]

ELSEWHERE = {
    "test_a_program_is_started_clean",  # below, with the two variables that walls add
    "test_no_token_of_ours_is_in_the_spawner_or_its_guards",  # nobody within sees either
    "test_without_proc_and_subreaper_children_and_groups_are_ended",  # macOS has no bubblewrap
}
LIMITS = (
    test_limits.test_a_flood_is_stopped_at_the_cap,
    test_limits.test_silent_and_idle_is_stalled,
    test_limits.test_silent_but_at_work_is_not_stalled,
    test_limits.test_work_in_short_lived_children_is_work,
    test_limits.test_cpu_time_is_that_of_the_whole_tree,
    test_limits.test_more_processes_than_are_allowed_end_the_attempt,
    test_limits.test_memory_above_the_limit_ends_the_attempt,
    test_limits.test_a_small_program_is_not_charged_for_its_guard,
)
globals().update({test.__name__: test for test in LIMITS})
for module in (test_tree, test_start):
    globals().update(
        {
            name: test
            for name, test in vars(module).items()
            if name.startswith("test_") and name not in ELSEWHERE
        }
    )


@pytest.mark.parametrize("code", [0, 1, 126, 127, 129, 137, 143, 255])
def test_an_exit_code_is_an_exit_code(stage: WalledStage, code: int):
    """FAULTS 9: bubblewrap would say 137 both for this and for a signal."""
    outcome = stage.sh(f"exit {code}")

    assert (Ending.EXITED, code, None) == (outcome.ending, outcome.exit_code, outcome.signal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_a_signal(stage: WalledStage, number: signal.Signals):
    """FAULTS 9: and the program it ended was not our first process within."""
    outcome = stage.sh(f"ulimit -c 0; kill -{number.value} $$; sleep 1000")

    assert (Ending.EXITED, None, number.value) == (outcome.ending, outcome.exit_code, outcome.signal)


def test_a_program_starts_clean_behind_the_walls(stage: WalledStage):
    """FAULTS 9, 10: descriptors 0, 1, 2, no signal blocked or ignored, own session, end of file on stdin."""
    from tests.supervisor.test_start import look

    seen = look(stage, env={"ONLY": "this"})

    libc_keeps, python_ignores = 0b11 << 31, 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
    assert [0, 1, 2] == seen["fds"]
    assert (0, python_ignores) == (seen["blocked"], seen["ignored"] & ~libc_keeps)
    assert (True, True, "") == (seen["leads_session"], seen["leads_group"], seen["stdin"])
    assert {"PATH", "FOLDER", "ONLY", "HOME", "PWD"} == set(seen["env"]) - {"LC_CTYPE", "RUSTUP_HOME"}


def test_a_rust_that_rustup_brought_finds_its_toolchain(stage: WalledStage, tmp_path: Path):
    """`cargo` in `~/.cargo/bin` is rustup, which reads `~/.rustup`: both are seen, and neither can be written."""
    home = tmp_path / "home"
    (home / ".cargo" / "bin").mkdir(parents=True)
    (home / ".rustup").mkdir()
    (home / ".rustup" / "settings.toml").write_text("stable\n")
    cargo = home / ".cargo" / "bin" / "cargo"
    cargo.write_text('#!/bin/sh\ncat "${RUSTUP_HOME:-$HOME/.rustup}/settings.toml"; touch "$RUSTUP_HOME/x"\n')
    cargo.chmod(0o755)
    env = {"HOME": str(home), "PATH": f"{cargo.parent}:{os.environ['PATH']}"}

    outcome = stage.run(stage.command("sh", "-c", "cargo", env=env))

    assert outcome.exit_code != 0
    assert stage.log.read_text().startswith("stable\n")


def test_walls_that_cannot_be_built_are_named(stage: WalledStage):
    """bubblewrap's own words, and nothing ran."""
    import dataclasses

    policy = dataclasses.replace(stage.policy, program="/bin/false")

    outcome = super(WalledStage, stage).run(stage.command("true"), policy=policy)

    assert Ending.SPAWN_FAILED is outcome.ending
    assert "the sandbox could not be built" in outcome.error


def test_nobody_within_can_say_how_the_program_ended(stage: WalledStage):
    """The first process within dies of no signal from below, and only it is heard."""
    script = "for s in INT TERM KILL STOP HUP USR1; do kill -$s 1; done; ls -l /proc/1/fd >/dev/null; exit 7"

    outcome = stage.sh(script)

    assert (Ending.EXITED, 7) == (outcome.ending, outcome.exit_code)
