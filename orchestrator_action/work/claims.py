"""Where claims are answered: in order, once, at once, in words an agent can act on.

A claim is recorded, what it says is measured, and the judge's word on that phase is the answer. A claim
repeated while its measurement runs joins it; one repeated afterwards is answered from the ledger. At the
end everything claimed is measured again at the final head, once, and that measurement decides.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from orchestrator_action.errors import BrokerError, OrchestratorError
from orchestrator_action.protocol.events import Event, Ledger, claim_data, fact_data, fold
from orchestrator_action.protocol.judge import demand_of, judge, open_for_agent, rules_of
from orchestrator_action.protocol.model import (
    SETTLED_STATES,
    Claim,
    Declined,
    Demand,
    Fact,
    PhaseState,
    PhaseVerdict,
    Verdict,
)
from orchestrator_action.protocol.phases import BY_ID, IDS, Phase, Scope, before
from orchestrator_action.protocol.wire import ANSWER_WITHIN_S, PhaseAnswer, PhaseRequest
from orchestrator_action.state.journal import Journal
from orchestrator_action.text.limits import mask_shapes
from orchestrator_action.text.template import output_tail

log = logging.getLogger(__name__)

MeasureClaim = Callable[[Claim, str, bool], Iterable[Fact]]
"""(claim, head, final) -> the facts of the claim's phase at that head. May take minutes."""

_PASSES = SETTLED_STATES | {PhaseState.STALE}
"""States that ask nothing of the agent: what is stale is measured again at the end, by us."""
STOP = "orchestrator-phase stop --because 'WHY' [--needs 'WHAT']"
STOPPED = """Recorded: you declined this task. It counts neither as a success nor as a fault; your reason is shown.
End your turn now. Claiming a phase takes it back."""
OUTPUT_BYTES = 4096
"""Of what a measurement printed, its end, as an agent is told."""
REFUSALS = frozenset({401, 403, 404, 410, 422})
"""Answers of a forge that no agent can change by asking again."""
BRANCH = "branch-management"
"""Claimed before the first commit, so each commit makes it stale; it costs us little to measure again."""


