"""What git said of commits by their full names, remembered: such an answer never changes.

Phases ask the same of the same commit again and again; each question would be a process. Only answers
about full object names are kept, a bounded number of them, per repository.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from orchestrator_action.git.parse import read_line

T = TypeVar("T")
SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PLAIN_REF = re.compile(r"refs/(?:heads|remotes|orchestrator)/[\w][\w./+@-]*")
_LIMIT = 4096
_LARGE = 64
"""Answers with a value per path of a tree are kept in smaller number."""

_kept: dict[bool, OrderedDict[tuple[str, ...], Any]] = {False: OrderedDict(), True: OrderedDict()}
_lock = threading.Lock()


def remembered(
    common: Path, what: str, shas: tuple[str, ...], ask: Callable[[], T], *, large: bool = False
) -> T:
    """The answer to `what` about these commits; asked once when all are full names.

    An answer that is empty or False is asked again: the object may have arrived since.
    """
    if not all(SHA.fullmatch(sha) for sha in shas):
        return ask()
    key = (str(common), what, *shas)
    kept = _kept[large]
    with _lock:
        if key in kept:
            kept.move_to_end(key)
            found: T = kept[key]
            return found
    answer = ask()
    if answer:
        with _lock:
            kept[key] = answer
            while len(kept) > (_LARGE if large else _LIMIT):
                kept.popitem(last=False)
    return answer


def is_known_commit(common: Path, sha: str) -> bool:
    """Whether git has confirmed before that `sha` is a commit of this repository."""
    with _lock:
        return (str(common), "commit", sha) in _kept[False]


def branch_of(git_dir: Path) -> str | None:
    """The branch HEAD names, read from its file; empty when detached, None when git must be asked."""
    line = read_line(git_dir / "HEAD")
    if SHA.fullmatch(line):
        return ""
    name = line.removeprefix("ref: refs/heads/")
    plain = name != line and re.fullmatch(r"[\w][\w./+@-]*", name) and ".." not in name
    return name if plain else None


def head_of(git_dir: Path, common: Path) -> str:
    """The commit HEAD is at when its files say so and git knows that commit; empty otherwise."""
    branch = branch_of(git_dir)
    if branch is None:
        return ""
    return _known(common, common / "refs" / "heads" / branch if branch else git_dir / "HEAD")


def commit_of(common: Path, ref: str) -> str:
    """The commit a ref is at when its own file says so and git knows that commit; empty when git must be asked."""
    return _known(common, common / ref) if _PLAIN_REF.fullmatch(ref) and ".." not in ref else ""


def _known(common: Path, file: Path) -> str:
    sha = read_line(file)
    return sha if SHA.fullmatch(sha) and is_known_commit(common, sha) else ""


def is_remote_tip(common: Path, sha: str) -> bool:
    """Whether a remote-tracking branch is at `sha` by its file; when not, git must be asked."""
    with contextlib.suppress(OSError):
        if b"\n%s refs/remotes/" % sha.encode("ascii") in (common / "packed-refs").read_bytes():
            return True
    loose = common / "refs" / "remotes"
    return any(read_line(Path(folder, name)) == sha for folder, _, names in os.walk(loose) for name in names)
