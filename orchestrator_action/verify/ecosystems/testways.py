"""How tests are chosen and run: what a branch changes of that is named like a test it takes away.

A suite passes as well when its configuration leaves the failing test out, when `make test` became `echo`, or
when a module of the repository stands in the runner's place. The command itself is the base's; what it reads
on its way is not, so every change of it has to stand in the claim's note, file by file.
"""

from __future__ import annotations

import ast
import configparser
import json
import posixpath
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from orchestrator_action.protocol.paths import matches

Way = tuple[str, str]
"""A name a person knows it by, and what it says."""

_PYTEST_KEYS = frozenset(
    {"addopts", "testpaths", "python_files", "python_classes", "python_functions", "norecursedirs", "usefixtures",
     "collect_imported_tests", "required_plugins", "xfail_strict", "confcutdir"}
)  # fmt: skip
"""Options of pytest that decide which tests run and what counts as a failure."""
_RUNNER_FILES = (
    "**/jest.config.*", "**/vitest.config.*", "**/vitest.workspace.*", "**/.mocharc*", "**/karma.conf.*",
    "**/playwright.config.*", "**/ava.config.*", "**/.taprc", "**/phpunit.xml", "**/phpunit.xml.dist",
    "**/phpunit.dist.xml", "**/.rspec", "**/.config/nextest.toml", "**/noxfile.py", "**/tox.toml", "**/Rakefile",
    "**/.npmrc", "**/.yarnrc", "**/.yarnrc.yml", "**/bunfig.toml", "**/.cargo/config", "**/.cargo/config.toml",
    "**/.mvn/**", "**/unittest.cfg", "**/nose2.cfg", "!**/node_modules/**",
)  # fmt: skip
"""Files that say nothing but how tests or their runner start."""
_IN_ITS_PLACE = re.compile(
    r"(?:_?pytest|unittest|tox|nox|nose2|coverage|trial)(?:\.py|/.*)|(?:.*/)?(?:site|user)customize\.py|.*\.pth"
)
"""What `python -m RUNNER` imports from the checkout before the runner itself."""


def changed_ways(
    texts: Sequence[tuple[str, str, str]], commands: Sequence[str], named: Iterable[str] = ()
) -> list[Way]:
    """Path and words for every change of how tests are chosen or run.

    `texts` holds path, old and new contents of every changed file, an empty text for one that is not there.
    `commands` are the test commands; a changed file that they name is one of the ways. `named` are further
    texts of the base that name such files, as a Makefile does.
    """
    said = " ".join([*commands, *named])
    words = {posixpath.normpath(w) for w in re.split(r"[\s'\"=;&|()]+", said) if w and not w.startswith("-")}
    found: list[Way] = []
    for path, old, new in texts:
        if not old and _IN_ITS_PLACE.fullmatch(path):
            found.append((path, "would be run in the place of the test runner"))
        elif old != new and matches(path, _RUNNER_FILES):
            found.append((path, "changes how the tests are run"))
        elif old != new and path in words:
            found.append((path, "is what the test command runs, and was changed"))
        elif (ways := _ways_of(path)) is not None and (differing := _differing(ways, old, new, commands)):
            found.append((path, f"changes how the tests are chosen or run: {', '.join(differing)}"))
    return found


def ways_text(path: str, text: str, commands: Sequence[str]) -> str:
    """What of a file says how tests are run, as text."""
    ways = _ways_of(path)
    return " ".join(said for _, said in ways(text, commands)) if ways else ""


Ways = Callable[[str, Sequence[str]], list[Way]]


def _differing(ways: Ways, old: str, new: str, commands: Sequence[str]) -> list[str]:
    before, after = Counter(ways(old, commands)), Counter(ways(new, commands))
    return sorted({name for name, _ in (before - after) + (after - before)})


def _ways_of(path: str) -> Ways | None:
    name = path.rpartition("/")[2]
    if "node_modules/" in path:
        return None
    return _BY_NAME.get(name) or (_make if name.endswith(".mk") else None)


