"""A door of ours in a process forked from one that has imported it already: a start takes 30 ms of CPU, not 300.

It is a process like any other, with arguments, environment, directory and streams of its own, and an exit code. What an
interpreter reads at its own start and what the kernel shows of a start is another's: `starts_alike` says for which
environments that makes no difference. Tests of a start, or of where a token can be seen, start an interpreter anew.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import random
import re
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

_AT_THE_START = re.compile(r"PYTHON|LC_|TZ$|LD_|COVERAGE|.*(?:TOKEN|SECRET|KEY|PASS|CREDENTIAL|_AUTH)")
_LEFT_OUT = re.compile(r"\.main$|__main__$|\.hook\.|\.otlp$|\.acp")
"""What few runs import, and the doors themselves."""


def starts_alike(env: Mapping[str, str]) -> bool:
    """Whether a program sees the same of this environment, forked or started."""
    return env.get("LANG") == os.environ.get("LANG") and not any(map(_AT_THE_START.match, env))


def run(
    module: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, merged: bool = False
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`python -I -m MODULE` with these arguments, to its end. Raises TimeoutExpired; it is killed then.

    What it says on stderr is in stdout when `merged`.
    """
    deadline = time.monotonic() + timeout
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes = [os.pipe() for _ in range(2)]
    with ours, open(os.devnull, "rb") as nothing:
        asked = json.dumps({"module": module, "args": list(args), "cwd": str(cwd), "env": dict(env)}).encode()
        streams = [pipes[0][1], pipes[0 if merged else 1][1]]
        socket.send_fds(_server(os.getpid())[0], [asked], [theirs.fileno(), nothing.fileno(), *streams])
        theirs.close()
        for _, end in pipes:
            os.close(end)
        read: list[list[bytes]] = [[], []]
        readers = [
            threading.Thread(target=_read, args=(os.fdopen(begin, "rb"), into), daemon=True)
            for (begin, _), into in zip(pipes, read, strict=True)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(max(0.0, deadline - time.monotonic()))
        if not select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise subprocess.TimeoutExpired(list(args), timeout, b"".join(read[0]), b"".join(read[1]))
        code = int(ours.recv(64))
    out, err = (b"".join(parts).decode() for parts in read)
    return subprocess.CompletedProcess(list(args), code, out, err)


def _read(stream: IO[bytes], into: list[bytes]) -> None:
    with stream:
        while part := os.read(stream.fileno(), 1 << 16):
            into.append(part)


@functools.cache
def _server(_of: int) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The process that everything is forked from; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, "-I", __file__, str(theirs.fileno())]
        process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/")
    return ours, process


def _serve(control: socket.socket) -> None:
    import orchestrator_action

    for found in pkgutil.walk_packages(orchestrator_action.__path__, "orchestrator_action."):
        if not _LEFT_OUT.search(found.name):
            importlib.import_module(found.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
        if not asked:
            return
        if os.fork() == 0:
            _stand_by(json.loads(asked), fds)
        for fd in fds:
            os.close(fd)


def _stand_by(asked: dict, fds: Sequence[int]) -> NoReturn:
    """Be the parent of one program, which ends when nobody waits for it any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    waiting, *streams = fds
    child = os.fork()
    if child == 0:
        _become(asked, streams)
    for fd in streams:
        os.close(fd)
    ended = os.pidfd_open(child)
    if ended not in select.select([waiting, ended], [], [])[0]:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        os.write(waiting, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(asked: dict, streams: Sequence[int]) -> NoReturn:
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    coded = sys.stdout.encoding
    sys.stdin = open(0, encoding=coded, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=coded, closefd=False)  # noqa: SIM115
    sys.stderr = os.fdopen(2, "w", 1, coded, "backslashreplace", closefd=False)
    random.seed()
    tempfile.tempdir = None
    sys.argv = [asked["module"], *asked["args"]]
    sys.orig_argv[:] = [sys.executable, "-I", "-m", *sys.argv]
    code = 1
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
