"""Python: pytest, unittest, Django, tox, nox; behave, Robot Framework and stestr by their closing lines."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator_action.protocol.paths import matches
from orchestrator_action.verify.ecosystems.base import (
    CaseOutcome,
    CaseResult,
    Detected,
    Ecosystem,
    Files,
    Runner,
    append,
    command_words,
    is_simple,
    table,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.junit import junit_cases
from orchestrator_action.verify.ecosystems.lines import each, of
from orchestrator_action.verify.ecosystems.python_setup import setup
from orchestrator_action.verify.ecosystems.python_source import PYTHON_SOURCE
from orchestrator_action.verify.ecosystems.python_tools import find_wrapper, read_toml, wrapper_only
from orchestrator_action.verify.ecosystems.python_ways import CONFIG_WAYS
from orchestrator_action.verify.ecosystems.reports import read_report

PYTEST_FILES = ("test_*.py", "*_test.py", "*_tests.py", "tests.py")

# -- detection -------------------------------------------------------------------------------------


def _section(text: str, name: str) -> bool:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return f"[{name}]" in text
    return parser.has_section(name)


def _detect(files: Files) -> Detected | None:
    """pytest where anything speaks of it: it counts, and tox and nox only start it."""
    run = "python3 -m pytest -q"
    if name := files.first("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"):
        return Detected((run,), f"pytest: {name}")
    if "pytest" in table(read_toml(files.text("pyproject.toml")), "tool"):
        return Detected((run,), "pytest: [tool.pytest] in pyproject.toml")
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if name in files.paths and _section(files.text(name), section):
            return Detected((run,), f"pytest: [{section}] in {name}")
    tests = sorted(p for p in files.paths if matches(p, PYTEST_FILES))
    if not tests:
        return None
    if (wrapped := find_wrapper(files)) is not None and not _names_pytest(files):
        return wrapped
    if any(p.rpartition("/")[2] == "conftest.py" for p in files.paths) or _names_pytest(files):
        return Detected((run,), f"pytest: {tests[0]}")
    if "manage.py" in files.paths:
        return Detected(("python3 manage.py test",), "Django: manage.py")
    bodies = [files.text(p) for p in tests if p in files.texts]
    if bodies and all("unittest" in b and "import pytest" not in b for b in bodies):
        return Detected(_unittest_commands(tests, files.paths), f"unittest: {tests[0]}")
    return Detected((run,), f"pytest: {tests[0]}")


def _names_pytest(files: Files) -> bool:
    return any(
        "pytest" in text
        for name, text in files.texts.items()
        if not name.endswith(".py") or name in {"noxfile.py", "setup.py"}
    )


def _unittest_commands(tests: Sequence[str], paths: frozenset[str]) -> tuple[str, ...]:
    """unittest's discovery walks packages only, and a start folder that is none has no top level."""
    odd = "" if all(t.rpartition("/")[2].startswith("test") for t in tests) else " -p '*test*.py'"
    folders = sorted({t.rpartition("/")[0] for t in tests})
    first = folders[0].split("/")[0]
    whole = all(f == first or (f.startswith(f"{first}/") and _is_package(f, paths)) for f in folders)
    starts = [first] if whole else folders
    if not all(re.fullmatch(r"[\w./-]*", s) for s in starts):
        starts = [""]

    def command(start: str) -> str:
        where = f" -s {start}" if start else ""
        top = " -t ." if start and _is_package(start, paths) else ""
        return f"python3 -m unittest discover{where}{top}{odd}"

    return tuple(command(start) for start in starts)


def _is_package(folder: str, paths: frozenset[str]) -> bool:
    """Whether the folder and those above it are packages."""
    parts = folder.split("/")
    return all("/".join([*parts[: n + 1], "__init__.py"]) in paths for n in range(len(parts)))


# -- pytest ----------------------------------------------------------------------------------------

