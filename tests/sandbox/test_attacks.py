"""The attack suite: a hostile agent, and a hostile command of the repository, in whole runs at each level.

Everything is a real process of an unprivileged user: the orchestrator, two agents at once, setup, servers
that were there before. What each level lets through stands in LETS_THROUGH and, for people, in SECURITY.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.process import keyring
from orchestrator_action.process import table as procs
from orchestrator_action.sandbox import landlock
from orchestrator_action.sandbox.isolation import Isolation
from tests.action.conftest import open_tmp, python
from tests.conftest import REQUIRE_ALL
from tests.kit import attacker
from tests.kit.repos import make_repo
from tests.kit.tables import few
from tests.kit.unprivileged import NOBODY, as_nobody, give_away, unprivileged
from tests.kit.whole import GOOD, LIBRARY

__all__ = ["open_tmp", "python"]

ALL = {attack.__name__ for attack in attacker.ATTACKS}
NETWORK = {"abstract_server", "loopback_server"}
"""Within reach of whoever keeps the network."""
LETS_THROUGH = {
    "open": ALL - {"privilege"},
    "confined": {
        "loopback_server",
        "server_that_was_there",
        "server_elsewhere",
        "token_ssh_agent",
        "token_keyring",
        "token_shared_memory",
    }
    | (
        {"abstract_server", "guard_killed", "orchestrator_killed", "token_core"}
        if landlock.abi() < 6
        else set()
    ),
    "sandboxed": NETWORK,
    "sandboxed, no network": set(),
}
"""What succeeds at each level, for a user who may not sudo. SECURITY.md says the same in words."""


@dataclass
class Field:
    """A user's machine: home, repository, servers, and what the attacker is told of them."""

    root: Path
    python: Path
    plan: dict[str, Any]

    def run(
        self, config: str, *, agent: str = "command", confined: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A whole run as the unprivileged user."""
        settings = self.root / "r" / "repo" / ".github" / "orchestrator.yml"
        settings.write_text(f"test: python3 -m unittest discover\n{config}")
        path = self.plan["path"]
        if confined:
            path = f"{self.root / 'home/.local/bin'}:{_without_bubblewrap(self.root)}"
        env = {"HOME": str(self.root / "home"), "PATH": path, "LANG": "C.UTF-8"}
        git = ["git", "-c", "user.name=u", "-c", "user.email=u@example.org"]
        for args in (["add", "-A"], ["commit", "-qm", "Configure"], ["push", "-q", "origin", "main"]):
            subprocess.run([*git, *args], cwd=self.root / "r" / "repo", env=env, check=True, **as_nobody())
        argv = [self.python, "-I", "-m", "orchestrator_action.cli.main", "run", "--agent", agent, "--json"]
        return subprocess.run(
            [*argv, "--forge", f"local:{self.root / 'forge'}", "--max-parallel", "2"],
            cwd=self.root / "r" / "repo", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=110, check=False, **as_nobody(),
        )  # fmt: skip

    def got(self) -> dict[str, set[str]]:
        """What the attackers of the last run say that they got, by who they were."""
        found: dict[str, set[str]] = {}
        run = sorted((self.root / "r/repo/.git/orchestrator/runs").iterdir())[-1]
        for log in run.glob("tasks/*/*.log"):
            text = log.read_text()
            assert "BROKEN" not in text, text
            for line in re.findall(r"^GOT (.*)$", text, re.MULTILINE):
                said = json.loads(line)
                found.setdefault(said["who"], set()).update(said["got"])
        return found

    def alive(self) -> list[int]:
        """The attackers' daemons that still run."""
        name = self.plan["daemon"].encode()
        return [
            p.pid for p in procs.everyone() if not p.ended and name in procs.slurp(f"/proc/{p.pid}/cmdline")
        ]


def _without_bubblewrap(root: Path) -> Path:
    """A PATH on which every program of the system is but one."""
    folder = root / "programs"
    folder.mkdir(exist_ok=True)
    for program in Path("/usr/bin").iterdir():
        if program.name != "bwrap" and not (folder / program.name).is_symlink():
            (folder / program.name).symlink_to(program)
    return folder


@contextmanager
def _server(address: Any) -> Iterator[socket.socket]:
    """Something that listens, as a multiplexer or an ssh agent of the user does."""
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        if isinstance(address, str) and not address.startswith("\0"):
            os.chmod(address, 0o777)
        yield server


@contextmanager
def _folder_elsewhere(root: Path) -> Iterator[Path]:
    """A folder that no wall hides, where the test may make one: it is root's to do so."""
    if os.geteuid() != 0:
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="oa-test-", dir="/var/lib") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def _key(plan: dict[str, Any]) -> Iterator[None]:
    """The token as a key of the unprivileged user, where this kernel lets anybody have one (containers do not)."""
    call = keyring._KEYCTL.get(os.uname().machine, 0)
    held = subprocess.Popen(
        [sys.executable, "-c", KEY_HOLDER, str(call), plan["key"], plan["token"]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **as_nobody(),
    )  # fmt: skip
    with held:
        assert held.stdin is not None
        assert held.stdout is not None
        plan["keyctl"] = call if held.stdout.readline().strip() == "there" else 0
        yield
        held.stdin.close()


@contextmanager
def _shared_memory(plan: dict[str, Any]) -> Iterator[None]:
    """The token in memory that the unprivileged user's programs share."""
    memory = Path(plan["shared_memory"])
    memory.write_text(plan["token"])
    memory.chmod(0o600)
    if not unprivileged():
        os.chown(memory, NOBODY, NOBODY)
    yield
    memory.unlink()


KEY_HOLDER = """
import ctypes, os, sys
libc, (call, name, token) = ctypes.CDLL(None, use_errno=True), sys.argv[1:]
add = {"x86_64": 248, "aarch64": 217}.get(os.uname().machine, -1)
key = libc.syscall(add, b"user", name.encode(), token.encode(), len(token), ctypes.c_int(-4))
print("there" if key > 0 else "none", flush=True)
sys.stdin.read()
libc.syscall(int(call), 9, key, ctypes.c_int(-4))
"""
"""Puts a key into its user's keyring, and takes it out when its input ends."""


def _lay_out(root: Path, python: Path) -> dict[str, Any]:
    """Home, credentials, repository and plan; the token is invented."""
    token = f"ghs_invented{uuid.uuid4().hex}"
    home, repo = root / "home", make_repo(root / "r", dict(LIBRARY))
    for number in (1, 2):
        issue = root / "forge" / "issues" / f"{number}.md"
        issue.parent.mkdir(parents=True, exist_ok=True)
        issue.write_text(
            f"---\ntitle: Task {number}\nlabels: [orchestrate]\nauthor: ada\nstate: open\n---\n{GOOD}"
        )
    credentials = {
        ".netrc": f"machine forge.invalid login x password {token}\n",
        ".git-credentials": f"https://x:{token}@forge.invalid\n",
        ".gitconfig": f'[credential]\n\thelper = store\n[http "https://forge.invalid/"]\n\textraheader = t: {token}\n',
        ".config/gh/hosts.yml": f"forge.invalid:\n  oauth_token: {token}\n",
        ".ssh/id_ed25519": token,
        ".npmrc": f"//registry.invalid/:_authToken={token}\n",
        ".aws/credentials": f"aws_secret_access_key={token}\n",
        ".bashrc": "",
        ".local/bin/a-tool": "#!/bin/sh\n",
    }
    for name, text in credentials.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    repo.git("tag", "v1")
    repo.git("branch", "orchestrator/another")
    library = next((root / "venv").glob("lib/python*/site-packages"))
    shutil.copytree(Path(sys.modules["orchestrator_action"].__file__).parent, library / "orchestrator_action")
    return {
        "token": token, "home": str(home), "credentials": list(credentials), "seconds": 1.0,
        "another_within_s": 0.0, "met": "",
        "user_site": str(home / ".local/lib/python3/site-packages/usercustomize.py"),
        "path": f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin", "path_folder": str(home / ".local/bin"),
        "package": str(library / "orchestrator_action"),
        "package_files": ["__init__.py", "text/templates/prompt.md.j2", "errors.py"],
        "git": str(repo.path / ".git"), "trees": ["/var/tmp/orchestrator-*/**"],
        "server": str(root / "server"), "ssh_agent": str(root / "agent"), "abstract": f"oa-{uuid.uuid4().hex}",
        "elsewhere": str(root / "elsewhere"), "shared_memory": f"/dev/shm/oa-{uuid.uuid4().hex}",
        "keyctl": 0, "key": f"oa-{uuid.uuid4().hex}",
        "daemon": f"oa-daemon-{uuid.uuid4().hex}",
    }  # fmt: skip


@pytest.fixture
def field(open_tmp: Path, python: Path) -> Iterator[Field]:
    """Laid out, with a process that holds the token in its environment and servers that listen."""
    plan = _lay_out(open_tmp, python)
    with ExitStack() as stack:
        plan["elsewhere"] = str(stack.enter_context(_folder_elsewhere(open_tmp)) / "socket")
        stack.enter_context(_key(plan))
        stack.enter_context(_shared_memory(plan))
        for address in (plan["server"], plan["ssh_agent"], plan["elsewhere"], "\0" + plan["abstract"]):
            stack.enter_context(_server(address))
        os.utime(plan["elsewhere"], (1e9, 1e9))  # it was there long before
        plan["port"] = stack.enter_context(_server(("127.0.0.1", 0))).getsockname()[1]
        bait = subprocess.Popen(["sleep", "600"], env={"TOKEN": plan["token"]}, **as_nobody())
        stack.callback(lambda: (bait.kill(), bait.wait()))
        plan["bait"] = [bait.pid]
        told = open_tmp / "told"
        told.mkdir()
        (told / "plan.json").write_text(json.dumps(plan))
        shutil.copy(Path(attacker.__file__), told / "attacker.py")
        give_away(open_tmp)
        yield Field(open_tmp, python, plan)


def hostile(field: Field, level: str) -> str:
    """A configuration whose agent and whose setup attack, at a level."""
    told = field.root / "told"
    attack = f"/usr/bin/python3 {told}/attacker.py"
    asked = {"sandboxed, no network": "network: []\n", "sandboxed, egress": "egress: [pypi.org]\n"}
    network = asked.get(level, "")
    isolation = {"open": "off", "confined": "auto"}.get(level, "required")
    return (
        f"isolation: {isolation}\n{network}sandbox: {{read: [{told}]}}\nretries: 0\n"
        f"setup: {attack} setup {told}/plan.json\n"
        f"agent-command: {{argv: [/usr/bin/python3, {told}/attacker.py, agent, {told}/plan.json]}}\n"
    )


@pytest.mark.parametrize("level", few(LETS_THROUGH, 2))
def test_what_an_attack_gets_is_what_the_level_lets_through(field: Field, walls: Isolation, level: str):
    """By an agent and by the repository's own command, at the same moment as another task's."""
    if level == "confined" and not landlock.abi():
        (pytest.fail if REQUIRE_ALL else pytest.skip)("this kernel has no Landlock")

    if "broker_of_another" in LETS_THROUGH[level]:  # one agent may be done before the other one starts
        met = field.root / "told" / "met"
        met.touch()
        met.chmod(0o666)
        plan = {**field.plan, "another_within_s": 60.0, "met": str(met)}
        (field.root / "told" / "plan.json").write_text(json.dumps(plan))
    ran = field.run(hostile(field, level), confined=level == "confined")

    got = field.got()
    assert {"agent", "setup"} == set(got), ran.stderr
    assert LETS_THROUGH[level] == got["agent"]
    assert LETS_THROUGH[level] - {"broker_of_another"} == got["setup"] - {"broker_of_another"}
    assert [] == field.alive()
    assert 1 == ran.returncode
    assert level.split(",")[0] == json.loads(ran.stdout)["isolation"]["level"]


@pytest.mark.slow
def test_an_agent_that_reaches_named_hosts_only_gets_nothing(field: Field, walls: Isolation):
    """`egress` is about agents; the repository's own command keeps its network, and what that lets through."""
    ran = field.run(hostile(field, "sandboxed, egress"))

    assert {"agent": set(), "setup": NETWORK} == field.got(), ran.stderr
    assert "agents reach their model, pypi.org, nothing else" in ran.stderr
    assert [] == field.alive()


@pytest.mark.parametrize("level", few(["sandboxed", "open", "confined"], 1))
def test_an_honest_run_succeeds_at_each_level(field: Field, walls: Isolation, level: str):
    """Two tasks at once, by the same unprivileged user on the same machine."""
    isolation = {"open": "off", "confined": "auto", "sandboxed": "required"}[level]

    # The field's Python reads our dependencies where they are installed, and that may be below /tmp.
    packages = f"sandbox: {{read: [{sysconfig.get_path('purelib')}]}}\n"
    ran = field.run(f"isolation: {isolation}\n{packages}", agent="patch", confined=level == "confined")

    report = json.loads(ran.stdout)
    assert ["success", "success"] == [t["status"] for t in report["tasks"]], ran.stderr
    assert level == report["isolation"]["level"]
    assert 0 == ran.returncode
