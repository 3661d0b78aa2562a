"""The program that runs: all of it is loaded before the first agent starts, and its files are watched.

What an agent of the same user writes over our files later runs in no process of ours. It could still run in a
child that starts Python anew, or in the next run: so a task during which a file changed does not succeed.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orchestrator_action
from orchestrator_action.text.template import template_environment

OWN_FOLDER = Path(orchestrator_action.__path__[0])

_NOT_OURS_TO_LOAD = (
    "__main__", ".patch.worker", ".acp.worker", ".hook.", ".cli.", ".action.", ".phase_client.",
)  # fmt: skip
"""Programs of their own, and doors that this run did not come in by."""
_LOADED_BY_CHOICE = {
    "orchestrator_action.forge.github.": "orchestrator_action.forge.github.client",
    "orchestrator_action.run.otlp.": "orchestrator_action.run.otlp",
}
"""By prefix: what is there when this was chosen, which is before the run starts. Agents are not among them: which
one takes over is known only later."""


def load_all() -> None:
    """Have all code and texts of a run in memory."""
    for module in pkgutil.walk_packages(orchestrator_action.__path__, "orchestrator_action."):
        name = f"{module.name}."
        other = any(name.startswith(k) and sign not in sys.modules for k, sign in _LOADED_BY_CHOICE.items())
        if not other and not any(part.rstrip(".") in name for part in _NOT_OURS_TO_LOAD):
            importlib.import_module(module.name)
    for late in _LATE:
        importlib.import_module(late)
    texts = template_environment()
    texts.auto_reload = False
    for template in texts.list_templates():
        texts.get_template(template)


_LATE = ("encodings.idna", "stringprep", "traceback", "requests", "pydantic.dataclasses")
"""What the libraries that we use load at their first use, and what we do: commands that start no agent need less."""


@dataclass(frozen=True, slots=True)
class InstalledProgram:
    """The files below some folders, as they were when this was made."""

    folders: tuple[Path, ...]
    files: Mapping[Path, tuple[tuple[int, ...], bytes]]
    """Of each file what the disk says of it, and a digest."""
    closed: bool = False
    """Whether nobody but us writes there: a file that is new was put there, too."""

    @classmethod
    def ours(cls) -> InstalledProgram:
        """Our own package, wherever it is installed."""
        return cls.below([OWN_FOLDER])

    @classmethod
    def of_action(cls, environ: Mapping[str, str]) -> InstalledProgram:
        """What the Action installed below `RUNNER_TEMP`, what it was installed from, Python's library, byte code."""
        temp, prefix = environ.get("RUNNER_TEMP"), Path(sys.prefix)
        if not temp or not prefix.is_relative_to(temp):
            return cls.ours()
        more = (environ.get("GITHUB_ACTION_PATH"), sys.pycache_prefix)
        library = Path(sysconfig.get_path("stdlib"))
        return cls.below([prefix, library, *(Path(m) for m in more if m)], closed=True)

    @classmethod
    def below(cls, folders: Sequence[Path], *, closed: bool = False) -> InstalledProgram:
        """All files below these folders. Byte code counts where nobody else has a reason to write it."""
        return cls(
            tuple(folders),
            {path: (_stat(path), _digest(path)) for folder in folders for path in _files(folder, closed)},
            closed,
        )

    def changed(self) -> tuple[str, ...]:
        """Files that are not what they were, by path; at most three are named."""
        other = [path for path, (stat, digest) in self.files.items() if _differs(path, stat, digest)]
        if self.closed:
            there = {path for folder in self.folders for path in _files(folder, self.closed)}
            other += there - self.files.keys()
        return tuple(map(str, sorted(other)[:3]))


def _differs(path: Path, stat: tuple[int, ...], digest: bytes) -> bool:
    """By what the disk says first: most files are not read again. A user cannot set a file's ctime."""
    return _stat(path) != stat and _digest(path) != digest


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _files(folder: Path, closed: bool) -> Iterator[Path]:
    library = sysconfig.get_path("stdlib")
    for place, folders, names in os.walk(folder):
        shared = place.startswith(library) or not closed
        left_out = {"__pycache__"} if shared else set()
        left_out |= {"test", "site-packages", "dist-packages"} if place == library else set()
        folders[:] = sorted(set(folders) - left_out)
        yield from (Path(place, name) for name in sorted(names))
