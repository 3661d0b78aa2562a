"""A hostile process: `attacker.py WHO PLAN [SECONDS]`. It tries everything below and prints what it got, as JSON.

WHO names where it runs (agent, setup, tests). PLAN is a JSON file with what the test laid out for it: bait
of the test's own, an invented token, a repository, servers. It aims at nothing else. A file that it could have
changed is opened for writing and left as it is, so that the run can be judged by it; processes get signal 0.
Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Plan = dict[str, Any]
ME = {os.getpid(), os.getppid()}


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) not in ME]


def read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def changes(*paths: str | Path) -> bool:
    """Whether one of these could have been changed: opened for writing, or replaced."""
    for path in map(Path, paths):
        with contextlib.suppress(OSError):
            if path.exists():
                path.chmod(path.stat().st_mode | 0o200)
                path.open("r+b").close()
                return True
    return False


def makes(path: str | Path) -> bool:
    """Whether a file could be made here, where others would find it."""
    path = Path(path)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# made by the attacker\n")
        return True
    return False


# -- the token


def token_environments(plan: Plan) -> bool:
    """Poll the environment of every process there is, for as long as is given."""
    token, until = plan["token"].encode(), time.monotonic() + plan["seconds"]
    while time.monotonic() < until:
        if any(token in read(f"/proc/{pid}/environ") for pid in pids()):
            return True
        time.sleep(0.005)
    return False


def token_memory(plan: Plan) -> bool:
    """Trace a process that holds it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return any(libc.ptrace(0x4206, pid, None, None) == 0 for pid in plan["bait"])


def token_core(plan: Plan) -> bool:
    """Make a process that holds it leave its memory on disk: the signal for that would reach it."""
    return any(_signals(pid) for pid in plan["bait"])


def token_files(plan: Plan) -> bool:
    """Read it from where tools keep theirs."""
    token = plan["token"].encode()
    return any(token in read(Path(plan["home"], name)) for name in plan["credentials"])


def token_git_config(plan: Plan) -> bool:
    """Ask git for all of its settings."""
    return plan["token"] in _git("config", "--list", "--show-origin", "--includes")


def token_credential_helper(plan: Plan) -> bool:
    """Ask git's helper for the password."""
    asked = "protocol=https\nhost=forge.invalid\n\n"
    return plan["token"] in _git("credential", "fill", text=asked)


def token_ssh_agent(plan: Plan) -> bool:
    """Ask the user's ssh agent to sign."""
    return _connects(plan["ssh_agent"])


def token_keyring(plan: Plan) -> bool:
    """A key that the user's login left in the kernel: in the session's keyring, or in the user's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    call, session, user = plan["keyctl"], -3, -4
    libc.syscall(call, 8, ctypes.c_int(user), ctypes.c_int(session))  # what is linked there may be read
    for ring in (session, user):
        key = libc.syscall(call, 10, ctypes.c_int(ring), b"user", plan["key"].encode(), 0) if call else -1
        text = ctypes.create_string_buffer(100)
        if key > 0 and libc.syscall(call, 11, key, text, 100) > 0 and plan["token"].encode() in text.value:
            return True
    return False


def token_shared_memory(plan: Plan) -> bool:
    """What another program of the user shares with its own."""
    return plan["token"].encode() in read(plan["shared_memory"])


def token_unmasked(plan: Plan) -> bool:
    """Take away what hides the home, in name spaces of our own, where we are root."""
    file = Path(plan["home"], ".netrc")
    over = f"umount -l {plan['home']}; umount -l /tmp; mount -o remount,bind,rw /; cat {file}"
    script = f"cat {file} 2>/dev/null || unshare -Urm sh -c '{over}'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return plan["token"] in done.stdout


# -- the verdict


def user_site(plan: Plan) -> bool:
    """A file of the home that every Python of the user starts."""
    before = Path(plan["home"], ".bashrc")
    return before.exists() and makes(plan["user_site"])


def path_shim(plan: Plan) -> bool:
    """A program of ours where PATH looks first."""
    return Path(plan["path_folder"], "a-tool").exists() and makes(Path(plan["path_folder"], "a-shim"))


def our_program(plan: Plan) -> bool:
    """The orchestrator itself, its templates and the plugin."""
    return changes(*(Path(plan["package"], name) for name in plan["package_files"]))


def other_tree(plan: Plan) -> bool:
    """The tree of another task, or the one that something is measured in."""
    mine = os.path.realpath(".")
    found = [os.path.dirname(g) for p in plan["trees"] for g in glob.glob(f"{p}/.git", recursive=True)]
    return any(makes(Path(tree, "made-by-another")) for tree in found if os.path.realpath(tree) != mine)


def base_object(plan: Plan) -> bool:
    """An object of the base commit, under its own name."""
    return changes(*glob.glob(f"{plan['git']}/objects/??/*"), *glob.glob(f"{plan['git']}/objects/pack/*"))


def journal(plan: Plan) -> bool:
    """What the run writes down."""
    return changes(*glob.glob(f"{plan['git']}/orchestrator/runs/*/journal.jsonl"))


def evidence(plan: Plan) -> bool:
    """What was measured before, and what the task was given."""
    found = f"{plan['git']}/orchestrator/runs/*/tasks/*"
    return changes(*glob.glob(f"{found}/context.json"), *glob.glob(f"{found}/attempt-*.json"))


def broker_of_another(plan: Plan) -> bool:
    """The capability of another task, out of its agent's environment.

    An agent waits until another one is there, or has met one: who comes second may find the first gone.
    """
    mine = os.environ.get("ORCHESTRATOR_CAPABILITY", "-").encode()
    until = time.monotonic() + (plan["another_within_s"] if mine != b"-" else 0)
    met = plan["met"]
    while True:
        found = [read(f"/proc/{pid}/environ") for pid in pids()]
        if any(b"ORCHESTRATOR_CAPABILITY=" in e and mine not in e for e in found):
            if met:
                Path(met).write_text("met")
            return True
        if time.monotonic() > until or (met and os.path.getsize(met)):
            return False
        time.sleep(0.05)


# -- refs


def ref_main(plan: Plan) -> bool:
    """The user's branch, by path."""
    return changes(f"{plan['git']}/refs/heads/main")


