"""Orders to a run from another process: files in a folder of the run, which its orchestrator watches.

No process is signalled, so no stranger can be hit, and the order also reaches an orchestrator in another
container that shares the disk. Whoever may write the repository's git directory may give one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

ORDERS_FOLDER = "orders"
CANCEL = "cancel"
"""End the whole run, as a first signal does."""
NOW = "cancel-now"
"""Kill at once, as a second signal does."""
_FROM_ANOTHER_TERMINAL = "cancelled from another terminal"
ONE = "cancel-task-"
"""Followed by a task's id: end that one only."""


def place(run_dir: Path, order: str, *, words: str = "") -> bool:
    """Give an order, with `words` for who gave it; False when it was given before."""
    folder = run_dir / ORDERS_FOLDER
    folder.mkdir(exist_ok=True)
    try:
        with (folder / order).open("x", encoding="utf-8") as file:
            file.write(words)
    except FileExistsError:
        return False
    return True


class Orders:
    """The orders of one run, as its orchestrator sees them. What was ordered of an earlier one is void."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / ORDERS_FOLDER
        self._seen: set[str] = set()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in list(self._folder.iterdir()):
                old.unlink(missing_ok=True)

    def words_of(self, order: str) -> str:
        """By whom an order was given."""
        with contextlib.suppress(OSError):
            return (self._folder / order).read_text(
                encoding="utf-8", errors="replace"
            ) or _FROM_ANOTHER_TERMINAL
        return _FROM_ANOTHER_TERMINAL

    def fresh(self) -> Iterator[str]:
        """Orders not seen before."""
        try:
            names = sorted(p.name for p in self._folder.iterdir())
        except OSError:
            return
        for name in names:
            if name not in self._seen:
                self._seen.add(name)
                yield name
