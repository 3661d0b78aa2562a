"""Where a repository keeps its runs, and which is meant: `.git/orchestrator/runs/<run-id>`."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from orchestrator_action.errors import ConfigError
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.events import decode_event

STATE_DIR = "orchestrator"
"""In the git common directory: seen by every worktree, never committed."""

BASE = "base"
"""Under this name a run checks its base out, and keeps the logs of that."""
SCRATCH = "scratch"
"""A file in a run's folder: temporary directories elsewhere, which are gone when its process ends by itself."""


def state_dir(git: Git) -> Path:
    """Where runs, their journals and logs are kept."""
    return git.common_dir / STATE_DIR


def journal_of(git: Git, run_id: str) -> Path:
    """The journal of a run, there or not."""
    return state_dir(git) / "runs" / run_id / "journal.jsonl"


def run_dirs(git: Git) -> list[Path]:
    """Directories of all runs of this repository, oldest first.

    A verification keeps a journal there too, but is no run: it has no tasks, log or report of its own. The
    steps before `publish` are each a part of one.
    """
    runs = state_dir(git) / "runs"
    folders = sorted(runs.iterdir()) if runs.is_dir() else []
    return [f for f in folders if (f / "journal.jsonl").is_file() and not _is_no_run(f)]


def _is_no_run(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError), (folder / "journal.jsonl").open("rb") as journal:
        first = decode_event(journal.readline().decode("utf-8").rstrip("\n")).data
        return bool(first.get("verify") or first.get("part"))
    return False


_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
"""A whole id, as `journal.new_run_id` makes it."""


def is_elsewhere(git: Git, name: str) -> bool:
    """Whether this is the whole id of a run that was never here."""
    return bool(_RUN_ID.fullmatch(name)) and all(r.name != name for r in run_dirs(git))


def find_run(git: Git, name: str) -> Path:
    """The directory of a run by its id, an unambiguous beginning of it, or `last`.

    Raises ConfigError when there is no run at all, or the name fits none or several.
    """
    runs = run_dirs(git)
    if not runs:
        raise ConfigError("no run of this repository is known", hint="start one: orchestrator-action run")
    if name == "last":
        return runs[-1]
    matching = [r for r in runs if name and r.name.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    what = (
        "no run of this repository begins"
        if not matching
        else f"{len(matching)} runs of this repository begin"
    )
    raise ConfigError(f"{what} with {name!r}", hint=f"the last one is {runs[-1].name}")


def note_scratch(run_dir: Path, folders: Iterable[Path]) -> None:
    """Write down which temporary directories this process has made for a run."""
    text = "".join(f"{folder}\n" for folder in folders)
    with contextlib.suppress(OSError):  # on a full disk the journal is the one to say so
        (run_dir / SCRATCH).write_text(text, encoding="utf-8", errors="surrogateescape")


def drop_scratch(run_dir: Path) -> None:
    """Remove what a process of this run that was killed left among the temporary files."""
    with contextlib.suppress(OSError):
        for line in (run_dir / SCRATCH).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            folder = Path(line)
            ours = folder.name.startswith("oa-") and not folder.is_symlink() and folder.is_dir()
            if ours and folder.stat().st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)
        (run_dir / SCRATCH).unlink()
