"""The facts of any change, measured against its base: of our own tasks, and of anybody's pull request.

Read top to bottom: which suites are run, on which mixture of sources and tests, and what is judged from them.
At most two whole suites a change beside the base's: one at the head, and one of the base's tests on the head's
sources where tests were changed. Changed tests, and one repetition of what was red, come on top.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.parse import Change
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.change_runs import ChangeRuns, Proof, failing, passing
from orchestrator_action.verify.changed_tests import (
    MOST_RUN_BY_NAME,
    STEADY_WITHIN_S,
    WHOLE_AGAIN_S,
    ask_calls,
    only_files,
    run_shown,
)
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.doubts import doubts
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.results import only_tests
from orchestrator_action.verify.ecosystems.testfiles import is_test_path
from orchestrator_action.verify.no_special_case import special_case_facts
from orchestrator_action.verify.overlay import lay_configuration, lay_tests
from orchestrator_action.verify.renamed import text_of_test
from orchestrator_action.verify.rust_tests import test_blocks
from orchestrator_action.verify.test_changes import Loss, losses
from orchestrator_action.verify.test_paths import TestPaths
from orchestrator_action.verify.test_run import TestRun
from orchestrator_action.verify.testing_facts import testing_facts
from orchestrator_action.verify.varied import suspicions

log = logging.getLogger(__name__)

REPEATS = 3
"""How often changed and new tests have to pass in a row."""
MAX_TEXT_BYTES = 1024**2
"""Of a test file that is read to see whether a test lives on under another name."""


def measure_change(
    bench: Bench,
    *,
    base: str,
    head: str,
    note: str = "",
    proof: Proof = Proof.REPORTED,
    base_run: Callable[[], TestRun] | None = None,
    repeats: int = REPEATS,
) -> tuple[Fact, ...]:
    """All facts of Testing on the change from `base` to `head`, each tied to `head`.

    `note` names exceptions. `base_run` gives the base's suite where it is measured elsewhere, once for many
    changes. What cannot be measured is a fact that does not hold and says why, never an exception.
    """
    runs = run_change(bench, base=base, head=head, base_run=base_run, repeats=repeats, proof=proof)
    return change_facts(bench, runs, note=note, proof=proof)


def change_facts(bench: Bench, runs: ChangeRuns, *, note: str, proof: Proof) -> tuple[Fact, ...]:
    """The facts, from what was run; the same runs may be judged again with other words of the agent."""
    git, mended = bench.git, _mended_tests(bench.git, runs)
    between = {"base": runs.base_sha, "head": runs.head_sha}
    to_read = [
        *suspicions(runs.calls, runs.calls_at_base),
        *doubts(git, **between, tests=runs.tests, mended=mended),
    ]
    static = special_case_facts(git, **between, tests=runs.tests, mended=mended, exceptions=to_read)
    return (*testing_facts(runs, note=note, proof=proof), *static)


def _mended_tests(git: Git, runs: ChangeRuns) -> tuple[str, ...]:
    """The texts of tests that were red at the base and are green at the head: what the change had to satisfy."""
    green = [c for c in passing(runs.head) if c.file and normal_id(c.id) in runs.red_before][
        :MOST_RUN_BY_NAME
    ]
    bodies = git.files(runs.head_sha, sorted({c.file for c in green}))
    texts = {p: (b or b"")[:MAX_TEXT_BYTES].decode("utf-8", "replace") for p, b in bodies.items()}
    return tuple(dict.fromkeys(text_of_test(c.id, texts.get(c.file, "")) for c in green))


def run_change(
    bench: Bench,
    *,
    base: str,
    head: str,
    proof: Proof = Proof.REPORTED,
    base_run: Callable[[], TestRun] | None = None,
    repeats: int = REPEATS,
    thorough: bool = True,
) -> ChangeRuns:
    """Run every suite that the facts of this change need.

    Without `thorough`, for an answer meanwhile, changed tests are neither repeated nor tried at the base, unless a
    proof is required.
    """
    git = bench.git
    changes = git.changes(base, head)
    paths = {p for c in changes for p in (c.path, c.old_path) if p}
    tests = TestPaths.at(git, base, bench.commands, paths)
    texts = _test_texts(git, changes, tests)
    changed = tuple(
        c.path
        for c in changes
        if c.status != "D"
        and c.new_blob != c.old_blob
        and (is_test_path(c.path) or _has_inline(c.path, texts))
    )
    laid = lay_tests(git, take=base, over=head, tests=tests, commands=bench.commands)
    runs = ChangeRuns(
        base_sha=base, head_sha=head, commands=bench.commands, tests=tests, changed_tests=changed,
        test_texts=texts,
        renames={c.old_path: c.path for c in changes if c.status == "R" and c.old_path},
        gone=frozenset(p for p in paths if p not in set(git.paths(head))),
        laid=laid, only_tests_changed=git.tree(laid.commit) == git.tree(base),
        losses=tuple(_losses(git, base, head, bench.commands)), thorough=thorough or proof is Proof.REQUIRED,
    )  # fmt: skip
    if not bench.commands:
        return runs
    runs = _with_head(runs, bench, repeats if thorough else 1)
    runs = _with_base(runs, bench, base_run)
    runs = _with_untouched_head(runs, bench)
    runs = _with_head_again(runs, bench)
    if laid.commit != head and not runs.only_tests_changed and _may_go_on(runs):
        runs = _with_base_tests(runs, bench)
    if laid.commit != head and _may_go_on(runs):
        runs = _with_base_configuration(runs, bench)
    if changed and (proof is Proof.REQUIRED or (thorough and proof is Proof.REPORTED)) and _may_go_on(runs):
        runs = run_shown(runs, bench)
    return runs


def _test_texts(git: Git, changes: Sequence[Change], tests: TestPaths) -> dict[str, tuple[str, str]]:
    """Every changed test file's text at the base and at the head, those of a renamed one under both names.

    Of a source of Rust it is the tests inside, where they changed.
    """
    wanted = [c for c in changes if tests.is_test(c.path) or (c.old_path and tests.is_test(c.old_path))]
    rust = [c for c in changes if c.path.endswith(".rs") and c not in wanted]
    wanted += rust
    old, new = (git.blobs([getattr(c, side) for c in wanted]) for side in ("old_blob", "new_blob"))
    found: dict[str, tuple[str, str]] = {}
    for change, before, after in zip(wanted, old, new, strict=True):
        texts = [(body or b"")[:MAX_TEXT_BYTES].decode("utf-8", "replace") for body in (before, after)]
        if change in rust:
            texts = ["\n".join(test_blocks(text)) for text in texts]
            if texts[0] == texts[1]:
                continue
        if change.old_path and change.old_path != change.path:
            found[change.old_path] = (texts[0], "")
            texts[0] = ""
        found[change.path] = (texts[0], texts[1])
    return found


def _has_inline(path: str, texts: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a source has tests inside that the branch adds or changes."""
    return path.endswith(".rs") and bool(texts.get(path, ("", ""))[1])


