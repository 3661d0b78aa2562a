"""Files of git-lfs in a bundle: beside its commits, each under the name that its pointer gives it.

The commits decide which there may be, and a file's digest is its name: what is anything else is not taken.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.errors import BundleError
from orchestrator_action.git.lfs import MAX_LFS_OBJECTS, LfsObject, object_path, objects_added
from orchestrator_action.git.private import user_dir
from orchestrator_action.git.repo import Git

LFS_FILE = re.compile(r"lfs-([0-9a-f]{64})")
MAX_LFS_BYTES = 1024**3
"""Of all files of one bundle together."""
_BLOCK = 1 << 20


def write_lfs(folder: Path, git: Git, base: str, head: str) -> None:
    """Put the files into a bundle's folder. One that is not there, or is too large, is missed where it is read."""
    left = MAX_LFS_BYTES
    for wanted in objects_added(git, base, head)[:MAX_LFS_OBJECTS]:
        path = object_path(git.common_dir / "lfs" / "objects", wanted)
        if path.is_file() and wanted.size <= left:
            shutil.copyfile(path, folder / f"lfs-{wanted.oid}")
            left -= wanted.size


def check_lfs(folder: Path, names: Sequence[str]) -> None:
    """Raise BundleError unless these are plain files of a bounded size."""
    total = 0
    for name in names:
        found = os.lstat(folder / name)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise BundleError("no-plain-file", f"{name[:20]} is no plain file of its own")
        total += found.st_size
    if len(names) > MAX_LFS_OBJECTS or total > MAX_LFS_BYTES:
        raise BundleError("oversized", f"it holds {len(names)} files of git-lfs with {total} bytes")


def take_lfs(private: Git, folder: Path, names: Sequence[str], base: str, head: str) -> None:
    """Bring the files that the commits name into our private repository. Raises BundleError."""
    wanted = {f"lfs-{o.oid}": o for o in objects_added(private, base, head)} if head else {}
    if strange := sorted(set(names) - set(wanted)):
        raise BundleError("strange-file", f"no commit of it names {strange[0][:20]}")
    store = private.common_dir / "lfs" / "objects"
    known = (store, user_dir(private) / "lfs" / "objects")
    for name, one in wanted.items():
        if any(object_path(at, one).is_file() for at in known):
            continue
        if name not in names:
            raise BundleError("missing-objects", f"the content of LFS object {one.oid[:12]} is not in it")
        _take(folder / name, one, object_path(store, one))


def _take(file: Path, wanted: LfsObject, to: Path) -> None:
    digest, size = hashlib.sha256(), 0
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.{os.urandom(4).hex()}")
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(opened, "rb") as source, part.open("wb") as target:
            while size <= wanted.size and (block := source.read(_BLOCK)):
                size += len(block)
                digest.update(block)
                target.write(block)
        if (size, digest.hexdigest()) != (wanted.size, wanted.oid):
            raise BundleError("bad-object", f"LFS object {wanted.oid[:12]} is not what its name says")
        part.replace(to)
    except OSError as exc:
        raise BundleError("missing-objects", f"LFS object {wanted.oid[:12]}: {exc.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
