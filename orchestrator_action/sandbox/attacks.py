"""The probe's attacks, as a process that runs where an agent would run. Aims at bait of ours only.

`python -I -S -E attacks.py BAIT`, where BAIT is the JSON of `probe.Bait`. Prints one JSON object: the name of
each attack and what came of it, `reached` or why not. Nothing is damaged: a file that can be opened
for writing is closed as it was. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

_PTRACE_SEIZE = 0x4206
METADATA = ("169.254.169.254", 80)
"""Where clouds answer a machine's questions about itself, keys included."""
PATIENCE_S = 0.15
"""For an address that does not answer."""


def environ(bait: dict[str, Any]) -> bool:
    """Read the environment of another process of the same user."""
    with open(f"/proc/{bait['pid']}/environ", "rb") as file:
        return bait["secret"].encode() in file.read()


def memory(bait: dict[str, Any]) -> bool:
    """Trace another process, by which its memory can be read."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(_PTRACE_SEIZE, bait["pid"], None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True


def kill(bait: dict[str, Any]) -> bool:
    """Signal another process."""
    os.kill(bait["pid"], signal.SIGCONT)
    return True


def program(bait: dict[str, Any]) -> bool:
    """Change the orchestrator's own files."""
    return any(_writable(path) for path in bait["program"])


def interpreter(bait: dict[str, Any]) -> bool:
    """Change the interpreter, or the library that it loads."""
    return any(_writable(path) for path in bait["interpreter"])


def tree(bait: dict[str, Any]) -> bool:
    """Change a file of another task's tree."""
    return _writable(bait["tree"])


def home(bait: dict[str, Any]) -> bool:
    """Read what the user has in his home."""
    return bool(os.listdir(bait["home"])) and os.stat(bait["home"]).st_ino == bait["home_inode"]


def temporary(bait: dict[str, Any]) -> bool:
    """Read a private file of another process in /tmp."""
    with open(bait["file"], encoding="ascii") as file:
        return bait["secret"] in file.read()


def privilege(_bait: dict[str, Any]) -> bool:
    """Become root, or gain rights by executing a program."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        if "NoNewPrivs:\t1" in file.read():
            return False
    if os.geteuid() == 0:
        return True
    done = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def socket_file(bait: dict[str, Any]) -> bool:
    """Reach a server by a socket in /tmp, or the one of Docker, which equals root."""
    return any(_connects(socket.AF_UNIX, path) for path in (bait["socket"], *bait["docker"]))


def abstract(bait: dict[str, Any]) -> bool:
    """Reach a server by a socket that has a name and no file."""
    return _connects(socket.AF_UNIX, "\0" + bait["abstract"])


def loopback(bait: dict[str, Any]) -> bool:
    """Reach a server of this machine by TCP."""
    return _connects(socket.AF_INET, ("127.0.0.1", bait["port"]))


def metadata(_bait: dict[str, Any]) -> bool:
    """Reach the cloud's own address, where a machine's keys are had."""
    return _connects(socket.AF_INET, METADATA)


ATTACKS: tuple[Callable[[dict[str, Any]], bool], ...] = (
    environ, memory, kill, program, interpreter, tree, home, temporary, privilege, socket_file,
    abstract, loopback, metadata,
)  # fmt: skip


def _writable(path: str) -> bool:
    with contextlib.suppress(OSError), open(path, "ab"):
        return True
    return False


def _connects(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            client.connect(address)
            return True
    return False


def main(bait: dict[str, Any]) -> None:
    """Try every attack and print what came of it."""
    found = {}
    for attack in ATTACKS:
        try:
            found[attack.__name__] = attack(bait)
        except OSError:
            found[attack.__name__] = False
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
