"""What the package imports is what it says it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported() -> set[str]:
    """The first part of every absolute import of the package."""
    found: set[str] = set()
    for path in (ROOT / "orchestrator_action").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - {"orchestrator_action", *sys.stdlib_module_names}


def test_every_library_that_is_imported_is_declared_and_no_other():
    """A dependency of a dependency may go at any time."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=~! \[]", one)[0].lower() for one in declared}
    of_module = importlib.metadata.packages_distributions()

    assert names == {of_module[module][0].lower() for module in imported()}
