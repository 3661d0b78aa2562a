"""How many paths a change touches, counted without walking them: a few trees can name more than any disk holds.

A tree that is named a thousand times is read once. What the base has at the same path is not read at all.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from orchestrator_action.errors import BundleError
from orchestrator_action.git.parse import parse_batch
from orchestrator_action.git.repo import Git

MAX_PATHS = 200_000
"""That one commit adds or changes."""
MAX_DEPTH = 256
"""Folders in each other; a path of more bytes than 4,096 cannot be made anyway."""
MAX_PAIRS = 1_000_000

Pair = tuple[str, str]
"""A folder: its tree at the base, empty where it is new, and its tree at a head."""


def weigh_trees(git: Git, base: str, head: str) -> None:
    """Raise BundleError where a commit of `head` above `base` touches more paths, or deeper ones, than are taken."""
    trees = git.text("rev-list", "--no-commit-header", "--format=%T", head, f"^{base}").split()
    pairs = {(git.rev_parse(base, "tree"), tree) for tree in trees}
    inside = _folders(git, pairs)
    known: dict[Pair, tuple[int, int]] = {}
    for pair in pairs:
        paths, depth = _measure(pair, inside, known)
        if paths > MAX_PATHS or depth > MAX_DEPTH:
            raise _too_many(f"a commit touches {paths:.6g} paths, {depth} folders deep")


def _too_many(what: str) -> BundleError:
    return BundleError(
        "too-many-paths", f"{what}; at most {MAX_PATHS} are taken, and {MAX_DEPTH} folders in each other"
    )


Inside = dict[Pair, tuple[int, list[Pair]]]
"""Of each folder: how many files differ in it, and its folders that do."""


def _folders(git: Git, pairs: Collection[Pair]) -> Inside:
    """All folders that differ below these, level by level."""
    inside: Inside = {}
    level = set(pairs)
    for _ in range(MAX_DEPTH):
        trees = _read(git, {tree for pair in level for tree in pair if tree})
        inside |= {pair: _differing(*pair, trees) for pair in level}
        level = {child for pair in level for child in inside[pair][1]} - inside.keys()
        if not level:
            return inside
        if len(inside) + len(level) > MAX_PAIRS:
            raise _too_many(f"more than {MAX_PAIRS} folders differ")
    raise _too_many(f"more than {MAX_DEPTH} folders lie in each other")


def _differing(base: str, head: str, trees: dict[str, bytes]) -> tuple[int, list[Pair]]:
    if head not in trees:
        raise BundleError("missing-objects", f"the folder {head[:12]} is not in it")
    width = len(head) // 2
    there = {name: (mode, sha) for mode, name, sha in _entries(trees.get(base, b""), width)}
    files, folders = 0, []
    for mode, name, sha in _entries(trees[head], width):
        before = there.get(name)
        if before == (mode, sha):
            continue
        if mode == _TREE:
            folders.append((before[1] if before and before[0] == _TREE else "", sha))
        else:
            files += 1
    return files, folders


_TREE = b"40000"


def _entries(body: bytes, width: int) -> Iterator[tuple[bytes, bytes, str]]:
    """Mode, name and object of each entry of a tree."""
    at = 0
    while at < len(body):
        end = body.index(b"\0", at)
        mode, _, name = body[at:end].partition(b" ")
        at = end + 1 + width
        yield mode.lstrip(b"0"), name, body[end + 1 : at].hex()


def _read(git: Git, names: Collection[str]) -> dict[str, bytes]:
    asked = [os.fsencode(name) for name in names]
    out = git.run("cat-file", "--batch", "-z", stdin=b"".join(n + b"\0" for n in asked)).out
    found = parse_batch(out, asked, bodies=True)
    return {name: body for name, (kind, _, body) in zip(names, found, strict=True) if kind == b"tree"}


def _measure(pair: Pair, inside: Inside, known: dict[Pair, tuple[int, int]]) -> tuple[int, int]:
    """How many files differ in a folder and below it, and how deep that goes."""
    todo = [pair]
    while todo:
        files, folders = inside[todo[-1]]
        if unknown := [f for f in folders if f not in known]:
            todo += unknown
            continue
        paths = files + sum(known[f][0] for f in folders)
        known[todo.pop()] = (paths, 1 + max((known[f][1] for f in folders), default=0))
    return known[pair]
