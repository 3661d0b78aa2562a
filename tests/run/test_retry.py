"""What may pass is tried again, within bounds and behind one gate; what will not pass is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestrator_action.agents.registry import make_agent
from orchestrator_action.config.schema import Config
from orchestrator_action.process.concurrency import Machine, Slots
from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.state.failure import Chances, Failure, failure_of
from tests.kit.scripted import ScriptedAgent, overloaded, say
from tests.kit.tables import few
from tests.kit.whole import GOOD, House
from tests.run.conftest import InProcess


def task(home: House):
    home.issue(1, "Add more", GOOD)


def test_overloaded_twice_then_fine_is_a_success_of_three_attempts(home: House, inside: InProcess):
    """FAULTS 21: separate logs, every failure in the report."""
    task(home)

    report = inside.run(ScriptedAgent(programs=[overloaded(), overloaded(), "patch"]))

    [result] = report.tasks
    assert ("success", 3, ("overloaded", "overloaded")) == (result.status, result.attempts, result.failures)
    logs = sorted(p.name for p in (home.run_dir / "tasks" / "issue-1").glob("agent*.log"))
    assert ["agent-2.log", "agent-3.log", "agent.log"] == logs
    assert result.log.endswith("agent-3.log")
    body = json.loads((home.run_dir / "report.json").read_text())
    assert {"overloaded": 2} == body["failures"]
    home.assert_tidy()


def test_retries_are_bounded(home: House, inside: InProcess):
    task(home)
    agent = ScriptedAgent(programs=[overloaded()])

    [result] = inside.run(agent, flags={"retries": 2}).tasks

    assert ("failed", 3, 3) == (result.status, result.attempts, len(agent.given))
    assert "overloaded" in result.error


@pytest.mark.parametrize(
    ("program", "failure"),
    few(
        [
            (say({"problem": "401 unauthorized: invalid x-api-key"}, then="exit 1"), "authentication"),
            (say({"problem": "no such model"}, then="exit 1"), "model"),
            (say({"problem": "it broke"}, then="exit 1"), "agent"),
            (["sh", "-c", "exit 127"], "agent"),
            (["/nowhere/agent"], "spawn-failed"),
        ],
        2,
    ),
)
def test_what_will_not_pass_is_not_tried_again(home: House, inside: InProcess, program, failure):
    """FAULTS 21: 401, 127 → no retry."""
    task(home)
    agent = ScriptedAgent(programs=[program, "patch"])

    [result] = inside.run(agent).tasks

    assert ("failed", 1, (failure,)) == (result.status, len(agent.given), result.failures)


def test_no_sign_of_a_start_is_worth_one_more_try_and_no_third(home: House, inside: InProcess):
    """FAULTS 20: a start failure, retried once."""
    task(home)
    agent = ScriptedAgent(programs=[["sleep", "1000"]], announces_start=True)

    [result] = inside.run(agent, limits={"start_s": 0.3}).tasks

    assert ("failed", ("no-start", "no-start")) == (result.status, result.failures)
    assert 2 == len(agent.given)


def test_a_lost_guard_is_worth_one_more_try_and_no_third(home: House, inside: InProcess):
    """FAULTS 6: an infrastructure failure, retried once. The program kills its own guard."""
    task(home)
    agent = ScriptedAgent(programs=[["sh", "-c", "kill -9 $PPID; sleep 1000"]])

    [result] = inside.run(agent).tasks

    assert ("failed", ("lost", "lost")) == (result.status, result.failures)
    assert 2 == len(agent.given)
    home.assert_tidy()


def test_retries_set_to_none_are_none(home: House, inside: InProcess):
    task(home)
    agent = ScriptedAgent(programs=[overloaded(), "patch"])

    [result] = inside.run(agent, flags={"retries": 0}).tasks

    assert ("failed", 1) == (result.status, len(agent.given))


def test_a_ban_is_not_waited_out(home: House, inside: InProcess):
    """A Retry-After of an hour is an answer, not a queue."""
    task(home)
    agent = ScriptedAgent(programs=[overloaded(after_s=3600), "patch"])

    [result] = inside.run(agent).tasks

    assert ("failed", 1) == (result.status, len(agent.given))
    [ended] = [e for e in home.events() if e["kind"] == "attempt-ended"]
    back = datetime.strptime(result.error[-20:], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    assert result.error[:-20].endswith("the vendor asks to come back at ")
    assert -61 <= back.timestamp() - ended["at"] - 3600 <= 1


@pytest.mark.parametrize(
    ("programs", "failures"),
    few(
        [
            ([overloaded(after_s=3600)], ("quota",)),
            ([say({"problem": "usage limit reached, try again in 3 days"}, then="exit 1")], ("quota",)),
            ([overloaded()], ("overloaded", "overloaded")),
        ],
        1,
    ),
    ids=["ban", "usage limit", "stays overloaded"],
)
def test_the_next_agent_takes_over_when_a_vendor_refuses(home: House, inside: InProcess, programs, failures):
    """It begins afresh on a clean tree; who it was stands in the journal and in the result."""
    task(home)
    first, second = ScriptedAgent(programs=programs), ScriptedAgent()
    flags = {"retries": 1, "agent_fallback": ("command",)}

    [result] = inside.run(first, others={"command": second}, flags=flags).tasks

    assert ("success", failures, ("patch", "command")) == (result.status, result.failures, result.agents)
    assert [""] == [c.resume_session for c in second.given]
    [event] = [e["data"] for e in home.events() if e["kind"] == "handed-over"]
    assert ("patch", "command", failures[-1]) == (event["from"], event["to"], event["failure"])
    home.assert_tidy()


def test_nobody_takes_over_what_another_agent_would_fail_at_too(home: House, inside: InProcess):
    """A failure of the work, or a key that is refused, is told as that."""
    task(home)
    first = ScriptedAgent(programs=[say({"problem": "401 unauthorized"}, then="exit 1")])
    second = ScriptedAgent()

    [result] = inside.run(first, others={"command": second}, flags={"agent_fallback": ("command",)}).tasks

    assert ("failed", ("authentication",), []) == (result.status, result.failures, second.given)


def test_an_agent_that_cannot_start_is_passed_over_and_named(home: House, inside: InProcess):
    task(home)
    first = ScriptedAgent(programs=[overloaded(after_s=3600)])
    missing = replace(make_agent("gemini", Config()), executable="/nowhere/gemini")
    others = {"gemini": missing, "command": ScriptedAgent()}

    [result] = inside.run(first, others=others, flags={"agent_fallback": ("gemini", "command")}).tasks

    [event] = [e["data"] for e in home.events() if e["kind"] == "handed-over"]
    assert ("success", ("patch", "command")) == (result.status, result.agents)
    assert ["gemini"] == list(event["passed_over"])
    assert "not installed" in event["passed_over"]["gemini"]


def test_without_another_agent_the_limit_stands_in_the_result(home: House, inside: InProcess):
    task(home)
    words = "usage limit reached, try again in 3 days"
    first = ScriptedAgent(programs=[say({"problem": words}, then="exit 1")])

    [result] = inside.run(first, flags={"agent_fallback": ("patch",)}).tasks

    assert ("failed", ("quota",)) == (result.status, result.failures)
    assert words in result.error


def test_no_further_task_begins_with_an_agent_whose_quota_is_used_up(home: House, inside: InProcess):
    """It would end the same way: its issue keeps its label, and is told why."""
    for number in (1, 2, 3):
        home.issue(number, f"Task {number}", GOOD)
    words = "usage limit reached, try again in 3 days"
    agent = ScriptedAgent(programs=[say({"problem": words}, then="exit 1")])

    report = inside.run(agent, slots=1)

    assert [("failed", 1), ("blocked", 0), ("blocked", 0)] == [(t.status, t.attempts) for t in report.tasks]
    assert f"patch is out of quota: {words}" in report.tasks[-1].error
    told = "".join(p.read_text() for p in (home.forge / "comments" / "3").glob("*"))
    assert "not started" in told and words in told and "The label stays" in told
    assert 1 == len(agent.given)


def test_another_agent_that_may_take_over_begins_all_the_same(home: House, inside: InProcess):
    for number in (1, 2):
        home.issue(number, f"Task {number}", GOOD)
    first = ScriptedAgent(
        programs=[say({"problem": "usage limit reached, try again in 3 days"}, then="exit 1")]
    )

    report = inside.run(
        first, others={"command": ScriptedAgent()}, slots=1, flags={"agent_fallback": ("command",)}
    )

    assert ["success", "success"] == [t.status for t in report.tasks]


def test_retry_after_is_waited_out(home: House, inside: InProcess):
    task(home)
    agent = ScriptedAgent(programs=[overloaded(after_s=0.7), "patch"])

    [result] = inside.run(agent).tasks

    ends = {e["data"]["attempt"]: e["at"] for e in home.events() if e["kind"] == "attempt-ended"}
    starts = {e["data"]["attempt"]: e["at"] for e in home.events() if e["kind"] == "attempt-started"}
    assert "success" == result.status
    assert starts[2] - ends[1] >= 0.69


def test_a_fresh_attempt_gets_a_clean_worktree_and_what_lay_there_is_saved(home: House, inside: InProcess):
    task(home)
    mess = say(
        {"transient": True},
        then="echo precious > notes; echo x >> README.md; touch .git-not; git add notes; exit 1",
    )

    [result] = inside.run(ScriptedAgent(programs=[mess, "patch"])).tasks

    assert "success" == result.status, result.error
    saved = home.repo.git("show", "refs/orchestrator/salvage/issue-1:notes")
    assert "precious" == saved
    home.assert_tidy()


def test_a_lock_file_of_a_killed_git_does_not_stop_the_next_attempt(home: House, inside: InProcess):
    task(home)
    locked = say({"transient": True}, then='touch "$(git rev-parse --git-dir)/index.lock"; exit 1')

    [result] = inside.run(ScriptedAgent(programs=[locked, "patch"])).tasks

    assert "success" == result.status, result.error
    home.assert_tidy()


def test_a_session_is_taken_up_again_with_what_is_open(home: House, inside: InProcess):
    task(home)
    agent = ScriptedAgent(
        programs=[say({"session": "s-1", "turns": 1, "transient": True}, then="exit 1"), "patch"],
        resumes=True,
    )

    inside.run(agent)

    first, second, *_ = agent.given
    assert ("", "s-1") == (first.resume_session, second.resume_session)
    assert "initial-setup" in second.message


def test_a_retry_never_meets_processes_of_the_attempt_before(home: House, inside: InProcess, tmp_path):
    """FAULTS 21: the daemon of the first attempt is gone before the second begins."""
    task(home)
    seen = tmp_path / "seen"
    daemon = f"setsid sh -c 'trap \"\" TERM INT; echo $$ > {seen}; sleep 1000' &"
    wait = f"while [ ! -s {seen} ]; do sleep 0.01; done"
    first = say({"transient": True}, then=f"{daemon} {wait}; exit 1")
    second = ["sh", "-c", f"kill -0 $(cat {seen}) && echo alive > {seen}.met; exit 0"]

    inside.run(ScriptedAgent(programs=[first, second]))

    assert seen.exists() and not seen.with_name("seen.met").exists()


def test_all_tasks_slow_down_together(home: House, inside: InProcess):
    """One gate: four at once are told "too much", from then on two at most are let in."""
    for number in range(1, 5):
        home.issue(number, f"Task {number}", GOOD)
    meet = "mkdir -p ../../m; touch ../../m/$$; while [ $(ls ../../m | wc -l) -lt 4 ]; do sleep 0.02; done"
    first = say({"transient": True}, then=f"{meet}; exit 1")

    report = inside.run(ScriptedAgent(programs=[first, ["sh", "-c", "sleep 0.5"]]), slots=4)

    assert 4 == report.peak_parallel
    spans = [
        (e["data"]["started_at"], e["data"]["started_at"] + e["data"]["wall_s"])
        for e in home.events()
        if e["kind"] == "attempt-ended" and e["data"]["attempt"] == 2
    ]
    from orchestrator_action.run.run import peak

    assert 4 == len(spans) and peak(spans) <= 2


@pytest.mark.slow
def test_the_youngest_makes_room_and_is_not_charged(home: House, inside: InProcess):
    """FAULTS 23: memory below the floor → nothing admitted, the youngest requeued."""
    for number in (1, 2):
        home.issue(number, f"Task {number}", GOOD)
    memory = [9000]

    def machine() -> Machine:
        begun = (
            sum(e["kind"] == "attempt-running" for e in home.events()) if home.forge.parent.exists() else 0
        )
        requeued = any(e["kind"] == "requeued" for e in home.events())
        memory[0] = 1 if begun >= 2 and not requeued else 9000
        return Machine(cores=2, memory_mib=memory[0])

    agent = ScriptedAgent(programs=[["sh", "-c", "sleep 4"], "patch"])
    ticks = iter(range(0, 1_000_000, 10))

    report = inside.run(
        agent, places=Slots(2, machine=lambda: _safe(machine), clock=lambda: float(next(ticks)))
    )

    requeued = [e["task"] for e in home.events() if e["kind"] == "requeued"]
    assert 1 == len(requeued)
    [again] = [t for t in report.tasks if t.task_id == requeued[0]]
    assert ("success", 1, ()) == (again.status, again.attempts, again.failures)


def _safe(machine):
    try:
        return machine()
    except (OSError, IndexError, ValueError):
        return Machine(cores=2, memory_mib=9000)


@pytest.mark.parametrize(
    ("outcome", "report", "failure"),
    [
        (Outcome(ending=Ending.EXITED, exit_code=0), AgentReport(), None),
        (
            Outcome(ending=Ending.EXITED, signal=9, oom=True),
            AgentReport(problems=("killed",)),
            "out-of-memory",
        ),
        (Outcome(ending=Ending.TIMEOUT), AgentReport(), "timeout"),
        (Outcome(ending=Ending.RESULT_GRACE), AgentReport(), None),
        (
            Outcome(ending=Ending.EXITED, exit_code=1),
            AgentReport(limit="max-turns", problems=("x",)),
            "agent-limit",
        ),
        (Outcome(ending=Ending.ABORTED), AgentReport(), "agent"),
    ],
)
def test_failures_have_names(outcome, report, failure):
    assert failure == failure_of(outcome, report)


def test_what_still_lives_forbids_another_attempt():
    chances = Chances(retries=5)
    assert chances.allow(Failure.LOST, Outcome(ending=Ending.LOST))
    assert not chances.allow(Failure.LOST, Outcome(ending=Ending.LOST, survivors=1))


def test_out_of_memory_is_transient_once():
    chances, killed = Chances(retries=5), Outcome(ending=Ending.EXITED, signal=9, oom=True)
    assert chances.allow(Failure.OUT_OF_MEMORY, killed)
    chances.take(Failure.OUT_OF_MEMORY)
    assert not chances.allow(Failure.OUT_OF_MEMORY, killed)
