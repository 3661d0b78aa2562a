"""Claims against facts: what the judge says, and what no order of events can make it say."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.protocol.attempt import AgentReport, Ending, Outcome
from orchestrator_action.protocol.ends import conclude
from orchestrator_action.protocol.events import Event, claim_data, fact_data, fold, seal
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.judge import NO_CHANGE_RULES, NOTHING_CHANGED, judge
from orchestrator_action.protocol.model import Claim, Demand, Fact, PhaseState, Status
from orchestrator_action.protocol.phases import BY_ID, IDS, PHASES, Scope

A, B, C = "a" * 40, "b" * 40, "c" * 40
FINE = Outcome(ending=Ending.EXITED, exit_code=0)


class Story:
    """Events of one task, told one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, kind: str, **data: object) -> Story:
        prev = self.events[-1].hash if self.events else ""
        self.events.append(
            seal(seq=len(self.events) + 1, at=1.0, run="r", task="t", kind=kind, data=data, prev=prev)
        )
        return self

    def claim(self, phase: str, head: str = A, **fields: str) -> Story:
        return self.tell("claim", **claim_data(Claim(phase=phase, head_sha=head, **fields)))

    def fact(self, phase: str, rule: str, commit: str = A, holds: bool = True, **detail: object) -> Story:
        fact = Fact(
            phase=phase, rule=rule, commit=commit, holds=holds, message=f"{rule} {holds}", detail=detail
        )
        return self.tell("fact", **fact_data(fact))

    def measured_no_change(self, commit: str = A, holds: bool = True) -> Story:
        for rule in NO_CHANGE_RULES:
            self.fact("implementation", rule.id, commit, holds)
        return self

    def proven(self, commit: str = A, *, but: str = "") -> Story:
        for phase in PHASES:
            if phase.id == but:
                continue
            self.measured(phase.id, commit)
        return self

    def measured(self, phase: str, commit: str = A) -> Story:
        self.claim(phase, commit)
        for rule in BY_ID[phase].rules:
            self.fact(phase, rule.id, commit)
        return self

    def verdict(self, head: str = A, policy: dict[str, Demand] | None = None, upto: str | None = None):
        return judge(fold(self.events, "t"), policy=policy or {}, head=head, upto=upto)


def test_a_task_that_claimed_nothing_has_eleven_findings():
    verdict = Story().verdict()

    assert ["missing"] * 11 == [f.rule for f in verdict.findings]
    assert Status.INCOMPLETE is conclude(FINE, AgentReport(), verdict).status


def test_every_fact_at_the_head_is_success():
    verdict = Story().proven().verdict()

    assert verdict.settled
    assert Status.SUCCESS is conclude(FINE, AgentReport(), verdict).status


@pytest.mark.parametrize("phase", IDS)
def test_one_phase_without_a_claim_is_missing(phase):
    verdict = Story().proven(but=phase).verdict()

    assert ["missing"] == [f.rule for f in verdict.findings]


@pytest.mark.parametrize("phase", PHASES, ids=lambda p: p.id)
def test_a_claim_without_a_fact_is_unproven(phase):
    story = Story().proven(but=phase.id).claim(phase.id)

    assert {"unproven"} == {f.rule for f in story.verdict().findings}


@pytest.mark.parametrize(("phase", "rule"), [(p, r) for p in PHASES for r in p.rules], ids=lambda x: x.id)
def test_a_fact_that_does_not_hold_refutes_its_phase(phase, rule):
    story = Story().proven().fact(phase.id, rule.id, A, holds=False)

    [finding] = story.verdict().findings
    assert "refuted" == finding.rule
    assert Status.FAILED is conclude(FINE, AgentReport(), story.verdict()).status


def test_what_is_refuted_is_the_cause_and_no_number_of_others_follows_it():
    """Phases that were never claimed come first in order, and are no cause where a fact speaks."""
    story = Story().claim("testing").fact("testing", "suite", A, holds=False)

    end = conclude(FINE, AgentReport(), story.verdict())

    [refuted] = [f.message for f in story.verdict().findings if f.rule == "refuted"]
    assert (Status.FAILED, refuted) == (end.status, end.error)