def _losses(git: Git, base: str, head: str, commands: Sequence[str]) -> Sequence[Loss]:
    return losses(git, base=base, head=head, commands=commands)


def _may_go_on(runs: ChangeRuns) -> bool:
    """Whether there is a head worth comparing: a suite that could not run at all says everything itself."""
    ended = runs.head.runs if runs.head else ()
    return bool(ended) and all(r.outcome.ending is not Ending.CANCELLED for r in ended)


def _with_base(runs: ChangeRuns, bench: Bench, base_run: Callable[[], TestRun] | None) -> ChangeRuns:
    try:
        return replace(runs, base=base_run() if base_run else bench.suite(runs.base_sha))
    except OrchestratorError as exc:
        return replace(runs, base_error=exc.message)


def _with_head(runs: ChangeRuns, bench: Bench, repeats: int) -> ChangeRuns:
    """The suite at the head, and in the same checkout the repetitions of what is new."""
    head = runs.head_sha
    try:
        with bench.checkout(head) as tree:
            runs = replace(runs, head=bench.run_in(tree, head))
            steady = _repeated(runs, bench, tree, repeats)
            calls = ask_calls(runs, bench, tree) if all(map(runs.went_well, steady)) else ()
    except OrchestratorError as exc:
        return replace(runs, head_error=exc.message)
    if steady and not all(map(runs.went_well, steady)):
        runs = replace(runs, steady_again=_repeated_afresh(runs, bench, steady[-1]))
    return replace(runs, repeats=repeats, steady=steady, calls=calls)


