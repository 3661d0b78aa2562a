"""The head with every function that the branch adds made to do nothing.

A test that fails at the base only because a name is not there says nothing of what stands behind the name. What
still passes when the new functions do nothing does not show them: it asserts nothing, or tests a copy or a mock.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.functions import bodies_in, without
from orchestrator_action.verify.overlay import lay_texts
from orchestrator_action.verify.test_paths import TestPaths

MAX_SOURCE_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """A commit like the head, and the names of the functions that do nothing there."""

    commit: str
    functions: tuple[str, ...]


def empty_new_functions(git: Git, *, base: str, head: str, tests: TestPaths) -> Emptied | None:
    """None where no function of a known language is new. One that only moved is not new."""
    changes = [c for c in git.changes(base, head) if not tests.belongs(c.path)]
    before, after = (_texts(git, changes, side) for side in ("old_blob", "new_blob"))
    known = {
        b.name for c, text in zip(changes, before, strict=True) for b in bodies_in(c.old_path or c.path, text)
    }
    texts: dict[str, bytes] = {}
    names: list[str] = []
    for change, text in zip(changes, after, strict=True):
        new = [b for b in bodies_in(change.path, text) if b.name not in known]
        if new and change.new_mode in {"100644", "100755"}:
            texts[change.path] = without(text, new).encode("utf-8", "surrogateescape")
            names += [b.name for b in new]
    if not texts:
        return None
    modes = {c.path: c.new_mode for c in changes}
    return Emptied(
        commit=lay_texts(git, over=head, texts=texts, modes=modes), functions=tuple(dict.fromkeys(names))
    )


def _texts(git: Git, changes: list[Change], side: str) -> list[str]:
    """What is too large, or no text, is empty."""
    blobs = [getattr(c, side) for c in changes]
    sizes = git.sizes(blobs)
    small = [b for b, size in zip(blobs, sizes, strict=True) if size is not None and size <= MAX_SOURCE_BYTES]
    bodies = dict(zip(small, git.blobs(small), strict=True))
    return [(bodies.get(b) or b"").decode("utf-8", "surrogateescape") for b in blobs]
