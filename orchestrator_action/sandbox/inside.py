"""The first process within the walls: starts the program, reaps whoever is left over, says how it all ended.

Runs as PID 1 of the sandbox: `python -I -S -E inside.py WAY-OUT FD PROGRAM ARGUMENT…`. bubblewrap's own first
process turns a signal into an exit code; this one tells the guard which of both it was. WAY-OUT is empty, or
the ports and the socket file of `forward.py`. FD is a socket of packets to the guard, which the program does not
get. Each packet is a word and a number:

    inside      I am here; the kernel tells the guard our PID
    program     the same, from the program's process before it becomes the program
    failed N    the program cannot be executed, errno N
    runs        it is executed
    ended N     it ended with wait status N; it is reaped when the guard has answered

It ends with the last process within. Built-in modules only, as every process within walls waits for it: `os` and
`signal` take as long to import as all of this does to run.
"""

import posix
import sys
from _signal import SIG_DFL, SIGINT, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]
from posix import _exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_EXITED = 1
"""CLD_EXITED of waitid(2)."""


def main(way_out: str, guard: int, argv: list[str]) -> None:
    """Be the first process within; returns when nobody else is left."""
    signal(SIGINT, SIG_DFL)
    posix.write(guard, b"inside 0")
    servers = _listen(way_out)
    happened, tells = posix.pipe()
    program = posix.fork()
    if program == 0:
        _become(guard, tells, argv)
    posix.close(tells)
    if number := posix.read(happened, 16):
        posix.write(guard, b"failed " + number)
        return
    posix.close(happened)
    servers()
    posix.write(guard, b"runs 0")
    _reap(guard, program)


def _listen(way_out: str) -> "Callable[[], None]":
    """Have the ports of the way out before the program starts; what serves them is called after the fork."""
    if not way_out:
        return lambda: None
    import os

    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.append(
        os.path.dirname(package)
    )  # -I -S leave it unknown; last place, so nothing shadows the stdlib
    from orchestrator_action.sandbox.forward import listen

    ports, _, path = way_out.partition(":")
    return listen(path, [int(port) for port in ports.split(",")])


def _become(guard: int, tells: int, argv: list[str]) -> None:
    """Be the program: a session of its own, default signals, no descriptor but the first three."""
    try:
        posix.setsid()
        posix.write(guard, b"program 0")
        posix.set_inheritable(guard, False)
        signal(SIGPIPE, SIG_DFL)
        signal(SIGXFSZ, SIG_DFL)
        execute(argv)
    except OSError as exc:
        posix.write(tells, b"%d" % (exc.errno or 0))
    finally:
        _exit(127)


def execute(argv: list[str]) -> None:
    """Become this program, as `os.execvp` does it. That one imports more than all of this file.

    Raises OSError when it cannot be executed.
    """
    path = posix.environ.get(b"PATH", b"/bin:/usr/bin").decode(sys.getfilesystemencoding(), "surrogateescape")
    missing: OSError = FileNotFoundError()
    failed: OSError | None = None
    for folder in [""] if "/" in argv[0] else path.split(":"):
        try:
            posix.execve(f"{folder}/{argv[0]}" if folder else argv[0], argv, posix.environ)
        except (FileNotFoundError, NotADirectoryError) as exc:
            missing = exc
        except OSError as exc:
            failed = failed or exc
    raise failed or missing


def _reap(guard: int, program: int) -> None:
    """Reap everybody. The program last of all stays a zombie until the guard knows: its number is still its own."""
    while True:
        try:
            ended = posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            continue
        if ended.si_pid == program:
            status = ended.si_status << 8 if ended.si_code == _EXITED else ended.si_status
            try:
                posix.write(guard, b"ended %d" % status)
                posix.read(guard, 16)
            except OSError:
                pass  # the guard is gone, and we with it
        posix.waitpid(ended.si_pid, 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
    _exit(0)
