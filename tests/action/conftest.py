from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import NPM, need
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID, Runner, checked_out
from tests.kit.unprivileged import python_for_everybody
from tests.kit.whole import LIBRARY


@pytest.fixture
def library(make: Callable[..., Repo]) -> Repo:
    return make(LIBRARY, name="lib")


@pytest.fixture
def github(library: Repo) -> Iterator[GitHubServer]:
    """A loopback GitHub around the library; leaving it fails when anything was not as GitHub describes."""
    need(NPM.parent / "github_openapi.json", "GitHub's OpenAPI description")
    with GitHubServer(library.remote) as server:
        server.state.runs[RUN_ID] = {"id": RUN_ID, "status": "in_progress", "conclusion": None}
        yield server


@pytest.fixture
def runner(github: GitHubServer, library: Repo, tmp_path: Path) -> Runner:
    need(NPM / "@octokit" / "webhooks-examples", "@octokit/webhooks-examples")
    temp = tmp_path / "runner-temp"
    temp.mkdir()
    return Runner(github, checked_out(github, library, tmp_path / "work"), temp)


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """A directory that an unprivileged user can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="oa-attack-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def python(open_tmp: Path) -> Path:
    """A Python that the unprivileged user can run, with our package in it."""
    return python_for_everybody(open_tmp)
