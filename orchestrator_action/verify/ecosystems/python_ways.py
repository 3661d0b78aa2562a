"""Python: what in a project's files decides which tests run and what counts as a failure."""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Sequence

from orchestrator_action.verify.ecosystems.base import Way, Ways, table

_PYTEST_KEYS = frozenset(
    {"addopts", "testpaths", "python_files", "python_classes", "python_functions", "norecursedirs", "usefixtures",
     "collect_imported_tests", "required_plugins", "xfail_strict", "confcutdir"}
)  # fmt: skip
"""Options of pytest that decide which tests run and what counts as a failure."""


def _conftest(text: str, _: Sequence[str]) -> list[Way]:
    """pytest's hooks, what it is told to pass over, and its plugins."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return [("the whole file", text)]
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef) and re.match(r"pytest_(?!addoption)", node.name):
            found.append((node.name, ast.dump(node)))
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [t.id for t in targets if isinstance(t, ast.Name)]
            found += [(n, ast.dump(node)) for n in names if re.match(r"collect_ignore|pytest_plugins", n)]
    marks = re.findall(r"mark\.(?:skip|xfail)|pytest\.(?:skip|exit|xfail)\b|os\._exit", text)
    return [*found, *((f"a new {mark}", str(n)) for n, mark in enumerate(sorted(marks)))]


def _ini(*sections: str) -> Ways:
    def ways(text: str, _: Sequence[str]) -> list[Way]:
        parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        try:
            parser.read_string(text)
        except configparser.Error:
            return [("the whole file", text)]
        found = []
        for section in parser.sections():
            if section in sections:
                found += [(k, str(v)) for k, v in parser.items(section) if k in _PYTEST_KEYS]
            elif section.startswith("testenv"):
                found += [
                    (f"{k} of [{section}]", str(v))
                    for k, v in parser.items(section)
                    if "commands" in k or k in {"setenv", "set_env"}
                ]
        return found

    return ways


def _pytest_ini(text: str, commands: Sequence[str]) -> list[Way]:
    """Even an empty one takes the place of any other configuration of pytest."""
    return [*_ini("pytest")(text, commands), *([("that it is there", "")] if text else [])]


def _pyproject(text: str, _: Sequence[str]) -> list[Way]:
    try:
        tool = tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return [("the whole file", text)]
    pytest = table(tool, "pytest")
    options = {**pytest, **table(pytest, "ini_options")}
    found = [(k, _flat(v)) for k, v in options.items() if k in _PYTEST_KEYS]
    scripts = [table(tool, "poe", "tasks"), table(tool, "pdm", "scripts"), table(tool, "taskipy", "tasks")]
    scripts += [
        table(env, "scripts") for env in table(tool, "hatch", "envs").values() if isinstance(env, dict)
    ]
    found += [(k, _flat(v)) for s in scripts for k, v in s.items() if "test" in k]
    return found + ([("tox", _flat(tool["tox"]))] if "tox" in tool else [])


def _flat(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


CONFIG_WAYS = {
    "conftest.py": _conftest,
    "pytest.ini": _pytest_ini,
    ".pytest.ini": _pytest_ini,
    "tox.ini": _ini("pytest"),
    "setup.cfg": _ini("tool:pytest"),
    "pyproject.toml": _pyproject,
}
