"""What git says of a pull's files and lines."""

from __future__ import annotations

import re
from typing import Any

from tests.kit.github_server.state import State

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


def files(state: State, base: str, head: str) -> list[dict[str, Any]]:
    """The entries of a pull's file list, without URLs."""
    span = f"{base}...{head}"
    names = (state.git("diff", "--name-status", "-z", "-M", span) or "").split("\0")
    found = []
    while len(names) > 1:
        status = names.pop(0)
        old = names.pop(0)
        new = names.pop(0) if status[0] in "RC" else old
        patch = state.git("diff", "-M", span, "--", *dict.fromkeys([old, new])) or ""
        at = patch.find("\n@@")
        text = patch[at + 1 :] if at >= 0 else ""
        plus = sum(line.startswith("+") for line in text.splitlines())
        minus = sum(line.startswith("-") for line in text.splitlines())
        entry: dict[str, Any] = {
            "filename": new,
            "status": _STATUS[status[0]],
            "additions": plus,
            "deletions": minus,
            "changes": plus + minus,
            "sha": state.git("rev-parse", f"{head}:{new}"),
        }
        if text:
            entry["patch"] = text
        if new != old:
            entry["previous_filename"] = old
        found.append(entry)
    return found


def right_lines(patch: str) -> set[int]:
    """The lines of the new file that a patch shows; only these take a line comment."""
    lines: set[int] = set()
    at = 0
    for line in patch.splitlines():
        hunk = _HUNK.match(line)
        if hunk:
            at = int(hunk[1])
        elif line.startswith(("+", " ")):
            lines.add(at)
            at += 1
    return lines
