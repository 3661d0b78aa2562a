"""The fact `nothing-lost`: what passed at the base is run at the head, by id, else by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator_action.protocol.paths import shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.answer import AT_MOST, Answer, named_files, not_compared
from orchestrator_action.verify.change_runs import (
    ChangeRuns,
    cases_of,
    passing,
)
from orchestrator_action.verify.compare import LostTest, function_of, lost_tests, normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.python_checks import taken_over
from orchestrator_action.verify.exceptions import NamedTest, reason_for
from orchestrator_action.verify.merged import became_rows
from orchestrator_action.verify.only_names import only_renamed
from orchestrator_action.verify.renamed import bare_name, block_with_rows, lives_on, text_of_test


def nothing_lost(runs: ChangeRuns, note: str) -> Answer:
    """Whether it holds, with what the claim names. A test that fails is not lost: `suite` names it."""
    if runs.head is None:
        return not_compared("the head was not tested")
    if runs.base is None:
        return not_compared(f"the base could not be measured: {runs.base_error or 'no run'}")
    before = runs.base.counts
    if before is None or not before.passed:
        if before is None and runs.base.passed:
            return not_compared("no test count of the base can be read")
        return Answer(message="no test passed at the base, so none could be lost", detail={"base_passed": 0})
    after = runs.head.counts
    detail = {"base_passed": before.passed, "head_passed": after.passed if after else None}
    if runs.base.cases is None or runs.head.cases is None:
        answer = _by_number(runs, note)
    else:
        answer = _by_id(runs, note, runs.base.cases, runs.head.cases)
    answer.detail |= detail
    return answer


def _by_id(runs: ChangeRuns, note: str, base: Sequence[CaseResult], head: Sequence[CaseResult]) -> Answer:
    lost = [t for t in lost_tests(base, head, runs.renames) if t.how != "failed"]
    elsewhere = _elsewhere(runs, lost)
    renamed = [
        t
        for t in lost
        if t in elsewhere or (t.renamed_to and _lives_on(runs, t) and _passes_on_head(runs, t))
    ]
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
        return Answer(
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
    return Answer(message=message, exceptions=named, detail=detail)


def _lives_on(runs: ChangeRuns, test: LostTest) -> bool:
    """Whether the new test is this one: with most of its words, and every value that it compares with."""
    return lives_on(test.id, test.renamed_to, runs.test_texts, test.file, runs.renames)


def _elsewhere(runs: ChangeRuns, lost: Sequence[LostTest]) -> list[LostTest]:
    """Tests that are run here by other names: their file says the same but for names, or they are written otherwise.

    A file in which only names differ has to have as many tests that pass. One test that is written otherwise is taken
    over by tests of which each passes and does what this one did, and the base's own has to pass on the new code.
    """
    gone = [t for t in lost if t.how == "gone"]
    if not gone:
        return []
    before, here = (passing(run) for run in (runs.base, runs.head))
    found: list[LostTest] = []
    for path, now in only_renamed(runs).items():
        if sum(c.file == path for c in before) <= sum(c.file == now for c in here):
            found += [t for t in gone if t.file == path]
    red = {(c.file, function_of(c)) for c in cases_of(runs.head) if c.outcome != "passed"}
    green = {(c.file, function_of(c)) for c in here} - red
    for path in {t.file for t in gone if t.file.endswith(".py")}:
        now = runs.renames.get(path, path)
        places = taken_over(runs.test_texts.get(path, ("", ""))[0], runs.test_texts.get(now, ("", ""))[1])
        for test in gone:
            by = places.get(function_of(CaseResult(id=test.id, outcome="passed", file=test.file)), ())
            there = test.file == path and by and all((now, name) in green for name in by)
            found += [test] if there and _passes_on_head(runs, test) else []
    for path in (p for p in runs.test_texts if not p.endswith(".py")):
        found += _in_tables(runs, [t for t in gone if t.file in {"", path} and t not in found], path)
    return found


def _in_tables(runs: ChangeRuns, gone: Sequence[LostTest], path: str) -> list[LostTest]:
    """Tests of one file that became rows of a new test beside them, whose every case passes."""
    now = runs.renames.get(path, path)
    old, new = (runs.test_texts.get(p, ("", ""))[side] for p, side in ((path, 0), (now, 1)))
    before = {normal_id(c.id) for c in cases_of(runs.base)}
    ends: dict[str, list[CaseResult]] = {}
    for case in cases_of(runs.head):
        if normal_id(case.id) not in before and case.file in {"", now}:
            ends.setdefault(block_with_rows(case.id, new), []).append(case)
    blocks = {test: text_of_test(test.id, old) for test in gone if _passes_on_head(runs, test)}
    names = {bare_name(c.id) for c in (*cases_of(runs.base), *cases_of(runs.head))}
    for table, cases in ends.items():
        rows = {test: text for test, text in blocks.items() if text and became_rows([text], table, names)}
        # in Go, one without subtests has its rows within it: the compiler sees that they are used
        in_one = path.endswith(".go") and len(cases) == 1 and table == text_of_test(cases[0].id, new)
        whole = (in_one or len(cases) >= len(rows) > 1) and all(c.outcome == "passed" for c in cases)
        if whole and len(rows) > 1 and became_rows(list(rows.values()), table, names):
            return list(rows)
    return []


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


def _by_number(runs: ChangeRuns, note: str) -> Answer:
    """Where no test has a name the numbers are compared."""
    base, head = runs.base, runs.head
    assert base is not None and base.counts is not None and head is not None
    before, after = base.counts.passed, head.counts.ran if head.counts else 0
    detail = {"by": "number"}
    if after >= before:
        return Answer(
            message=f"{after} tests ran here, {before} passed at the base (by number)", detail=detail
        )
    named = named_files(runs, note)
    if named:
        return Answer(
            exceptions=named, detail=detail,
            message=f"{after} tests ran here, {before} passed at the base; what was taken away is named",
        )  # fmt: skip
    return Answer(
        holds=False, detail=detail | {"hints": _hints(runs)},
        message=f"{after} tests ran here, {before} passed at the base: {before - after} are lost{_hint_words(runs)}",
    )  # fmt: skip


def _hints(runs: ChangeRuns) -> list[str]:
    return [f"{shown(path)}: {what}" for path, what, _ in runs.losses[:20]]


def _hint_words(runs: ChangeRuns) -> str:
    hints = _hints(runs)
    return f" ({'; '.join(hints[:3])})" if hints else ""
