"""The facts of Testing, judged from what was run at the base, at the head, and on mixtures of both. Pure.

Whatever was red at the base is said to have been red before. A test that does not hold refutes, unless the
claim names it by id with a reason: then it is an exception, which a person has to read. What could not be
imported or compiled is called that, and never a failed test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.change_runs import (
    ChangeRuns,
    Proof,
    cases_of,
    command_words,
    failing,
    passing,
    short_name,
)
from orchestrator_action.verify.compare import LostTest, lost_tests, name_in_file, normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.exceptions import NamedTest, reason_for
from orchestrator_action.verify.renamed import lives_on
from orchestrator_action.verify.test_changes import is_named
from orchestrator_action.verify.test_run import CommandRun, TestRun, judge_run, run_detail

__all__ = ["ChangeRuns", "Proof", "testing_facts"]

AT_MOST = 5
"""How many tests a message names; the rest stands in the detail."""
MESSAGE_CHARS = 600


@dataclass(slots=True)
class _Answer:
    """One fact while it is being found."""

    holds: bool = True
    message: str = ""
    unproven: bool = False
    exceptions: list[NamedTest] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def fact(self, rule: str, head: str) -> Fact:
        detail = dict(self.detail)
        if self.unproven:
            detail["unproven"] = True
        if self.exceptions:
            detail["exceptions"] = [e.data() for e in self.exceptions]
        return Fact(
            phase="testing", rule=rule, commit=head, holds=self.holds, message=self.message, detail=detail
        )


def testing_facts(runs: ChangeRuns, *, note: str = "", proof: Proof = Proof.REPORTED) -> tuple[Fact, ...]:
    """`suite`, `nothing-lost`, `base-tests`, `shows-the-change` and `steady`, in this order."""
    suite = _suite(runs)
    answers = {
        "suite": suite,
        "nothing-lost": _nothing_lost(runs, note),
        "base-tests": _base_tests(runs, note),
        "shows-the-change": _shown(runs, proof),
        "steady": _steady(runs),
    }
    if suite.detail.get("person"):  # whoever makes the suite run makes it comparable
        for answer in answers.values():
            answer.detail |= {"person": True} if answer.unproven else {}
    return tuple(answer.fact(rule, runs.head_sha) for rule, answer in answers.items())


# -- suite -----------------------------------------------------------------------------------------


def _suite(runs: ChangeRuns) -> _Answer:
    if runs.head is None:
        why = f"nothing could be tested: {runs.head_error}" if runs.head_error else ""
        return _Answer(
            holds=False, unproven=True,
            message=why or "no test command is known; set `test` in .github/orchestrator.yml",
            detail={} if why else {"person": True},
        )  # fmt: skip
    answer = _suite_of(runs, runs.head)
    if runs.thrown_away:
        answer.message += (
            f"; a first checkout was thrown away, somebody wrote {listed(runs.thrown_away, at_most=3)} in it"
        )
        answer.detail["thrown_away"] = [shown(p) for p in runs.thrown_away[:50]]
    if runs.head.reused_from:
        answer.detail["reused_from"] = runs.head.reused_from
    counts = runs.head.counts
    answer.detail |= {
        "commands": [run_detail(r) for r in runs.head.runs],
        "tree": runs.head.tree,
        "passed": counts.passed if counts else None,
        "failed": counts.failed if counts else None,
        "skipped": counts.skipped if counts else None,
        "duration_s": round(sum(r.duration_s for r in runs.head.runs), 3),
    }
    return answer


def _suite_of(runs: ChangeRuns, head: TestRun) -> _Answer:
    judged = judge_run(head)
    if judged.holds:
        answer = _Answer(message=judged.message)
        if runs.flaky:
            answer.message += (
                f"; flaky, red in one run at this commit and green in the next: {_named(runs.flaky)}"
            )
            answer.detail["flaky"] = sorted(runs.flaky)[:50]
        return answer
    detail: dict[str, Any] = {"person": True} if judged.person else {}
    if judged.unproven:
        return _Answer(holds=False, unproven=True, message=judged.message, detail=detail)
    bad = [r for r in head.runs if not r.passed or (r.counts and r.counts.failed)]
    broken = [r for r in bad if r.cannot_run or r.outcome.ending is not Ending.EXITED]
    if broken:
        return _cannot_run(runs, broken[0], judged.message)
    return _red(runs, head, bad, judged.message)


def _cannot_run(runs: ChangeRuns, run: CommandRun, message: str) -> _Answer:
    """The command did not come to run tests, or not to its end."""
    before = next((b for b in (runs.base.runs if runs.base else ()) if b.command == run.command), None)
    if (
        before is not None
        and not before.passed
        and (before.cannot_run or before.outcome.ending is not Ending.EXITED)
    ):
        return _Answer(
            holds=False, unproven=True,
            message=f"`{run.command}` cannot run here, and could not at the base either: {message}",
            detail={"red_before": True},
        )  # fmt: skip
    errors = [c for c in run.cases or () if c.outcome == "error"]
    if run.cannot_run and errors:
        message = (
            f"`{run.command}` cannot run: {count(len(errors), 'file')} cannot be collected "
            f"({_named(c.id for c in errors)}): {_first_line(errors[0].message)}"
        )
    return _Answer(holds=False, message=message, detail={"failing": _failing_data(errors, runs)})


def _red(runs: ChangeRuns, head: TestRun, bad: Sequence[CommandRun], message: str) -> _Answer:
    """Tests ran and some failed: were they red before, or are they flaky?"""
    cases = failing(head)
    detail: dict[str, Any] = {"failing": _failing_data(cases, runs)}
    known = all(any(c.outcome in {"failed", "error"} for c in r.cases or ()) for r in bad)
    if not known:
        if runs.base is not None and not runs.base.passed:
            return _Answer(
                holds=False, unproven=True, detail={**detail, "red_before": True},
                message=f"{message}. The base was red before, and no test is known by name to compare",
            )  # fmt: skip
        return _Answer(holds=False, message=message, detail=detail)
    new = [c for c in cases if normal_id(c.id) not in runs.red_before]
    still = [c for c in new if normal_id(c.id) not in runs.flaky]
    old = len(cases) - len(new)
    before = f"{count(old, 'test')} {'was' if old == 1 else 'were'} red before, at the base" if old else ""
    if still:
        words = f"{count(len(still), 'test')} {'fails' if len(still) == 1 else 'fail'}: {_named(c.id for c in still)}"
        return _Answer(
            holds=False, message="; ".join(filter(None, (f"{message}. {words}", before))), detail=detail
        )
    flaky = f"flaky, red and green at this commit: {_named(c.id for c in new)}" if new else ""
    passed = head.counts.passed if head.counts else 0
    if not passed:
        return _Answer(
            holds=False, unproven=True, detail=detail, message=f"no test passed: nothing was tested; {before}"
        )
    detail |= {"red_before": [c.id for c in cases if c not in new][:50], "flaky": [c.id for c in new][:50]}
    return _Answer(message="; ".join(filter(None, (f"{passed} passed", before, flaky))), detail=detail)


def _failing_data(cases: Sequence[CaseResult], runs: ChangeRuns) -> list[dict[str, Any]]:
    return [
        {
            "id": shown(c.id), "file": shown(c.file), "message": c.message[:MESSAGE_CHARS],
            "red_before": normal_id(c.id) in runs.red_before, "flaky": normal_id(c.id) in runs.flaky,
        }
        for c in cases[:50]
    ]  # fmt: skip


# -- nothing-lost ----------------------------------------------------------------------------------
# A test that fails is not lost: `suite` names it.


def _nothing_lost(runs: ChangeRuns, note: str) -> _Answer:
    if runs.head is None:
        return _not_compared("the head was not tested")
    if runs.base is None:
        return _not_compared(f"the base could not be measured: {runs.base_error or 'no run'}")
    before = runs.base.counts
    if before is None or not before.passed:
        if before is None and runs.base.passed:
            return _not_compared("no test count of the base can be read")
        return _Answer(message="no test passed at the base, so none could be lost", detail={"base_passed": 0})
    after = runs.head.counts
    detail = {"base_passed": before.passed, "head_passed": after.passed if after else None}
    if runs.base.cases is None or runs.head.cases is None:
        answer = _by_number(runs, note)
    else:
        answer = _by_id(runs, note, runs.base.cases, runs.head.cases)
    answer.detail |= detail
    return answer


def _not_compared(why: str) -> _Answer:
    return _Answer(holds=False, unproven=True, message=f"not compared with the base: {why}")


def _by_id(runs: ChangeRuns, note: str, base: Sequence[CaseResult], head: Sequence[CaseResult]) -> _Answer:
    lost = [t for t in lost_tests(base, head, runs.renames) if t.how != "failed"]
    renamed = [t for t in lost if t.renamed_to and _lives_on(runs, t) and _passes_on_head(runs, t)]
    open_ = [t for t in lost if t not in renamed]
    named, silent = _split(open_, note, runs)
    number = len([c for c in base if c.outcome == "passed"])
    detail = {
        "by": "id",
        "lost": [
            {"id": shown(t.id), "file": shown(t.file), "how": t.how, "renamed_to": shown(t.renamed_to)}
            for t in open_[:100]
        ],
        "renamed": [{"id": shown(t.id), "to": shown(t.renamed_to)} for t in renamed[:100]],
    }  # fmt: skip
    if silent:
        words = _lost_words(silent)
        return _Answer(
            holds=False, exceptions=named, detail=detail | {"hints": _hints(runs)},
            message=f"{count(len(silent), 'test')} that passed at the base {_are(silent)} lost: {words}",
        )  # fmt: skip
    message = "the test that passed at the base is run here"
    if number != 1:
        message = f"all {number} tests that passed at the base are run here"
    if renamed:
        message += f", {len(renamed)} of them under another name"
    if named:
        message = f"of {number} tests that passed at the base {len(named)} do not pass here, each named with its reason"
    return _Answer(message=message, exceptions=named, detail=detail)


def _lives_on(runs: ChangeRuns, test: LostTest) -> bool:
    """Whether the new test is this one: with most of its words, and every value that it compares with."""
    return lives_on(test.id, test.renamed_to, runs.test_texts, test.file, runs.renames)


def _passes_on_head(runs: ChangeRuns, test: LostTest) -> bool:
    """Whether the base's own test of that name passes on the head's sources: then it was renamed."""
    if runs.only_tests_changed:
        return True
    here = {normal_id(c.id) for run in (runs.base_tests, *runs.base_tests_again) for c in passing(run)}
    return normal_id(test.id) in here


def _split(lost: Iterable[LostTest], note: str, runs: ChangeRuns) -> tuple[list[NamedTest], list[LostTest]]:
    named: list[NamedTest] = []
    silent: list[LostTest] = []
    for test in lost:
        reason = reason_for(note, test.id, test.file, file_gone=test.file in runs.gone)
        if reason:
            named.append(NamedTest(id=shown(test.id), what=test.how, reason=reason))
        else:
            silent.append(test)
    return named, silent


def _lost_words(lost: Sequence[LostTest]) -> str:
    words = [f"{shown(t.id)} ({_how(t)})" for t in lost[:AT_MOST]]
    more = f" and {len(lost) - AT_MOST} more" if len(lost) > AT_MOST else ""
    return ", ".join(words) + more


def _how(test: LostTest) -> str:
    return f"gone, {shown(test.renamed_to)} in its place" if test.renamed_to else test.how


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _by_number(runs: ChangeRuns, note: str) -> _Answer:
    """Where no test has a name the numbers are compared."""
    base, head = runs.base, runs.head
    assert base is not None and base.counts is not None and head is not None
    before, after = base.counts.passed, head.counts.ran if head.counts else 0
    detail = {"by": "number"}
    if after >= before:
        return _Answer(
            message=f"{after} tests ran here, {before} passed at the base (by number)", detail=detail
        )
    named = _named_files(runs, note)
    if named:
        return _Answer(
            exceptions=named, detail=detail,
            message=f"{after} tests ran here, {before} passed at the base; what was taken away is named",
        )  # fmt: skip
    return _Answer(
        holds=False, detail=detail | {"hints": _hints(runs)},
        message=f"{after} tests ran here, {before} passed at the base: {before - after} are lost{_hint_words(runs)}",
    )  # fmt: skip


def _named_files(runs: ChangeRuns, note: str) -> list[NamedTest]:
    """Where tests have no ids, what reading the files shows is named by file and test."""
    found = []
    for path, what, _ in runs.losses:
        reason = reason_for(note, path, "") if is_named(path, note) else ""
        if reason:
            found.append(NamedTest(id=shown(path), what=what, reason=reason))
    return found if len(found) == len(runs.losses) else []


def _hints(runs: ChangeRuns) -> list[str]:
    return [f"{shown(path)}: {what}" for path, what, _ in runs.losses[:20]]


def _hint_words(runs: ChangeRuns) -> str:
    hints = _hints(runs)
    return f" ({'; '.join(hints[:3])})" if hints else ""


# -- base-tests ------------------------------------------------------------------------------------


def _base_tests(runs: ChangeRuns, note: str) -> _Answer:
    if runs.laid.commit == runs.head_sha:
        return _Answer(
            message="the branch changes no test and nothing of how tests run", detail={"changed": False}
        )
    if runs.head is None or runs.base is None:
        return _not_compared("there is no run to compare with")
    taken = [shown(p) for p in runs.laid.taken[:50]]
    run = runs.base if runs.only_tests_changed else runs.base_tests
    if run is None:
        return _not_compared(f"the base's tests could not be run here: {runs.base_tests_error or 'no run'}")
    if runs.only_tests_changed:
        answer = _Answer(message="only tests were changed: the base's tests ran at the base")
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
    red = [c for c in failing(run) if c.outcome == "failed" and short_name(c) in here and not _is_import(c)]
    counts = run.counts if run is not None and run.cases is None else None
    number = len(red) or (counts.failed if counts else 0)
    if not number:
        return []
    words = f": {_named(c.id for c in red)}" if red else ""
    fails = "fails" if number == 1 else "fail"
    reason = f"{count(number, 'changed test')} {fails} as the base says that tests are run{words}"
    place = listed([shown(p) for p in runs.configuration], at_most=3)
    return [NamedTest(id=place, what="changes how tests are run", reason=reason, kind="place")]


def _without_turned(runs: ChangeRuns, note: str, run: TestRun, answer: _Answer) -> _Answer:
    """A test that was red before and still is on this code, and is green at the head only because it was changed."""
    here = {normal_id(c.id) for c in passing(runs.head)}
    red = [c for c in failing(run) if c.outcome == "failed" and normal_id(c.id) in here & runs.red_before]
    red = [c for c in red if not _is_import(c)]
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
            f"{_named(c.id for c in silent)}"
        )
    return answer


def _have_ids(base: TestRun, run: TestRun) -> bool:
    return base.cases is not None and bool(base.cases) and run.cases is not None


def _base_tests_by_id(runs: ChangeRuns, note: str, run: TestRun) -> _Answer:
    ends = {normal_id(c.id): c for c in cases_of(run)}
    green = {short_name(c) for again in runs.base_tests_again for c in passing(again)}
    green -= {short_name(c) for again in runs.base_tests_again for c in failing(again)}
    passed_before = [c for c in passing(runs.base) if normal_id(c.id) not in runs.flaky]
    pairs = [(c, ends.get(normal_id(c.id))) for c in passed_before if short_name(c) not in green]
    wrong = [
        end
        for _, end in pairs
        if end is not None and end.outcome in {"failed", "skipped"} and not _is_import(end)
    ]
    wrong += [end for _, end in pairs if end is not None and end.outcome == "error" and not _is_import(end)]
    missing = [
        c for c, end in pairs if end is None or (end.outcome in {"failed", "error"} and _is_import(end))
    ]
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
        return _Answer(
            holds=False, exceptions=named, detail=detail,
            message=f"{count(len(silent), 'test')} of the base {'fails' if len(silent) == 1 else 'fail'} on this code "
            f"as {'it was' if len(silent) == 1 else 'they were'} before the branch changed the tests: "
            f"{_named(c.id for c in silent)}",
        )  # fmt: skip
    if missing and (refuted := _unexplained(runs, note, missing, run)):
        return _Answer(holds=False, exceptions=named, detail=detail, message=refuted)
    held = len(passed_before) - len(named) - len(missing)
    message = f"{held} of {len(passed_before)} tests of the base pass on this code as they were"
    if missing:
        message += f"; {len(missing)} are not comparable, they cannot be run with it: {_named(c.id for c in missing)}"
    if named:
        message += f"; {len(named)} do not, each named with its reason"
    return _Answer(message=message, exceptions=named, detail=detail)


_IMPORT_WORDS = (
    "ImportError", "ModuleNotFoundError", "Cannot find module", "Cannot find package", "ERR_MODULE_NOT_FOUND",
    "does not provide an export named", "cannot import name", "LoadError", "ClassNotFoundException",
    "NoClassDefFoundError", "NoSuchMethodError", "NoSuchFieldError", "collection failure", "Failed to load url",
    "Failed to import test module", "fixture '", "Class \"", "build failed", "cannot find symbol",
)  # fmt: skip


def _is_import(case: CaseResult) -> bool:
    """A test that did not come to its own work, because what it names is not there.

    Of a test that failed the first or the last line of its message has to say so: an assertion may print anything.
    """
    lines = [line for line in case.message.splitlines() if line.strip()]
    told = "\n".join(lines[:1] + lines[-1:] if case.outcome == "failed" else lines)[:4000]
    if "fixture '" in told and "not found" not in told:
        told = told.replace("fixture '", "")
    return any(word in told for word in _IMPORT_WORDS)


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
            return f"{count(len(gone), 'test')} of the base did not run on this code: {_named(c.id for c in gone)}"
    found = [(p, what) for p, what, _ in runs.losses if (not files or p in files) and not is_named(p, note)]
    if not found:
        return ""
    words = "; ".join(f"{shown(p)}: {what}" for p, what in found[:AT_MOST])
    return f"the base's tests cannot be run with this code, and the branch took from them: {words}"


def _base_tests_by_number(runs: ChangeRuns, note: str, run: TestRun) -> _Answer:
    assert runs.base is not None
    before = runs.base.counts
    after = run.counts
    passed_before = before.passed if before else 0
    failed_before = before.failed if before else 0
    passed, failed = (after.passed, after.failed) if after else (0, 0)
    words = f"{passed} of the base's tests pass on this code, {passed_before} passed at the base"
    if passed >= passed_before and failed <= failed_before and (run.passed or not runs.base.passed):
        return _Answer(message=words, detail={"by": "number"})
    named = _named_files(runs, note) if runs.losses else []
    bad = next((r for r in run.runs if not r.passed), None)
    if not failed and bad is not None and bad.cannot_run:
        refuted = _unexplained(runs, note, [], run)
        message = (
            refuted or f"not comparable: `{bad.command}` cannot be run with the base's tests on this code"
        )
        return _Answer(holds=not refuted, message=message, exceptions=named if not refuted else [],
                       detail={"by": "number", "not_comparable": [bad.command]})  # fmt: skip
    if named:
        return _Answer(
            message=f"{words}; what was changed is named", exceptions=named, detail={"by": "number"}
        )
    how = f", {failed} fail" if failed else ""
    if run.passed and not after:
        how = ", and no count can be read of this run"
    elif bad is not None and not failed:
        how = f": `{bad.command}` {command_words(bad)}"
    return _Answer(holds=False, message=words + how, detail={"by": "number"})


# -- shows-the-change, steady ----------------------------------------------------------------------


def _shown(runs: ChangeRuns, proof: Proof) -> _Answer:
    if proof is Proof.OFF:
        return _Answer(message="switched off by the repository", detail={"proof": str(proof)})
    shows, message, detail = _what_shows(runs)
    holds = shows or proof is Proof.REPORTED
    return _Answer(holds=holds, message=message, detail={**detail, "proof": str(proof), "shows": shows})


def _what_shows(runs: ChangeRuns) -> tuple[bool, str, dict[str, Any]]:
    if not runs.changed_tests:
        return False, "no test was added or changed: nothing shows the change", {}
    if not runs.thorough:
        return False, "not tried at the base yet: that is done at the end", {}
    run = runs.shown
    if run is None:
        return (
            False,
            "not measured: only tests were changed, or they cannot be run by themselves and all take too long",
            {},
        )
    here = {short_name(c) for c in passing(runs.head)}
    red = [c for c in failing(run) if c.outcome == "failed" and short_name(c) in here]
    if red:
        ids = [shown(c.id) for c in red[:50]]
        one = len(red) == 1
        verbs = ("fails", "passes") if one else ("fail", "pass")
        words = f"{count(len(red), 'test')} {verbs[0]} at the base and {verbs[1]} here"
        return True, f"{words}: {_named(ids)}", {"tests": ids}
    broken = any(c.outcome == "error" and normal_id(c.id) not in runs.red_before for c in cases_of(run))
    stops = any(r.cannot_run for r in run.runs) and not (
        runs.base and any(r.cannot_run for r in runs.base.runs)
    )
    if broken or stops:
        return (
            True,
            f"the changed tests cannot run at the base and pass here: {listed(runs.changed_tests, at_most=3)}",
            {},
        )
    failed = run.counts.failed if run.cases is None and run.counts else 0
    if failed > (runs.base.counts.failed if runs.base and runs.base.counts else 0):
        return True, f"{count(failed, 'changed test')} fail at the base and pass here", {}
    return False, f"the changed tests pass at the base, too: {listed(runs.changed_tests, at_most=3)}", {}


def _steady(runs: ChangeRuns) -> _Answer:
    if runs.head is None:
        return _not_compared("the head was not tested")
    if not runs.steady:
        why = (
            "nothing new to repeat"
            if not runs.changed_tests
            else "not repeated: single tests cannot be run here, and all take too long"
        )
        if not runs.head.passed:
            why = "not repeated: the suite is red"
        elif not runs.thorough:
            why = "not repeated yet: that is done at the end"
        return _Answer(message=why, detail={"measured": False})
    what = "the changed tests" if runs.steady[0].commands != runs.commands else "all tests"
    bad = next((r for r in runs.steady if not r.passed), None)
    times = len(runs.steady) + 1
    detail = {"runs": times, "measured": True}
    if bad is None:
        return _Answer(message=f"{what} passed {times} times in a row", detail=detail)
    before = {normal_id(c.id) for c in failing(runs.base)}
    red = [c for c in failing(bad) if normal_id(c.id) not in before]
    last = bad.runs[-1]
    words = _named(c.id for c in red) if red else f"`{last.command}` {command_words(last)}"
    again = len(runs.steady_again)
    if again > 1 and all(r.passed for r in runs.steady_again):
        return _Answer(
            detail={**detail, "flaky": [shown(c.id) for c in failing(bad)[:50]]},
            message=f"flaky: {words} failed once in {times} runs in one tree, and passed {again} times in fresh ones",
        )  # fmt: skip
    return _Answer(
        holds=False, detail={**detail, "failing": _failing_data(red, runs)},
        message=f"{what} passed once and failed in run {runs.steady.index(bad) + 2} of {times} at one commit: {words}",
    )  # fmt: skip


def _named(ids: Iterable[str]) -> str:
    return listed(list(ids), at_most=AT_MOST)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E ")] or lines
    return (
        telling[-1 if telling is not lines else 0].removeprefix("E ").strip()[:200]
        if telling
        else "no reason given"
    )
