"""Where the tests of several changes to one base agree: each one's changed and new tests run on the others' code.

A test that passes on its own change and fails on another says that the two understand the task differently. One that
cannot be run there, because what it names has another name, says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.model import CrossTest
from orchestrator_action.protocol.paths import shown
from orchestrator_action.verify.base_tests import is_import
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.change_runs import cases_of, end_words, passing
from orchestrator_action.verify.changed_tests import STEADY_WITHIN_S, only_files
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.testfiles import is_test_path
from orchestrator_action.verify.overlay import lay_tests
from orchestrator_action.verify.test_paths import TestPaths
from orchestrator_action.verify.test_run import TestRun

_MOST_NAMED = 20
"""Of tests, in one comparison."""


def cross_tests(
    bench: Bench, *, base: str, heads: Mapping[str, str], at_base: TestRun
) -> tuple[CrossTest, ...]:
    """One comparison for each pair of `heads`, by the names of whose tests run on whose code.

    None for a change that has no tests of its own. What cannot be compared says why; nothing is raised for it.
    """
    return tuple(one for name in heads for one in _of_one(bench, base, name, heads, at_base))


def _of_one(
    bench: Bench, base: str, name: str, heads: Mapping[str, str], at_base: TestRun
) -> Iterator[CrossTest]:
    head = heads[name]
    files = _changed_tests(bench, base, head)
    if not files:
        return
    others = [other for other in heads if other != name]
    try:
        with bench.checkout(head) as tree:
            own = _run(bench, tree, head, files, at_base)
    except OrchestratorError as exc:
        yield from (CrossTest(tests_of=name, code_of=other, error=exc.message) for other in others)
        return
    for other in others:
        yield _compared(bench, files, own, at_base, CrossTest(tests_of=name, code_of=other), heads)


def _changed_tests(bench: Bench, base: str, head: str) -> tuple[str, ...]:
    return tuple(c.path for c in bench.git.changes(base, head) if c.status != "D" and is_test_path(c.path))


def _run(bench: Bench, tree: Path, commit: str, files: Sequence[str], at_base: TestRun) -> TestRun | None:
    """These test files by themselves; the whole suite where that cannot be, and where it is short."""
    commands = only_files(at_base, files, tree)
    short = sum(r.duration_s for r in at_base.runs) <= STEADY_WITHIN_S
    return bench.run_in(tree, commit, commands, again=True) if commands or short else None


def _compared(
    bench: Bench,
    files: Sequence[str],
    own: TestRun | None,
    at_base: TestRun,
    pair: CrossTest,
    heads: Mapping[str, str],
) -> CrossTest:
    head, other = heads[pair.tests_of], heads[pair.code_of]
    tests = TestPaths.at(bench.git, head, bench.commands, files)
    laid = lay_tests(bench.git, take=head, over=other, tests=tests, commands=bench.commands)
    try:
        with bench.checkout(laid.commit) as tree:
            there = _run(bench, tree, laid.commit, files, at_base)
    except OrchestratorError as exc:
        return _with(pair, error=exc.message)
    if own is None or there is None:
        return _with(pair, error="the changed tests cannot be run by themselves, and the suite is too long")
    if any(r.outcome.ending is Ending.CANCELLED for r in (*own.runs, *there.runs)):
        return _with(pair, error="it was cancelled")
    mine = [c for c in passing(own) if not c.file or c.file in files]
    return _by_id(pair, mine, there) if mine else _by_number(pair, own, there)


def _by_id(pair: CrossTest, mine: Sequence[CaseResult], there: TestRun) -> CrossTest:
    ends = {normal_id(c.id): c for c in cases_of(there)}
    passed, failed, cannot = 0, [], []
    for case in mine:
        end = ends.get(normal_id(case.id))
        if end is not None and end.outcome == "passed":
            passed += 1
        elif end is None or end.outcome == "skipped" or is_import(end):
            cannot.append(shown(case.id))
        else:
            failed.append(shown(case.id))
    return _with(pair, passed=passed, failed=failed, cannot_run=cannot)


def _by_number(pair: CrossTest, own: TestRun, there: TestRun) -> CrossTest:
    """Tests that have no names here: a command that passed on its own change, and what it came to on the other."""
    if not own.passed:
        return _with(pair, error="the changed tests, run by themselves, do not pass on their own change")
    bad = [r for r in there.runs if not r.passed]
    cannot = [f"`{r.command}` {end_words(r)}" for r in bad if r.cannot_run]
    failed = [f"`{r.command}` {end_words(r)}" for r in bad if not r.cannot_run]
    counted = there.counts.passed if there.counts else 0
    return _with(pair, passed=counted, failed=failed, cannot_run=cannot)


def _with(
    pair: CrossTest,
    *,
    passed: int = 0,
    failed: Sequence[str] = (),
    cannot_run: Sequence[str] = (),
    error: str = "",
) -> CrossTest:
    return CrossTest(
        tests_of=pair.tests_of, code_of=pair.code_of, passed=passed, failed=tuple(failed[:_MOST_NAMED]),
        cannot_run=tuple(cannot_run[:_MOST_NAMED]), error=error,
    )  # fmt: skip
