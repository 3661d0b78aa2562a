"""Level `confined`: the kernel's Landlock, for machines where nobody may make namespaces.

A process and its children reach only files below what they are given, trace nobody outside, gain no privilege,
and, from ABI 6 on, signal nobody outside and reach no abstract socket. Nothing is hidden from sight: other
processes are listed, and a socket file can be connected to. HOME and temporary files go to the scratch folder
by the environment. Run as a program it confines itself and becomes the command: `landlock.py READS WRITES PATH… FD
ARGV…`, the first two being how many of the paths may be read and written; FD speaks to the guard as `inside.py`
does, and closes when the command is executed.

Source: landlock(7); docs.kernel.org, "Landlock: unprivileged access control". PyPI's bindings are not kept.
Standard library only, and little of it: it starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS, _DROP_FROM_BOUNDS = 38, 24
_CAPABILITIES = 64
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights of files each ABI knows; the first bits of the set."""
_SCOPES = 3
"""Abstract sockets and signals; ABI 6."""


class LandlockError(OSError):
    """The kernel has no Landlock, or refuses it."""


def _call(number: int, *args: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    done = int(libc.syscall(ctypes.c_long(number), *args))
    if done < 0:
        raise LandlockError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def abi() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def confine(read: Iterable[str], write: Iterable[str]) -> None:
    """Confine this process, and all that it becomes and starts, to these files and folders.

    Raises LandlockError when the kernel does not do it.
    """
    version = abi()
    if version < 1:
        raise LandlockError("the kernel has no Landlock")
    rights = (1 << _RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("=QQQ", rights, 0, _SCOPES if version >= 6 else 0)
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    for paths, granted in ((read, _READ), (write, rights)):
        for path in paths:
            _grant(rules, path, granted & rights)
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(
        _CAPABILITIES
    ):  # root's would read what is barred; without them nothing is dropped
        libc.prctl(_DROP_FROM_BOUNDS, capability, 0, 0, 0)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    os.close(rules)


def _grant(rules: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # nothing is there to be granted
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, fd)
        _call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(fd)


def prefix(rules: Iterable[tuple[str, int]], *, supervised: bool) -> tuple[str, ...]:
    """What stands before the command, when it is `supervised` with the descriptor of its guard's socket between."""
    read, write = grants(rules)
    return (
        sys.executable, "-I", "-S", "-E", os.path.abspath(__file__), str(len(read)), str(len(write)), *read, *write,
        *(() if supervised else ("-1",)),
    )  # fmt: skip


def grants(rules: Iterable[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """What may be read and what may be written, from rules of which the longest path decides.

    `rules` are paths with 0 for hidden, 1 for read and 2 for write. As nothing can be taken away below what is
    granted, a folder with a stricter rule below it is granted entry by entry.
    """
    known = {"/": 1, "/dev": 2, **dict(rules)}
    found: tuple[list[str], list[str]] = ([], [])
    for path in known:
        for granted in _parts(path, known[path], known):
            found[known[path] - 1].append(granted)
    return found


def _parts(path: str, shown: int, known: dict[str, int]) -> Iterator[str]:
    if shown == 0:
        return
    inner = [p for p in known if p != path and p.startswith(path.rstrip("/") + "/")]
    if not any(known[p] < shown for p in inner):
        yield path
        return
    try:
        names = os.listdir(path)
    except OSError:
        return
    for name in names:
        entry = os.path.join(path, name)
        if entry not in known:
            yield from _parts(entry, shown, known)


def main(words: list[str]) -> None:
    """Confine this process and become the command that the words end with."""
    reads, paths_end = int(words[0]), int(words[0]) + int(words[1])
    paths, guard, argv = words[2 : 2 + paths_end], int(words[2 + paths_end]), words[3 + paths_end :]
    confine(paths[:reads], paths[reads:])
    if guard >= 0:
        os.write(guard, b"program 0")
        os.set_inheritable(guard, False)
    # `import signal` takes as long as the rest of this file
    from _signal import SIG_DFL, SIGINT, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]

    for number in (SIGINT, SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)
    try:
        os.execvpe(argv[0], argv, os.environ)
    except OSError as exc:
        if guard < 0:
            raise
        os.write(guard, b"failed %d" % (exc.errno or 0))
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
