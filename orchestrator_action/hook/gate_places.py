"""Where gate trees lie: in the folder that all trees have, or in the one that `trees` of the configuration names.

The usual folder has one for every repository with gate trees; where these lie elsewhere, it says so, for
`clean` and `uninstall`, which have no configuration before them.
"""

import os

from orchestrator_action.git.roots import make_root, trees_root
from orchestrator_action.hook.fast_git import PushSite, read_file, write_file
from orchestrator_action.hook.passes import short_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = "elsewhere"
"""A file that has, a line each, the other folders in which gate trees of this repository were made."""
_OWNER = "of"


def gate_trees_root(setting: str = "") -> str:
    """The folder of every repository's gate trees. `setting` is `trees` of the configuration.

    Raises WorktreeError when it cannot be made or belongs to somebody else.
    """
    return os.path.join(make_root(trees_root(os.environ, setting)), "hook")


def repository_root(site: PushSite, setting: str = "") -> str:
    """The folder of this repository's gate trees."""
    return os.path.join(gate_trees_root(setting), place_name(site.common))


def place_name(common: str) -> str:
    """What that folder is called, by the repository's git directory."""
    return short_digest(os.fsencode(os.path.realpath(common)), 6)


def note_place(site: PushSite, root: str, setting: str) -> None:
    """Leave word of whose trees are in `root`, and in the usual folder where they are when `setting` moved them."""
    write_file(os.path.join(root, _OWNER), os.fsencode(site.common))
    if not setting:
        return
    try:
        usual = repository_root(site)
        known = list(places_elsewhere(usual))
        if root not in known:
            write_file(os.path.join(usual, _OWNER), os.fsencode(site.common))
            lines = b"".join(os.fsencode(path) + b"\n" for path in (*known, root))
            write_file(os.path.join(usual, _ELSEWHERE), lines)
    except (OSError, ValueError):
        pass  # `trees` is also for machines whose usual folder cannot be written to


def owner_of(folder: str) -> str:
    """The git directory of the repository whose trees are in `folder`; empty when nobody knows."""
    return os.fsdecode(read_file(os.path.join(folder, _OWNER)) or b"")


def places_elsewhere(usual: str) -> "Iterator[str]":
    """The other folders of a repository, by its folder in the usual place."""
    for line in (read_file(os.path.join(usual, _ELSEWHERE)) or b"").split(b"\n"):
        path = os.fsdecode(line)
        if os.path.basename(path) == os.path.basename(usual):
            yield path


def all_places(site: PushSite) -> "Iterator[str]":
    """Every folder that has or had gate trees of this repository."""
    usual = repository_root(site)
    yield from places_elsewhere(usual)
    yield usual
