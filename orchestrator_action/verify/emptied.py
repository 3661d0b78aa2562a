"""The head with the functions that the branch adds or changes made to do nothing.

A test that fails at the base only because a name is not there says nothing of what stands behind the name. What
still passes when these functions do nothing does not show them: it asserts nothing, or tests a copy or a mock.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.functions import Body, bodies_in, without
from orchestrator_action.verify.overlay import lay_texts
from orchestrator_action.verify.test_paths import TestPaths

_MAX_SOURCE_BYTES = 1024**2
_FILES = ("100644", "100755")


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """A commit like the head, and the names of the functions that do nothing there."""

    commit: str
    functions: tuple[str, ...]
    files: tuple[str, ...]
    """The files that these are in."""
    are_new: bool
    """False: the base has them, too, with another body."""


def empty_functions(git: Git, *, base: str, head: str, tests: TestPaths) -> Emptied | None:
    """The new functions emptied; where none is new, those that the branch changes. None where there is neither.

    Only in languages that are known. A function that only moved is not new.
    """
    changes = [c for c in git.changes(base, head) if not tests.belongs(c.path)]
    before, after = (_texts(git, changes, side) for side in ("old_blob", "new_blob"))
    old = [
        pair for c, t in zip(changes, before, strict=True) for pair in _with_texts(c.old_path or c.path, t)
    ]
    names, spans = {body.name for body, _ in old}, {span for _, span in old}
    here = {
        c.path: _with_texts(c.path, t) for c, t in zip(changes, after, strict=True) if c.new_mode in _FILES
    }
    chosen = {path: [b for b, _ in pairs if b.name not in names] for path, pairs in here.items()}
    are_new = any(chosen.values())
    if not are_new:
        chosen = {path: [b for b, span in pairs if span not in spans] for path, pairs in here.items()}
    texts = {c.path: t for c, t in zip(changes, after, strict=True) if chosen.get(c.path)}
    if not texts:
        return None
    emptied = {p: without(t, chosen[p]).encode("utf-8", "surrogateescape") for p, t in texts.items()}
    commit = lay_texts(git, over=head, texts=emptied, modes={c.path: c.new_mode for c in changes})
    functions = dict.fromkeys(b.name for path in texts for b in chosen[path])
    return Emptied(commit=commit, functions=tuple(functions), files=tuple(texts), are_new=are_new)


def _with_texts(path: str, text: str) -> list[tuple[Body, str]]:
    """Each function with the text from its body's begin to that of the next."""
    bodies = bodies_in(path, text)
    ends = [*(b.at for b in bodies), len(text)][1:]
    return [(b, text[b.at : end].rstrip()) for b, end in zip(bodies, ends, strict=True)]


def _texts(git: Git, changes: list[Change], side: str) -> list[str]:
    """What is too large, or no text, is empty."""
    blobs = [getattr(c, side) for c in changes]
    sizes = git.sizes(blobs)
    small = [
        b for b, size in zip(blobs, sizes, strict=True) if size is not None and size <= _MAX_SOURCE_BYTES
    ]
    bodies = dict(zip(small, git.blobs(small), strict=True))
    return [(bodies.get(b) or b"").decode("utf-8", "surrogateescape") for b in blobs]
