"""The token stays ours: an agent of the same, unprivileged user looks for it and sets traps. None springs."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL
from tests.kit.github_server import TOKEN, GitHubServer
from tests.kit.repos import Repo, git
from tests.kit.runner import Runner, checked_out
from tests.kit.whole import LIBRARY, new_file

NOBODY = 65534
ATTACK = Path(__file__).with_name("attack.sh")
SYSTEM_PYTHON = Path("/usr/bin/python3")
TRAPS = 20
"""At least so many kinds of traps must be there for the test to mean something."""


class Evil(http.server.BaseHTTPRequestHandler):
    """A server of the attacker's: it writes down what it is told."""

    heard: typing.ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.heard.append(f"{self.path} {self.headers}")
        self.send_response(404)
        self.end_headers()

    do_POST = do_CONNECT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def evil() -> Iterator[str]:
    Evil.heard = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def unprivileged() -> bool:
    """Whether the test itself runs as somebody without privileges."""
    return os.geteuid() != 0


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


def owned(path: Path) -> None:
    if not unprivileged():
        for folder, folders, files in os.walk(path):
            for name in (".", *folders, *files):
                os.chown(Path(folder, name), NOBODY, NOBODY, follow_symlinks=False)


class Attacked(Runner):
    """Steps run as an unprivileged user, with the program directories of a hosted runner."""

    python: Path

    def start(self, mode: str = "run", *, event: str = "schedule", payload=None, **inputs: str):
        env, files = self.environment(mode, event, payload, inputs)
        owned(self.temp)
        process = subprocess.Popen(
            [self.python, "-I", "-m", "orchestrator_action.action"], cwd=self.repo.path, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **({} if unprivileged() else {"user": NOBODY, "group": NOBODY, "extra_groups": []}),
        )  # fmt: skip
        return process, files


def test_an_attack_as_the_same_user_finds_and_catches_no_token(make, open_tmp: Path, python: Path, evil: str):
    """Looked for: environments, /proc, memory, git's settings, helpers, files. Planted: hooks, settings,
    drivers, programs on PATH, Python start-up files, the runner's files. Then the next step runs, too."""
    loot, home = open_tmp / "loot", open_tmp / "home"
    loot.mkdir(mode=0o777)
    loot.chmod(0o777)
    (home / ".local" / "bin").mkdir(parents=True)
    library = make({**LIBRARY, ".github/orchestrator.yml": "agent: patch\ntest: sh ./attack.sh\n"})
    with GitHubServer(library.remote) as github:
        github.token = f"ghs_underattack{uuid.uuid4().hex}"
        github.state.tokens[github.token] = github.state.tokens[TOKEN]
        temp = open_tmp / "runner-temp"
        temp.mkdir()
        work = Repo(checked_out(github, library, open_tmp / "work").path, library.remote)
        runner = Attacked(github, work, temp)
        runner.python = python
        runner.env = {"HOME": str(home), "PATH": f"{home}/.local/bin:{home}/bin:/usr/local/bin:/usr/bin:/bin"}
        host = github.url.removeprefix("http://")
        head = f"LOOT={loot}; EVIL={evil}; HOST={host}; RUNNER={temp}; HOME={home}\n"
        for folder in (work.path, home):
            owned(folder)
        issue = github.state.add_issue(
            "Attack", new_file("attack.sh", head + ATTACK.read_text()), user="octo"
        )
        github.label(issue.number, "orchestrate", actor="octo")

        first = runner.step(event="issues", payload=runner.labeled(issue.number))
        assert (loot / "done").exists(), f"the attack did not run:\n{first.log}"
        traps = [p for name in ("bin", ".local/bin", "evil-hooks") for p in (home / name).iterdir()]
        second = runner.step("settle")
        github.label(issue.number, "orchestrate", actor="octo")
        third = runner.step()

    assert len(traps) >= TRAPS, "the attack was cut short"
    for file in loot.iterdir():
        assert github.token.encode() not in file.read_bytes(), file.name
    assert not [h for h in Evil.heard if github.token in h or "uthorization" in h], Evil.heard
    for done in (first, second, third):
        assert github.token not in done.log
        assert "a bug of ours" not in done.log
        assert "" == done.env_file, "no later step is changed"
        assert "all is well" not in done.summary
    assert "success" != first.outputs["conclusion"], "whoever tampers has not succeeded"
    text = git(work.path, "config", "--list", "--show-origin", check=False)
    assert github.token not in text


def test_the_look_is_not_blind(open_tmp: Path):
    """The same look, at a program that does not hide: it finds the token, so that not finding it means something."""
    loot = open_tmp / "loot"
    repo = open_tmp / "repo"
    git(open_tmp, "init", "-q", str(repo))
    head = f"LOOT={loot}; EVIL=127.0.0.1:9; HOST=127.0.0.1:9; RUNNER={repo}; HOME={open_tmp}\n"
    (repo / "attack.sh").write_text(head + ATTACK.read_text())
    owned(open_tmp)
    token = f"ghs_underattack{uuid.uuid4().hex}"
    me = {} if unprivileged() else {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    careless = subprocess.Popen(
        ["/bin/sh", "-c", "read line"], env={"PATH": "/usr/bin:/bin", "TOKEN": token},
        stdin=subprocess.PIPE, **me,
    )  # fmt: skip
    try:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(open_tmp)}
        subprocess.run(["/bin/sh", "attack.sh"], cwd=repo, env=env, check=True, timeout=60, **me)
    finally:
        careless.communicate(b"\n", timeout=10)

    found = {f.name.split("-")[0] for f in loot.iterdir() if token.encode() in f.read_bytes()}
    assert {"proc", "memory"} <= found, sorted(p.name for p in loot.iterdir())
