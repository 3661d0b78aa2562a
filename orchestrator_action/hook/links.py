"""Untracked directories of the checkout, such as node_modules, linked into a gate tree.

A plain link would lead back: an npm workspace in node_modules is a link into the checkout, dirty as it is,
and what a tool writes into the folder would be written into the user's. So the folder is made anew with a
link for each entry; workspace entries lead into the tree, caches are private, and a package that the pushed
lock file does not have stays out.
"""

import os

from orchestrator_action.hook.fast_git import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DEPENDENCY_FOLDERS = ("node_modules", "vendor", ".venv", "venv")
LOCKS_OF_NODE = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock")
_KEPT_HIDDEN = (
    ".bin",
    ".pnpm",
    ".store",
    ".package-lock.json",
    ".modules.yaml",
    ".yarn-state.yml",
    ".yarn-integrity",
)
"""Of node_modules' hidden entries, what package managers put there; the others are tools' caches."""
_BEFORE_NAME, _AFTER_NAME = "\"'/ \n,{", "\"'@:/ \n,"


def link_folders(names: "list[str]", *, top: str, tree: str) -> list[str]:
    """Link `names` of the checkout `top` into the gate tree; those that are not there are returned.

    What the commit itself tracks stays as it is; a name that leads out of the checkout counts as missing.
    """
    missing = []
    top = os.path.realpath(top) if top else ""
    for name in dict.fromkeys(names):
        source = os.path.normpath(os.path.join(top, name))
        target = os.path.join(tree, os.path.normpath(name))
        if not top or not source.startswith(f"{top}/") or not os.path.exists(source):
            missing.append(name)
        elif not os.path.lexists(target) or _is_empty_folder(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _Layer(top, tree, target).add(source, target)
    return missing


def unlinked_dependencies(*, top: str, tree: str) -> list[str]:
    """Folders of installed packages that the checkout has and the gate tree has not."""
    return [
        name
        for name in DEPENDENCY_FOLDERS
        if top and os.path.isdir(os.path.join(top, name)) and not os.path.lexists(os.path.join(tree, name))
    ]


def _is_empty_folder(path: str) -> bool:
    """As a submodule that is not set up is there."""
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


class _Layer:
    """One linked folder in the making."""

    def __init__(self, top: str, tree: str, target: str) -> None:
        self._top = top
        self._tree = tree
        self._is_node = os.path.basename(target) == "node_modules"
        self._lock = _lock_text(os.path.dirname(target), tree) if self._is_node else ""

    def add(self, source: str, target: str, *, scope: str = "") -> None:
        """Make `target` a folder with a link for each entry of `source`, or a link to a file."""
        if not os.path.isdir(source):
            os.symlink(source, target)
            return
        os.mkdir(target)
        for entry in self._wanted(source, scope):
            there = os.path.join(target, entry.name)
            real = os.path.realpath(entry.path)
            leads_back = real.startswith(f"{self._top}/") and not real.startswith(
                f"{os.path.realpath(source)}/"
            )
            if entry.is_symlink() and leads_back and not self._is_stored(real):
                os.symlink(self._tree + real[len(self._top) :], there)
            elif self._is_node and entry.name.startswith("@") and entry.is_dir(follow_symlinks=False):
                self.add(entry.path, there, scope=f"{entry.name}/")
            else:
                os.symlink(entry.path, there)

    def _is_stored(self, real: str) -> bool:
        """pnpm and yarn keep packages elsewhere below node_modules and link them from there."""
        return "/node_modules/" in real[len(self._top) :]

    def _wanted(self, source: str, scope: str) -> "Iterator[os.DirEntry[str]]":
        for entry in os.scandir(source):
            if not self._is_node:
                yield entry
            elif entry.name.startswith("."):
                if entry.name in _KEPT_HIDDEN:
                    yield entry
            elif entry.is_symlink() or entry.name.startswith("@") or self._is_locked(scope + entry.name):
                yield entry

    def _is_locked(self, name: str) -> bool:
        """Whether the pushed lock file names a package; without one, everything is wanted."""
        if not self._lock:
            return True
        at = self._lock.find(name)
        while at >= 0:
            before, after = self._lock[at - 1 : at] or "\n", self._lock[at + len(name) : at + len(name) + 1]
            if before in _BEFORE_NAME and (after or "\n") in _AFTER_NAME:
                return True
            at = self._lock.find(name, at + 1)
        return False


def _lock_text(folder: str, tree: str) -> str:
    """The lock file that holds for a folder of the tree: beside it, or further up."""
    while folder == tree or folder.startswith(f"{tree}/"):
        for name in LOCKS_OF_NODE:
            text = read_file(os.path.join(folder, name))
            if text is not None:
                return text.decode("utf-8", "replace")
        folder = os.path.dirname(folder)
    return ""
