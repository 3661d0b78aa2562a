"""What tox, nox, Hatch, Poetry, PDM and pytest's own settings say of a project's tests. Pure.

The command, and what has to be installed: a project that has no extra, group or file of requirements for its tests
names them in a table of the tool that its authors start them with.
"""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_action.verify.ecosystems.base import Detected, Files, command_words, is_simple, table
from orchestrator_action.verify.ecosystems.reports import read_report

TESTS = ("test", "tests", "testing")
DEVELOPMENT = ("dev", "develop", "development")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def read_toml(text: str) -> Mapping[str, Any]:
    """A TOML file; empty when it cannot be read."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def read_ini(text: str) -> configparser.ConfigParser:
    """An INI file; without sections when it cannot be read."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.ConfigParser()
    return parser


# -- tools that start the tests --------------------------------------------------------------------


def find_wrapper(files: Files) -> Detected | None:
    """The test command of a project whose tests are started by tox or nox.

    tox makes an environment for every interpreter it names. Where all it does there is one command of Python, that
    command is taken itself: it runs in the environment of the tree, which is kept.
    """
    name = _tox_file(files)
    if name and (plain := _plain_command(files)):
        return Detected((plain,), f"the command of tox: {name}")
    if name:
        return Detected(("tox",), f"tox: {name}")
    return Detected(("nox",), "nox: noxfile.py") if "noxfile.py" in files.paths else None


def _tox_file(files: Files) -> str:
    if "tox.toml" in files.paths:
        return "tox.toml"
    if "tox.ini" in files.paths and (
        read_ini(files.text("tox.ini")).has_section("tox") or "[tox]" in files.text("tox.ini")
    ):
        return "tox.ini"
    there = "tox" in table(read_toml(files.text("pyproject.toml")), "tool")
    return "[tool.tox] in pyproject.toml" if there else ""


def _tox_settings(files: Files) -> Mapping[str, Any]:
    """`[testenv]` of any of tox's files: each value a text of lines, or a list."""
    tool = table(read_toml(files.text("pyproject.toml")), "tool", "tox")
    toml = table(read_toml(files.text("tox.toml")), "env_run_base") or table(tool, "env_run_base")
    if toml:
        return toml
    legacy = tool.get("legacy_tox_ini")
    parser = read_ini(files.text("tox.ini") or (legacy if isinstance(legacy, str) else ""))
    found = dict(parser.items("testenv")) if parser.has_section("testenv") else {}
    if not found.get("deps"):
        found["deps"] = parser.get("base", "deps", fallback="")
    return found


def _plain_command(files: Files) -> str:
    """The one command of tox, when it is Python and asks for nothing that tox alone can give; else empty."""
    settings = _tox_settings(files)
    said = settings.get("commands", "")
    if isinstance(said, list):
        rows = [row if isinstance(row, list) else [row] for row in said]
        lines = [shlex.join(str(w) for w in row if isinstance(w, str)) for row in rows]
    else:
        lines = [line.strip() for line in str(said).replace("\\\n", " ").splitlines() if line.strip()]
    if len(lines) != 1 or {"setenv", "set_env", "changedir", "change_dir", "commands_pre"} & settings.keys():
        return ""
    line = re.sub(r"\{posargs(?::[^}]*)?\}|\{tty:[^}]*\}", "", lines[0])
    line = re.sub(r"^(?:\{env_?python\}|\{env_?bin_?dir\}/python3?|python3?)(?=\s)", "python3", line).strip()
    plain = line.startswith("python3 ") and "{" not in line and is_simple(line)
    return " ".join(line.split()) if plain else ""


def wrapper_only(tool: str, file: str) -> Callable[[str, Sequence[str], Path | None], str | None]:
    """tox and nox hand words behind `--` on, where the repository's file says so."""

    def only(command: str, names: Sequence[str], tree: Path | None) -> str | None:
        said = (read_report(tree / file) or b"") if tree is not None else b""
        hands_on = b"posargs" in said and command_words(command)[:1] == [tool] and "--" not in command
        return f"{command} -- {shlex.join(names)}" if hands_on else None

    return only


# -- what the tests need ---------------------------------------------------------------------------


def tool_requirements(files: Files) -> list[str]:
    """The requirements of the tests, from the first table that names any; `-r FILE` for a file of them."""
    project = read_toml(files.text("pyproject.toml"))
    tools = table(project, "tool")
    for found in (
        _hatch(table(tools, "hatch", "envs")),
        _poetry(table(tools, "poetry")),
        _lists(table(tools, "pdm", "dev-dependencies")),
        _strings(table(tools, "uv").get("dev-dependencies")),
        _tox(files),
        _nox(files.text("noxfile.py")),
        _tests_require(files.text("setup.py")),
        _pipfile(read_toml(files.text("Pipfile"))),
    ):
        if found:
            return list(dict.fromkeys(found))
    return []


def _strings(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str) and _NAME.match(v)] if isinstance(value, list) else []


def _lists(groups: Mapping[str, Any]) -> list[str]:
    """The groups named after tests, else those for development, else all of them."""
    for words in (TESTS, DEVELOPMENT, tuple(groups)):
        if found := [r for name in words for r in _strings(groups.get(name))]:
            return found
    return []


