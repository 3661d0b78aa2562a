"""Guards of the whole suite: an own HOME nobody writes to by accident, loopback only, nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from orchestrator_action.process import table as procs
from tests.kit.repos import Repo, make_repo

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
# No example has a deadline of its own: on a busy machine that judges the machine. pytest-timeout bounds each test.

REQUIRE_ALL = os.environ.get("ORCHESTRATOR_REQUIRE_ALL") == "1"
"""Set by CI: a missing real component is then a failure, never a skip."""

NPM = Path(__file__).parent / "npm" / "node_modules"


def need(path: Path | str | None, what: str) -> Path:
    """The real component at `path`; skips on a user's machine and fails in CI when it is missing."""
    if path and Path(path).exists():
        return Path(path)
    message = f"{what} is not installed (npm ci --prefix tests/npm)"
    if REQUIRE_ALL:
        pytest.fail(message)
    pytest.skip(message)


NEEDS = {"claude_cli": ("claude", "npm"), "runner": ("npm",)}
"""Fixtures that stand for a component from npm, and the marks of whatever asks for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a component from npm, so that `make test` runs on any machine as it is."""
    for item in items:
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            for mark in NEEDS[fixture]:
                item.add_marker(mark)
        if item.get_closest_marker("claude"):
            item.add_marker("npm")


@pytest.fixture
def graphql() -> None:
    """GraphQL on the loopback GitHub: an environment made before graphql-core was needed has none."""
    if importlib.util.find_spec("graphql") is None:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("graphql-core is not installed (make)")


@pytest.fixture(scope="session")
def claude_cli() -> Path:
    """The real Claude Code CLI."""
    return need(NPM / ".bin" / "claude", "the claude CLI")


@pytest.fixture(scope="session", autouse=True)
def _own_home() -> Iterator[None]:
    """HOME is an empty directory of the session, no credentials of this machine are visible, and no
    variable of git's own reaches a test (the suite itself may run inside a hook). What a program that is
    killed leaves among the temporary files goes with them."""
    home = tempfile.mkdtemp(prefix="oa-home-")
    Path(home, "tmp").mkdir()
    saved = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GIT_", "GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_", "ANTHROPIC_", "CLAUDE")):
            del os.environ[name]
    os.environ.update(
        HOME=home, TMPDIR=f"{home}/tmp", GIT_CONFIG_NOSYSTEM="1", XDG_CACHE_HOME=f"{home}/.cache"
    )
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(saved)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _nothing_changed() -> Iterator[None]:
    """Environment, signal handlers and who adopts orphans are as before after each test."""
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    cwd, adopts = Path.cwd(), procs.is_subreaper()
    yield
    assert env == {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    assert handlers == {s: signal.getsignal(s) for s in handlers}
    assert (cwd, adopts) == (Path.cwd(), procs.is_subreaper())


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of ours reaches beyond this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test reached for {address!r}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Repo]:
    """Make a repository with a bare remote from a mapping of files."""

    def _make(files: Mapping[str, str] | None = None, *, name: str = "r", branch: str = "main") -> Repo:
        return make_repo(tmp_path / name, files or {"README.md": "# hello\n"}, branch=branch)

    return _make


@pytest.fixture
def repo(make: Callable[..., Repo]) -> Repo:
    """A small repository on `main` with a bare remote."""
    return make()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One visible line for what was skipped because npm packages are missing."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "npm ci" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests were skipped that need real components: npm ci --prefix tests/npm",
            yellow=True,
        )