def test_evidence_does_not_outlive_an_edit():
    """A fact proves its own commit only; facts of scope `once` stay."""
    verdict = Story().proven(A).verdict(B)

    stale = {p.phase for p in verdict.phases if p.state is PhaseState.STALE}
    assert stale == {p.id for p in PHASES if any(r.scope is Scope.HEAD for r in p.rules)}


def test_only_what_happened_once_stays_true():
    assert STAYS == {r.id for p in PHASES for r in p.rules if r.scope is Scope.ONCE}


def test_a_head_that_goes_back_is_judged_by_what_was_measured_there():
    story = Story().proven(A).proven(B).fact("testing", "suite", B, holds=False)

    assert (True, False) == (story.verdict(A).settled, story.verdict(B).settled)


def test_the_second_measurement_at_the_new_head_decides():
    story = Story().proven(A).proven(B).fact("testing", "suite", B, holds=False)

    assert PhaseState.REFUTED is story.verdict(B).phases[5].state
    assert story.fact("testing", "suite", B).verdict(B).settled


def test_nothing_collected_is_unproven_not_refuted():
    story = Story().proven().fact("testing", "suite", A, holds=False, unproven=True)

    assert ["unproven"] == [f.rule for f in story.verdict().findings]


def test_a_waiver_is_shown_as_a_waiver_never_as_done():
    story = Story().proven(but="documentation").claim("documentation", waive="no docs here")
    verdict = story.verdict()

    assert PhaseState.WAIVED is verdict.phases[6].state
    assert Status.SUCCESS is conclude(FINE, AgentReport(), verdict).status
    assert 10 == sum(p.state is PhaseState.PROVEN for p in verdict.phases)


@pytest.mark.parametrize("phase", [p for p in IDS if p != "documentation"])
def test_what_is_required_cannot_be_waived(phase):
    story = Story().proven(but=phase).claim(phase, waive="please")

    assert not story.verdict().settled
    assert story.verdict(policy={phase: Demand.WAIVABLE}).settled


def test_no_change_leaves_the_later_phases_out_and_is_neutral():
    story = Story()
    for phase in PHASES[:4]:
        story.claim(phase.id)
        for rule in phase.rules:
            story.fact(phase.id, rule.id)
    story.claim("implementation", no_change="there already").measured_no_change()
    end = conclude(FINE, AgentReport(), story.verdict())

    assert (Status.NO_CHANGE, Conclusion.NEUTRAL) == (end.status, end.conclusion)
    assert {PhaseState.NOT_APPLICABLE} == {p.state for p in story.verdict().phases[5:]}


@pytest.mark.parametrize(("demand", "waive"), [(Demand.OFF, ""), (Demand.WAIVABLE, "not today")])
def test_an_implementation_nobody_measured_takes_no_later_phase_with_it(demand, waive):
    story = Story()
    for phase in PHASES[:4]:
        story.claim(phase.id)
        for rule in phase.rules:
            story.fact(phase.id, rule.id)
    story.claim("implementation", no_change="believe me", waive=waive)
    verdict = judge(fold(story.events, "t"), policy={"implementation": demand}, head=A)

    assert not verdict.settled
    assert {PhaseState.MISSING} == {p.state for p in verdict.phases[5:]}
    assert not verdict.no_change


def test_no_change_with_a_change_is_refuted():
    story = Story().proven(but="implementation").claim("implementation", no_change="nothing to do")
    story.fact("implementation", NOTHING_CHANGED.id, A, holds=False)

    assert PhaseState.REFUTED is story.verdict().phases[4].state
    assert not story.verdict().settled


