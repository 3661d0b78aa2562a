"""Runs of nothing but what a branch changes in the tests: at the base, and with other functions.

What they show is judged in `shown`. Each of them takes a fresh checkout, and a whole suite only where it is short.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.files import open_plain
from orchestrator_action.protocol.attempt import Outcome
from orchestrator_action.state.context import reports_of
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.calls import MOST_CALLS_BYTES, PYTEST, PYTHON_CALLS, ask_again
from orchestrator_action.verify.change_runs import ChangeRuns, passing, short_name
from orchestrator_action.verify.ecosystems.base import CaseResult, inside
from orchestrator_action.verify.ecosystems.results import only_tests
from orchestrator_action.verify.emptied import Emptied, empty_functions
from orchestrator_action.verify.overlay import Overlay, lay_tests
from orchestrator_action.verify.shown import fails_by_itself
from orchestrator_action.verify.test_paths import TestPaths
from orchestrator_action.verify.test_run import TestRun
from orchestrator_action.verify.varied import Call

STEADY_WITHIN_S = 120.0
"""No repetition is begun after so much time. A whole suite, where no single tests can be run, has to fit in it."""
WHOLE_AGAIN_S = 30.0
"""A suite that took no longer is repeated once where no test was changed, and run where functions do nothing."""
MOST_RUN_BY_NAME = 60
"""More files or tests than this are not put on one command line."""


def only_files(run: TestRun, files: Sequence[str], tree: Path) -> tuple[str, ...]:
    """Commands for nothing but these test files, of every command whose kind of files they are."""
    found = []
    for command_run in run.runs:
        endings = {c.file.rpartition(".")[2] for c in command_run.cases or () if c.file}
        folder, _ = inside(command_run.command)
        own = [f for f in files if not endings or f.rpartition(".")[2] in endings]
        own = [f for f in own if not folder or f.startswith(f"{folder}/")]
        command = (
            only_tests(command_run.command, own, tree=tree) if own and len(own) <= MOST_RUN_BY_NAME else None
        )
        if command:
            found.append(command)
    return tuple(found)


def ask_calls(runs: ChangeRuns, bench: Bench, tree: Path, commit: str = "") -> tuple[Call, ...]:
    """What changed tests call, where they are run by themselves and are quick."""
    commands = only_files(runs.head, runs.changed_tests, tree) if runs.head and runs.thorough else ()
    took = sum(r.duration_s for r in runs.head.runs) if runs.head else 0.0
    if took > STEADY_WITHIN_S:
        return ()
    green = runs.changed_tests if runs.head and runs.head.passed else ()
    return ask_again(bench, tree, commit or runs.head_sha, commands, green)


def run_shown(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """The head's changed tests on the base's sources; where that tells little, without what the functions give."""
    git = bench.git
    if runs.head is None:
        return runs
    tests = TestPaths.at(git, runs.head_sha, bench.commands, runs.changed_tests)
    over: Overlay = lay_tests(
        git, take=runs.head_sha, over=runs.base_sha, tests=tests, commands=bench.commands
    )
    if git.tree(over.commit) == git.tree(runs.head_sha):
        return runs  # the change is in the tests alone
    try:
        with bench.checkout(over.commit) as tree:
            commands = only_files(runs.head, runs.changed_tests, tree)
            took = sum(r.duration_s for r in runs.head.runs)
            run = bench.run_in(tree, over.commit, commands) if commands or took <= STEADY_WITHIN_S else None
            calls = ask_calls(runs, bench, tree, over.commit) if runs.calls else ()
            runs = replace(runs, shown=run, calls_at_base=calls)
    except OrchestratorError:
        return runs
    return runs if fails_by_itself(runs) else _with_emptied(runs, bench)


def _with_emptied(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """The head's changed tests where the functions of the branch do nothing."""
    git, head = bench.git, runs.head
    emptied = empty_functions(git, base=runs.base_sha, head=runs.head_sha, tests=runs.tests)
    if emptied is None or head is None or not head.passed:
        return runs
    try:
        with bench.checkout(emptied.commit) as tree:
            commands = only_files(head, runs.changed_tests, tree)
            took = sum(r.duration_s for r in head.runs)
            run = bench.run_in(tree, emptied.commit, commands) if commands or took <= WHOLE_AGAIN_S else None
            runs = replace(
                runs, emptied=run, emptied_functions=emptied.functions, emptied_are_new=emptied.are_new
            )
    except OrchestratorError:
        return runs
    looks = run is not None and emptied.are_new and not run.passed
    return _with_altered(runs, bench, emptied) if looks else runs


def _with_altered(runs: ChangeRuns, bench: Bench, emptied: Emptied) -> ChangeRuns:
    """The changed tests at the head, where the new functions give them other values; of pytest only."""
    own = [c for c in runs.emptied.commands if PYTEST.search(c)] if runs.emptied else []
    folders: list[Path] = []
    if not own:
        return runs

    def run(
        argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float
    ) -> Outcome:
        folder = reports_of(log) / "altered"
        folders.append(folder)
        shutil.copytree(
            PYTHON_CALLS, folder / "orchestrator_calls", ignore=shutil.ignore_patterns("__pycache__")
        )
        said = {"files": emptied.files, "functions": emptied.functions}
        (folder / "altered.json").write_text(json.dumps(said), encoding="utf-8")
        paths = ":".join(filter(None, (str(folder), env.get("PYTHONPATH", ""))))
        options = f"{env.get('PYTEST_ADDOPTS', '')} -p orchestrator_calls.altered".strip()
        given = {**env, "PYTHONPATH": paths, "PYTEST_ADDOPTS": options}
        return bench.run(argv, cwd=cwd, env=given, log=log, timeout_s=timeout_s)

    try:
        with bench.checkout(runs.head_sha) as tree:
            done = replace(bench, run=run).run_in(tree, runs.head_sha, own, again=True)
    except OrchestratorError:
        return runs
    met = {name for folder in folders for name in _met(folder / "met.jsonl")}
    return replace(runs, anything=frozenset(met & {short_name(c) for c in passing(done)}))


def _met(report: Path) -> list[str]:
    """The tests that were given another value, by their short names."""
    try:
        with open(report, encoding="utf-8", errors="replace", opener=open_plain) as file:
            lines = file.read(MOST_CALLS_BYTES).splitlines()
        return [short_name(CaseResult(id=str(json.loads(line)["met"]), outcome="passed")) for line in lines]
    except (OSError, ValueError, KeyError, TypeError):
        return []
