"""How what changed tests call is asked again with other arguments: a run of its own beside those that decide.

Tests of Python are watched from within pytest or unittest's own runner (`ecosystems.python_calls`). Tests of
JavaScript are watched whatever their runner is: in a checkout that nothing else needs, what a test file imports from
the repository is put into a wrapper (`ecosystems.javascript_calls`). What comes back was written in a process of the
code under test, so it is a suspicion and no fact.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator_action.process.files import open_in, open_plain
from orchestrator_action.protocol.attempt import Outcome
from orchestrator_action.state.context import reports_of
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.ecosystems.defeats import SCRIPTS
from orchestrator_action.verify.ecosystems.functions import bodies_in
from orchestrator_action.verify.ecosystems.testfiles import is_test_path
from orchestrator_action.verify.varied import Call

MOST_CALLS_BYTES = 8 * 1024**2
MAX_TEST_BYTES = 1024**2
_ECOSYSTEMS = Path(__file__).with_name("ecosystems")
PYTHON_CALLS = _ECOSYSTEMS / "python_calls"
_NAME = "orchestrator_calls"
_AT_START = f"from {_NAME}.unittest_cases import watch_cases\n\nwatch_cases()\n"
PYTEST = re.compile(r"\b(?:pytest|py\.test)\b")
_UNITTEST = re.compile(r"\s-m\s+unittest\b")
_Environment = Mapping[str, str]


def ask_again(
    bench: Bench, tree: Path, commit: str, commands: Sequence[str], files: Sequence[str]
) -> tuple[Call, ...]:
    """What these test files call in a checkout, and what the code answers to other arguments.

    The checkout is used up by it. `commands` run changed tests only; `files` are those that are known to pass, which
    is asked for where no report of the watch itself tells it. Nothing where nobody can ask.
    """
    python = [c for c in commands if PYTEST.search(c) or _UNITTEST.search(c)]
    own = [f for f in files if f.rpartition(".")[2] in SCRIPTS]
    others = [c for c in commands if c not in python]
    found: list[Call] = []
    if python:
        found += _run(bench, tree, commit, python, _watch_python)
    watched = [f for f in own if _wrap_imports(tree, f)] if others else []
    if watched:
        found += _run(bench, tree, commit, others, _watch_javascript)
    return tuple(found)


def _run(
    bench: Bench,
    tree: Path,
    commit: str,
    commands: Sequence[str],
    watch: Callable[[Path, _Environment, Sequence[str]], _Environment],
) -> list[Call]:
    folders: list[Path] = []

    def run(argv: Sequence[str], *, cwd: Path, env: _Environment, log: Path, timeout_s: float) -> Outcome:
        folders.append(reports_of(log) / "calls")
        return bench.run(argv, cwd=cwd, env=watch(folders[-1], env, commands), log=log, timeout_s=timeout_s)

    replace(bench, run=run).run_in(tree, commit, commands, again=True)
    return [call for folder in folders for call in _read(folder / "calls.jsonl", tree)]


def _watch_python(folder: Path, env: _Environment, commands: Sequence[str]) -> _Environment:
    shutil.copytree(PYTHON_CALLS, folder / _NAME, ignore=shutil.ignore_patterns("__pycache__"))
    paths = ":".join(filter(None, (str(folder), env.get("PYTHONPATH", ""))))
    if all(_UNITTEST.search(c) for c in commands):
        (folder / "sitecustomize.py").write_text(_AT_START)
    options = f"{env.get('PYTEST_ADDOPTS', '')} -p {_NAME}".strip()
    return {**env, "PYTHONPATH": paths, "PYTEST_ADDOPTS": options}


def _watch_javascript(folder: Path, env: _Environment, _: Sequence[str]) -> _Environment:
    shutil.copytree(_ECOSYSTEMS / "javascript_calls", folder)
    before = f'--require "{folder / "watch.cjs"}"'
    return {**env, "NODE_OPTIONS": f"{before} {env.get('NODE_OPTIONS', '')}".strip()}


def _read(file: Path, tree: Path) -> Iterable[Call]:
    try:
        with open(file, encoding="utf-8", errors="replace", opener=open_plain) as lines:
            rows = [json.loads(line) for line in lines.read(MOST_CALLS_BYTES).splitlines()]
        passed = {row["passed"] for row in rows if "passed" in row}
        return [_call(row, passed, tree) for row in rows if "answer" in row]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _call(row: Mapping[str, Any], passed: set[str], tree: Path) -> Call:
    """A line of a report. One without a test is of JavaScript: the runs that decide tell that its tests passed."""
    file, name = str(row["file"]), str(row["name"])
    return Call(
        **{k: str(row[k]) for k in ("args", "answer", "last")}, file=file, name=name,
        line=int(row["line"]) if "line" in row else _line_of(tree, file, name),
        module=str(row.get("module", file)), test=str(row.get("test", "")),
        varied=tuple((str(a), str(b)) for a, b in row["varied"]), spelling=row.get("spelling"),
        passed="test" not in row or row["test"] in passed,
    )  # fmt: skip


# -- JavaScript ------------------------------------------------------------------------------------

_THERE = r"(?P<quote>['\"])(?P<there>(?:\.{1,2}|[@~#])/[^'\"\n]*|\.{1,2})(?P=quote)"
_REQUIRED = re.compile(rf"(?<![.\w])(?P<call>(?:require|await\s+import)\(\s*{_THERE}\s*\))")
_IMPORTED = re.compile(
    r"^import\s+(?!type\b)(?:(?P<default>[\w$]+)\s*,?\s*)?(?:\{(?P<names>[^}]*)\}|\*\s*as\s+(?P<all>[\w$]+))?"
    rf"\s*from\s*{_THERE}(?P<end>[^\S\n]*(?:with\s*\{{[^}}\n]*\}})?;?)",
    re.MULTILINE,
)
_ENDINGS = ("", *(f".{e}" for e in SCRIPTS), *(f"/index.{e}" for e in SCRIPTS))


def _wrap_imports(tree: Path, test: str) -> bool:
    """Write a test file anew in which what it imports of the repository is watched; False where that is nothing."""
    path = tree / test
    try:
        with open_in(tree, test) as file:
            text = file.read(MAX_TEST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    wrapped = wrap_imports(text, lambda there: _found(tree, test, there))
    if wrapped == text:
        return False
    no_types = "// @ts-nocheck\n" if path.suffix in {".ts", ".tsx", ".mts", ".cts"} else ""
    path.unlink()  # it may be a link to somewhere else
    path.write_text(no_types + wrapped, encoding="utf-8")
    return True


def wrap_imports(text: str, find: Callable[[str], str]) -> str:
    """The text of a test with each import wrapped for which `find` gives a file of the repository. Pure."""

    def watched(there: str, what: str) -> str:
        file = find(there)
        return f"process.orchestratorCalls(globalThis, {json.dumps(file)}, {what})" if file else ""

    def imported(match: re.Match[str]) -> str:
        one = f"orchestrated{match.start()}"
        value = watched(match["there"], one)
        if not value:
            return match[0]
        lines = [f"import * as {one} from {match['quote']}{match['there']}{match['quote']}{match['end']}"]
        names = re.sub(r"\btype\s+[\w$]+(?:\s+as\s+[\w$]+)?\s*,?", "", match["names"] or "")
        taken = [f"default: {match['default']}"] if match["default"] else []
        taken += [re.sub(r"\s+as\s+", ": ", n.strip()) for n in names.split(",") if n.strip()]
        lines += [f"const {match['all']} = {value};"] if match["all"] else []
        lines += [f"const {{ {', '.join(taken)} }} = {value};"] if taken else []
        return " ".join(line if line.endswith(";") else f"{line};" for line in lines)

    text = _IMPORTED.sub(imported, text)
    return _REQUIRED.sub(lambda m: watched(m["there"], m["call"]) or m["call"], text)


def _found(tree: Path, test: str, there: str) -> str:
    """The file of the repository that a test imports by this name; empty for none, and for a helper of tests."""
    near = posixpath.dirname(test)
    starts = [near] if there.startswith(".") else ["src", ""]
    rest = there if there.startswith(".") else there.partition("/")[2]
    for start in starts:
        plain = posixpath.normpath(posixpath.join(start, rest))
        names = [plain, re.sub(r"\.([cm]?)js(x?)$", r".\1ts\2", plain)]
        for file in (f"{name}{ending}" for name in names for ending in _ENDINGS):
            if file.startswith("..") or file.rpartition(".")[2] not in SCRIPTS or is_test_path(file):
                continue
            if (tree / file).is_file():
                return file
    return ""


def _line_of(tree: Path, file: str, name: str) -> int:
    """Where a function begins, as far as that can be read."""
    try:
        with open_in(tree, file) as source:
            text = source.read(MAX_TEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return 1
    own = name.rpartition(".")[2]
    return next((text.count("\n", 0, b.at) + 1 for b in bodies_in(file, text) if b.name == own), 1)
