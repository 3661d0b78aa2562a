"""Submodules of a tree: checked out from the user's own copies, without the network.

A submodule that the user's checkout does not have stays an empty folder, as it is there. What its folder
holds is a clone of its own again: it borrows the objects of the user's copy.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from orchestrator_action.git import borrow
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import is_safe

_DEPTH = 8
"""Submodules in submodules: no repository goes deeper than that."""
_NAME = re.compile(r"(?!.*(^|/)\.\.(/|$))[^/\0][^\0]*")


def check_out_submodules(
    lender: Git, git: Git, top: Path, own: Path, commit: str, *, depth: int = _DEPTH
) -> tuple[Path, ...]:
    """Check out the submodules recorded in `commit` below `top`; the folders of objects they borrow.

    `lender` is the user's repository (or his copy of a submodule), `git` one that has the commit, `own` the
    git directory of the tree.
    """
    borrowed: list[Path] = []
    links = git.links(commit) if depth and ".gitmodules" in git.paths(commit) else {}
    names = _names(git, commit) if links else {}
    for path, sha in links.items():
        name = names.get(path, "")
        if not _NAME.fullmatch(name) or not is_safe(path):
            continue
        copy = _copy_of(lender, name, path)
        if copy is None or not copy.rev_parse(sha):
            continue
        place, inside = top / path, own / "modules" / name
        if place.is_symlink() or not place.is_dir() or any(place.iterdir()) or inside.exists():
            continue
        borrowed += [copy.common_dir / "objects", *_check_out(copy, place, inside, sha, depth)]
    return tuple(borrowed)


def _check_out(copy: Git, place: Path, inside: Path, sha: str, depth: int) -> tuple[Path, ...]:
    template = borrow.picture(copy)
    back = ("core.worktree", os.path.relpath(place, inside))
    template = replace(template, settings=(*template.settings, back))
    borrow.make_git_dir(template, inside, head=sha, objects=[copy.common_dir / "objects"])
    (place / ".git").write_text(f"gitdir: {os.path.relpath(inside, place)}\n", encoding="utf-8")
    made = replace(copy, git_dir=inside, work_tree=place)
    made.run("reset", "--hard", "--quiet", sha, write=True)
    return check_out_submodules(copy, copy, place, inside, sha, depth=depth - 1)


def _names(git: Git, commit: str) -> dict[str, str]:
    """Path → name, as the commit's `.gitmodules` has it."""
    done = git.run("config", "--blob", f"{commit}:.gitmodules", "--list", "-z", check=False)
    pairs = (os.fsdecode(entry).partition("\n") for entry in done.out.split(b"\0") if entry)
    return {v: k[len("submodule.") : -len(".path")] for k, _, v in pairs if k.endswith(".path")}


def _copy_of(lender: Git, name: str, path: str) -> Git | None:
    """The user's own clone of a submodule."""
    inner = lender.work_tree / path / ".git" if lender.work_tree else None
    places = [
        lender.git_dir / "modules" / name,
        lender.common_dir / "modules" / name,
        *([inner] if inner else []),
    ]
    found = next((p for p in places if name and (p / "HEAD").is_file() and (p / "objects").is_dir()), None)
    if found is None:
        return None
    work_tree = lender.work_tree / path if lender.work_tree else None
    return replace(
        lender, git_dir=found, common_dir=found, work_tree=work_tree, filters_seen="not to be trusted"
    )
