"""What the package imports is what it says it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[<>=~! \[]", one)[0].lower() for one in declared}
    of_module = importlib.metadata.packages_distributions()

    found = {module: {one.lower() for one in of_module[module]} for module in imported()}
    assert names == names & set().union(*found.values()), "each is imported"
    assert {} == {module: of for module, of in found.items() if not of & names}, "each is declared"


def entries(lock: str) -> set[str]:
    """Each pinned package of a lock file with its hashes."""
    return set(re.split(r"^(?=\S)", (ROOT / lock).read_text(), flags=re.MULTILINE)) - {""}


def test_the_lock_with_traces_is_the_lock_and_what_traces_need():
    """The Action installs the one or the other."""
    plain, traces, dev = map(
        entries, ("requirements.lock", "requirements-otel.lock", "requirements-dev.lock")
    )

    more = {one.split("==")[0] for one in traces - plain}
    assert plain <= traces <= plain | dev
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "protobuf"} <= more
    assert all(re.match(r"opentelemetry-|protobuf$|googleapis-", name) for name in more)
