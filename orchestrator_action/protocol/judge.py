"""Claims against facts. The same judgement serves the check run, `status`, `verify` and the pre-push hook.

A phase is proven when it was claimed and every rule of it has a fact that holds: for rules of scope
`head`, a fact measured at the very commit that is judged. Pure: a ledger comes in, a verdict goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.model import Claim, Demand, Fact, Finding, PhaseState, PhaseVerdict, Verdict
from orchestrator_action.protocol.phases import PHASES, Phase, Rule, Scope

MOST_CLAIMED = 1000
"""Characters of a claim's words in a verdict."""
NOTHING_CHANGED = Rule(
    id="nothing-changed",
    scope=Scope.HEAD,
    says="nothing was changed, as declared",
    cure="there are commits: claim implementation without --no-change-needed",
)
NO_CHANGE_RULES = (
    NOTHING_CHANGED,
    Rule(
        id="base-passes",
        scope=Scope.HEAD,
        says="the tests pass as the repository is",
        cure="tests fail without any change: mend that, or say what is needed with `orchestrator-phase stop`",
    ),
    Rule(
        id="already-met",
        scope=Scope.HEAD,
        says="a separate session found the task met as things are",
        cure="do what is still missing, then claim implementation without --no-change-needed",
    ),
)
"""They take the place of Implementation's rules when the agent declares that no change is needed."""

REPORTED_BY = "reported_by"
"""In a fact's detail: which step says it, where that step ran beside the agent. No such fact makes a phase proven."""

_STATE_OF = {
    "refuted": PhaseState.REFUTED,
    "unproven": PhaseState.UNPROVEN,
    "stale": PhaseState.STALE,
    "missing": PhaseState.MISSING,
}


def demand_of(phase: Phase, policy: Mapping[str, Demand]) -> Demand:
    """What this repository asks of a phase."""
    return policy.get(phase.id, Demand.WAIVABLE if phase.waivable else Demand.REQUIRED)


def rules_of(phase: Phase, ledger: Ledger) -> tuple[Rule, ...]:
    """The rules that prove a phase of this task."""
    if phase.id == "implementation" and ledger.no_change:
        return NO_CHANGE_RULES
    return phase.rules


def judge(ledger: Ledger, *, policy: Mapping[str, Demand], head: str, upto: str | None = None) -> Verdict:
    """The verdict on a task at commit `head`; with `upto`, on the phases up to and with that one."""
    verdicts: list[PhaseVerdict] = []
    for phase in PHASES:
        verdict = _judge_phase(phase, ledger, demand_of(phase, policy), head, verdicts)
        verdicts.append(replace(verdict, claimed=said_of(ledger.claims.get(phase.id))))
        if phase.id == upto:
            break
    no_change = ledger.no_change if _nothing_changed(verdicts) else ""
    return Verdict(head_sha=head, phases=tuple(verdicts), no_change=no_change)


def said_of(claim: Claim | None) -> str | None:
    """What the agent said when it claimed a phase, cut; None when it did not claim it."""
    if claim is None:
        return None
    return (claim.note or claim.text or claim.no_change or claim.waive)[:MOST_CLAIMED]


def _nothing_changed(verdicts: Sequence[PhaseVerdict]) -> bool:
    """Whether Implementation was measured: one that is off or waived says nothing about the change."""
    shown = {PhaseState.PROVEN, PhaseState.REPORTED}
    return any(v.phase == "implementation" and v.state in shown for v in verdicts)


def _judge_phase(
    phase: Phase, ledger: Ledger, demand: Demand, head: str, earlier: list[PhaseVerdict]
) -> PhaseVerdict:
    if demand is Demand.OFF:
        return PhaseVerdict(phase=phase.id, state=PhaseState.OFF, reason="switched off by the repository")
    if ledger.no_change and _nothing_changed(earlier):
        return PhaseVerdict(
            phase=phase.id, state=PhaseState.NOT_APPLICABLE, reason=f"no change needed: {ledger.no_change}"
        )
    claim = ledger.claims.get(phase.id)
    if claim is None:
        finding = Finding(rule="missing", message=f"{phase.title} was not claimed: {phase.claim}")
        return PhaseVerdict(phase=phase.id, state=PhaseState.MISSING, findings=(finding,))
    if claim.waive:
        return _judge_waiver(phase, claim.waive, demand)
    rules = rules_of(phase, ledger)
    facts = tuple(f for f in (_fact(ledger, phase, rule, head) for rule in rules) if f)
    findings = tuple(f for f in (_judge_rule(ledger, phase, rule, head) for rule in rules) if f)
    good = PhaseState.REPORTED if any(f.detail.get(REPORTED_BY) for f in facts) else PhaseState.PROVEN
    state = next((_STATE_OF[r] for r in _STATE_OF if any(f.rule == r for f in findings)), good)
    reason = claim.no_change if phase.id == "implementation" else ""
    return PhaseVerdict(phase=phase.id, state=state, findings=findings, facts=facts, reason=reason)


def _judge_waiver(phase: Phase, reason: str, demand: Demand) -> PhaseVerdict:
    if demand is Demand.WAIVABLE:
        return PhaseVerdict(phase=phase.id, state=PhaseState.WAIVED, reason=reason)
    finding = Finding(rule="unproven", message=f"{phase.title} may not be waived in this repository")
    return PhaseVerdict(phase=phase.id, state=PhaseState.UNPROVEN, findings=(finding,), reason=reason)


def _fact(ledger: Ledger, phase: Phase, rule: Rule, head: str) -> Fact | None:
    if rule.scope is Scope.ONCE:
        return ledger.fact(phase.id, rule.id)
    return ledger.fact(phase.id, rule.id, head) or ledger.fact(phase.id, rule.id)


def _judge_rule(ledger: Ledger, phase: Phase, rule: Rule, head: str) -> Finding | None:
    fact = _fact(ledger, phase, rule, head)
    if fact is None:
        message = f"{phase.title}: not measured that {rule.says}"
        return Finding(rule="unproven", message=message, about=rule.id)
    if rule.scope is Scope.HEAD and fact.commit != head:
        return Finding(
            rule="stale",
            message=f"{phase.title}: measured at {fact.commit[:12]}, not at {head[:12]}: {rule.says}",
            about=rule.id,
        )
    if fact.holds:
        return None
    return Finding(
        rule="unproven" if fact.detail.get("unproven") else "refuted",
        message=f"{phase.title}: {fact.message}",
        person=bool(fact.detail.get("person")),
        about=rule.id,
    )


def open_for_agent(verdict: Verdict) -> tuple[PhaseVerdict, ...]:
    """The phases that the agent itself has to close, in order; empty when there is nothing left for it to do.

    What is stale is measured again by us. Phases go in order: one that waits for a person ends the list.
    """
    found: list[PhaseVerdict] = []
    for phase in verdict.phases:
        if phase.settled or phase.state is PhaseState.STALE:
            continue
        if phase.findings and all(f.person for f in phase.findings):
            break
        found.append(phase)
    return tuple(found)


def waits_for_a_person(verdict: Verdict) -> bool:
    """Whether the first open phase is open only for reasons no agent can mend, and nothing is refuted.

    The phases after it could not be claimed, so that they are open too says nothing.
    """
    first = next(p for p in verdict.phases if not p.settled)
    refuted = any(f.rule == "refuted" for f in verdict.findings)
    return not refuted and bool(first.findings) and all(f.person for f in first.findings)
