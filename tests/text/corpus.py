"""The hostile issue texts: one file each, saying in its front matter what must and must not survive.

Characters nobody can see are written `{U+200B}`, and so is one letter of each invented token, so that
a reader sees them and no scanner mistakes a file for a leak.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    gone: tuple[str, ...]
    stays: tuple[str, ...]
    removed: tuple[str, ...]
    text: str


def load(path: Path) -> Case:
    raw = path.read_bytes().decode("utf-8")
    _, head, body = raw.split("---\n", 2)
    keys = yaml.safe_load(head)
    return Case(
        name=path.stem,
        about=keys["about"],
        gone=tuple(keys["must-not-survive"]),
        stays=tuple(keys["must-survive"]),
        removed=tuple(keys.get("removed", ())),
        text=re.sub(r"\{U\+([0-9A-F]{4,6})\}", lambda m: chr(int(m[1], 16)), body),
    )


CASES = [load(path) for path in sorted(FOLDER.glob("*.md"))]
