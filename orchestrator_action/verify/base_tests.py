"""The fact `base-tests`: the base's own tests, and its way to run tests, pass on the new code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.answer import (
    AT_MOST,
    MESSAGE_CHARS,
    Answer,
    named_files,
    named_tests,
    not_compared,
)
from orchestrator_action.verify.change_runs import (
    ChangeRuns,
    cases_of,
    end_words,
    failing,
    passing,
    short_name,
)
from orchestrator_action.verify.compare import name_in_file, normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.testfiles import is_test_path
from orchestrator_action.verify.exceptions import NamedTest, reason_for
from orchestrator_action.verify.only_names import only_renamed
from orchestrator_action.verify.test_changes import is_named
from orchestrator_action.verify.test_run import TestRun, run_detail

_IMPORT_WORDS = (
    "ImportError", "ModuleNotFoundError", "Cannot find module", "Cannot find package", "ERR_MODULE_NOT_FOUND",
    "does not provide an export named", "cannot import name", "LoadError", "ClassNotFoundException",
    "NoClassDefFoundError", "NoSuchMethodError", "NoSuchFieldError", "collection failure", "Failed to load url",
    "Failed to import test module", "fixture '", "Class \"", "build failed", "cannot find symbol",
)  # fmt: skip


def base_tests(runs: ChangeRuns, note: str) -> Answer:
    """Whether they hold, with what the claim names and what the branch changes in how tests are run."""
    if runs.laid.commit == runs.head_sha:
        return Answer(
            message="the branch changes no test and nothing of how tests run", detail={"changed": False}
        )
    if runs.head is None or runs.base is None:
        return not_compared("there is no run to compare with")
    taken = [shown(p) for p in runs.laid.taken[:50]]
    run = runs.base if runs.only_tests_changed else runs.base_tests
    if run is None:
        return not_compared(f"the base's tests could not be run here: {runs.base_tests_error or 'no run'}")
    if runs.only_tests_changed:
        answer = Answer(message="only tests were changed: the base's tests ran at the base")
    elif _have_ids(runs.base, run):
        answer = _base_tests_by_id(runs, note, run)
    else:
        answer = _base_tests_by_number(runs, note, run)
    answer.detail |= {"changed": taken, "commands": [run_detail(r) for r in run.runs]}
    answer.exceptions += _only_as_configured(runs)
    return _without_turned(runs, note, run, answer) if answer.holds else answer


def _only_as_configured(runs: ChangeRuns) -> list[NamedTest]:
    """Tests that pass because of what the branch changed in how tests are run: a person reads that change."""
    run = runs.as_configured_before
    here = {short_name(c) for c in passing(runs.head)} - {short_name(c) for c in failing(runs.head)}
    red = [c for c in failing(run) if c.outcome == "failed" and short_name(c) in here and not is_import(c)]
    counts = run.counts if run is not None and run.cases is None else None
    number = len(red) or (counts.failed if counts else 0)
    if not number:
        return []
    words = f": {named_tests(c.id for c in red)}" if red else ""
    fails = "fails" if number == 1 else "fail"
    reason = f"{count(number, 'changed test')} {fails} as the base says that tests are run{words}"
    place = listed([shown(p) for p in runs.configuration], at_most=3)
    return [NamedTest(id=place, what="changes how tests are run", reason=reason, kind="place")]


def _without_turned(runs: ChangeRuns, note: str, run: TestRun, answer: Answer) -> Answer:
    """A test that was red before and still is on this code, and is green at the head only because it was changed."""
    here = {normal_id(c.id) for c in passing(runs.head)}
    red = [c for c in failing(run) if c.outcome == "failed" and normal_id(c.id) in here & runs.red_before]
    red = [c for c in red if not is_import(c)]
    silent = []
    for case in red:
        if reason := reason_for(note, case.id, case.file):
            answer.exceptions.append(
                NamedTest(id=shown(case.id), what="red before, and changed", reason=reason)
            )
        else:
            silent.append(case)
    if silent:
        answer.holds = False
        answer.message = (
            f"{count(len(silent), 'test')} that {'was' if len(silent) == 1 else 'were'} red at the base "
            f"{'is' if len(silent) == 1 else 'are'} green only because the branch changed the test: "
            f"{named_tests(c.id for c in silent)}"
        )
    return answer


def _have_ids(base: TestRun, run: TestRun) -> bool:
    return base.cases is not None and bool(base.cases) and run.cases is not None


def _base_tests_by_id(runs: ChangeRuns, note: str, run: TestRun) -> Answer:
    ends = {normal_id(c.id): c for c in cases_of(run)}
    green = {short_name(c) for again in runs.base_tests_again for c in passing(again)}
    green -= {short_name(c) for again in runs.base_tests_again for c in failing(again)}
    passed_before = [c for c in passing(runs.base) if normal_id(c.id) not in runs.flaky]
    pairs = [(c, ends.get(normal_id(c.id))) for c in passed_before if short_name(c) not in green]
    renamed = only_renamed(runs)

    def cannot(case: CaseResult) -> bool:
        return is_import(case) or (lacks_a_name(case) and (case.file in renamed or renamed.whole))

    wrong = [e for _, e in pairs if e is not None and e.outcome in {"failed", "skipped"} and not cannot(e)]
    wrong += [e for _, e in pairs if e is not None and e.outcome == "error" and not cannot(e)]
    missing = [c for c, e in pairs if e is None or (e.outcome in {"failed", "error"} and cannot(e))]
    named, silent = [], []
    for case in wrong:
        reason = reason_for(note, case.id, case.file, file_gone=case.file in runs.gone)
        if reason:
            named.append(NamedTest(id=shown(case.id), what="fails as it was at the base", reason=reason))
        else:
            silent.append(case)
    detail: dict[str, Any] = {
        "failing": [
            {"id": shown(c.id), "file": shown(c.file), "message": c.message[:MESSAGE_CHARS]}
            for c in wrong[:50]
        ],
        "not_comparable": [shown(c.id) for c in missing[:50]],
    }
    if silent:
        return Answer(
            holds=False, exceptions=named, detail=detail,
            message=f"{count(len(silent), 'test')} of the base {'fails' if len(silent) == 1 else 'fail'} on this code "
            f"as {'it was' if len(silent) == 1 else 'they were'} before the branch changed the tests: "
            f"{named_tests(c.id for c in silent)}",
        )  # fmt: skip
    if missing and (refuted := _unexplained(runs, note, missing, run)):
        return Answer(holds=False, exceptions=named, detail=detail, message=refuted)
    if missing:
        named = [*named, *_rewritten(runs)]
    held = len(passed_before) - len(wrong) - len(missing)
    message = f"{held} of {len(passed_before)} tests of the base pass on this code as they were"
    if missing:
        message += f"; {len(missing)} are not comparable, they cannot be run with it: "
        message += named_tests(c.id for c in missing)
    if wrong:
        message += f"; {len(wrong)} do not, each named with its reason"
    return Answer(message=message, exceptions=named, detail=detail)


def is_import(case: CaseResult) -> bool:
    """A test that did not come to its own work, because what it names is not there.

    Of a test that failed the first or the last line of its message has to say so: an assertion may print anything.
    """
    lines = [line for line in case.message.splitlines() if line.strip()]
    told = "\n".join(lines[:1] + lines[-1:] if case.outcome == "failed" else lines)[:4000]
    if "fixture '" in told and "not found" not in told:
        told = told.replace("fixture '", "")
    return any(word in told for word in _IMPORT_WORDS)


_LACKS_A_NAME = re.compile(
    r"\b(?:AttributeError|NameError|NoMethodError)\b|has no attribute '|is not (?:a function|defined|a constructor)\b"
    r"|\b(?:undefined (?:local variable|method|function|subroutine)|[Uu]ninitialized constant|Call to undefined)\b"
    r"|\bUndefined (?:class )?constant\b|unexpected keyword argument|Unknown named parameter|unknown keywords?:"
    r"|command not found|Can't locate object method"
)


def lacks_a_name(case: CaseResult) -> bool:
    """A test that failed because a name that it uses is not there, as far as its message tells."""
    return bool(_LACKS_A_NAME.search(case.message))


def _unexplained(runs: ChangeRuns, note: str, missing: Sequence[CaseResult], run: TestRun) -> str:
    """What cannot be compared proves nothing; then the reading of those files has to be clean, or named.

    A command that ends with 0 and leaves out tests of the base has been made to do so.
    """
    files = {c.file for c in missing if c.file}
    quiet = [r for r in run.runs if r.passed]
    head_names = {(c.file, name_in_file(c)) for c in passing(runs.head)}
    if len(quiet) == len(run.commands):
        gone = [c for c in missing if (runs.renames.get(c.file, c.file), name_in_file(c)) not in head_names]
        if gone:
            return f"{count(len(gone), 'test')} of the base did not run on this code: {named_tests(c.id for c in gone)}"
    renamed = only_renamed(runs)
    found = [(p, what) for p, what, _ in runs.losses if (not files or p in files) and not is_named(p, note)]
    found = [(p, what) for p, what in found if p not in renamed]
    if not found:
        return ""
    words = "; ".join(f"{shown(p)}: {what}" for p, what in found[:AT_MOST])
    return f"the base's tests cannot be run with this code, and the branch took from them: {words}"


def _rewritten(runs: ChangeRuns) -> list[NamedTest]:
    """Files of tests of which more than names differ, where the base's own tests cannot be run: a person reads them."""
    found, renamed = [], set(only_renamed(runs).values())
    for path, (_, new) in runs.test_texts.items():
        old_path = next((o for o, n in runs.renames.items() if n == path and runs.tests.is_test(o)), path)
        old = runs.test_texts.get(old_path, ("", ""))[0]
        if not new or (not old and is_test_path(path)) or path in renamed:
            continue
        reason = "tests of the base cannot be run with this code, and more than names differ here"
        found.append(NamedTest(id=shown(path), what="cannot be compared", reason=reason, kind="place"))
    return found[:AT_MOST]


