from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import NPM, REQUIRE_ALL, need
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID, Runner, checked_out
from tests.kit.unprivileged import unprivileged
from tests.kit.whole import LIBRARY

SYSTEM_PYTHON = Path("/usr/bin/python3")


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
    if unprivileged():
        return Path(sys.executable)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = subprocess.run([SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if found.stdout.strip() != version:
        message = f"{SYSTEM_PYTHON} is not Python {version}: no interpreter for an unprivileged user"
        pytest.fail(message) if REQUIRE_ALL else pytest.skip(message)
    home = open_tmp / "venv"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", home], check=True)
    here = Path(__file__).resolve().parents[2]
    packages = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    (home / "lib" / f"python{version}" / "site-packages" / "ours.pth").write_text(f"{packages}\n{here}\n")
    return home / "bin" / "python"