def _flat(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


# -- Python ----------------------------------------------------------------------------------------


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
                    (f"{k} of [{section}]", str(v)) for k, v in parser.items(section) if "commands" in k
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
    pytest = _at(tool, "pytest")
    options = {**pytest, **_at(pytest, "ini_options")}
    found = [(k, _flat(v)) for k, v in options.items() if k in _PYTEST_KEYS]
    scripts = [_at(tool, "poe", "tasks"), _at(tool, "pdm", "scripts"), _at(tool, "taskipy", "tasks")]
    scripts += [_at(env, "scripts") for env in _at(tool, "hatch", "envs").values() if isinstance(env, dict)]
    found += [(k, _flat(v)) for s in scripts for k, v in s.items() if "test" in k]
    return found + ([("tox", _flat(tool["tox"]))] if "tox" in tool else [])


def _at(value: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


# -- others ----------------------------------------------------------------------------------------


def _package_json(text: str, _: Sequence[str]) -> list[Way]:
    try:
        package = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return [("the whole file", text)]
    scripts = {k: v for k, v in _at(package, "scripts").items() if "test" in k}
    runners = {"jest", "mocha", "ava", "vitest", "tap"}
    keys = {k: v for k, v in package.items() if k in runners} if isinstance(package, dict) else {}
    return [
        *((f"scripts.{k}", _flat(v)) for k, v in scripts.items()),
        *((k, _flat(v)) for k, v in keys.items()),
    ]


def _cargo(text: str, _: Sequence[str]) -> list[Way]:
    try:
        cargo = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return [("the whole file", text)]
    found = [(k, _flat(v)) for k, v in _at(cargo, "package").items() if k in {"autotests", "build"}]
    found += [
        (f"lib.{k}", _flat(v)) for k, v in _at(cargo, "lib").items() if k in {"test", "harness", "doctest"}
    ]
    found += [("[[test]]", _flat(t)) for t in cargo.get("test", []) or []]
    workspace = _at(cargo, "workspace")
    return found + [(k, _flat(v)) for k, v in workspace.items() if k in {"exclude", "default-members"}]


def _make(text: str, commands: Sequence[str]) -> list[Way]:
    """The rules that the test targets come to, the variables these use, and what governs all rules."""
    rules, variables = _makefile(text)
    calls = (call for c in commands for call in re.findall(r"\b(?:make|just)\b([^;&|]*)", c))
    asked = {word for call in calls for word in call.split()}
    wanted = [t for t in rules if t in asked or re.search(r"test|check|spec", t)]
    found: list[Way] = [
        (v, said) for v, said in variables.items() if v in {"SHELL", ".SHELLFLAGS", "MAKEFLAGS"}
    ]
    found += [("include", line) for line in re.findall(r"^-?s?include\b.*$", text, re.MULTILINE)]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        said = rules.get(name, variables.get(name, ""))
        if name in rules or name in variables:
            found.append((f"target {name}" if name in rules else name, said))
        wanted += [n for pair in re.findall(r"\$[({]([\w.-]+)[)}]|\{\{\s*(\w+)", said) for n in pair if n]
        wanted += [w for w in said.split("\n", 1)[0].split() if w in rules]
    return found


def _makefile(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Rules (prerequisites in the first line, then the recipe) and variables by name."""
    rules: dict[str, str] = {}
    variables: dict[str, str] = {}
    open_: list[str] = []
    for line in re.sub(r"\\\n[ \t]*", " ", text).split("\n"):
        if line[:1] in {"\t", " "} and open_:
            for target in open_:
                rules[target] += f"\n{line.strip()}"
        elif match := re.match(r"(?:export\s+|override\s+)*([\w.-]+)\s*(?:[:?+!]|::)?=\s*(.*)", line):
            variables[match[1]] = f"{variables.get(match[1], '')}\n{match[2]}"
            open_ = []
        elif match := re.match(r"@?([^\s#:=][^:=]*?)\s*::?(?!=)\s*(.*)", line):
            before, _, recipe = match[2].partition(";")
            open_ = match[1].split()[:1] if "+" in match[1] or '"' in match[1] else match[1].split()
            for target in open_:
                rules[target] = f"{rules.get(target, '')} {before.strip()}\n{recipe.strip()}"
        elif line.strip() and not line.startswith("#"):
            open_ = []
    return rules, variables


def _lines(pattern: str) -> Ways:
    """The lines of a file that have to do with tests."""
    wanted = re.compile(pattern)

    def ways(text: str, _: Sequence[str]) -> list[Way]:
        return [(line.strip()[:60], line.strip()) for line in text.splitlines() if wanted.search(line)]

    return ways


_GRADLE = _lines(
    r"\b(?:exclude|filter|ignoreFailures|onlyIf|useJUnit\w*|enabled\s*=\s*false|tasks\.\w*[tT]est)\b"
)
_BY_NAME: dict[str, Ways] = {
    "conftest.py": _conftest,
    "pytest.ini": _pytest_ini,
    ".pytest.ini": _pytest_ini,
    "tox.ini": _ini("pytest"),
    "setup.cfg": _ini("tool:pytest"),
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "Cargo.toml": _cargo,
    **dict.fromkeys(("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile"), _make),
    "CMakeLists.txt": _lines(r"\b(?:add_test|enable_testing|\w+_discover_tests|WILL_FAIL|DISABLED)\b"),
    "pom.xml": _lines(r"skipTests|maven\.test\.|<skip>|<exclude>|<include>|testFailureIgnore|<groups>"),
    **dict.fromkeys(("build.gradle", "build.gradle.kts"), _GRADLE),
}
