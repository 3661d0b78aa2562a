"""What holds here: found by attacking from within each level, highest first; never by what is configured.

Bait is laid out (a process with a secret, a file, sockets, a tree), then `attacks.py` runs within the
level and tries to get at it. A level holds when no attack of NEEDED got through. Those of REMARKED do
get through while a process keeps the network; they are said and decide nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from orchestrator_action.errors import IsolationError
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.sandbox.policy import Level, Policy, Role
from orchestrator_action.sandbox.start import run_to_end
from orchestrator_action.sandbox.view import PACKAGE, find_folders

Asked = Literal["required", "auto", "off"]

ATTACKS_PROGRAM = str(Path(__file__).with_name("attacks.py"))
NEEDED = {
    Level.SANDBOXED: (
        "environ", "memory", "kill", "program", "interpreter", "tree", "home", "temporary", "privilege",
        "socket_file",
    ),
    Level.CONFINED: ("environ", "memory", "program", "interpreter", "tree", "home", "temporary", "privilege"),
}  # fmt: skip
REMARKED = ("abstract", "loopback", "metadata")
WORDS = {
    "environ": "reading other processes",
    "memory": "tracing other processes",
    "kill": "ending other processes",
    "program": "changing our program",
    "interpreter": "changing our interpreter",
    "tree": "changing another task's tree",
    "home": "reading the home",
    "temporary": "reading /tmp",
    "privilege": "sudo and setuid",
    "socket_file": "socket files (Docker's too)",
    "abstract": "abstract sockets",
    "loopback": "services on loopback",
    "metadata": "the cloud's metadata",
}
"""What each attack does, for people."""
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bait:
    """What the attacks aim at."""

    pid: int
    secret: str
    file: str
    tree: str
    socket: str
    abstract: str
    port: int
    home: str
    home_inode: int
    program: tuple[str, ...]
    interpreter: tuple[str, ...]
    docker: tuple[str, ...] = ("/var/run/docker.sock", "/run/docker.sock")


def find(asked: Asked, env: Mapping[str, str], *, network: bool = True) -> Isolation:
    """The highest level that holds on this machine, and what got through it; with `network` as somebody keeps it.

    Raises IsolationError when `required` and none holds.
    """
    if asked == "off":
        return Isolation(why="isolation is off")
    found, why = _bubblewrap(env, network=network)
    if found is not None:
        return found
    if asked == "auto" and (confined := _landlock(env, why)) is not None:
        return confined
    if asked == "required":
        raise IsolationError(
            f"isolation is required and does not hold: {why}",
            hint="apt-get install bubblewrap, and allow unprivileged user namespaces; or isolation: auto",
        )
    return _open(env, why)


def _bubblewrap(env: Mapping[str, str], *, network: bool) -> tuple[Isolation | None, str]:
    program = shutil.which("bwrap", path=env.get("PATH"))
    if program is None:
        return None, "bubblewrap is not installed"
    who = Isolation().network if network else frozenset()
    walls = Isolation(level=Level.SANDBOXED, program=os.path.realpath(program), network=who)
    try:
        reached = _attacked(walls.policy(Role.TESTS), env)
    except _NoAnswer as exc:
        return None, f"bubblewrap does not work here: {exc}"
    through = [WORDS[name] for name in NEEDED[Level.SANDBOXED] if reached.get(name, True)]
    if through:
        return None, f"bubblewrap does not hold: {', '.join(through)}"
    return replace(walls, reached=_names(reached), held=_names(reached, got=False)), ""


def _landlock(env: Mapping[str, str], why: str) -> Isolation | None:
    walls = Isolation(level=Level.CONFINED, why=why)
    try:
        reached = _attacked(walls.policy(Role.TESTS), env)
    except _NoAnswer:
        return None
    if any(reached.get(name, True) for name in NEEDED[Level.CONFINED]):
        return None
    return replace(walls, reached=_names(reached), held=_names(reached, got=False))


def _open(env: Mapping[str, str], why: str) -> Isolation:
    try:
        reached = _attacked(Policy(role=Role.TESTS), env)
    except _NoAnswer as exc:
        return Isolation(why=f"{why}; the probe failed: {exc}")
    return Isolation(why=why, reached=_names(reached), held=_names(reached, got=False))


def _names(reached: Mapping[str, bool], *, got: bool = True) -> tuple[str, ...]:
    return tuple(WORDS[name] for name in WORDS if reached.get(name) is got)


class _NoAnswer(Exception):  # noqa: N818 - why the attacks did not take place
    pass


def _attacked(policy: Policy, env: Mapping[str, str]) -> dict[str, bool]:
    """What each attack came to, within this policy."""
    kept = {name: env[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in env}
    with _bait(kept) as bait:
        argv = [sys.executable, "-I", "-S", "-E", ATTACKS_PROGRAM, json.dumps(asdict(bait))]
        try:
            done = run_to_end(argv, env=kept, cwd=Path("/"), policy=policy, timeout_s=_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as exc:
            raise _NoAnswer(str(exc)) from exc
    try:
        found: dict[str, bool] = json.loads(done.stdout)
    except ValueError:
        lines = done.stderr.strip().splitlines()
        raise _NoAnswer(lines[-1] if lines else f"exit code {done.returncode}") from None
    return found


@contextlib.contextmanager
def _bait(env: Mapping[str, str]) -> Iterator[Bait]:
    """A process with a secret, files and servers, all ours; gone when the block ends."""
    secret = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oa-probe-", dir="/tmp")))
        for name in ("file", "tree"):
            (folder / name).write_text(secret, encoding="ascii")
        servers = {name: stack.enter_context(socket.socket(family)) for name, family in _SERVERS.items()}
        servers["file"].bind(str(folder / "socket"))
        servers["abstract"].bind(f"\0oa-probe-{secret}")
        servers["port"].bind(("127.0.0.1", 0))
        for server in servers.values():
            server.listen(4)
        sleeper = stack.enter_context(_sleeping({**env, "OA_PROBE_BAIT": secret}))
        homes = find_folders(env).homes
        home = homes[0] if homes else str(folder)
        yield Bait(
            pid=sleeper,
            secret=secret,
            file=str(folder / "file"),
            tree=str(folder / "tree"),
            socket=str(folder / "socket"),
            abstract=f"oa-probe-{secret}",
            port=servers["port"].getsockname()[1],
            home=home,
            home_inode=os.stat(home).st_ino,
            program=(f"{PACKAGE}/__init__.py", f"{PACKAGE}/errors.py"),
            interpreter=(os.path.realpath(sys.executable), os.__file__),
        )


_SERVERS = {"file": socket.AF_UNIX, "abstract": socket.AF_UNIX, "port": socket.AF_INET}


@contextlib.contextmanager
def _sleeping(env: Mapping[str, str]) -> Iterator[int]:
    """A process that does nothing but be there."""
    from orchestrator_action.sandbox.spawn import spawn

    with spawn(["sleep", "60"], env=env, cwd="/") as process:
        try:
            yield process.pid
        finally:
            process.kill()