_PYTEST_REPORT = "pytest.xml"
_PYTEST_WORD = re.compile(
    r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|subtests passed)\b"
)
_PYTEST_LINE = re.compile(
    r"(?:=+ )?((?:\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|"
    r"subtests passed)(?:, )?)+|no tests ran|no tests collected.*?) in "
    r"[\d.:]+ ?s(?:econds)?(?: \([^)]*\))?(?: =+)?"
)


def _pytest_counts(lines: list[str]) -> Iterable[Counts]:
    """pytest's summary: `=== 3 passed, 1 skipped in 0.12s ===`, also with -q and as `no tests ran`."""
    for line in lines:
        if match := _PYTEST_LINE.fullmatch(line):
            words = {w: int(n) for n, w in _PYTEST_WORD.findall(match.group(1))}
            yield Counts(
                passed=words.get("passed", 0) + words.get("xpassed", 0),
                failed=words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0),
                skipped=words.get("skipped", 0) + words.get("xfailed", 0),  # as in its JUnit XML
                source="pytest",
            )


def _pytest_instrument(
    command: str, _: Path, env: Mapping[str, str], report_dir: Path
) -> tuple[str, Mapping[str, str]]:
    """`xunit1` names the file of each case; tox hands the variable on when it is told to."""
    report = shlex.quote(str(report_dir / _PYTEST_REPORT))
    options = f"{env.get('PYTEST_ADDOPTS', '')} --junitxml={report} -o junit_family=xunit1".strip()
    added = {"PYTEST_ADDOPTS": options}
    if re.search(r"\btox\b", command) and "TOX_OVERRIDE" not in env:
        added["TOX_OVERRIDE"] = "testenv.pass_env+=PYTEST_ADDOPTS"
    return command, added


def _pytest_reported(report_dir: Path) -> list[CaseResult] | None:
    """The cases by their node ids. A case that stands twice (a failure, then an error) is the worse one."""
    xml = read_report(report_dir / _PYTEST_REPORT)
    cases = None if xml is None else junit_cases(xml)
    if cases is None:
        return None
    found: dict[str, CaseResult] = {}
    for case in cases:
        named = _node_id(case)
        if named.id not in found or _WORSE[named.outcome] > _WORSE[found[named.id].outcome]:
            found[named.id] = named
    return list(found.values())


_WORSE: dict[CaseOutcome, int] = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}


def _node_id(case: CaseResult) -> CaseResult:
    """`tests.test_a.TestX::test_b` of file `tests/test_a.py` is `tests/test_a.py::TestX::test_b`."""
    place, _, name = case.id.rpartition("::")
    module = case.file.removesuffix(".py").replace("/", ".")
    if not case.file or not place:
        return case
    inner = place.removeprefix(module).strip(".").replace(".", "::") if place.startswith(module) else place
    parts = [case.file, inner, name] if inner else [case.file, name]
    return CaseResult(
        id="::".join(parts),
        outcome=case.outcome,
        file=case.file,
        duration_s=case.duration_s,
        message=case.message,
    )


_PYTEST_VALUED = frozenset({"-k", "-m", "-n", "-c", "-o", "-p", "-W", "-r", "--rootdir", "--ignore", "--cov"})


def _pytest_only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """The same command with these files or node ids in the place of its own paths."""
    words = command_words(command)
    start = next((n for n, w in enumerate(words) if re.fullmatch(r"(?:.*/)?(?:pytest|py\.test)", w)), None)
    if start is None or not is_simple(command):
        return None
    kept, rest = words[: start + 1], words[start + 1 :]
    for n, word in enumerate(rest):
        if word.startswith("-") or (n and rest[n - 1] in _PYTEST_VALUED):
            kept.append(word)
    return shlex.join([*kept, *names])


# -- unittest --------------------------------------------------------------------------------------

_UNITTEST = r"(?:^|\s)-m\s+unittest\b"
_CASE = re.compile(r"(\w+) \(([\w.<>]+)\)(?: [\[(].*?[\])])?(?: \.\.\. ?(.*))?")
_ENDS: dict[str, CaseOutcome] = {
    "ok": "passed", "FAIL": "failed", "ERROR": "error", "expected failure": "skipped",
    "unexpected success": "failed",
}  # fmt: skip


