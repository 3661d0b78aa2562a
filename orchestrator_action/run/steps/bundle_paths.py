"""The paths that a bundle changes: none may lead out of the tree, hide what it is, or be a path that we protect.

A tree is looked at as any machine might check it out: some take a backslash for a slash, some letters of either case
for the same, some do not show what a name holds.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from orchestrator_action.config.schema import Config
from orchestrator_action.errors import BundleError
from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import listed, matches, shown

UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""Control characters and those that turn the direction of what follows; tab and line feed are none of them."""
_PASSED_OVER = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What HFS+ leaves out of a name. Source: git's `next_hfs_char`."""
_LEFT_OUT = re.compile(r"(?:::\$\w+)?[ .]*(?=/|$)")
"""What NTFS leaves out at the end of a name."""
_FOR_ACTIONS = ".github", ".github/workflows", ".github/actions"
"""Folders of GitHub's; a link or a submodule in such a place has what nobody sees in the change."""
_SUBMODULE, _LINK = "160000", "120000"


def check_changes(private: Git, base: str, head: str, config: Config) -> None:
    """Raise BundleError for a path, a link or a submodule between two commits that is not taken."""
    changes = private.changes(base, head)
    paths = {p for c in changes for p in (c.path, c.old_path) if p}
    inside = tuple(f"{folder}/" for folder in _FOR_ACTIONS[1:])
    if workflows := sorted(p for p in paths if p in _FOR_ACTIONS or p.startswith(inside)):
        raise BundleError("workflow-path", f"it changes {listed(workflows)}")
    if protected := sorted(p for p in paths if matches(p, config.protected)):
        raise BundleError("protected-path", f"it changes {listed(protected)}")
    there = [c for c in changes if c.status != "D"]
    _check_names([c.path for c in there])
    _check_links(private, [c for c in there if c.new_mode == _LINK])
    _check_clashes(private, base, head, there)
    added = [c.path for c in there if c.new_mode == _SUBMODULE != c.old_mode]
    if added or ".gitmodules" in paths:
        _check_submodules(private, base, head, added)


def _check_names(paths: Iterable[str]) -> None:
    for path in paths:
        if UNSEEN.search(path) or "\n" in path or "\t" in path:
            raise BundleError("control-characters", f"the name {shown(path)} holds control characters")
        parts = path.replace("\\", "/").split("/")
        if "\\" in path and (
            ".." in parts or ":" in parts[0] or not parts[0] or any(map(_is_dot_git, parts))
        ):
            raise BundleError("path-escape", f"the name {shown(path)} leads elsewhere on some machines")


def _is_dot_git(name: str) -> bool:
    """Whether some machine would open `.git` by this name."""
    return _on_disk(name) in {".git", "git~1"}


def _on_disk(path: str) -> str:
    """A path as it may come to be on a disk: equal where some machine takes two for one."""
    return unicodedata.normalize("NFC", _LEFT_OUT.sub("", _PASSED_OVER.sub("", path))).casefold()


# -- links ------------------------------------------------------------------------------------------


def _check_links(private: Git, links: Sequence[Change]) -> None:
    for change, target in zip(links, private.blobs([c.new_blob for c in links]), strict=True):
        if _leaves(change.path, os.fsdecode(target or b"")):
            raise BundleError(
                "symlink-escape", f"{listed([change.path])} is a link to a place outside the tree"
            )


def _leaves(path: str, target: str) -> bool:
    """Whether a symbolic link leads out of its tree, or into a `.git`.

    It may go up only at its beginning, where the folders above it are real: behind a name, which may be a link to
    anywhere, nobody can tell where `..` leads.
    """
    if not target or target.startswith("/") or "\\" in target:
        return True
    parts = [p for p in target.split("/") if p not in {"", "."}]
    below = parts[len([p for p in parts if p == ".."]) :]
    at = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return ".." in below or at == ".." or at.startswith("../") or any(map(_is_dot_git, parts))


# -- names that are one elsewhere -------------------------------------------------------------------


def _check_clashes(private: Git, base: str, head: str, there: Iterable[Change]) -> None:
    """Raise BundleError for a new name that differs from another one by its case, by how its letters are written, or
    by what some machine leaves out of it."""
    made = {p for c in there if c.status != "M" for p in _with_folders(c.path)} - _names(private, base)
    if not made:
        return
    alike: dict[str, list[str]] = defaultdict(list)
    for name in _names(private, head):
        alike[_on_disk(name)].append(name)
    for name in sorted(made):
        if len(some := alike[_on_disk(name)]) > 1:
            raise BundleError("case-clash", f"{listed(sorted(some))} are one name on some machines")


def _with_folders(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


def _names(private: Git, commit: str) -> set[str]:
    """Every file and folder of a commit."""
    out = private.run("ls-tree", "-r", "-t", "-z", "--name-only", "--full-tree", commit).out
    return {os.fsdecode(name) for name in out.split(b"\0") if name}


# -- submodules -------------------------------------------------------------------------------------


def _check_submodules(private: Git, base: str, head: str, added: Sequence[str]) -> None:
    """A URL that the base does not have may name a server, not a program, a file or an option."""
    known = set(_settings(private, base, "url"))
    for url in _settings(private, head, "url"):
        if url not in known and not re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9._/~-]+", url):
            raise BundleError("submodule-url", f"it adds a submodule at {url[:80]!r}")
    if nowhere := set(added) - set(_settings(private, head, "path")):
        raise BundleError(
            "submodule-url", f"{listed(sorted(nowhere))}: a submodule without a URL in .gitmodules"
        )


def _settings(private: Git, commit: str, name: str) -> list[str]:
    """The values of one setting of every submodule."""
    if private.file(commit, ".gitmodules") is None:
        return []
    args = ("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", rf"^submodule\..*\.{name}$")
    done = private.run(*args, check=False)
    return [row.partition("\n")[2] for row in os.fsdecode(done.out).split("\0") if row]
