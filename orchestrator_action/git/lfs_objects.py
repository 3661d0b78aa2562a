"""Files of git-lfs: read from the user's store, and taken from a tree only as what their names say.

git-lfs finds the user's files by itself, in the folders of objects that a tree borrows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator_action.process.files import walk

_OID = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20


def drop_links(own: Path) -> None:
    """Forget the files that our checkout brought into a tree's git directory.

    They are links to the user's own, through which whoever works in the tree could write.
    """
    shutil.rmtree(own / "lfs" / "objects", ignore_errors=True)


def take(own: Path, target: Path, known: Sequence[Path]) -> None:
    """Copy the files that were added in a tree into the repository `target`, each checked against its name.

    `known` are the git directories whose files need not be copied. One that is not what its name says stays.
    """
    for file in _files(own / "lfs" / "objects"):
        place = Path(file.name[:2], file.name[2:4], file.name)
        if any((at / "lfs" / "objects" / place).exists() for at in (target, *known)):
            continue
        to = target / "lfs" / "objects" / place
        part = to.with_name(f"{to.name}.{os.urandom(4).hex()}")
        to.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            if _copy(file, part) == file.name:
                part.replace(to)
        part.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    for at, _, names in walk(folder):
        yield from (Path(at, name) for name in names if _OID.fullmatch(name))


def _copy(file: Path, to: Path) -> str:
    """Copy a plain file; its SHA-256. A link leads to what is not the tree's."""
    digest = hashlib.sha256()
    with (
        open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as source,
        to.open("wb") as target,
    ):
        while block := source.read(_BLOCK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()
