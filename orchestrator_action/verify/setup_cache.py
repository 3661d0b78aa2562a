"""What set-ups at a base have filled, kept below the git directory and copied into later trees.

A name stands for all that decides what is installed. No two trees share a file that one of them could write.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from orchestrator_action.errors import SetupError
from orchestrator_action.process.files import open_in
from orchestrator_action.sandbox.start import run_to_end
from orchestrator_action.verify.ecosystems.base import SetupStep

MOST_KEPT = 24
"""How many set-ups of a repository are kept; the one that was not used for longest goes first."""
_RELOCATED = ("*.pth", "*.egg-link", "__editable__*.py", "_*_editable*.py", "direct_url.json", "pyvenv.cfg")
"""Files of a virtual environment, besides its programs, that name the tree it was made in."""
_MOST_TEXT_BYTES = 1024**2


def setup_key(step: SetupStep, tree: Path, env: Mapping[str, str], level: str) -> str:
    """A name for all that decides what a step installs: its files in this tree, its tools, the walls it ran in."""
    digest = hashlib.sha256()
    for part in (step.how, *step.commands, level, *_tool_versions(step, env)):
        digest.update(f"{part}\0".encode())
    for name in step.inputs:
        with contextlib.suppress(OSError), open_in(tree, name) as file:
            digest.update(name.encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()[:32]


def _tool_versions(step: SetupStep, env: Mapping[str, str]) -> Iterable[str]:
    """Where each tool really lies, and when it was put there: a changed interpreter is another one."""
    for tool in step.tools:
        found = shutil.which(tool, path=env.get("PATH"))
        if found is not None:
            real = Path(found).resolve()
            there = real.stat()
            yield f"{real} {there.st_mtime_ns} {there.st_size}"


@contextlib.contextmanager
def locked(place: Path) -> Iterator[None]:
    """One process at a time makes what is kept under one name; the others wait and copy it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.flock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def restore(place: Path, step: SetupStep, tree: Path) -> bool:
    """Copy what is kept into a tree; whether anything was."""
    made_in = place / "tree"
    if not made_in.is_file():
        return False
    for name in step.keeps:
        if (place / "files" / name).exists() and not (tree / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            _copy(place / "files" / name, tree / name)
            _relocate(tree / name, made_in.read_text(encoding="utf-8"), str(tree))
    os.utime(made_in)
    return True


def keep_copy(place: Path, step: SetupStep, tree: Path) -> None:
    """Put a copy under its name, complete or not at all, and make room."""
    fresh = place.with_name(f"{place.name}.{uuid.uuid4().hex[:8]}")
    for name in step.keeps:
        if (tree / name).exists() and not (tree / name).is_symlink():
            (fresh / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            _copy(tree / name, fresh / "files" / name)
    if not fresh.exists():
        return
    (fresh / "tree").write_text(str(tree), encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    kept = sorted(place.parent.glob("*/tree"), key=lambda p: p.stat().st_mtime)
    for old in kept[: max(0, len(kept) - MOST_KEPT)]:
        shutil.rmtree(old.parent, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """A copy that shares no file: by the file system's own means where it has them.

    `cp` copies 20,000 small files four times as fast as `shutil`. Hard links would be faster still, and a
    test that writes into one tree would write into all.
    """
    done = run_to_end(
        ["cp", "-a", "--reflink=auto", "--", str(source), str(target)], env={"PATH": os.defpath}
    )
    if done.returncode != 0:
        raise SetupError(
            f"what an earlier set-up installed could not be copied: {done.stderr.strip()[-200:]}",
            hint="is the disk full?",
        )


def _relocate(folder: Path, old: str, new: str) -> None:
    """Let a virtual environment name the tree it is in now: its programs, and links to the tree's own code."""
    if old == new or not (folder / "pyvenv.cfg").is_file():
        return
    texts = [*(folder / "bin").iterdir()]
    texts += [path for pattern in _RELOCATED for path in folder.rglob(pattern)]
    for path in filter(_is_plain, texts):
        if path.stat().st_size <= _MOST_TEXT_BYTES and (said := path.read_bytes()).find(old.encode()) >= 0:
            path.write_bytes(said.replace(old.encode(), new.encode()))


def _is_plain(path: Path) -> bool:
    """Whether it is a file and no link: that may lead to a file of the user's."""
    return path.is_file() and not path.is_symlink()
