"""The facts of Testing, judged from what was run at the base, at the head, and on mixtures of both. Pure.

Whatever was red at the base is said to have been red before. A test that does not hold refutes, unless the
claim names it by id with a reason: then it is an exception, which a person has to read. What could not be
imported or compiled is called that, and never a failed test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, shown
from orchestrator_action.text.figures import count
from orchestrator_action.verify.answer import Answer, failing_data, named_tests, not_compared
from orchestrator_action.verify.base_tests import base_tests
from orchestrator_action.verify.change_runs import (
    ChangeRuns,
    Proof,
    end_words,
    failing,
)
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.nothing_lost import nothing_lost
from orchestrator_action.verify.shown import shows_the_change
from orchestrator_action.verify.test_run import CommandRun, TestRun, judge_run, run_detail

__all__ = ["ChangeRuns", "Proof", "testing_facts"]


def testing_facts(runs: ChangeRuns, *, note: str = "", proof: Proof = Proof.REPORTED) -> tuple[Fact, ...]:
    """`suite`, `nothing-lost`, `base-tests`, `shows-the-change` and `steady`, in this order."""
    suite = _suite(runs)
    answers = {
        "suite": suite,
        "nothing-lost": nothing_lost(runs, note),
        "base-tests": base_tests(runs, note),
        "shows-the-change": shows_the_change(runs, proof),
        "steady": _steady(runs),
    }
    if suite.detail.get("person"):  # whoever makes the suite run makes it comparable
        for answer in answers.values():
            answer.detail |= {"person": True} if answer.unproven else {}
    return tuple(answer.fact(rule, runs.head_sha) for rule, answer in answers.items())


def _suite(runs: ChangeRuns) -> Answer:
    if runs.head is None:
        why = f"nothing could be tested: {runs.head_error}" if runs.head_error else ""
        return Answer(
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


def _suite_of(runs: ChangeRuns, head: TestRun) -> Answer:
    judged = judge_run(head)
    if judged.holds:
        answer = Answer(message=judged.message)
        if runs.flaky:
            answer.message += (
                f"; flaky, red in one run at this commit and green in the next: {named_tests(runs.flaky)}"
            )
            answer.detail["flaky"] = sorted(runs.flaky)[:50]
        return answer
    detail: dict[str, Any] = {"person": True} if judged.person else {}
    if judged.unproven:
        return Answer(holds=False, unproven=True, message=judged.message, detail=detail)
    bad = [r for r in head.runs if not r.passed or (r.counts and r.counts.failed)]
    broken = [r for r in bad if r.cannot_run or r.outcome.ending is not Ending.EXITED]
    if broken:
        return _cannot_run(runs, broken[0], judged.message)
    return _red(runs, head, bad, judged.message)


def _cannot_run(runs: ChangeRuns, run: CommandRun, message: str) -> Answer:
    """The command did not come to run tests, or not to its end."""
    before = next((b for b in (runs.base.runs if runs.base else ()) if b.command == run.command), None)
    if (
        before is not None
        and not before.passed
        and (before.cannot_run or before.outcome.ending is not Ending.EXITED)
    ):
        return Answer(
            holds=False, unproven=True,
            message=f"`{run.command}` cannot run here, and could not at the base either: {message}",
            detail={"red_before": True},
        )  # fmt: skip
    errors = [c for c in run.cases or () if c.outcome == "error"]
    if run.cannot_run and errors:
        message = (
            f"`{run.command}` cannot run: {count(len(errors), 'file')} cannot be collected "
            f"({named_tests(c.id for c in errors)}): {_first_line(errors[0].message)}"
        )
    return Answer(holds=False, message=message, detail={"failing": failing_data(errors, runs)})


def _red(runs: ChangeRuns, head: TestRun, bad: Sequence[CommandRun], message: str) -> Answer:
    """Tests ran and some failed: were they red before, or are they flaky?"""
    cases = failing(head)
    detail: dict[str, Any] = {"failing": failing_data(cases, runs)}
    after = [r for r in bad if _fails_after_its_tests(runs, r)]
    known = all(r in after or any(c.outcome in {"failed", "error"} for c in r.cases or ()) for r in bad)
    if not known:
        if runs.base is not None and not runs.base.passed:
            return Answer(
                holds=False, unproven=True, detail={**detail, "red_before": True},
                message=f"{message}. The base was red before, and no test is known by name to compare",
            )  # fmt: skip
        return Answer(holds=False, message=message, detail=detail)
    new = [c for c in cases if normal_id(c.id) not in runs.red_before]
    still = [c for c in new if normal_id(c.id) not in runs.flaky]
    old = len(cases) - len(new)
    before = f"{count(old, 'test')} {'was' if old == 1 else 'were'} red before, at the base" if old else ""
    if still:
        names = named_tests(c.id for c in still)
        words = f"{count(len(still), 'test')} {'fails' if len(still) == 1 else 'fail'}: {names}"
        return Answer(
            holds=False, message="; ".join(filter(None, (f"{message}. {words}", before))), detail=detail
        )
    flaky = f"flaky, red and green at this commit: {named_tests(c.id for c in new)}" if new else ""
    passed = head.counts.passed if head.counts else 0
    if not passed:
        return Answer(
            holds=False, unproven=True, detail=detail, message=f"no test passed: nothing was tested; {before}"
        )
    detail |= {"red_before": [c.id for c in cases if c not in new][:50], "flaky": [c.id for c in new][:50]}
    ends = [
        f"`{r.command}` ends with {r.outcome.exit_code} after its tests, as it did at the base" for r in after
    ]
    return Answer(message="; ".join(filter(None, (f"{passed} passed", before, flaky, *ends))), detail=detail)


def _fails_after_its_tests(runs: ChangeRuns, run: CommandRun) -> bool:
    """Whether a command says no although every test that it names passed, in the very way it did at the base.

    An audit or a linter in `posttest` does so. Tests that did not come to their turn are lost, and named as such.
    """
    before = next((b for b in (runs.base.runs if runs.base else ()) if b.command == run.command), None)
    if before is None or before.passed or run.passed:
        return False
    return run.only_passing and before.only_passing and run.outcome.exit_code == before.outcome.exit_code


def _steady(runs: ChangeRuns) -> Answer:
    if runs.head is None:
        return not_compared("the head was not tested")
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
        return Answer(message=why, detail={"measured": False})
    what = "the changed tests" if runs.steady[0].commands != runs.commands else "all tests"
    bad = next((r for r in runs.steady if not runs.went_well(r)), None)
    times = len(runs.steady) + 1
    detail = {"runs": times, "measured": True}
    if bad is None:
        return Answer(message=f"{what} passed {times} times in a row", detail=detail)
    before = {normal_id(c.id) for c in failing(runs.base)}
    red = [c for c in failing(bad) if normal_id(c.id) not in before]
    last = bad.runs[-1]
    words = named_tests(c.id for c in red) if red else f"`{last.command}` {end_words(last)}"
    again = len(runs.steady_again)
    if again > 1 and all(map(runs.went_well, runs.steady_again)):
        return Answer(
            detail={**detail, "flaky": [shown(c.id) for c in failing(bad)[:50]]},
            message=f"flaky: {words} failed once in {times} runs in one tree, and passed {again} times in fresh ones",
        )  # fmt: skip
    return Answer(
        holds=False, detail={**detail, "failing": failing_data(red, runs)},
        message=f"{what} passed once and failed in run {runs.steady.index(bad) + 2} of {times} at one commit: {words}",
    )  # fmt: skip


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("E ")] or lines
    return (
        telling[-1 if telling is not lines else 0].removeprefix("E ").strip()[:200]
        if telling
        else "no reason given"
    )
