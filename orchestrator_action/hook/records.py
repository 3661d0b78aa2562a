"""Records about commits, such as notes and our audit trails: they are kept as commits and are no code."""

import os

from orchestrator_action.hook.fast_git import git

_HEX = frozenset("0123456789abcdef")


def is_record(oid: str) -> bool:
    """Whether a pushed object holds nothing but notes, or nothing but event files of an audit trail."""
    code, out = git("ls-tree", "-r", "-z", "--full-tree", oid)
    rows = [row.partition("\t") for row in os.fsdecode(out).split("\0") if row]
    if code or not rows or not all(meta.startswith("100644 blob ") for meta, _, _ in rows):
        return False
    paths = [path for _, _, path in rows]
    return all(map(_is_note, paths)) or all(map(_is_trail, paths))


def _is_note(path: str) -> bool:
    """Named after a commit, in folders of two digits when there are many. Source: git-notes(1)."""
    plain = path.replace("/", "")
    folders = path.split("/")[:-1]
    return len(plain) in (40, 64) and set(plain) <= _HEX and all(len(name) == 2 for name in folders)


def _is_trail(path: str) -> bool:
    return "/" not in path and path.endswith(".jsonl")
