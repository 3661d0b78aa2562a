"""What people with write access let pass, and which conclusion the facts of anybody's change come to.

Anybody's change has no claims and no phases, so nothing of these can be missing. A person accepts a fact for the head
that stood there when the comment was written; the next push takes that back. Pure: comments and facts come in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator_action.protocol.forge_values import Comment, Conclusion
from orchestrator_action.protocol.model import Fact, PhaseState, PhaseVerdict, Verdict

_ACCEPT = re.compile(r"/orchestrate[ \t]+accept[ \t]+([a-z][a-z-]{1,40})[ \t]*:[ \t]*(\S[^\n]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A person's word that one fact may pass at this head."""

    rule: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeVerdict:
    """What the facts of a change come to."""

    conclusion: Conclusion
    refuted: tuple[Fact, ...] = ()
    unproven: tuple[Fact, ...] = ()
    accepted: tuple[tuple[Fact, Acceptance], ...] = ()

    @property
    def open(self) -> tuple[Fact, ...]:
        """Facts that somebody has to do something about."""
        return (*self.refuted, *self.unproven)


def read_acceptances(
    comments: Iterable[Comment], *, since: str, may_write: Callable[[str], bool]
) -> tuple[Acceptance, ...]:
    """What people with write access accepted after `since` (ISO 8601, UTC), the last word on each fact.

    The command stands at the very start of a comment, so that a quotation is none. `may_write` is asked once
    a person, and only of those who gave the command.
    """
    found: dict[str, Acceptance] = {}
    known: dict[str, bool] = {}
    for comment in comments:
        said = _ACCEPT.match(comment.body)
        if said is None or not since or comment.created_at <= since or is_bot(comment.author):
            continue
        if comment.author not in known:
            known[comment.author] = may_write(comment.author)
        if known[comment.author]:
            found[said[1]] = Acceptance(rule=said[1], reason=said[2].strip(), by=comment.author)
    return tuple(found.values())


def let_pass(verdict: Verdict, accepted: Iterable[Acceptance]) -> Verdict:
    """The verdict on a task with what people let pass at its head, by the id of a fact or of a whole phase.

    What was let pass stays in sight: an exception with its reason and its person. Nothing is claimed by it.
    """
    words = {a.rule: a for a in accepted}
    return replace(verdict, phases=tuple(_let_pass(p, words, verdict.head_sha) for p in verdict.phases))


def _let_pass(phase: PhaseVerdict, words: Mapping[str, Acceptance], head: str) -> PhaseVerdict:
    if phase.settled or not {phase.phase, *(f.about for f in phase.findings)} & set(words):
        return phase
    whole = words.get(phase.phase)
    passed = [(f, word) for f in phase.findings if (word := words.get(f.about) or whole)]
    facts = {f.rule: f for f in phase.facts}
    for finding, word in passed:
        rule = finding.about or phase.phase
        facts[rule] = _accepted(facts.get(rule), finding.message, word, phase.phase, rule, head)
    left = tuple(f for f in phase.findings if f not in {f for f, _ in passed})
    done = PhaseState.PROVEN if all(f.about for f in phase.findings) else PhaseState.WAIVED
    reason = f"{whole.reason} ({whole.by})" if whole and not left else phase.reason
    return replace(
        phase, state=phase.state if left else done, findings=left, facts=tuple(facts.values()), reason=reason
    )


def _accepted(fact: Fact | None, what: str, word: Acceptance, phase: str, rule: str, head: str) -> Fact:
    """The fact as it was measured, but for that a person lets it pass."""
    kept = {k: v for k, v in fact.detail.items() if k not in {"unproven", "person"}} if fact else {}
    named = [{"id": rule, "what": what, "reason": f"{word.reason} ({word.by})"}]
    return Fact(
        phase=phase, rule=rule, commit=head, holds=True, message=f"{what}; {word.by} lets it pass: {word.reason}",
        detail={**kept, "exceptions": [*kept.get("exceptions", ()), *named]},
    )  # fmt: skip


def is_bot(login: str) -> bool:
    """Whether an account is a program's: no program lets anything pass. Source: docs.github.com, "GitHub Apps"."""
    return login.endswith("[bot]")


def conclude_change(facts: Sequence[Fact], accepted: Iterable[Acceptance] = ()) -> ChangeVerdict:
    """The conclusion of a change.

    failure: something is refuted and nobody accepted it. action_required: something could not be measured, and a
    person has to decide. neutral: all that is open was accepted, or the change names exceptions. Otherwise success.
    """
    words = {a.rule: a for a in accepted}
    open_ = [f for f in facts if not f.holds]
    passed = tuple((f, words[f.rule]) for f in open_ if f.rule in words)
    left = [f for f in open_ if f.rule not in words]
    unproven = tuple(f for f in left if f.detail.get("unproven"))
    refuted = tuple(f for f in left if not f.detail.get("unproven"))
    if refuted:
        conclusion = Conclusion.FAILURE
    elif unproven:
        conclusion = Conclusion.ACTION_REQUIRED
    elif passed or any(f.detail.get("exceptions") for f in facts):
        conclusion = Conclusion.NEUTRAL
    else:
        conclusion = Conclusion.SUCCESS
    return ChangeVerdict(conclusion=conclusion, refuted=refuted, unproven=unproven, accepted=passed)