class Claims:
    """The claims of one task."""

    def __init__(
        self,
        *,
        journal: Journal,
        task: str,
        policy: Mapping[str, Demand],
        measure: MeasureClaim,
        head: Callable[[], str],
        reminders: int = 0,
        boundary: Callable[[], None] = lambda: None,
        earlier: Sequence[Event] = (),
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._journal, self._task, self._policy = journal, task, policy
        self._measure, self._head, self._within = measure, head, answer_within_s
        self._reminders, self._boundary, self._earlier = reminders, boundary, earlier
        self._lock = threading.RLock()
        self._running: dict[str, Future[str]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"measure-{task}")

    def close(self) -> None:
        """Wait for a measurement that still runs, and take no more."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def ledger(self) -> Ledger:
        """The ledger as it stands."""
        return fold([*self._earlier, *self._journal.of(self._task)], self._task)

    def verdict(self, head: str | None = None) -> Verdict:
        """The judge's word as things stand; the branch is measured again where it has grown since."""
        head = head or self._head()
        self._measure_branch_again(head)
        return judge(self.ledger(), policy=self._policy, head=head)

    def open_phases(self) -> tuple[PhaseVerdict, ...]:
        """The phases that the agent itself has to close; none of one that declined its task.

        Raises GitError when its tree has no commit any more.
        """
        return () if self.ledger().declined else open_for_agent(self.verdict())

    def _measure_branch_again(self, head: str) -> None:
        with self._lock:
            ledger = self.ledger()
            claim = ledger.claims.get(BRANCH)
            known = [ledger.fact(BRANCH, rule.id, head) for rule in BY_ID[BRANCH].rules]
            if claim and not claim.waive and BRANCH not in self._running and not all(known):
                self._record_facts(claim, head)

    def answer(self, request: PhaseRequest) -> PhaseAnswer:
        """Answer one request of the agent. Raises BrokerError for what cannot be answered."""
        if request.verb in {"show", "status"}:
            return PhaseAnswer(ok=True, message=board(self.verdict()))
        if request.verb == "open":
            return self._remind()
        if request.verb == "stop":
            return self._decline(request)
        if request.phase not in BY_ID:
            raise BrokerError(f"no phase {request.phase[:40]!r}", hint=f"one of {', '.join(IDS)}")
        phase = BY_ID[request.phase]
        if request.verb == "start":
            return self._out_of_order(phase) or PhaseAnswer(ok=True, message=f"{phase.title}: {phase.does}.")
        if request.verb == "wait":
            return self._wait(phase)
        return self._claim(phase, request)

    def _remind(self) -> PhaseAnswer:
        """For an agent about to end: what is open, and whether it is sent back with it."""
        verdict = self.verdict()
        still = tuple(p.phase for p in self.open_phases())
        with self._lock:
            block = bool(still) and self.ledger().reminders < self._reminders
            if block:
                self._journal.append("reminded", self._task, open=list(still))
        message = reminder(verdict) if still else "nothing is open"
        return PhaseAnswer(ok=not still, message=message, open=still, detail={"block": block})

    def _decline(self, request: PhaseRequest) -> PhaseAnswer:
        """Record that the agent cannot do the task; it is asked for nothing more."""
        declined = Declined(because=request.because.strip(), needs=request.needs.strip())
        if not any(c.isalnum() for c in declined.because):
            raise BrokerError("to stop needs a reason in words", hint=STOP)
        with self._lock:
            if self.ledger().declined != declined:
                self._journal.append("declined", self._task, because=declined.because, needs=declined.needs)
        return PhaseAnswer(ok=True, message=STOPPED)

    def _claim(self, phase: Phase, request: PhaseRequest) -> PhaseAnswer:
        with self._lock:
            if phase.id in self._running:
                return self._wait(phase)
            for other in self._running:
                return PhaseAnswer(
                    ok=False,
                    pending=True,
                    message=f"{other} is still measured: orchestrator-phase wait {other}",
                )
            if refusal := self._out_of_order(phase):
                self._journal.append("refused", self._task, phase=phase.id, why=refusal.message)
                return refusal
            head = self._head()
            claim = _claim_of(request, head)
            if claim.waive and (refusal := self._not_waivable(phase, claim.waive)):
                self._journal.append("refused", self._task, phase=phase.id, why=refusal.message)
                return refusal
            known = self.verdict(head).phases[phase.number - 1]
            if known.state is PhaseState.NOT_APPLICABLE or (known.settled and self._same(claim)):
                return self._verdict_answer(phase, known)
            self._journal.append("claim", self._task, **claim_data(claim))
            if claim.waive:
                return self._verdict_answer(phase, self.verdict(head).phases[phase.number - 1])
            self._running[phase.id] = self._pool.submit(self._measured, claim, head)
        return self._wait(phase)

    def _same(self, claim: Claim) -> bool:
        before_it = self.ledger().claims.get(claim.phase)
        return before_it is not None and claim_data(before_it) == claim_data(claim)

    def _not_waivable(self, phase: Phase, reason: str) -> PhaseAnswer | None:
        """A waiver that cannot count takes the place of no claim that was made before it."""
        if demand_of(phase, self._policy) is Demand.REQUIRED:
            why = f"{phase.title} may not be waived in this repository"
        elif not any(c.isalnum() for c in reason):
            why = "a waiver needs a reason in words"
        else:
            return None
        cure = "\n".join(
            f"  to do: {rule.cure.partition(', or claim with --waive')[0]}" for rule in phase.rules
        )
        return PhaseAnswer(ok=False, message=f"{why}\n{cure}")

    def _out_of_order(self, phase: Phase) -> PhaseAnswer | None:
        verdict = self.verdict()
        for earlier in before(phase.id):
            found = verdict.phases[earlier.number - 1]
            if found.state not in _PASSES:
                why = found.findings[0].message if found.findings else str(found.state)
                return PhaseAnswer(
                    ok=False,
                    message=f"not yet: {earlier.title} comes first and is open: {why}",
                    open=(earlier.id,),
                )
        return None

    def _measured(self, claim: Claim, head: str, final: bool = False) -> str:
        """Measure and record, and mark that a phase ended; returns an error in words, or an empty string."""
        return self._record_facts(claim, head, final=final, then=self._boundary)

    def _record_facts(
        self, claim: Claim, head: str, *, final: bool = False, then: Callable[[], None] = lambda: None
    ) -> str:
        """Measure and record; returns an error in words, or an empty string."""
        try:
            for fact in self._measure(claim, head, final):
                self._journal.append("fact", self._task, **fact_data(fact))
            then()
        except OrchestratorError as exc:
            log.warning("could not measure task=%s phase=%s: %s", self._task, claim.phase, exc.message)
            why = exc.message + (f" ({exc.hint})" if exc.hint else "")
            self._record_why_not(claim.phase, head, why, person=getattr(exc, "status", 0) in REFUSALS)
            return why
        except Exception as exc:
            log.exception("measuring failed task=%s phase=%s", self._task, claim.phase)
            return f"the orchestrator failed to measure this; that is a bug of ours ({type(exc).__name__}: {exc})"
        return ""

    def _record_why_not(self, phase: str, head: str, why: str, *, person: bool) -> None:
        """Let the verdict say why the first rule that nothing is known of at `head` could not be measured.

        What the forge refuses waits for a `person`: no agent is paid to ask for it again.
        """
        ledger = self.ledger()
        at = {rule.id: head if rule.scope is Scope.HEAD else None for rule in rules_of(BY_ID[phase], ledger)}
        unknown = next((rule for rule, commit in at.items() if ledger.fact(phase, rule, commit) is None), "")
        if unknown:
            detail = {"unproven": True, **({"person": True} if person else {})}
            fact = Fact(phase=phase, rule=unknown, commit=head, holds=False, message=why, detail=detail)
            self._journal.append("fact", self._task, **fact_data(fact))

    def _wait(self, phase: Phase) -> PhaseAnswer:
        with self._lock:
            future = self._running.get(phase.id)
        error = ""
        if future:
            try:
                error = future.result(timeout=self._within)
            except NotYet:
                message = f"still measuring; run `orchestrator-phase wait {phase.id}`"
                return PhaseAnswer(ok=False, pending=True, message=message)
            with self._lock:
                if self._running.get(phase.id) is future:
                    del self._running[phase.id]
        answer = self._verdict_answer(phase, self.verdict().phases[phase.number - 1])
        if error:
            return PhaseAnswer(
                ok=False, message=f"{phase.title} could not be measured: {error}", findings=answer.findings
            )
        return answer

    def _verdict_answer(self, phase: Phase, found: PhaseVerdict) -> PhaseAnswer:
        findings = tuple({"rule": f.rule, "message": f.message} for f in found.findings)
        ledger = self.ledger()
        still = tuple(f.id for f in ledger.open_findings) if phase.number in {9, 10} else ()
        return PhaseAnswer(
            ok=found.settled, message=words(phase, found, ledger), findings=findings, open=still
        )

    def settle(self, *, until_red: bool = False) -> Verdict:
        """Measure everything claimed again at the final head, once, and judge.

        Facts that hold once and a review of this very head stand; everything else is measured anew
        (tests are found again by their tree). With `until_red` what comes after a phase that is refuted
        is left for the next time: the agent gets another go, and a round of review is not spent on it.
        """
        with self._lock:
            running = list(self._running.values())
        for future in running:
            future.result()
        head = self._head()
        claims = self.ledger().claims
        for phase_id in IDS:
            claim = claims.get(phase_id)
            state = self.verdict(head).phases[BY_ID[phase_id].number - 1].state
            if claim is None or claim.waive or state is PhaseState.NOT_APPLICABLE:
                continue
            self._measured(claim, head, final=True)
            found = self.verdict(head).phases[BY_ID[phase_id].number - 1]
            if until_red and found.state is PhaseState.REFUTED:
                break
        return self.verdict(head)


def _claim_of(request: PhaseRequest, head: str) -> Claim:
    return Claim(
        phase=request.phase,
        head_sha=head,
        note=request.note.strip(),
        text=request.file,
        digest=request.digest,
        no_change=request.no_change.strip(),
        waive=request.waive.strip(),
    )


def words(phase: Phase, found: PhaseVerdict, ledger: Ledger) -> str:
    """The answer to a claim, in plain words."""
    if found.state is PhaseState.NOT_APPLICABLE:
        return f"{phase.title}: nothing to do, no change is needed"
    if found.state in {PhaseState.WAIVED, PhaseState.OFF}:
        return f"{phase.title}: waived ({found.reason}); it will be shown as waived"
    lines = [f"{phase.title}: {'proven' if found.settled else found.state}"]
    lines += [f"- {f.rule}: {f.message}" for f in found.findings]
    unmet = {r.id: r.cure for r in phase.rules}
    good = {f.rule for f in found.facts if f.holds and f.commit}
    if not found.settled:
        lines += [f"  to do: {cure}" for rule, cure in unmet.items() if rule not in good]
        lines += _outputs(found)
    if phase.number in {9, 10} and ledger.open_findings:
        lines.append("Open review findings, each to be answered in review-response:")
        lines += [f"- {f.id} {f.path}:{f.line} [{f.severity}] {f.text}" for f in ledger.open_findings]
    return "\n".join(lines)


def _outputs(found: PhaseVerdict) -> list[str]:
    """The end of what the measurements printed that do not hold, without anything that looks like a secret.

    Each output once, and all of them together within the limit.
    """
    tails = list(dict.fromkeys(t for f in found.facts if not f.holds and (t := output_tail(f.detail))))
    room = OUTPUT_BYTES // max(1, len(tails))
    ends = (mask_shapes(tail).encode()[-room:].decode("utf-8", "ignore") for tail in tails)
    return [f"What was printed, its end:\n{end}" for end in ends]


def board(verdict: Verdict) -> str:
    """How each phase stands, a line each."""
    return "\n".join(f"{BY_ID[p.phase].number:2} {p.phase:22} {p.state}" for p in verdict.phases)


def reminder(verdict: Verdict) -> str:
    """What to tell an agent that is about to end, or is started again."""
    lines = ["Your task is not finished. These phases are open, and they go in order:"]
    for found in open_for_agent(verdict):
        phase = BY_ID[found.phase]
        why = "; ".join(f.message for f in found.findings) or phase.does
        lines.append(f"- {phase.id}: {why}. Claim it with: {phase.claim}")
        lines += _outputs(found)
    lines.append("Go on with the first open one; `orchestrator-phase show` prints your task again.")
    lines.append(f"If you cannot do the task, say so, that is a respectable end: {STOP}")
    return "\n".join(lines)
