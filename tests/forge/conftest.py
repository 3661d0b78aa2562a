"""Both forges over the same kind of repository: a bare remote with `main` and a branch `topic`."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.forge.folder.forge import LocalForge
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.forge.registry import FORGES
from tests.forge.world import WORLDS, World, open_local
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo, make_repo

Connect = Callable[..., GitHubForge]
TOPIC = {"a.py": "".join(f"line {i}\n" for i in range(1, 21)), "new.txt": "one\ntwo\n"}


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a repository and its remote; to be copied, which is faster than making it again."""
    root = tmp_path_factory.mktemp("topic")
    repo = make_repo(root, {"a.py": TOPIC["a.py"].replace("line 10", "old 10")})
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit(TOPIC)
    repo.push()
    return root


@pytest.fixture
def topic(original: Path, tmp_path: Path) -> Repo:
    """`main` holds a file of 20 lines; `topic` changes its line 10 and adds new.txt; both are pushed."""
    root = tmp_path / "r"
    shutil.copytree(original, root, symlinks=True)
    config = root / "repo" / ".git" / "config"
    config.write_text(config.read_text().replace(str(original), str(root)))
    return Repo(root / "repo", root / "remote.git")


@pytest.fixture
def github(topic: Repo) -> Iterator[GitHubServer]:
    with GitHubServer(topic.remote) as server:
        yield server


@dataclasses.dataclass
class Waits:
    """Takes the place of sleeping; what would have been slept is kept."""

    seconds: list[float] = dataclasses.field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def connect(github: GitHubServer, waits: Waits) -> Iterator[Callable[..., GitHubForge]]:
    """Another process's view of the same GitHub; it remembers nothing."""
    made = []

    def _connect(token: str = "", **more: Any) -> GitHubForge:
        given = {"base_url": github.url, "timeout_s": 5, "sleep": waits, **more}
        made.append(GitHubForge(github.repository, token or github.token, **given))
        return made[-1]

    yield _connect
    for forge in made:
        forge.close()


@pytest.fixture
def forge(connect: Callable[..., GitHubForge]) -> GitHubForge:
    return connect()


@pytest.fixture
def local(topic: Repo, tmp_path: Path) -> LocalForge:
    return open_local(topic, tmp_path / "forge")


@pytest.fixture
def head(topic: Repo) -> str:
    return topic.at_remote("refs/heads/topic")


@pytest.fixture(params=sorted(FORGES))
def world(request: pytest.FixtureRequest) -> World:
    """Every forge of the registry: one that is not among WORLDS fails."""
    return WORLDS[request.param](request)