def _base_tests_by_number(runs: ChangeRuns, note: str, run: TestRun) -> Answer:
    assert runs.base is not None
    before = runs.base.counts
    after = run.counts
    passed_before = before.passed if before else 0
    failed_before = before.failed if before else 0
    passed, failed = (after.passed, after.failed) if after else (0, 0)
    words = f"{passed} of the base's tests pass on this code, {passed_before} passed at the base"
    if passed >= passed_before and failed <= failed_before and (run.passed or not runs.base.passed):
        return Answer(message=words, detail={"by": "number"})
    named = named_files(runs, note) if runs.losses else []
    bad = next((r for r in run.runs if not r.passed), None)
    if not failed and bad is not None and bad.cannot_run:
        refuted = _unexplained(runs, note, [], run)
        message = (
            refuted or f"not comparable: `{bad.command}` cannot be run with the base's tests on this code"
        )
        return Answer(holds=not refuted, message=message, exceptions=[] if refuted else named + _rewritten(runs),
                       detail={"by": "number", "not_comparable": [bad.command]})  # fmt: skip
    if named:
        return Answer(
            message=f"{words}; what was changed is named", exceptions=named, detail={"by": "number"}
        )
    how = f", {failed} fail" if failed else ""
    if run.passed and not after:
        how = ", and no count can be read of this run"
    elif bad is not None and not failed:
        how = f": `{bad.command}` {end_words(bad)}"
    return Answer(holds=False, message=words + how, detail={"by": "number"})
