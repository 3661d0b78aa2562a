"""The table of languages and the registry name the same ones."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS


def test_every_language_has_its_row():
    """And no row is left of one that went."""
    text = (Path(__file__).parents[2] / "docs/languages.md").read_text(encoding="utf-8")
    table = text.partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+?) \|", table, re.MULTILINE)

    assert sorted(e.name for e in ECOSYSTEMS) == sorted(r for r in rows if r != "language")
