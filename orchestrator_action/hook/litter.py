"""What nobody needs any more: trees of repositories that are gone or were moved, and what could not be removed.

`hook clean` removes it; files that only another user may remove are named with the command that does.
"""

import os

from orchestrator_action.hook.gate_checkout import remove_tree, remove_unused
from orchestrator_action.hook.gate_places import gate_trees_root, owner_of, place_name, places_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def clean_litter(*, remove: bool = True) -> "Iterator[str]":
    """Remove it, or only name it; a line for each. Trees in use and of living repositories stay."""
    root = gate_trees_root()
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return
    for name in names:
        folder = os.path.join(root, name)
        owner = owner_of(folder)
        folders = [path for path in (*places_elsewhere(folder), folder) if os.path.isdir(path)]
        if not _belongs(name, owner):
            for path in folders:
                yield from _removed(path, f"gate trees of {owner or 'nobody'}, which is gone", remove=remove)
        else:
            for aside in (aside for path in folders for aside in _left_aside(path)):
                yield from _removed(aside, "left by a gate", remove=remove)


def _belongs(name: str, owner: str) -> bool:
    """Whether these are the trees of a repository that still is where it was."""
    there = os.path.isfile(os.path.join(owner, "HEAD")) if owner else False
    return there and place_name(owner) == name


def _left_aside(folder: str) -> "Iterator[str]":
    for home in sorted(os.listdir(folder)):
        path = os.path.join(folder, home)
        if os.path.isdir(path):
            yield from (
                os.path.join(path, kept) for kept in sorted(os.listdir(path)) if kept.startswith("left-")
            )


def _removed(path: str, what: str, *, remove: bool) -> "Iterator[str]":
    if not remove:
        yield f"would remove {path}: {what}"
        return
    if os.path.basename(path).startswith("left-"):
        remove_tree(path)
    elif not remove_unused(path):
        yield f"in use, so kept: {path}"
        return
    if os.path.lexists(path):
        yield f"cannot be removed: {path}: {what}; it holds files of another user: sudo rm -rf '{path}'"
    else:
        yield f"removed {path}: {what}"
