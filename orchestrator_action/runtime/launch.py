"""Start one program and say in plain words why it could not be started. Runs in the shim.

The child gets its own session and process group, default signal dispositions, an empty mask, end of
file on stdin, the log on stdout and stderr, and no other descriptor. Standard library only.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Mapping, Sequence

_NOT_STARTED = 127
_OOM_SCORE = 300
"""Out of 1000: when memory ends, the kernel should take an agent and not its supervisor."""


class LaunchError(Exception):
    """Nothing runs; the text says why."""


def launch(
    argv: Sequence[bytes], *, cwd: bytes, env: Mapping[bytes, bytes], log: int, max_files: tuple[int, int]
) -> int:
    """Start `argv` with stdout and stderr on the descriptor `log`; returns its PID once it runs.

    `max_files` is the soft and hard limit of open files the program shall have.
    Raises LaunchError when the directory is gone or the program cannot be executed.
    """
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as exc:
        os.close(reader)
        os.close(writer)
        raise LaunchError(f"no process can be started: {os.strerror(exc.errno or 0)}") from exc
    if pid == 0:
        _become(argv, cwd, env, log, max_files, writer)
    os.close(writer)
    try:
        report = os.read(reader, 64)
    finally:
        os.close(reader)
    if not report:
        return pid
    os.waitpid(pid, 0)
    stage, number = report.decode("ascii").split()
    raise LaunchError(_words(stage, int(number), argv, cwd, env))


def _become(
    argv: Sequence[bytes],
    cwd: bytes,
    env: Mapping[bytes, bytes],
    log: int,
    max_files: tuple[int, int],
    report: int,
) -> None:
    """Turn this forked child into the program; never returns."""
    stage, number = "setup", errno.EINVAL
    try:
        os.setsid()
        _descriptors(log, report)
        _default_signals()
        resource.setrlimit(resource.RLIMIT_NOFILE, max_files)
        _prefer_for_oom()
        stage = "cwd"
        os.chdir(cwd)
        stage = "exec"
        os.execvpe(argv[0], list(argv), dict(env))  # noqa: S606 - an exact argv, never a shell
    except OSError as exc:
        number = exc.errno or errno.EINVAL
    except ValueError:
        pass
    finally:
        os.write(report, f"{stage} {number}".encode("ascii"))
        os._exit(_NOT_STARTED)


def _descriptors(log: int, report: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        still_open = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        still_open = list(range(3, 256))
    for fd in still_open:
        if fd > 2 and fd != report:
            try:
                os.close(fd)
            except OSError:
                continue


def _default_signals() -> None:
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(signum, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _prefer_for_oom() -> None:
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_RDWR)
    except OSError:
        return
    try:
        if int(os.read(fd, 16)) < _OOM_SCORE:
            os.pwrite(fd, b"%d" % _OOM_SCORE, 0)
    except (OSError, ValueError):
        pass
    finally:
        os.close(fd)


def _words(stage: str, number: int, argv: Sequence[bytes], cwd: bytes, env: Mapping[bytes, bytes]) -> str:
    why = os.strerror(number).lower()
    if stage == "cwd":
        where = os.fsdecode(cwd)
        return f"working directory {where} " + (
            "does not exist" if number == errno.ENOENT else f"is no use: {why}"
        )
    if stage != "exec":
        return f"the process could not be prepared: {why}"
    if not argv or not argv[0]:
        return "no program is named"
    program = os.fsdecode(argv[0])
    if number == errno.E2BIG:
        size = sum(len(a) + 1 for a in argv) + sum(len(k) + len(v) + 2 for k, v in env.items())
        return f"argument list too long for {program}: {size} bytes of arguments and environment"
    if number == errno.ENOEXEC:
        return f"{program} cannot be executed: neither a program of this system nor a script with a #! line"
    if number == errno.EINVAL:
        return f"{program} cannot be started: an argument or the environment holds a NUL byte"
    if number in {errno.EACCES, errno.EPERM}:
        return f"{program} is not executable"
    if number in {errno.ENOENT, errno.ENOTDIR}:
        return _not_found(program, argv[0], cwd, env)
    return f"{program} cannot be executed: {why}"


def _not_found(program: str, name: bytes, cwd: bytes, env: Mapping[bytes, bytes]) -> str:
    """ENOENT has two causes: no such program, or a script whose interpreter is missing."""
    if b"/" in name:
        places = [os.path.join(cwd, name)]
    else:
        path = env.get(b"PATH", os.fsencode(os.defpath))
        places = [os.path.join(cwd, folder, name) for folder in path.split(b":")]
    for place in places:
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