def _unittest_counts(lines: list[str]) -> Iterable[Counts]:
    """unittest, nose2, Django, trial: `Ran 3 tests in 0.001s`, then `OK (skipped=1)` or `FAILED (…)`."""
    ran: int | None = None
    for line in lines:
        if match := re.fullmatch(r"Ran (\d+) tests? in [\d.]+ ?s(?:econds)?", line):
            if ran is not None:
                yield Counts(passed=ran, source="unittest")
            ran = int(match.group(1))
        elif ran is not None and (
            match := re.fullmatch(r"(?:OK|PASSED|FAILED|NO TESTS RAN)(?: \((.*)\))?", line)
        ):
            words = {k.strip(): int(v) for k, v in re.findall(r"([a-z ]+)=(\d+)", match.group(1) or "")}
            failed = words.get("failures", 0) + words.get("errors", 0) + words.get("unexpected successes", 0)
            yield of("unittest", ran, failed, words.get("skipped", 0) + words.get("skips", 0))
            ran = None
    if ran is not None:
        yield Counts(passed=ran, source="unittest")


def _unittest_instrument(
    command: str, _: Path, __: Mapping[str, str], ___: Path
) -> tuple[str, Mapping[str, str]] | None:
    words = command_words(command)
    if not is_simple(command) or any(re.fullmatch(r"-[bcf]*[vq]\w*|--verbose|--quiet", w) for w in words):
        return None
    return append(command, "-v"), {}


def _django_instrument(
    command: str, _: Path, __: Mapping[str, str], ___: Path
) -> tuple[str, Mapping[str, str]] | None:
    if not is_simple(command) or re.search(r"\s(?:-v|--verbosity)", command):
        return None
    return append(command, "-v", "2"), {}


def _unittest_printed(lines: list[str]) -> list[CaseResult]:
    """`test_a (tests.test_x.T.test_a) ... ok`; a docstring or printed words may stand between."""
    found: dict[str, CaseOutcome] = {}
    waiting = ""
    for line in lines:
        match = _CASE.fullmatch(line)
        if match and re.fullmatch(r"(?:test|runTest|setUp|tearDown)\w*", match[1]):
            name, place = match[1], match[2]
            waiting = place if place.endswith(f".{name}") else f"{place}.{name}"
            said = match[3] or ""
        else:
            said = line.rpartition("... ")[2]
        if waiting and (outcome := _unittest_outcome(said)):
            if outcome == "failed" and "_FailedTest" in waiting:
                outcome = "error"
            found[waiting] = max(outcome, found.get(waiting, "passed"), key=_WORSE.__getitem__)
            waiting = "" if match is None else waiting
        if line.startswith(("=====", "Ran ")):
            waiting = ""
    return [CaseResult(id=name, outcome=outcome) for name, outcome in found.items()]


def _unittest_outcome(said: str) -> CaseOutcome | None:
    return "skipped" if said.startswith("skipped ") else _ENDS.get(said.strip())


def _unittest_only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """Files by discovery in their own folders, one command each; ids by `-k`."""
    match = re.search(_UNITTEST, command)
    if match is None or not is_simple(command):
        return None
    start, rest = command[: match.end()], command_words(command[match.end() :])
    paths = [n for n in names if n.endswith(".py")]
    dotted = [n for n in names if not n.endswith(".py")]
    top = ["-t", rest[rest.index("-t") + 1]] if "-t" in rest[:-1] else []
    made = [
        f"{start} {shlex.join(['discover', '-s', p.rpartition('/')[0] or '.', *top, '-p', p.rpartition('/')[2]])}"
        for p in paths
    ]
    if dotted:
        asked = [word for name in dotted for word in ("-k", name)]
        discovers = rest[:1] == ["discover"] or not [w for w in rest if not w.startswith("-")]
        made.append(append(command, *asked) if discovers else f"{start} {shlex.join(dotted)}")
    return " && ".join(made) or None


