"""The token stays ours: an agent of the same, unprivileged user looks for it and sets traps. None springs."""

from __future__ import annotations

import http.server
import subprocess
import threading
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.github_server import TOKEN, GitHubServer
from tests.kit.repos import Repo, git
from tests.kit.runner import checked_out
from tests.kit.unprivileged import Unprivileged, as_nobody, give_away
from tests.kit.whole import LIBRARY, new_file

ATTACK = Path(__file__).with_name("attack.sh")
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


def test_an_attack_as_the_same_user_finds_and_catches_no_token(make, open_tmp: Path, python: Path, evil: str):
    """Looked for: environments, /proc, memory, git's settings, helpers, files. Planted: hooks, settings,
    drivers, programs on PATH, Python start-up files, the runner's files. Then the next step runs, too."""
    loot, home = open_tmp / "loot", open_tmp / "home"
    loot.mkdir(mode=0o777)
    loot.chmod(0o777)
    (home / ".local" / "bin").mkdir(parents=True)
    library = make(
        {
            **LIBRARY,
            # Without walls, where every trap can be set: within them there is nothing to plant it in.
            ".github/orchestrator.yml": (
                "agent: patch\nisolation: off\ntest: sh ./attack.sh\nphases: {testing: waivable}\n"
            ),
        }
    )
    with GitHubServer(library.remote) as github:
        github.token = f"ghs_underattack{uuid.uuid4().hex}"
        github.state.tokens[github.token] = github.state.tokens[TOKEN]
        temp = open_tmp / "runner-temp"
        temp.mkdir()
        work = Repo(checked_out(github, library, open_tmp / "work").path, library.remote)
        runner = Unprivileged(github, work, temp)
        runner.python = python
        runner.env = {"HOME": str(home), "PATH": f"{home}/.local/bin:{home}/bin:/usr/local/bin:/usr/bin:/bin"}
        host = github.url.removeprefix("http://")
        head = f"LOOT={loot}; EVIL={evil}; HOST={host}; RUNNER={temp}; HOME={home}\n"
        for folder in (work.path, home):
            give_away(folder)
        issue = github.state.add_issue(
            "Attack", new_file("attack.sh", head + ATTACK.read_text()), user="octo"
        )
        github.label(issue.number, "orchestrate", actor="octo")

        first = runner.step()
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
    give_away(open_tmp)
    token = f"ghs_underattack{uuid.uuid4().hex}"
    careless = subprocess.Popen(
        ["/bin/sh", "-c", "read line"], env={"PATH": "/usr/bin:/bin", "TOKEN": token},
        stdin=subprocess.PIPE, **as_nobody(),
    )  # fmt: skip
    try:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(open_tmp)}
        subprocess.run(["/bin/sh", "attack.sh"], cwd=repo, env=env, check=True, timeout=60, **as_nobody())
    finally:
        careless.communicate(b"\n", timeout=10)

    found = {f.name.split("-")[0] for f in loot.iterdir() if token.encode() in f.read_bytes()}
    assert {"proc", "memory"} <= found, sorted(p.name for p in loot.iterdir())