def _hatch(envs: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("hatch-test", *TESTS, "default", *DEVELOPMENT):
        env = table(envs, name)
        found = [*_strings(env.get("dependencies")), *_strings(env.get("extra-dependencies"))]
        if found:
            break
    return [r for r in found if "{" not in r]


def _poetry(poetry: Mapping[str, Any]) -> list[str]:
    groups = [table(poetry, "group", name, "dependencies") for name in (*TESTS, *DEVELOPMENT)]
    rows = {k: v for group in (*groups, table(poetry, "dev-dependencies")) for k, v in group.items()}
    return [r for name, said in rows.items() if (r := _from_poetry(name, said))]


def _from_poetry(name: str, said: Any) -> str:
    """`^1.2` as pip reads it. Source: python-poetry.org/docs/dependency-specification."""
    row = said if isinstance(said, dict) else {}
    version = row.get("version", "" if row else said)
    if name == "python" or not isinstance(version, str) or {"git", "path", "url"} & row.keys():
        return ""
    extras = ",".join(_strings(row.get("extras")))
    start = f"{name}[{extras}]" if extras else name
    if match := re.fullmatch(r"\^(\d+(?:\.\d+)*)", version):
        parts = match[1].split(".")
        first = next((n for n, part in enumerate(parts) if int(part)), len(parts) - 1)
        return f"{start}>={match[1]},=={'.'.join(parts[: first + 1])}.*"
    if match := re.fullmatch(r"~(\d+(?:\.\d+)*)", version):
        return f"{start}>={match[1]}"
    if re.fullmatch(r"\d[\w.]*", version):
        return f"{start}=={version}"
    return f"{start}{version}" if re.fullmatch(r"(?:[<>=!~]=?[\w.*]+,?\s*)+", version) else start


def _tox(files: Files) -> list[str]:
    """`deps` of the tests' environment, but for lines that hold for some environments only."""
    said = _tox_settings(files).get("deps", "")
    rows = [str(r) for r in said] if isinstance(said, list) else str(said).splitlines()
    found = []
    for line in (row.strip() for row in rows):
        if not line or line.startswith("#") or re.match(r"[\w{},!.-]+\s*:\s*\S", line):
            continue
        line = line.replace("{toxinidir}/", "").replace("{tox_root}/", "")
        if match := re.fullmatch(r"-r\s*([\w./-]+)", line):
            found.append(f"-r {match[1]}")
        elif _NAME.match(line) and "{" not in line:
            found.append(line)
    return found


def _nox(text: str) -> list[str]:
    """What the sessions named after tests install. A value that is computed is left out."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return []
    tests = [n for n in body if isinstance(n, ast.FunctionDef) and re.search(r"tests?(?:_|$)", n.name)]
    calls = [c for test in tests for c in ast.walk(test) if isinstance(c, ast.Call)]
    asked = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "install"]
    words = [
        [a.value for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)] for c in asked
    ]
    found = []
    for row in words:
        for before, word in zip(["", *row], row, strict=False):
            if before == "-r" and re.fullmatch(r"[\w./-]+", word):
                found.append(f"-r {word}")
            elif not before.startswith("-") and _NAME.match(word):
                found.append(word)
    return found


def _tests_require(text: str) -> list[str]:
    try:
        calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return []
    lists = [k.value for c in calls for k in c.keywords if k.arg == "tests_require"]
    rows = [e for v in lists if isinstance(v, ast.List | ast.Tuple) for e in v.elts]
    return [e.value for e in rows if isinstance(e, ast.Constant) and isinstance(e.value, str)]


def _pipfile(pipfile: Mapping[str, Any]) -> list[str]:
    rows = {**table(pipfile, "packages"), **table(pipfile, "dev-packages")}
    return [r for name, said in rows.items() if (r := _from_poetry(name, said))]


# -- plugins of pytest -----------------------------------------------------------------------------

_PLUGINS = {
    "pytest-cov": r"(?<![\w-])--(?:no-)?cov\b",
    "pytest-xdist": r"(?<![\w-])(?:-n[ =]?(?:auto|logical|\d+)|--numprocesses|--dist)\b",
    "pytest-timeout": r"(?<![\w-])--timeout\b|^\s*timeout\s*=",
    "pytest-asyncio": r"^\s*asyncio_(?:mode|default_\w+)\s*=",
    "pytest-benchmark": r"(?<![\w-])--benchmark-",
    "pytest-django": r"^\s*DJANGO_SETTINGS_MODULE\s*=|(?<![\w-])--ds\b",
    "pytest-rerunfailures": r"(?<![\w-])--reruns\b",
    "pytest-randomly": r"(?<![\w-])--randomly-|-p no:randomly",
    "pytest-socket": r"(?<![\w-])--(?:disable|allow)-(?:socket|hosts)\b",
    "pytest-mock": r"^\s*mock_use_standalone_module\s*=",
    "pytest-mypy": r"(?<![\w-])--mypy\b",
}
"""The plugins whose options in pytest's settings end a run that lacks them."""


def pytest_plugins(files: Files) -> list[str]:
    """The plugins that pytest's settings cannot be read without."""
    options = table(read_toml(files.text("pyproject.toml")), "tool", "pytest")
    rows = {**options, **table(options, "ini_options")}
    said = [f"{k} = {' '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in rows.items()]
    said += [files.text(n) for n in ("pytest.ini", ".pytest.ini")]
    said += list(_section(files.text("tox.ini"), "pytest"))
    said += list(_section(files.text("setup.cfg"), "tool:pytest"))
    text = "\n".join(said)
    return [name for name, pattern in _PLUGINS.items() if re.search(pattern, text, re.MULTILINE)]


def _section(text: str, name: str) -> Iterable[str]:
    parser = read_ini(text)
    return (f"{k} = {v}" for k, v in parser.items(name)) if parser.has_section(name) else ()