# -- other closing lines ---------------------------------------------------------------------------

_behave = each(
    "behave",
    r"(?P<passed>\d+) scenarios? passed, (?P<failed>\d+) failed(?:, (?P<errors>\d+) error)?, "
    r"(?P<skipped>\d+) skipped(?:, \d+ untested)?",
)


def _robot_counts(lines: list[str]) -> Iterable[Counts]:
    """Robot Framework: `3 tests, 2 passed, 1 failed[, 1 skipped]` per suite; the last is the whole."""
    form = re.compile(
        r"(\d+) (?:tests?|critical tests?|tasks?)(?: total)?, (\d+) passed, (\d+) failed(?:, (\d+) skipped)?"
    )
    found = [m for line in lines if (m := form.fullmatch(line))]
    if found and any(line.startswith("Output:") for line in lines):
        _, passed, failed, skipped = (int(n or 0) for n in found[-1].groups())
        yield Counts(passed=passed, failed=failed, skipped=skipped, source="robot")


def _stestr_counts(lines: list[str]) -> Iterable[Counts]:
    """stestr: `Ran: 3 tests in 0.1 sec.`, then ` - Passed: 2`, ` - Skipped: 0`, ` - Failed: 1`."""
    words: dict[str, int] = {}
    for line in lines:
        if match := re.fullmatch(r"- (Passed|Skipped|Expected Fail|Unexpected Success|Failed): (\d+)", line):
            words[match[1]] = int(match[2])
    if {"Passed", "Failed"} <= words.keys():
        yield Counts(
            passed=words["Passed"],
            failed=words["Failed"] + words.get("Unexpected Success", 0),
            skipped=words.get("Skipped", 0) + words.get("Expected Fail", 0),
            source="stestr",
        )


ECOSYSTEM = Ecosystem(
    name="Python",
    manifests=("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "tox.ini", "noxfile.py"),
    reads=("pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "tox.toml", "setup.cfg", "setup.py",
           "noxfile.py", "/*requirements*.txt", "/*requirements*.in", "/requirements/*", "/tests/*requirements*.txt",
           "/test/*requirements*.txt", "Pipfile"),
    detect=_detect,
    roots=("/pyproject.toml", "/setup.py", "/setup.cfg", "/*requirements*.txt", "/requirements/*", "/Pipfile",
           "/tox.ini", "/tox.toml", "/noxfile.py", "/manage.py", "/*pytest.ini", "/*pytest.toml", "/*.py"),
    wraps=find_wrapper,
    setup=setup,
    counts=(_pytest_counts, _unittest_counts, _behave, _robot_counts, _stestr_counts),
    runners=(
        Runner(
            name="pytest",
            command=r"\b(?:pytest|py\.test)\b",
            instrument=_pytest_instrument,
            everywhere=True,
            reported=_pytest_reported,
            only=_pytest_only,
            sources=("pytest",),
        ),
        Runner(
            name="unittest",
            command=_UNITTEST,
            instrument=_unittest_instrument,
            printed=_unittest_printed,
            only=_unittest_only,
            sources=("unittest",),
        ),
        Runner(
            name="Django",
            command=r"\bmanage\.py\s+test\b",
            instrument=_django_instrument,
            printed=_unittest_printed,
            sources=("unittest",),
        ),
        Runner(name="tox", command=r"^tox\b", only=wrapper_only("tox", "tox.ini")),
        Runner(name="nox", command=r"^nox\b", only=wrapper_only("nox", "noxfile.py")),
    ),
    test_files=PYTEST_FILES,
    source=PYTHON_SOURCE,
    config_files=("**/noxfile.py", "**/tox.toml", "**/unittest.cfg", "**/nose2.cfg", "**/pytest.toml",
                  "**/.pytest.toml", "**/.coveragerc", "**/hatch.toml", "**/dodo.py",
                  "**/behave.ini", "**/.stestr.conf"),
    config_ways=CONFIG_WAYS,
)  # fmt: skip
