"""What a release is made of. Nothing is published here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action import __version__
from tests.built import ROOT, notes, problems, version


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sdist and wheel, built with the tools of the environment."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return folder


@pytest.mark.slow
def test_what_is_built_is_complete_and_has_no_tests_in_the_wheel(dist: Path):
    assert [] == problems(dist, f"v{version()}")


@pytest.mark.slow
def test_a_tag_that_is_not_the_version_is_refused(dist: Path):
    assert [f"the tag is v9.9.9, the version {version()}"] == problems(dist, "v9.9.9")


def test_a_folder_without_anything_built_is_refused(tmp_path: Path):
    assert [f"{tmp_path} holds 0 sdists and 0 wheels"] == problems(tmp_path)


def test_one_version_is_told_everywhere():
    assert version() == __version__


def test_the_notes_are_the_changelogs_section():
    """Of what is not released yet, until a section has the version's name."""
    assert notes(f"v{version()}").startswith("### ")
