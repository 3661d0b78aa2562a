"""How an issue stands and why: the answer to `/orchestrate explain`, from events, labels and leases alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator_action.protocol.events import Event, Ledger
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Verdict
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.publish.report.words import event_words
from orchestrator_action.text import limits as texts

MOST_EVENTS = 12
"""Of the last attempt, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of an issue."""

    issue: Issue
    label: str
    at_work: str
    """The living run that is at it; empty for none."""
    waits: bool
    """Whether it carries the label that asks for work."""
    refused: Sequence[str]
    """Why a run that began now would not begin with it."""
    events: Sequence[Event]
    """Of the last run that worked on it, as the remote has them."""
    ledger: Ledger
    verdict: Verdict | None


def explain(known: Standing) -> str:
    """The answer, as Markdown."""
    return "\n".join([*_now(known), *_last_attempt(known)])


def _now(known: Standing) -> Iterator[str]:
    number = known.issue.number
    if known.issue.state != "open":
        yield f"- Issue {number} is closed: no run begins with it."
    elif known.at_work:
        yield f"- Run `{texts.inline(known.at_work, limit=60)}` is at work on it now."
    elif known.waits and known.refused:
        yield f"- It carries the label {texts.code(known.label)}, and a run that began now would not begin with it:"
        yield from (f"  - {texts.inline(line, limit=400)}" for line in known.refused)
    elif known.waits:
        yield f"- It waits: it carries the label {texts.code(known.label)}, and the next run begins with it."
    else:
        yield f"- Nothing is under way. The label {texts.code(known.label)}, or `/orchestrate`, asks for an attempt."


def _last_attempt(known: Standing) -> Iterator[str]:
    ledger = known.ledger
    if not ledger.base_sha or known.verdict is None:
        yield "- The repository has no audit trail of an attempt at it."
        return
    ended = next((e for e in reversed(known.events) if e.kind == "task-ended"), None)
    word = str(ended.data.get("status", "")) if ended else "has not ended, as far as the trail says"
    yield f"- The last attempt (run `{texts.inline(ledger.run, limit=60)}`): **{texts.inline(word, limit=60)}**."
    if ended and ended.data.get("error"):
        yield f"- Its cause: {texts.inline(str(ended.data['error']), limit=1000)}."
    if ledger.pull is not None:
        yield f"- Its pull request: #{ledger.pull}."
    open_ = [p for p in known.verdict.phases if not p.settled]
    yield f"- {len(known.verdict.phases) - len(open_)} of {len(known.verdict.phases)} phases are settled."
    for phase in open_:
        said = "; ".join(f.message for f in phase.findings)
        yield f"  - {BY_ID[phase.phase].title}, {phase.state}: {texts.inline(said, limit=600)}"
    lines = [line for e in known.events if (line := event_words(e))][-MOST_EVENTS:]
    if lines:
        yield "\n<details><summary>What happened last</summary>\n"
        yield from (f"- {texts.inline(line, limit=300)}" for line in lines)
        yield "\n</details>"
