"""What a level hides wherever it lies: the user's checkout and socket files outside of home, /tmp and /run."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.config.schema import Config
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.sandbox.sockets import socket_files
from tests.conftest import REQUIRE_ALL
from tests.kit.repos import make_repo
from tests.kit.whole import GOOD, LIBRARY, house
from tests.sandbox.conftest import REPOSITORY, WalledStage


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder of the system, as far as walls know; only root may make one."""
    if not os.access("/var/lib", os.W_OK):
        (pytest.fail if REQUIRE_ALL else pytest.skip)("only root may make a folder that no wall hides")
    with tempfile.TemporaryDirectory(prefix="oa-test-", dir="/var/lib") as folder:
        yield Path(folder)


def test_nobody_sees_what_is_not_committed_in_the_users_checkout(
    stage: WalledStage, walls: Isolation, elsewhere: Path
):
    """Its secrets are hidden, its programs on PATH are not, nor what a policy names in it."""
    (elsewhere / ".env").write_text("SECRET=invented")
    (elsewhere / ".git" / "objects").mkdir(parents=True)
    (elsewhere / ".venv" / "bin").mkdir(parents=True)
    (elsewhere / ".venv" / "pyvenv.cfg").write_text("")
    (elsewhere / ".venv" / "bin" / "a-tool").write_text("#!/bin/sh\necho a tool\n")
    (elsewhere / ".venv" / "bin" / "a-tool").chmod(0o755)
    policy = replace(walls, mask=(str(elsewhere),)).policy(
        Role.AGENT,
        write=[stage.root],
        read=[REPOSITORY, elsewhere / ".git/objects"],
        scratch=stage.root / "s",
    )
    path = {"PATH": f"{elsewhere}/.venv/bin:{os.environ['PATH']}"}

    stage.run(
        stage.command(
            "sh", "-c", f"cat {elsewhere}/.env; a-tool; ls -A {elsewhere} {elsewhere}/.git", env=path
        ),
        policy=policy,
    )

    said = stage.log.read_text()
    assert "invented" not in said
    assert "a tool" in said
    assert [".git", ".venv"] == said.split(f"{elsewhere}:\n")[1].split()[:2]
    assert "objects" in said


def test_a_run_whose_repository_is_in_memory_succeeds(walls: Isolation) -> None:
    """Each process within walls has a /dev of its own; what it may see of a checkout in /dev/shm is laid into it."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm here")
    with tempfile.TemporaryDirectory(prefix="oa-test-", dir="/dev/shm") as folder:
        config = LIBRARY[".github/orchestrator.yml"] + "isolation: required\n"
        home = house(
            Path(folder), make_repo(Path(folder) / "r", {**LIBRARY, ".github/orchestrator.yml": config})
        )
        home.issue(1, "Add a module", GOOD)

        ran = home.run()

    assert 0 == ran.code, ran.err


def test_a_socket_file_in_a_folder_of_the_system_cannot_be_connected_to(stage: WalledStage, elsewhere: Path):
    """As a container's engine, a database or a multiplexer may have one; root's walls hold it, too."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(elsewhere / "socket"))
        server.listen(1)
        assert str(elsewhere / "socket") not in socket_files(), "it may be gone before the walls stand"
        os.utime(elsewhere / "socket", (1e9, 1e9))
        assert str(elsewhere / "socket") in socket_files()

        code = f"import socket; socket.socket(socket.AF_UNIX).connect('{elsewhere}/socket')"
        outcome = stage.run(stage.command("python3", "-c", code))

    assert 1 == outcome.exit_code
    assert "Connection refused" in stage.log.read_text()


def test_a_checkout_that_is_a_folder_of_the_system_stays_in_sight():
    """Who keeps /etc in git has programs that read it; a checkout of his own is hidden."""
    assert () == isolation_of(Config(isolation="off"), os.environ, Path("/etc")).mask
    assert () == isolation_of(Config(isolation="off"), os.environ, Path("/")).mask
    assert (str(REPOSITORY),) == isolation_of(Config(isolation="off"), os.environ, REPOSITORY).mask


def test_a_file_that_goes_while_the_walls_are_built_ends_no_task(
    stage: WalledStage, walls: Isolation, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
):
    """The list of what is hidden is as old as its reading: the walls are built anew, once."""
    asked: list[int] = []

    def listed_too_early() -> list[str]:
        asked.append(1)
        return [str(elsewhere / "gone")] if len(asked) == 1 else []

    monkeypatch.setattr("orchestrator_action.sandbox.view.socket_files", listed_too_early)
    policy = walls.policy(Role.AGENT, write=[stage.root], scratch=stage.root / "s")

    outcome = stage.run(stage.command("sh", "-c", "echo it runs"), policy=policy)

    assert 0 == outcome.exit_code
    assert "it runs" in stage.log.read_text()
    assert 2 == len(asked)
