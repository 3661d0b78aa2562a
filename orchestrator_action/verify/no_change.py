"""*No change needed* is a claim like any other: the base's tests pass, and a reviewer finds nothing missing.

Pure: what was run and what was found comes in, facts go out.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.protocol.model import Demand, Fact
from orchestrator_action.text.figures import count
from orchestrator_action.verify.test_run import TestRun, judge_run


def base_passes(base: TestRun | None, head: str, demand: Demand) -> Fact:
    """Whether the tests pass as the repository is. A repository that asks for no tests needs none here either."""
    if demand is Demand.OFF or (demand is Demand.WAIVABLE and (base is None or not base.runs)):
        return _fact("base-passes", head, True, "this repository asks for no tests")
    if base is None:
        return _fact("base-passes", head, False, "the base's tests could not be run", unproven=True)
    judged = judge_run(base)
    message = f"the base's tests: {judged.message}"
    detail = {k: True for k in ("unproven", "person") if getattr(judged, k)}
    return _fact("base-passes", head, judged.holds, message, **detail)


def already_met(findings: Sequence[ReviewFinding], head: str) -> Fact:
    """Whether a separate session, asked if the task is met as things are, found nothing missing."""
    if not findings:
        return _fact("already-met", head, True, "a separate session found the task met as things are")
    said = "; ".join(f.text for f in findings[:3])
    more = f"a separate session says that the task is not met ({count(len(findings), 'finding')}): {said}"
    return _fact("already-met", head, False, more)


def not_asked(why: str, head: str, *, person: bool) -> Fact:
    """Nobody could be asked whether the task is met."""
    return _fact("already-met", head, False, why, unproven=True, **({"person": True} if person else {}))


def _fact(rule: str, head: str, holds: bool, message: str, **detail: bool) -> Fact:
    return Fact(phase="implementation", rule=rule, commit=head, holds=holds, message=message, detail=detail)
