"""Files that several writers share: one lock, whole files or none, numbers given out once.

A file is written beside its place and moved there in one step, so a reader never sees half of one
and a crash leaves at most a file in `.tmp`, which the next writer removes. All writing is done
under one `flock`; it ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator_action.errors import ForgeError

NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Folder:
    """A directory under one writers' lock. Made when missing, also again later."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tmp = root / ".tmp"
        self._make(root)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock against every other thread and process. Not to be entered twice."""
        try:
            with self._locked():
                self._make(self._tmp)
                for left in self._tmp.iterdir():
                    left.unlink(missing_ok=True)
                yield
        except OSError as exc:
            at = Path(exc.filename) if isinstance(exc.filename, str) else self.root
            raise _cannot("write", at, exc) from exc

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock, taken again when the file was deleted while we waited for it."""
        path = self.root / ".lock"
        while True:
            self._make(self.root)
            with open(path, "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    ours = os.path.samestat(os.fstat(lock.fileno()), path.stat())
                except FileNotFoundError:
                    ours = False
                if ours:
                    yield
                    return

    def write(self, path: Path, text: str) -> None:
        """Put `text` at `path`, in place of what is there. Call it under `writing`."""
        self._whole(text).replace(self._place(path))

    def create(self, path: Path, text: str) -> bool:
        """Put `text` at `path` unless something is there; False when there is."""
        whole = self._whole(text)
        try:
            os.link(whole, self._place(path))
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links: the lock alone must do
            if path.exists():
                return False
            whole.replace(path)
        finally:
            whole.unlink(missing_ok=True)
        return True

    def next(self, counter: str, *, above: int = 0, count: int = 1) -> int:
        """The next number of `counter`, never given out before and greater than `above`; the first of `count`."""
        path = self.root / f".{counter}"
        try:
            last = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            last = ""
        number = max(int(last) if NUMBER.fullmatch(last) else 0, above) + 1
        self.write(path, f"{number + count - 1}\n")
        return number

    def _whole(self, text: str) -> Path:
        """A finished, synced file with `text` in `.tmp`."""
        fd, name = tempfile.mkstemp(dir=self._tmp)
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o644)
            file.write(_encoded(text))
            file.flush()
            os.fsync(fd)
        return Path(name)

    def _place(self, path: Path) -> Path:
        self._make(path.parent)
        return path

    @staticmethod
    def _make(path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _cannot("make", path, exc) from exc


def read(path: Path) -> str | None:
    """The text of a regular file, or None when there is none. Bytes that are not UTF-8 become U+FFFD."""
    try:
        if path.exists() and not path.is_file():
            return None
        return path.read_bytes().decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise _cannot("read", path, exc) from exc


def read_exactly(path: Path) -> str:
    """The text of a file with every byte kept, for writing it back; what is not UTF-8 becomes surrogates."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as exc:
        raise _cannot("read", path, exc) from exc


def changed_at(path: Path) -> float:
    """When the file was last written, in seconds since the epoch; 0.0 when it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def entries_of(path: Path) -> list[str]:
    """The names in a directory without hidden ones, sorted; none when it is missing."""
    try:
        return sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise _cannot("read", path, exc) from exc


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _cannot(verb: str, path: Path, exc: OSError) -> ForgeError:
    reason = exc.strerror or str(exc)
    return ForgeError(
        f"cannot {verb} {path}: {reason}", hint="check the path of the local forge and its rights"
    )
