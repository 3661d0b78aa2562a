"""Files that are there whole or not at all, and locks that end with their process. Standard library only.

A hook and a guard start in milliseconds: this imports nothing that they do not.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LOCK_PAUSE_S = 0.005


def replace_file(
    path: str | os.PathLike[str], content: str | bytes, *, mode: int | None = None, sync: bool = True
) -> None:
    """Put a file in place: a reader sees the old or the new one, and a crash leaves no half of it.

    Its folder is made when it is missing. With `sync` it is on the disk when this returns. Raises OSError, and
    ValueError for text that UTF-8 cannot hold; the old file then stays.
    """
    body = content.encode("utf-8") if isinstance(content, str) else content
    target = os.fspath(path)
    folder, name = os.path.split(target)
    fresh = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
    file = _create(fresh, folder)
    try:
        try:
            if mode is not None:
                os.fchmod(file, mode)
            _write_all(file, body)
            if sync:
                os.fsync(file)
        finally:
            os.close(file)
        os.replace(fresh, target)
    except BaseException:
        _forget(fresh)
        raise


def _create(fresh: str, folder: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(fresh, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return os.open(fresh, flags, 0o644)


def _forget(path: str) -> None:
    try:  # noqa: SIM105 - contextlib would cost a hook more than it saves
        os.unlink(path)
    except OSError:
        pass


def _write_all(file: int, body: bytes) -> None:
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(file, rest) :]


def open_plain(path: str, flags: int) -> int:
    """An `opener` for `open`, for what somebody within walls could put there: a plain file, and nothing else.

    Raises OSError for a link, which may lead to what only we can read or write, and for a pipe, a device or a folder,
    which may keep us waiting for ever.
    """
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no plain file", path)
    return file


def open_in(tree: str | os.PathLike[str], name: str) -> BinaryIO:
    """A plain file of a tree, by its own name or by a link that stays in the tree. Raises OSError for anything else."""
    path = os.path.realpath(os.path.join(tree, name))
    if not path.startswith(os.path.join(os.path.realpath(tree), "")):
        raise OSError(errno.ELOOP, "it leads out of its tree", path)
    return open(path, "rb", opener=open_plain)


def walk(folder: str | os.PathLike[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk` from the top, to any depth: that one fails below 1,000 folders before Python 3.12.

    A link is a name among the files, wherever it leads.
    """
    waiting = [os.fspath(folder)]
    while waiting:
        at, folders, names = waiting.pop(), list[str](), list[str]()
        try:
            with os.scandir(at) as entries:
                for entry in entries:
                    (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
        except OSError:
            continue
        yield at, folders, names
        waiting += [os.path.join(at, name) for name in reversed(folders)]


def remove_ways_out(folder: str | os.PathLike[str]) -> None:
    """Take out of a folder whatever is neither a plain file nor a folder nor a link to what is in there.

    For a folder that we write to after somebody within walls could: a link would lead us out of it.
    """
    inside = os.path.join(os.path.realpath(folder), "")
    waiting = [os.fspath(folder)]
    while waiting:
        at = waiting.pop()
        os.chmod(at, 0o700)  # whoever may not list a folder may still go through it
        with os.scandir(at) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_symlink() and os.path.realpath(entry.path).startswith(inside):
                    continue
                elif not entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Bring the names in a folder to the disk, so that a power cut loses none."""
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def lock_file(file: int, *, shared: bool = False, wait_s: float = 0.0) -> bool:
    """Take the kernel's lock on an open file or folder; False when somebody has it for longer than `wait_s`.

    It ends with the last process that has the descriptor, however that ends.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(LOCK_PAUSE_S, left_s))
        else:
            return True
