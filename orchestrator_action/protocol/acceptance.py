"""Anybody's change: which conclusion its facts come to, and what people with write access let pass.

There are no claims and no phases here, so nothing of these can be missing. A person accepts a fact for the head
that stood there when the comment was written; the next push takes that back. Pure: comments and facts come in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator_action.protocol.model import Comment, Conclusion, Fact

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
        if said is None or not since or comment.created_at <= since:
            continue
        if comment.author not in known:
            known[comment.author] = may_write(comment.author)
        if known[comment.author]:
            found[said[1]] = Acceptance(rule=said[1], reason=said[2].strip(), by=comment.author)
    return tuple(found.values())


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
