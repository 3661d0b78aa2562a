"""What a killed orchestrator leaves among the temporary files goes with whoever looks after its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.ill import Pids
from tests.kit.whole import GOOD, House
from tests.run.conftest import ill


def scratch(home: House) -> list[Path]:
    """The directories that the latest run's process noted."""
    return [Path(line) for line in (home.run_dir / "scratch").read_text().splitlines()]


@pytest.fixture
def killed(home: House, conduct, pids: Pids) -> list[Path]:
    home.issue(1, "Add a module", GOOD)
    run = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)
    folders = scratch(home)
    run.process.kill()
    run.end()
    assert folders and all(f.is_dir() for f in folders)
    return folders


def test_resume_takes_it_away(home: House, killed: list[Path], conduct):
    ran = conduct("resume", programs=["patch"]).end()

    assert 0 == ran.code, ran.err
    assert not [f for f in killed if f.exists()]
    assert not (home.run_dir / "scratch").exists(), "its own are gone, too"


def test_clean_takes_it_away(home: House, killed: list[Path]):
    """Also from a run that nobody takes up; and nothing that is not such a directory."""
    precious = home.repo.path.parent / "precious"
    precious.mkdir()
    (home.run_dir / "scratch").write_text("".join(f"{f}\n" for f in (*killed, precious)))

    home.cli("clean")
    assert all(f.is_dir() for f in killed), "a dry run removes nothing"
    home.cli("clean", "--remove")

    assert not [f for f in killed if f.exists()]
    assert precious.is_dir()


def test_clean_leaves_a_living_run_alone(home: House, conduct, pids: Pids):
    home.issue(1, "Add a module", GOOD)
    run = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)

    home.cli("clean", "--remove")

    assert all(f.is_dir() for f in scratch(home))
    run.signal()
    assert 130 == run.end().code
