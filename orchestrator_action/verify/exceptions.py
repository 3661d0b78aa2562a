"""What a person has to read: tests that an issue asks to change, each named by id with its reason, and places. Pure.

A claim cannot prove anything, so what it names is not proven either: it is put to the reviewer and shown to a
person first. A test that nobody named refutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_EDGES = " \t`'\"*_-:;,.()>=–—"
_REASON = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTest:
    """One test that does not hold, and why the issue asks for that, in the agent's words; or a place in the code.

    A place is named by us, and its reason is what was measured of it.
    """

    id: str
    what: str
    """What is true of it: gone, skipped, fails on the head's sources."""
    reason: str
    kind: str = "test"
    """`test` or `place`."""

    def data(self) -> dict[str, str]:
        """As a fact's detail has it."""
        return {"id": self.id, "what": self.what, "reason": self.reason, "kind": self.kind}


def reason_for(note: str, case_id: str, file: str = "", *, file_gone: bool = False) -> str:
    """Why this test is an exception, as `note` says; empty when it does not name it with a reason.

    A test is named by its id, by `path::name`, or by these without its parameters; by its file alone only when
    the whole file is gone. The reason stands on the same line, or on the next.
    """
    names = _names_of(case_id, file) + ([file] if file and file_gone else [])
    lines = note.splitlines()
    for n, line in enumerate(lines):
        if any(_says(line, name) for name in names):
            rest = _without_ids(line, names)
            if len(_REASON.findall(rest)) >= 2:
                return rest
            following = lines[n + 1].strip(_EDGES) if n + 1 < len(lines) else ""
            if len(_REASON.findall(following)) >= 2 and "::" not in following:
                return following
    return ""


def _names_of(case_id: str, file: str) -> list[str]:
    plain = re.split(r"\[", case_id, maxsplit=1)[0]
    names = [case_id, plain]
    name = re.split(r"::| > | › |\.", plain)[-1].strip() if file else ""
    if name:
        names += [f"{file}::{name}", f"{file}: {name}", f"{file} {name}"]
    return sorted({n for n in names if len(n) > 2}, key=len, reverse=True)


def _says(line: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w\[-]|\.\w|::)", line))


def _without_ids(line: str, names: Iterable[str]) -> str:
    for name in names:
        line = line.replace(name, " ")
    return re.sub(r"\S*::\S*", " ", line).strip(_EDGES)