@pytest.mark.parametrize("rule", [r.id for r in NO_CHANGE_RULES])
def test_no_change_is_believed_only_with_all_of_its_facts(rule: str):
    """Nothing changed, the base's tests pass, and somebody else finds the task met."""
    story = Story()
    for phase in PHASES[:4]:
        story.measured(phase.id)
    story.claim("implementation", no_change="there already").measured_no_change()
    assert Status.NO_CHANGE is conclude(FINE, AgentReport(), story.verdict()).status

    story.fact("implementation", rule, A, holds=False)

    assert Status.FAILED is conclude(FINE, AgentReport(), story.verdict()).status


def test_judged_up_to_documentation_the_later_phases_do_not_count():
    story = Story()
    for phase in PHASES[:7]:
        story.claim(phase.id)
        for rule in phase.rules:
            story.fact(phase.id, rule.id)

    assert story.verdict(upto="documentation").settled
    assert not story.verdict().settled


@pytest.mark.parametrize(
    ("ending", "status", "conclusion"),
    [
        (Ending.CANCELLED, Status.CANCELLED, Conclusion.CANCELLED),
        (Ending.TIMEOUT, Status.TIMEOUT, Conclusion.TIMED_OUT),
        (Ending.STALLED, Status.STALLED, Conclusion.TIMED_OUT),
        (Ending.SPAWN_FAILED, Status.FAILED, Conclusion.FAILURE),
        (Ending.NO_START, Status.FAILED, Conclusion.FAILURE),
        (Ending.LOST, Status.FAILED, Conclusion.FAILURE),
        (Ending.LOG_LIMIT, Status.FAILED, Conclusion.TIMED_OUT),
    ],
)
def test_an_ending_other_than_an_exit_is_never_success(ending, status, conclusion):
    """Not even when every phase is proven and the process trapped the signal and exited 0."""
    end = conclude(Outcome(ending=ending, exit_code=0), AgentReport(), Story().proven().verdict())

    assert (status, conclusion) == (end.status, end.conclusion)


def test_what_the_agents_output_shows_outweighs_every_proof():
    end = conclude(FINE, AgentReport(problems=("is_error",)), Story().proven().verdict())

    assert (Status.FAILED, "is_error") == (end.status, end.error)


def test_a_limit_of_turns_is_timed_out_and_incomplete():
    report = AgentReport(problems=("error_max_turns",), limit="max-turns")
    end = conclude(FINE, report, Story().verdict())

    assert (Status.INCOMPLETE, Conclusion.TIMED_OUT) == (end.status, end.conclusion)


def no_change() -> Story:
    story = Story()
    for phase in PHASES[:4]:
        story.claim(phase.id)
        for rule in phase.rules:
            story.fact(phase.id, rule.id)
    return story.claim("implementation", no_change="there already").measured_no_change()


def ended(ending: Ending, **more: object) -> Outcome:
    return Outcome(ending=ending, exit_code=None, **more)  # type: ignore[arg-type]


def upto(phase: str) -> Story:
    """Everything before this phase is proven, nothing after it was claimed."""
    story = Story()
    for one in PHASES[: IDS.index(phase)]:
        story.claim(one.id)
        for rule in one.rules:
            story.fact(one.id, rule.id)
    return story


