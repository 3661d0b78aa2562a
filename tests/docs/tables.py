"""The tables of keys, inputs and outputs in the docs, from the schema and action.yml; `make schema` writes them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator_action.config.load import config_schema

ROOT = Path(__file__).resolve().parents[2]


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


def keys() -> str:
    """The keys of the configuration, a row each."""
    rows = [
        f"| `{name}` | {key['description'].rstrip('.')}.{choices(key)} | {default_of(key)} |"
        for name, key in sorted(config_schema()["properties"].items())
    ]
    return "\n".join(["| key | what it says | default |", "|---|---|---|", *rows])


def inputs() -> str:
    """The Action's inputs, in its order."""
    rows = [
        f"| `{name}` | {one['description']} | {f'`{given}`' if (given := one.get('default')) else '–'} |"
        for name, one in _action()["inputs"].items()
    ]
    return "\n".join(["| input | what it says | default |", "|---|---|---|", *rows])


def outputs() -> str:
    """The Action's outputs, in its order."""
    rows = [f"| `{name}` | {one['description']} |" for name, one in _action()["outputs"].items()]
    return "\n".join(["| output | what it says |", "|---|---|", *rows])


def _action() -> Any:
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


TABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "keys": ("docs/configuration.md", keys),
    "inputs": ("docs/action.md", inputs),
    "outputs": ("docs/action.md", outputs),
}
"""By the mark that the table stands behind: its page, and what makes it. `end of MARK` stands after it."""


def written(name: str, page: str) -> str:
    """The page with one of its tables anew."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(?=\n<!-- end of {name} -->)", re.DOTALL)
    return between.sub(lambda m: f"{m[1]}{TABLES[name][1]()}\n", page)


if __name__ == "__main__":
    for mark, (where, _) in TABLES.items():
        file = ROOT / where
        file.write_text(written(mark, file.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"written: {mark} in {file}\n")
