"""The table of keys in docs/configuration.md, from the schema; `make schema` writes it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from orchestrator_action.config.load import config_schema

PAGE = Path(__file__).resolve().parents[2] / "docs/configuration.md"
TABLE = re.compile(r"(<!-- keys -->\n).*?(?=\n<!-- end of keys -->)", re.DOTALL)


def default_of(key: dict[str, Any]) -> str:
    """The default as YAML would have it, or a dash for nothing."""
    value = key.get("default")
    if value in (None, "", [], {}) or (isinstance(value, dict) and len(value) > 2):
        return "–"
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict, bool)) else str(value)
    return f"`{shown.removesuffix('.0')}`"


def choices(key: dict[str, Any]) -> str:
    """What may stand there, where it is one of a few words."""
    words = key.get("enum") or key.get("items", {}).get("enum") or []
    return f" One of {', '.join(f'`{w}`' for w in words)}." if words else ""


def table(properties: dict[str, Any], prefix: str = "") -> str:
    """A row for each key."""
    rows = [
        f"| `{prefix}{name}` | {key['description'].rstrip('.')}.{choices(key)} | {default_of(key)} |"
        for name, key in sorted(properties.items())
    ]
    return "\n".join(["| key | what it says | default |", "|---|---|---|", *rows])


def written(page: str) -> str:
    """The page with its table anew."""
    found = table(config_schema()["properties"])
    return TABLE.sub(lambda m: f"{m[1]}{found}\n", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"written: {PAGE}\n")
