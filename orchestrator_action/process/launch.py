"""Start one program and say in plain words why it could not be started. Runs in the guard.

The child gets its own session and process group, default signal dispositions, an empty mask, end of
file on stdin, the log on stdout and stderr, and no other descriptor. Dispositions are default because
the guard ignores nothing: a caught signal is reset by exec, an ignored one is not (see
`ignore_broadcast_signals`). It is not done with posix_spawn, because glibc's leaves signals 32 and 33
ignored. Standard library only.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from orchestrator_action.sandbox.outside import Outside, WallError
from orchestrator_action.sandbox.spawn import spawn

_DEAF_TO = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGPIPE,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGXFSZ,
)
_OOM_SCORE = 300
"""Out of 1000: when memory ends, the kernel should take an agent and not its supervisor."""

NO_WALLS = "the sandbox could not be built:"
"""How the words begin that say so."""


class LaunchError(Exception):
    """Nothing runs; the text says why."""


class Launched(NamedTuple):
    """What runs. Within walls `process` is who builds them, and `outside` tells how the program ended."""

    process: subprocess.Popen[bytes]
    program: int
    outside: Outside | None


def ignore_broadcast_signals() -> None:
    """Let signals meant for everybody pass this process by, without handing that on to what it starts."""
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signum in _DEAF_TO:
            signal.signal(signum, _pass_by)
        elif signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _pass_by(signum: int, frame: object) -> None:
    pass


def launch(
    argv: Sequence[bytes],
    *,
    cwd: bytes,
    env: Mapping[bytes, bytes],
    log: int,
    prefix: Sequence[bytes] = (),
) -> Launched:
    """Start `argv` with stdout and stderr on the descriptor `log`; returns once it runs.

    With a `prefix` it runs within the walls that this builds. Raises LaunchError when the directory is gone
    or the program cannot be executed.
    """
    if not argv or not argv[0]:
        raise LaunchError("no program is named")
    try:
        started = _within(prefix, argv, cwd, env, log) if prefix else _plain(argv, cwd, env, log)
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        raise LaunchError(_words(exc, argv, cwd, env)) from exc
    _prefer_for_oom(started.program)
    return started


def _plain(argv: Sequence[bytes], cwd: bytes, env: Mapping[bytes, bytes], log: int) -> Launched:
    child = spawn(argv, cwd=cwd, env=env, stdout=log, stderr=log)
    return Launched(child, child.pid, None)


def _within(
    prefix: Sequence[bytes], argv: Sequence[bytes], cwd: bytes, env: Mapping[bytes, bytes], log: int
) -> Launched:
    outside, begun = Outside(), os.fstat(log).st_size
    whole = [*prefix, b"%d" % outside.theirs, *argv]
    try:
        child = spawn(whole, cwd=cwd, env=env, stdout=log, stderr=log, keep_fds=[outside.theirs])
        try:
            outside.wait_until_runs()
        except (OSError, WallError):
            child.kill()
            child.wait()
            raise
    except WallError:
        raise LaunchError(f"{NO_WALLS} {_said(log, begun)}") from None
    if outside.program == child.pid:  # it became the program itself
        outside.close()
        return Launched(child, child.pid, None)
    return Launched(child, outside.program, outside)


def _said(log: int, begun: int) -> str:
    """What the builder of the walls wrote into the log."""
    with open(f"/proc/self/fd/{log}", "rb") as file:
        file.seek(begun)
        lines = file.read(4096).decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")


def _prefer_for_oom(pid: int) -> None:
    try:
        fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if int(os.read(fd, 16)) < _OOM_SCORE:
            os.pwrite(fd, b"%d" % _OOM_SCORE, 0)
    except (OSError, ValueError):
        pass
    finally:
        os.close(fd)


def _words(exc: Exception, argv: Sequence[bytes], cwd: bytes, env: Mapping[bytes, bytes]) -> str:
    if not isinstance(exc, OSError):
        return f"nothing can be started: {exc}"
    if exc.filename == cwd and (argv[0] != cwd or not os.path.isdir(cwd)):  # Popen names what failed
        where, why = os.fsdecode(cwd), os.strerror(exc.errno or 0).lower()
        return f"working directory {where} " + (
            "does not exist" if exc.errno == errno.ENOENT else f"is no use: {why}"
        )
    program = os.fsdecode(argv[0])
    if exc.errno == errno.E2BIG:
        size = sum(len(a) + 1 for a in argv) + sum(len(k) + len(v) + 2 for k, v in env.items())
        return f"argument list too long for {program}: {size} bytes of arguments and environment"
    if exc.errno == errno.ENOEXEC:
        return f"{program} cannot be executed: neither a program of this system nor a script with a #! line"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return f"{program} is not executable"
    if exc.errno in {errno.ENOENT, errno.ENOTDIR}:
        return _not_found(program, argv[0], cwd, env)
    return f"{program} cannot be executed: {os.strerror(exc.errno or 0).lower()}"


def _places(name: bytes, cwd: bytes, env: Mapping[bytes, bytes]) -> Iterator[bytes]:
    """Where a program of this name may be, as execvp(3) looks for it."""
    folders = [b""] if b"/" in name else env.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    for folder in folders:
        yield os.path.join(cwd, folder, name)


def _not_found(program: str, name: bytes, cwd: bytes, env: Mapping[bytes, bytes]) -> str:
    """ENOENT has two causes: no such program, or a script whose interpreter is missing."""
    for place in _places(name, cwd, env):
        try:
            with open(place, "rb") as script:
                first = script.readline(256)
        except OSError:
            continue
        if first.startswith(b"#!"):
            interpreter = os.fsdecode(first[2:].strip())
            return f"{program} cannot be executed: its interpreter {interpreter} does not exist"
        return f"{program} cannot be executed: the loader it names does not exist"
    return f"program {program} not found" + ("" if b"/" in name else " in PATH")


def decode_status(status: int | None) -> tuple[int | None, int | None]:
    """Exit code and signal of a status as `waitpid` gives it: one of them, or none without a status."""
    if status is None:
        return None, None
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None
