"""Untracked directories of the checkout, such as node_modules, linked into a slot.

A plain link would lead back: an npm workspace in node_modules is a link into the checkout, dirty as it is.
A directory with such entries is made anew, with those entries leading into the slot.
"""

import os


def link(names: "list[str]", *, top: str, tree: str) -> list[str]:
    """Link `names` of the checkout `top` into the slot `tree`; those that are not there are returned.

    What the commit itself tracks stays as it is; a name that leads out of the checkout counts as missing.
    """
    missing = []
    top = os.path.realpath(top) if top else ""
    for name in dict.fromkeys(names):
        source = os.path.normpath(os.path.join(top, name))
        target = os.path.join(tree, name.rstrip("/"))
        if not top or not source.startswith(f"{top}/") or not os.path.exists(source):
            missing.append(name)
        elif not os.path.lexists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _link_one(source, target, top, tree)
    return missing


def _link_one(source: str, target: str, top: str, tree: str) -> None:
    if not _leads_back(source, top):
        os.symlink(source, target)
        return
    os.mkdir(target)
    for entry in os.scandir(source):
        there = os.path.join(target, entry.name)
        real = os.path.realpath(entry.path)
        if entry.is_symlink() and real.startswith(f"{top}/"):
            os.symlink(tree + real[len(top) :], there)
        elif entry.name.startswith("@") and entry.is_dir(follow_symlinks=False):
            _link_one(entry.path, there, top, tree)
        else:
            os.symlink(entry.path, there)


def _leads_back(folder: str, top: str) -> bool:
    """Whether an entry, or one of an npm scope, is a link to somewhere else in the checkout."""
    if not os.path.isdir(folder):
        return False
    for entry in os.scandir(folder):
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if real.startswith(f"{top}/") and not real.startswith(f"{folder}/"):
                return True
        elif entry.name.startswith("@") and entry.is_dir() and _leads_back(entry.path, top):
            return True
    return False