def _with_untouched_head(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """A checkout that was written to otherwise than at the base is thrown away, and measured once more.

    Where the same files are written again it was the tests.
    """
    strange = _strange(runs, runs.head)
    if not strange:
        return runs
    log.warning("a clean checkout changed while it was measured commit=%s files=%s", runs.head_sha, strange)
    try:
        with bench.checkout(runs.head_sha) as tree:
            again = bench.run_in(tree, runs.head_sha, again=True)
    except OrchestratorError as exc:
        return replace(runs, head=None, head_error=exc.message)
    other = _strange(runs, again)
    if other and other != strange:
        error = f"the clean checkout was changed by somebody while it was measured, twice: {listed(sorted(other))}"
        return replace(runs, head=None, head_error=error)
    return replace(runs, head=again, thrown_away=() if other else tuple(sorted(strange)))


def _strange(runs: ChangeRuns, run: TestRun | None) -> set[str]:
    """Files written while a suite ran that the same suite left alone at the base."""
    if run is None or runs.base is None:
        return set()
    return set(run.touched) - set(runs.base.touched) - set(runs.changed_tests)


def _with_head_again(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """What is red at the head and was not at the base, once more in a fresh checkout."""
    if runs.head is None or runs.head.passed or not _new_red(runs, runs.head):
        return runs
    try:
        with bench.checkout(runs.head_sha) as tree:
            return replace(runs, head_again=_red_again(runs, bench, tree, runs.head))
    except OrchestratorError:
        return runs  # what was red stays red


def _new_red(runs: ChangeRuns, run: TestRun) -> list[CaseResult]:
    """Tests that are red and were not at the base; none where so many are that chance is no reason."""
    new = [c for c in failing(run) if normal_id(c.id) not in runs.red_before]
    return new if len(new) <= MOST_RUN_BY_NAME and not any(r.cannot_run for r in run.runs) else []


def _red_again(runs: ChangeRuns, bench: Bench, tree: Path, run: TestRun) -> tuple[TestRun, ...]:
    """What is newly red, by itself, as often as new tests are repeated; nothing where single tests cannot be run."""
    commands = _only_red(run, set(_new_red(runs, run)), tree)
    done: list[TestRun] = []
    while commands and len(done) < REPEATS and all(map(runs.went_well, done)):
        done.append(bench.run_in(tree, run.commit, commands, again=True))
    return tuple(done)


def _only_red(run: TestRun, red: set[CaseResult], tree: Path) -> tuple[str, ...]:
    """Commands for nothing but these tests; none where some of them cannot be run by themselves."""
    found = []
    for command_run in run.runs:
        ids = [c.id for c in command_run.cases or () if c in red]
        command = only_tests(command_run.command, ids, tree=tree) if ids else None
        if ids and command is None:
            return ()
        found += [command] if command else []
    return tuple(found)


def _repeated(runs: ChangeRuns, bench: Bench, tree: Path, repeats: int) -> tuple[TestRun, ...]:
    """Changed and new tests, as often as is still wanted; without any, a short suite once more."""
    run = runs.head
    if run is None or not run.passed or repeats < 2:
        return ()
    took = sum(r.duration_s for r in run.runs)
    if not runs.changed_tests:
        no_other_suite = runs.laid.commit == runs.head_sha
        return (
            (bench.run_in(tree, run.commit, again=True),) if took <= WHOLE_AGAIN_S and no_other_suite else ()
        )
    commands = only_files(run, runs.changed_tests, tree)
    done: list[TestRun] = []
    spent, next_s = 0.0, 0.0 if commands else took
    while len(done) < repeats - 1 and spent + next_s <= STEADY_WITHIN_S and all(map(runs.went_well, done)):
        done.append(bench.run_in(tree, run.commit, commands, again=True))
        spent += sum(r.duration_s for r in done[-1].runs)
    return tuple(done)


def _repeated_afresh(runs: ChangeRuns, bench: Bench, bad: TestRun) -> tuple[TestRun, ...]:
    """What failed in a tree that tests had used is tried in fresh ones: only that tells of the tests."""
    done: list[TestRun] = []
    while len(done) < REPEATS and all(map(runs.went_well, done)):
        with bench.checkout(runs.head_sha) as tree:
            commands = _only_red(bad, set(failing(bad)), tree) or bad.commands
            done.append(bench.run_in(tree, runs.head_sha, commands, again=True))
    return tuple(done)


def _with_base_tests(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """The base's tests and test configuration on the head's sources."""
    commit = runs.laid.commit
    try:
        with bench.checkout(commit) as tree:
            run = bench.run_in(tree, commit)
            return replace(runs, base_tests=run, base_tests_again=_red_again(runs, bench, tree, run))
    except OrchestratorError as exc:
        return replace(runs, base_tests_error=exc.message)


def _with_base_configuration(runs: ChangeRuns, bench: Bench) -> ChangeRuns:
    """The head's changed tests on the head's sources, as the base says that tests are run."""
    head = runs.head
    if head is None or not head.passed or not runs.changed_tests or not runs.thorough:
        return runs
    over = lay_configuration(
        bench.git, take=runs.base_sha, over=runs.head_sha, tests=runs.tests, commands=bench.commands
    )
    if over.commit == runs.head_sha:
        return runs
    runs = replace(runs, configuration=over.taken)
    try:
        with bench.checkout(over.commit) as tree:
            commands = only_files(head, runs.changed_tests, tree)
            took = sum(r.duration_s for r in head.runs)
            run = bench.run_in(tree, over.commit, commands) if commands or took <= STEADY_WITHIN_S else None
            return replace(runs, as_configured_before=run)
    except OrchestratorError:
        return runs
