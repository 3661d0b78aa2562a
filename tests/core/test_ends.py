"""How a task ends: one status and one conclusion each, and the exit code of the run."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.protocol.ends import cannot_run, conclude, end_word, exit_code, held_up
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.judge import open_for_agent
from orchestrator_action.protocol.model import (
    Declined,
    Fact,
    Finding,
    PhaseState,
    PhaseVerdict,
    Status,
    Task,
    Verdict,
    exceptions_of,
)
from orchestrator_action.protocol.phases import IDS

FINE = Outcome(ending=Ending.EXITED, exit_code=0)
TASK = Task(id="issue-1", title="T", text="", branch="b")
NAMED = {
    "id": "tests/test_a.py::test_b",
    "what": "fails on the head's sources",
    "reason": "the issue asks for 3",
}


def verdict(*, facts: tuple[Fact, ...] = (), **states: PhaseVerdict) -> Verdict:
    """All phases proven, but for those that are given."""
    phases = tuple(
        states.get(p.replace("-", "_"))
        or PhaseVerdict(phase=p, state=PhaseState.PROVEN, facts=facts if p == "testing" else ())
        for p in IDS
    )
    return Verdict(head_sha="a" * 40, phases=phases)


def open_phase(phase: str, rule: str, *, person: bool = False) -> PhaseVerdict:
    return PhaseVerdict(
        phase=phase,
        state=PhaseState(rule),
        findings=(Finding(rule=rule, message=f"{phase} is {rule}", person=person),),
    )


def exception_fact(*, holds: bool = True) -> Fact:
    return Fact(
        phase="testing",
        rule="base-tests",
        commit="a" * 40,
        holds=holds,
        message="2 named",
        detail={"exceptions": [NAMED]},
    )


def test_an_agent_that_declined_is_neither_right_nor_wrong():
    refuted = verdict(testing=open_phase("testing", "refuted"))

    end = conclude(FINE, AgentReport(), refuted, declined=Declined(because="no database", needs="one"))

    assert (Status.DECLINED, Conclusion.ACTION_REQUIRED) == (end.status, end.conclusion)
    assert "no database; it needs: one" == end.error


@pytest.mark.parametrize(
    ("outcome", "report", "problems", "status"),
    [
        (Outcome(ending=Ending.TIMEOUT), AgentReport(), (), Status.TIMEOUT),
        (FINE, AgentReport(), ("the worktree was tampered with",), Status.FAILED),
        (
            Outcome(ending=Ending.EXITED, exit_code=2),
            AgentReport(problems=("exit code 2",)),
            (),
            Status.FAILED,
        ),
    ],
    ids=["timeout", "tampered", "crashed"],
)
def test_declining_excuses_nothing_else(outcome, report, problems, status):
    end = conclude(outcome, report, verdict(), problems, declined=Declined(because="no"))

    assert status is end.status


def test_an_api_error_undoes_no_finished_task_and_excuses_no_open_one():
    report = AgentReport(problems=("exit code 1", "the API's error: 529"), api_failed=True)

    assert Status.SUCCESS is conclude(FINE, report, verdict()).status
    assert Status.FAILED is conclude(FINE, report, verdict(review=open_phase("review", "missing"))).status


def test_a_success_with_named_exceptions_needs_a_person():
    end = conclude(FINE, AgentReport(), verdict(facts=(exception_fact(), exception_fact())))

    assert (Status.SUCCESS, Conclusion.NEUTRAL) == (end.status, end.conclusion)


def test_an_exception_that_did_not_hold_is_none():
    assert () == exceptions_of(verdict(facts=(exception_fact(holds=False),)).phases)


def test_what_is_stale_or_waits_for_a_person_is_not_for_the_agent_to_close():
    """Phases go in order: behind one that waits for a person nothing can be claimed."""
    found = verdict(
        branch_management=open_phase("branch-management", "stale"),
        testing=open_phase("testing", "refuted"),
        review=open_phase("review", "unproven", person=True),
        settings_update=open_phase("settings-update", "missing"),
    )

    assert ["testing"] == [p.phase for p in open_for_agent(found)]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([Status.SUCCESS, Status.NO_CHANGE], 0),
        *[([Status.SUCCESS, s], 1) for s in Status if s not in {Status.SUCCESS, Status.NO_CHANGE}],
    ],
)
def test_only_success_and_no_change_are_exit_0(ends, code):
    results = [conclude(FINE, AgentReport(), verdict()).result(TASK, "") for _ in ends]
    assert code == exit_code(dataclasses.replace(r, status=s) for r, s in zip(results, ends, strict=True))


def test_a_base_that_cannot_be_measured_is_exit_2_and_a_dependency_exit_1():
    assert 2 == exit_code([cannot_run("no test command").result(TASK, "")])
    assert 1 == exit_code([held_up("issue-2 did not succeed").result(TASK, "")])
    assert 130 == exit_code([cannot_run("no test command").result(TASK, "")], interrupted=True)


@pytest.mark.parametrize("status", list(Status))
def test_each_status_has_one_word_for_its_label(status):
    good = status in {Status.SUCCESS, Status.NO_CHANGE}

    assert ("done" if good else "declined" if status is Status.DECLINED else "failed") == end_word(status)