MAP = {
    "all proven": (Story().proven(), "success", "success"),
    "waived": (Story().proven(but="documentation").claim("documentation", waive="none"), "success", "success"),
    "no change": (no_change(), "no-change", "neutral"),
    "nothing claimed": (Story(), "incomplete", "failure"),
    "one missing": (Story().proven(but="settings-update"), "incomplete", "failure"),
    "not measured": (Story().proven(but="review").claim("review"), "incomplete", "failure"),
    "unproven": (Story().proven().fact("testing", "suite", A, False, unproven=True), "incomplete", "failure"),
    "stale": (Story().proven(B), "incomplete", "failure"),
    "refuted": (Story().proven().fact("testing", "suite", A, False), "failed", "failure"),
    "protected path": (
        Story().proven().fact("implementation", "protected-untouched", A, False), "failed", "failure"
    ),
    "not waivable": (Story().proven(but="testing").claim("testing", waive="hm"), "incomplete", "failure"),
    "person: no test command, later phases unclaimed": (
        upto("testing").measured("testing").fact("testing", "suite", A, False, unproven=True, person=True),
        "incomplete", "action_required",
    ),
    "person: no test command, all claimed": (
        Story().proven().fact("testing", "suite", A, False, unproven=True, person=True),
        "incomplete", "action_required",
    ),
    "person: reviews used up": (
        Story().proven().fact("review", "reviewed", A, False, unproven=True, person=True),
        "incomplete", "action_required",
    ),
    "person, but the same phase is refuted too": (
        Story().proven().fact("testing", "suite", A, False, unproven=True, person=True)
        .fact("testing", "nothing-lost", A, False), "failed", "failure",
    ),
    "person, but another phase is refuted": (
        Story().proven().fact("review", "reviewed", A, False, unproven=True, person=True)
        .fact("settings-update", "no-local-settings", A, False), "failed", "failure",
    ),
    "person, but an earlier phase is open": (
        Story().proven(but="documentation").fact("review", "reviewed", A, False, unproven=True, person=True),
        "incomplete", "failure",
    ),
    "person, but at another commit": (
        Story().proven().fact("review", "reviewed", B, False, unproven=True, person=True).proven(B)
        .fact("testing", "suite", A, False, unproven=True, person=True), "incomplete", "failure",
    ),
}  # fmt: skip
"""What is claimed and measured, and how that ends: the map of the issue, row by row."""


@pytest.mark.parametrize("case", MAP)
def test_the_conclusion_is_by_the_map(case: str):
    story, status, conclusion = MAP[case]
    head = B if case.endswith("another commit") else A
    end = conclude(FINE, AgentReport(), story.verdict(C if case == "stale" else head))

    if case == "person, but at another commit":  # what a person had to do at A says nothing of B
        assert (Status.SUCCESS, Conclusion.SUCCESS) == (end.status, end.conclusion)
        end = conclude(FINE, AgentReport(), story.verdict(C))
    assert (status, conclusion) == (end.status, end.conclusion)
    assert bool(end.error) is (status not in {"success", "no-change"})


@pytest.mark.parametrize("case", MAP)
@pytest.mark.parametrize(
    ("outcome", "report", "conclusion"),
    [
        (ended(Ending.CANCELLED), AgentReport(), "cancelled"),
        *((ended(e), AgentReport(), "timed_out") for e in (
            Ending.TIMEOUT, Ending.STALLED, Ending.LOG_LIMIT, Ending.DISK_LIMIT, Ending.MEMORY_LIMIT,
            Ending.PROCESS_LIMIT,
        )),
        (FINE, AgentReport(limit="max-turns", problems=("error_max_turns",)), "timed_out"),
        (FINE, AgentReport(limit="max-budget"), "timed_out"),
        (ended(Ending.LOST), AgentReport(), "failure"),
        (ended(Ending.ABORTED), AgentReport(), "failure"),
        (FINE, AgentReport(problems=("it said that it failed",)), "failure"),
    ],
)  # fmt: skip
def test_a_cancel_a_limit_and_a_fault_of_the_process_come_before_everything(
    case, outcome, report, conclusion
):
    """Whatever is proven, waived or waits for somebody."""
    end = conclude(outcome, report, MAP[case][0].verdict())

    assert conclusion == end.conclusion
    assert end.status not in {Status.SUCCESS, Status.NO_CHANGE}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.integers(0, 3)),
        st.tuples(st.just("back"), st.integers(0, 3)),
        st.tuples(st.just("claim"), st.sampled_from(IDS)),
        st.tuples(st.just("waive"), st.sampled_from(IDS)),
        st.tuples(
            st.just("fact"),
            st.sampled_from(
                [(p.id, r.id) for p in PHASES for r in p.rules]
                + [("implementation", r.id) for r in NO_CHANGE_RULES]
            ),
            st.booleans(),
        ),
        st.tuples(st.just("all"), st.booleans()),
        st.tuples(st.just("but"), st.sampled_from(IDS), st.booleans()),
        st.tuples(st.just("no-change"), st.booleans()),
    ),
    max_size=40,
)
START = st.one_of(
    st.just([]),
    st.just([("all", True)]),
    st.sampled_from([[("but", p, c)] for p in IDS for c in (True, False)]),
)
STAYS = {"context-read", "clean-base", "issue-exists", "plan-recorded"}
"""Rules whose facts stay true once they were; every other proves its own commit only."""


