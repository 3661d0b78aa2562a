"""The runners of JavaScript: how their cases are had without a change of what they run.

`npm test` starts a script. An option behind it reaches the runner only when the script is one command; in other
scripts each run of jest, vitest and mocha finds its reporter by NODE_OPTIONS, where node's own runner takes one, too.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestrator_action.sandbox.start import TimeoutExpired, run_to_end
from orchestrator_action.verify.ecosystems.base import (
    CaseOutcome,
    CaseResult,
    Runner,
    append,
    command_words,
    is_simple,
)
from orchestrator_action.verify.ecosystems.javascript_scripts import (
    VALUED,
    WRAPPERS,
    behind,
    runs_alone,
    script_commands,
    script_of,
    starts_script,
)
from orchestrator_action.verify.ecosystems.junit import MAX_FAILURE_CHARS
from orchestrator_action.verify.ecosystems.reports import junit_file, read_report, tree_of

_NODE = "node.jsonl"
_MOCHA = "mocha.jsonl"
_JEST = "jest.json"
Instrument = Callable[[str, Path, Mapping[str, str], Path], tuple[str, Mapping[str, str]] | None]


def _by_options(name: str, options: Callable[[Path], Sequence[str]], *, not_with: str = "(?!)") -> Instrument:
    def instrument(
        command: str, tree: Path, _: Mapping[str, str], report_dir: Path
    ) -> tuple[str, Mapping[str, str]] | None:
        script = script_of(command, tree)
        if script is None or not runs_alone(script, name) or re.search(not_with, f"{script} {command}"):
            return None
        return behind(command, options(report_dir)), {}

    return instrument


def _reporter(name: str) -> str:
    with as_file(files(__package__).joinpath("reporters", name)) as path:
        return str(path)


# -- node --test -----------------------------------------------------------------------------------


def _node_instrument(
    command: str, tree: Path, env: Mapping[str, str], report_dir: Path
) -> tuple[str, Mapping[str, str]] | None:
    """A second reporter by NODE_OPTIONS; not where the repository asks for several itself."""
    script = next((c for c in script_commands(command, tree) if _is_node_run(c, tree)), "")
    said = f"{script} {command} {env.get('NODE_OPTIONS', '')}"
    if not script:
        return None
    named = len(re.findall(r"--test-reporter[= ]", said))
    if named > 1 or "--test-reporter-destination" in said or _node_version(env, tree) < (20, 0):
        return None
    where = f"file://{quote(_reporter('node_test.mjs'))}?out={quote(str(report_dir / _NODE))}"
    own = f"--test-reporter={where} --test-reporter-destination=stdout"
    other = "" if named else "--test-reporter=spec "  # with two reporters each of them needs a destination
    options = f"{own} {other}--test-reporter-destination=stdout"
    return command, {"NODE_OPTIONS": f"{env.get('NODE_OPTIONS', '')} {options}".strip()}


def _is_node_run(script: str, tree: Path) -> bool:
    """`node --test`, or `node test.js` where that file, or one that it imports beside itself, uses `node:test`."""
    if re.search(r"\bnode\b.*\s--test\b", script):
        return True
    words = command_words(script)
    if not words or words[0] != "node" or not is_simple(script):
        return False
    paths = [tree / word for word in words[1:] if not word.startswith("-") and (tree / word).is_file()]
    texts = [(path, read_report(path) or b"") for path in paths]
    beside = [
        path.parent / name.decode()
        for path, text in texts
        for name in re.findall(rb"(?:\bfrom\s+|\bimport\s*\(?\s*|\brequire\()['\"](\.[\w./-]+)['\"]", text)
    ]
    return any(
        b"node:test" in text for text in [*(t for _, t in texts), *(read_report(p) or b"" for p in beside)]
    )


def _each_run(
    command: str, tree: Path, env: Mapping[str, str], report_dir: Path
) -> tuple[str, Mapping[str, str]] | None:
    """A reporter for every run of jest, vitest and mocha that a script starts, where it is not one run alone."""
    script = script_of(command, tree)
    if not starts_script(command) or script is None or any(runs_alone(script, name) for name in _ALONE):
        return None
    for name in ("each_run.cjs", "mocha.cjs"):
        shutil.copyfile(_reporter(name), report_dir / name)
    before = f'--require "{report_dir / "each_run.cjs"}"'
    return command, {"NODE_OPTIONS": f"{before} {env.get('NODE_OPTIONS', '')}".strip()}


def _node_version(env: Mapping[str, str], tree: Path) -> tuple[int, int]:
    """Of the machine's node; one that lies in the tree is not asked."""
    folders = [f for f in env.get("PATH", "").split(":") if f and not Path(f).is_relative_to(tree)]
    node = shutil.which("node", path=":".join(folders))
    if node is None:
        return (0, 0)
    try:
        done = run_to_end([node, "--version"], env={}, timeout_s=10.0)
    except (OSError, TimeoutExpired):
        return (0, 0)
    match = re.match(r"v(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _lines_reported(name: str) -> Callable[[Path], list[CaseResult] | None]:
    """A reader of the cases that a reporter of ours wrote, one JSON object a line."""

    def read(report_dir: Path) -> list[CaseResult] | None:
        reports = sorted(report_dir.glob(name.replace(".", "*.")))
        said = [text for report in reports if (text := read_report(report)) is not None]
        if not said:
            return None
        return [case for text in said for line in text.splitlines() if (case := _line_case(line)) is not None]

    return read


def _line_case(line: bytes) -> CaseResult | None:
    try:
        case = json.loads(line)
        name, file = " > ".join(case["names"]), str(case["file"])
        outcome, seconds = _outcome(case["outcome"]), float(case["duration_s"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return CaseResult(
        id=f"{file}::{name}" if file else name,
        outcome=outcome,
        file=file,
        duration_s=seconds,
        message=str(case.get("message", ""))[:MAX_FAILURE_CHARS],
    )


_OUTCOMES: dict[str, CaseOutcome] = {
    "passed": "passed", "failed": "failed", "error": "error", "skipped": "skipped", "pending": "skipped",
    "todo": "skipped", "disabled": "skipped", "focused": "passed",
}  # fmt: skip


def _outcome(said: Any) -> CaseOutcome:
    return _OUTCOMES.get(str(said), "error")


def _jest_reported(report_dir: Path) -> list[CaseResult] | None:
    """jest's JSON, which vitest writes as well, of every run. A file that could not be run is one case that says so."""
    suites: list[Any] = []
    for report in sorted(report_dir.glob("jest*.json")):
        try:
            suites += json.loads(read_report(report) or b"")["testResults"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    if not suites:
        return None
    found = []
    for suite in suites:
        file = _relative(str(suite.get("name", "")), report_dir)
        cases = suite.get("assertionResults") or []
        if not cases and suite.get("status") == "failed":
            found.append(
                CaseResult(
                    id=file,
                    outcome="error",
                    file=file,
                    message=str(suite.get("message", ""))[:MAX_FAILURE_CHARS],
                )
            )
        for case in cases:
            name = " > ".join([*case.get("ancestorTitles", []), case.get("title", "")])
            found.append(
                CaseResult(
                    id=f"{file}::{name}", outcome=_outcome(case.get("status")), file=file,
                    duration_s=float(case.get("duration") or 0) / 1000,
                    message="\n".join(map(str, case.get("failureMessages") or []))[:MAX_FAILURE_CHARS],
                )
            )  # fmt: skip
    return found


def _relative(path: str, report_dir: Path) -> str:
    """A path of a report, as seen from the tree that the run was in."""
    if not (tree := tree_of(report_dir)):
        return path
    for start in (tree, str(Path(tree).resolve())):
        if path.startswith(f"{start}/"):
            return path[len(start) + 1 :]
    return path


# -- only some -------------------------------------------------------------------------------------


def files_of(names: Sequence[str]) -> list[str]:
    """The files of files and ids, each once."""
    return list(dict.fromkeys(name.partition("::")[0] for name in names))


def _direct_only(name: str) -> Callable[[str, Sequence[str], Path | None], str | None]:
    """The script's own command with these files in the place of its own paths, by `npx` where it needs one."""

    def only(command: str, names: Sequence[str], tree: Path | None) -> str | None:
        script = script_of(command, tree or Path("/nonexistent"))
        wanted = files_of(names)
        node = name == "node"
        if script is None or not all("/" in f or "." in f for f in wanted):
            return None
        if not (
            re.search(r"\bnode\b.*\s--test\b", script) and is_simple(script)
            if node
            else runs_alone(script, name)
        ):
            return None
        words, kept = command_words(script), []
        for n, word in enumerate(words):
            follows = n > 0 and words[n - 1] in VALUED
            program = word.rpartition("/")[2] in {name, *WRAPPERS}
            if program or follows or word.startswith("-") or "=" in word or not _is_path(word):
                kept.append(word)
        start = next((n for n, w in enumerate(kept) if "=" not in w or w.startswith("-")), 0)
        first = kept[start] if start < len(kept) else ""
        there = node or "/" in first or first in {"npx", "node", "env"}
        through = [] if there else ["npx", "--no-install"]
        return " ".join([*map(_assigned, kept[:start]), shlex.join([*through, *kept[start:], *wanted])])

    return only


def _assigned(word: str) -> str:
    name, _, value = word.partition("=")
    return f"{name}={shlex.quote(value)}"


def _is_path(word: str) -> bool:
    return bool(re.search(r"[/*]|\.[cm]?[jt]sx?$", word)) or word in {"test", "tests", "spec", "specs"}


def _with_junit(name: str, *options: str) -> Instrument:
    def instrument(
        command: str, _: Path, __: Mapping[str, str], report_dir: Path
    ) -> tuple[str, Mapping[str, str]] | None:
        if not is_simple(command):
            return None
        return append(command, *(option.format(report_dir / name) for option in options)), {}

    return instrument


def _files_at_end(command: str, names: Sequence[str], _: Path | None) -> str | None:
    return f"{command} {shlex.join(files_of(names))}" if is_simple(command) else None


_TICK = re.compile(r"(✔|✓|✖|✘|×|- \[skip\]|- \[todo\]) (.+?)(?: \([\d.]+ ?m?s\))?(?: \d+ ?ms)?")


def _ticks(lines: list[str]) -> list[CaseResult]:
    """What ava, mocha, jest and vitest print of a case: `✔ title (12ms)`, `✖ title`, `- [skip] title`."""
    outcomes: dict[str, CaseOutcome] = {
        "✔": "passed",
        "✓": "passed",
        "✖": "failed",
        "✘": "failed",
        "×": "failed",
    }
    return [
        CaseResult(id=m[2], outcome=outcomes.get(m[1], "skipped"))
        for line in lines
        if (m := _TICK.fullmatch(line)) and not re.search(r"\d+ (?:tests?|passing)\b", line)
    ]


_THROUGH = r"^(?:npm|pnpm|yarn|bun)(?: run)? (?:t|tst|test)\b|"
_ALONE = ("jest", "vitest", "mocha", "ava", "node")
JAVASCRIPT_RUNNERS = (
    Runner(name="several runs", command=_THROUGH + r"(?!)", instrument=_each_run),
    Runner(
        name="node --test",
        command=_THROUGH + r"^node\s+(?:.*\s)?--test\b|^node\s",
        instrument=_node_instrument,
        reported=_lines_reported(_NODE),
        only=_direct_only("node"),
        sources=("node --test",),
    ),
    Runner(
        name="mocha",
        command=_THROUGH + r"\bmocha\b",
        instrument=_by_options(
            "mocha",
            lambda report_dir: (
                "--reporter",
                _reporter("mocha.cjs"),
                "--reporter-option",
                f"out={report_dir / _MOCHA}",
            ),
            not_with=r"\bmochawesome\b|reporter-option",
        ),
        reported=_lines_reported(_MOCHA),
        only=_direct_only("mocha"),
        sources=("mocha",),
    ),
    Runner(
        name="jest",
        command=_THROUGH + r"\bjest\b",
        instrument=_by_options(
            "jest",
            lambda report_dir: ("--json", f"--outputFile={report_dir / _JEST}"),
            not_with=r"--json|--outputFile|--watch",
        ),
        reported=_jest_reported,
        only=_direct_only("jest"),
        sources=("jest",),
    ),
    Runner(
        name="vitest",
        command=_THROUGH + r"\bvitest\b",
        instrument=_by_options(
            "vitest",
            lambda report_dir: (
                "--reporter=default",
                "--reporter=json",
                f"--outputFile.json={report_dir / _JEST}",
            ),
            not_with=r"--outputFile",
        ),
        only=_direct_only("vitest"),
        sources=("vitest",),
    ),
    Runner(
        name="ava",
        command=_THROUGH + r"\bava\b",
        instrument=_by_options("ava", lambda _: ("--tap",), not_with=r"--tap|-t\b"),
        only=_direct_only("ava"),
        sources=("ava", "tap"),
    ),
    Runner(name="printed ticks", printed=_ticks, sources=("ava", "mocha", "jest", "vitest")),
    Runner(
        name="bun test",
        command=r"^bun test\b",
        instrument=_with_junit("bun.xml", "--reporter=junit", "--reporter-outfile={}"),
        reported=junit_file("bun.xml"),
        only=_files_at_end,
        sources=("bun test",),
    ),
    Runner(
        name="deno test",
        command=r"^deno test\b",
        instrument=_with_junit("deno.xml", "--junit-path={}"),
        reported=junit_file("deno.xml"),
        only=_files_at_end,
        sources=("deno test",),
    ),
)
