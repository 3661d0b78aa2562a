"""The fact `shows-the-change`: a changed test fails without the change, and passes with it.

"Without" is the base first. Where a test fails there only because a name is missing, or does not fail at all, it
is the head with the functions of the branch made to do nothing. New tests that pass there, too, are an exception:
a person reads them, as they assert nothing, or test a copy or a mock.
"""

from __future__ import annotations

import re
from typing import Any

from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.answer import Answer, named_tests
from orchestrator_action.verify.change_runs import ChangeRuns, Proof, cases_of, failing, passing, short_name
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.testfiles import hollow_tests, test_names
from orchestrator_action.verify.exceptions import NamedTest
from orchestrator_action.verify.test_run import TestRun

_MISSING_NAME = re.compile(
    r"ImportError|ModuleNotFoundError|AttributeError|NameError|NoMethodError|LoadError|Cannot find (?:module|package)"
    r"|has no attribute|is not (?:a function|defined|a constructor|iterable)|cannot import name"
    r"|does not provide an export"
    r"|undefined (?:local variable|method|function|subroutine)|[Uu]ninitialized constant|of undefined|not found|BW01"
    r"|unexpected keyword argument|must be a method|does not (?:exist|have (?:the )?(?:method|attribute|property))"
)


def shows_the_change(runs: ChangeRuns, proof: Proof) -> Answer:
    """Whether it holds by the repository's policy, and whether a test shows it."""
    if proof is Proof.OFF:
        return Answer(message="switched off by the repository", detail={"proof": str(proof)})
    shows, message, detail = _what_shows(runs)
    nothing = _shows_nothing(runs)
    if nothing:
        shows, message = False, f"{nothing}: nothing shows the change"
    weak = "" if nothing else _takes_anything(runs)
    place = listed([shown(p) for p in runs.changed_tests], at_most=3)
    what = "shows nothing of the change" if nothing else "may take any value"
    exception = NamedTest(id=place, what=what, reason=nothing or weak, kind="place")
    return Answer(
        holds=shows or proof is Proof.REPORTED, message=message, exceptions=[exception] if nothing or weak else [],
        detail={**detail, "proof": str(proof), "shows": shows},
    )  # fmt: skip


def _red_without(runs: ChangeRuns) -> list[CaseResult]:
    """Tests that fail at the base and pass here."""
    here = {short_name(c) for c in passing(runs.head)}
    return [c for c in failing(runs.shown) if c.outcome == "failed" and short_name(c) in here]


def fails_by_itself(runs: ChangeRuns) -> bool:
    """Whether a test fails at the base by what it finds there, and not because a name is missing."""
    return any(not _MISSING_NAME.search(c.message) for c in _red_without(runs))


def _what_shows(runs: ChangeRuns) -> tuple[bool, str, dict[str, Any]]:
    if not runs.changed_tests:
        return False, "no test was added or changed: nothing shows the change", {}
    if not runs.thorough:
        return False, "not tried at the base yet: that is done at the end", {}
    run = runs.shown
    if run is None:
        why = "only tests were changed, or they cannot be run by themselves and all take too long"
        return False, f"not measured: {why}", {}
    if red := _red_without(runs):
        ids = [shown(c.id) for c in red[:50]]
        verbs = ("fails", "passes") if len(red) == 1 else ("fail", "pass")
        words = f"{count(len(red), 'test')} {verbs[0]} at the base and {verbs[1]} here"
        return True, f"{words}: {named_tests(ids)}", {"tests": ids}
    broken = any(c.outcome == "error" and normal_id(c.id) not in runs.red_before for c in cases_of(run))
    stopped_before = bool(runs.base and any(r.cannot_run for r in runs.base.runs))
    files = listed(runs.changed_tests, at_most=3)
    if broken or (any(r.cannot_run for r in run.runs) and not stopped_before):
        return True, f"the changed tests cannot run at the base and pass here: {files}", {}
    failed = run.counts.failed if run.cases is None and run.counts else 0
    if failed > (runs.base.counts.failed if runs.base and runs.base.counts else 0):
        return True, f"{count(failed, 'changed test')} fail at the base and pass here", {}
    return False, f"the changed tests pass at the base, too: {files}", {}


def _shows_nothing(runs: ChangeRuns) -> str:
    """Why the new tests show nothing, as far as it was measured or can be read; empty where they do, or none is new."""
    if runs.shown is None or runs.head is None or fails_by_itself(runs) or not (new := _new_tests(runs)):
        return ""
    if runs.head.cases is not None and not any(c.outcome == "passed" for c in new):
        return f"{count(len(new), 'new test')}, and none passes here"
    if runs.emptied is None or not _all_pass(runs.emptied, new):
        return ""
    if not runs.emptied_are_new and not _all_hollow(runs):
        return ""  # old tests are there for what was changed only
    words = {word for _, text in runs.test_texts.values() for word in re.findall(r"\w+[?!]?", text)}
    named = [name for name in runs.emptied_functions if name in words]
    if not named:
        return ""  # they are about something else that is new, such as a value
    functions = listed([f"`{shown(name)}`" for name in named], at_most=3)
    does = "does" if len(named) == 1 else "do"
    one = "the new test passes" if len(new) == 1 else "the new tests pass"
    return f"{one}, too, when {functions} of the branch {does} nothing"


def _takes_anything(runs: ChangeRuns) -> str:
    """That new tests look at what a new function gives, and take other values as well; empty where one does not."""
    if not runs.anything or runs.emptied is None:
        return ""
    idle = {short_name(c) for c in passing(runs.emptied)}
    looking = [c for c in _new_tests(runs) if c.outcome == "passed" and short_name(c) not in idle]
    if not looking or not all(short_name(c) in runs.anything for c in looking):
        return ""
    functions = listed([f"`{shown(name)}`" for name in runs.emptied_functions], at_most=3)
    one = "the new test passes" if len(looking) == 1 else "the new tests pass"
    gives = "gives" if len(runs.emptied_functions) == 1 else "give"
    return f"{one}, too, when {functions} of the branch {gives} other values"


def _all_pass(run: TestRun, new: list[CaseResult]) -> bool:
    """Whether these tests, as far as they passed at the head, pass here; without names, whether all do."""
    if run.cases is None or not all(c.id for c in new):
        return run.passed
    here = {short_name(c) for c in passing(run)}
    return all(short_name(c) in here for c in new if c.outcome == "passed")


def _all_hollow(runs: ChangeRuns) -> bool:
    """Whether reading the changed files shows new tests, and none that looks at anything."""
    before = {n for path, (old, _) in runs.test_texts.items() for n in test_names(path, old)}
    texts = {path: new for path, (_, new) in runs.test_texts.items()}
    added = {(path, n) for path, text in texts.items() for n in test_names(path, text) if n not in before}
    return bool(added) and added <= {(p, n) for p, text in texts.items() for n in hollow_tests(p, text)}


def _new_tests(runs: ChangeRuns) -> list[CaseResult]:
    """Tests of the head that the base does not know; where only numbers are known, one without a name for each more."""
    assert runs.head is not None
    if runs.head.cases is not None and runs.base is not None and runs.base.cases is not None:
        before = {normal_id(c.id) for c in runs.base.cases}
        return [c for c in runs.head.cases if normal_id(c.id) not in before]
    counts = [run.counts.ran if run and run.counts else 0 for run in (runs.base, runs.head)]
    return [CaseResult(id="", outcome="passed")] * (counts[1] - counts[0])