class Known:
    """What the steps amount to, kept by the test itself and by none of the code under test."""

    def __init__(self) -> None:
        self.claims: dict[str, tuple[str, str]] = {}
        self.facts: dict[tuple[str, str], list[tuple[str, bool]]] = {}

    def claim(self, phase: str, *, waive: str = "", no_change: str = "") -> None:
        self.claims[phase] = (waive, no_change)

    def fact(self, phase: str, rule: str, commit: str, holds: bool) -> None:
        self.facts.setdefault((phase, rule), []).append((commit, holds))

    def no_change(self, commit: str, holds: bool) -> None:
        self.claim("implementation", no_change="nothing")
        for rule in NO_CHANGE_RULES:
            self.fact("implementation", rule.id, commit, holds)

    def all(self, commit: str, but: str = "") -> None:
        for phase in PHASES:
            if phase.id == but:
                continue
            self.claim(phase.id)
            for rule in phase.rules:
                self.fact(phase.id, rule.id, commit, True)

    def lacking(self, head: str) -> list[str]:
        """What is missing for a success at `head`, or for "no change", when that was claimed last."""
        no_change = bool(self.claims.get("implementation", ("", ""))[1])
        lacking = []
        for phase in PHASES[:5] if no_change else PHASES:
            if phase.id not in self.claims:
                lacking.append(f"{phase.id} was not claimed")
            elif self.claims[phase.id][0]:
                lacking += [] if phase.id == "documentation" else [f"{phase.id} is required"]
            else:
                swap = no_change and phase.id == "implementation"
                rules = [r.id for r in NO_CHANGE_RULES] if swap else [r.id for r in phase.rules]
                lacking += [f"{phase.id}: {r}" for r in rules if not self.holds(phase.id, r, head)]
        return lacking

    def holds(self, phase: str, rule: str, head: str) -> bool:
        found = [h for c, h in self.facts.get((phase, rule), []) if rule in STAYS or c == head]
        return bool(found) and found[-1]


@settings(max_examples=600, deadline=None)
@given(START, STEPS)
def test_no_order_of_claims_and_edits_reaches_success_without_every_fact_at_the_final_head(start, steps):
    """And whatever has them all does reach it: the judge says what is so, no more and no less."""
    story, known, commits, head = Story(), Known(), itertools.count(1), "0" * 40
    heads = [head]
    for step in start + steps:
        match step:
            case ("edit", n):
                head = f"{next(commits) * 4 + n:040x}"
                heads.append(head)
            case ("back", n):
                head = heads[-1 - n % len(heads)]
            case ("claim", phase):
                story.claim(phase, head)
                known.claim(phase)
            case ("waive", phase):
                story.claim(phase, head, waive="why")
                known.claim(phase, waive="why")
            case ("fact", (phase, rule), holds):
                story.fact(phase, rule, head, holds)
                known.fact(phase, rule, head, holds)
            case ("all", holds):
                story.proven(head)
                known.all(head)
                if not holds:
                    story.fact("testing", "suite", head, holds=False)
                    known.fact("testing", "suite", head, False)
            case ("but", phase, claimed):
                story.proven(head, but=phase)
                known.all(head, but=phase)
                if claimed:
                    story.claim(phase, head)
                    known.claim(phase)
            case ("no-change", holds):
                story.claim("implementation", head, no_change="nothing")
                story.measured_no_change(head, holds)
                known.no_change(head, holds)
    end = conclude(FINE, AgentReport(), story.verdict(head))

    assert (end.status in {Status.SUCCESS, Status.NO_CHANGE}) == (not known.lacking(head)), known.lacking(
        head
    )