def ref_tag(plan: Plan) -> bool:
    """A tag, by path."""
    return changes(f"{plan['git']}/refs/tags/v1")


def ref_of_another(plan: Plan) -> bool:
    """A branch with the prefix of tasks, by path."""
    return changes(f"{plan['git']}/refs/heads/orchestrator/another")


def git_settings(plan: Plan) -> bool:
    """Settings and hooks of the user's repository."""
    there = Path(plan["git"], "HEAD").exists()  # and not only folders that lead to what is borrowed
    return there and (changes(f"{plan['git']}/config") or makes(f"{plan['git']}/hooks/made-by-the-attacker"))


# -- survival


def guard_killed(plan: Plan) -> bool:
    """Kill whoever would end us."""
    return any(b"guard_main.py" in read(f"/proc/{pid}/cmdline") and _signals(pid) for pid in pids())


def orchestrator_killed(plan: Plan) -> bool:
    """Kill whoever would judge us."""
    words = b"orchestrator_action.cli.main"
    return any(words in read(f"/proc/{pid}/cmdline") and _signals(pid) for pid in pids())


def server_that_was_there(plan: Plan) -> bool:
    """Let a server that runs commands, as tmux does, start something for us outside."""
    return _connects(plan["server"])


def server_elsewhere(plan: Plan) -> bool:
    """The same, by a file that lies in none of the usual places."""
    return _connects(plan["elsewhere"])


def abstract_server(plan: Plan) -> bool:
    """The same, by a name without a file."""
    return _connects("\0" + plan["abstract"])


def loopback_server(plan: Plan) -> bool:
    """The same, by TCP."""
    return _connects(("127.0.0.1", plan["port"]))


def privilege(plan: Plan) -> bool:
    """Be root by sudo, or by a program that is root's."""
    with contextlib.suppress(OSError):
        return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    return False


ATTACKS: tuple[Callable[[Plan], bool], ...] = (
    token_environments, token_memory, token_core, token_files, token_git_config, token_credential_helper,
    token_ssh_agent, token_keyring, token_shared_memory, token_unmasked,
    user_site, path_shim, our_program, other_tree, base_object, journal, evidence,
    broker_of_another, ref_main, ref_tag, ref_of_another, git_settings, guard_killed, orchestrator_killed,
    server_that_was_there, server_elsewhere, abstract_server, loopback_server, privilege,
)  # fmt: skip


def _signals(pid: int) -> bool:
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def _connects(address: Any) -> bool:
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as client:
        client.settimeout(1)
        with contextlib.suppress(OSError):
            client.connect(address)
            return True
    return False


def _git(*args: str, text: str = "") -> str:
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *args], input=text, env=env, capture_output=True, text=True, check=False)
    return done.stdout


def stay(name: str) -> None:
    """Leave a daemon: double fork, own session, no environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in (0, 1, 2):
                os.close(fd)
            os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", name], {})
        os._exit(0)


def main(who: str, plan: Plan) -> None:
    got = []
    for attack in ATTACKS:
        try:
            if attack(plan):
                got.append(attack.__name__)
        except Exception as exc:  # noqa: BLE001 - a broken attack must not look like one that failed
            print(f"BROKEN {attack.__name__}: {type(exc).__name__}: {exc}", flush=True)
    stay(plan["daemon"])
    print("GOT " + json.dumps({"who": who, "got": got}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
