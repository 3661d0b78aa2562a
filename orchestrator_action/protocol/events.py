"""The ledger of a task: a fold of the journal's events, and the chain that makes tampering visible.

An event names its predecessor in the same stream (one stream per run and task) by hash, and its own
hash covers everything else in it. A changed event breaks its own hash, a missing or reordered one the
chain. The same lines stand in the run's journal and in the task's ref, so any clone can check them.

Pure: lines come in, events and a ledger go out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.protocol.model import Claim, Declined, Fact
from orchestrator_action.protocol.phases import PHASES

EVENT_KINDS = frozenset(
    {
        "run-started", "run-resumed", "run-ended",
        "task-started", "attempt-started", "attempt-running", "attempt-ended", "task-ended",
        "claim", "refused", "declined", "fact", "plan", "issue", "pull", "review", "answer", "pushed",
        "review-ended", "pending", "posted", "salvaged", "reminded", "verified", "note",
        "judged", "retried", "handed-over", "requeued", "cancelled", "claiming", "claimed", "dispatched", "check-begun",
        "egress-refused",
        "follow-up",
        "chosen",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a journal. `task` is empty for what concerns the whole run; `at` in epoch seconds."""

    seq: int
    at: float
    run: str
    task: str
    kind: str
    data: Mapping[str, Any]
    prev: str
    hash: str


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def seal(*, seq: int, at: float, run: str, task: str, kind: str, data: Mapping[str, Any], prev: str) -> Event:
    """An event with its hash. `prev` is the hash of the event before it in the same stream, or empty."""
    if kind not in EVENT_KINDS:
        raise ValueError(f"unknown event kind {kind!r}")
    body = {"seq": seq, "at": at, "run": run, "task": task, "kind": kind, "data": data, "prev": prev}
    digest = hashlib.sha256(_canonical(body).encode()).hexdigest()
    return Event(seq=seq, at=at, run=run, task=task, kind=kind, data=dict(data), prev=prev, hash=digest)


def encode_event(event: Event) -> str:
    """The event as one line of JSON, without the newline."""
    return _canonical(
        {
            "seq": event.seq, "at": event.at, "run": event.run, "task": event.task,
            "kind": event.kind, "data": event.data, "prev": event.prev, "hash": event.hash,
        }
    )  # fmt: skip


def decode_event(line: str) -> Event:
    """The event of one line.

    Raises ValueError saying what is wrong: not JSON, not an event, or a hash that is not its own.
    """
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"not JSON: {exc}") from None
    if not isinstance(body, dict):
        raise ValueError("not an event")
    stated = body.pop("hash", None)
    if set(body) != {"seq", "at", "run", "task", "kind", "data", "prev"} or not isinstance(
        body["data"], dict
    ):
        raise ValueError("not an event")
    if not all(isinstance(body[name], str) for name in ("run", "task", "kind", "prev")):
        raise ValueError("not an event")
    if type(body["seq"]) is not int or type(body["at"]) not in {int, float}:
        raise ValueError("not an event")
    actual = hashlib.sha256(_canonical(body).encode()).hexdigest()
    if stated != actual:
        raise ValueError(f"event {body['seq']} was changed: its hash does not match")
    return Event(hash=actual, **body)


def broken_links(events: Iterable[Event]) -> tuple[str, ...]:
    """Every place where a stream does not follow from itself, in plain words; empty when it is whole."""
    last: dict[tuple[str, str], Event] = {}
    problems = []
    for event in events:
        stream = (event.run, event.task)
        before = last.get(stream)
        if event.prev != (before.hash if before else ""):
            after = f"event {before.seq}" if before else "the start"
            problems.append(
                f"event {event.seq} of {event.task or 'the run'} does not follow {after}: "
                "an event is missing or out of order"
            )
        last[stream] = event
    return tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingAnswer:
    """What the author says of one review finding: a commit that fixes it, or why it is declined."""

    finding: str
    fixed_in: str = ""
    declined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All that is known of one task, in the order it became known."""

    task: str
    run: str = ""
    base_sha: str = ""
    base_branch: str = ""
    branch: str = ""
    digest: str = ""
    issue: int | None = None
    pull: int | None = None
    pull_url: str = ""
    pushed_sha: str = ""
    plan: str = ""
    attempts: int = 0
    reminders: int = 0
    """How often the agent was sent back because it ended early."""
    sent_back_red: bool = False
    """Whether it was sent back with what the final measurement refuted; that is done once."""
    claims: Mapping[str, Claim] = field(default_factory=dict)
    facts: Mapping[tuple[str, str], tuple[Fact, ...]] = field(default_factory=dict)
    findings: tuple[ReviewFinding, ...] = ()
    review_rounds: int = 0
    """Those that the agent's own heads used up; a person's push uses none."""
    answers: Mapping[str, FindingAnswer] = field(default_factory=dict)
    follow_ups: int = 0
    """How often people had the pull request changed by what they wrote on it."""
    follow_up_key: str = ""
    """The last of these wishes."""
    follow_up_at: str = ""
    """The head that the branch had when it was asked for."""
    wishes: Mapping[str, str] = field(default_factory=dict)
    """What was asked, by key, oldest first."""
    declined: Declined | None = None
    """What the agent said when it stopped; a claim after that takes it back."""
    ended: str = ""
    """The status of its `task-ended` event, when there is one."""

    @property
    def no_change(self) -> str:
        """The reason given for changing nothing, when that is what the latest claim says."""
        claim = self.claims.get("implementation")
        return claim.no_change if claim else ""

    def fact(self, phase: str, rule: str, commit: str | None = None) -> Fact | None:
        """The latest fact of a rule, at `commit` when one is given."""
        for fact in reversed(self.facts.get((phase, rule), ())):
            if commit is None or fact.commit == commit:
                return fact
        return None

    @property
    def open_findings(self) -> tuple[ReviewFinding, ...]:
        """Review findings nobody has answered."""
        return tuple(f for f in self.findings if f.id not in self.answers)


def claim_data(claim: Claim) -> dict[str, Any]:
    """A claim as an event's data."""
    return {
        "phase": claim.phase, "head_sha": claim.head_sha, "note": claim.note, "text": claim.text,
        "digest": claim.digest, "no_change": claim.no_change, "waive": claim.waive,
    }  # fmt: skip


def fact_data(fact: Fact) -> dict[str, Any]:
    """A fact as an event's data."""
    return {
        "phase": fact.phase, "rule": fact.rule, "commit": fact.commit, "holds": fact.holds,
        "message": fact.message, "detail": dict(fact.detail),
    }  # fmt: skip


def fold(events: Iterable[Event], task: str) -> Ledger:
    """The ledger of `task` from a journal's events; other tasks' events are passed over.

    A run that starts the task anew begins a new ledger: what an earlier run proved was another change.
    """
    known = _Known(task)
    for event in events:
        if event.task == task and (take := _TAKES.get(event.kind)):
            take(known, event)
    return known.ledger()


class _Known:
    """The ledger while it is being folded."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.forget()

    def forget(self) -> None:
        self.plain: dict[str, Any] = {"task": self.task}
        self.claims: dict[str, Claim] = {}
        self.facts: dict[tuple[str, str], tuple[Fact, ...]] = {}
        self.findings: dict[str, ReviewFinding] = {}
        self.answers: dict[str, FindingAnswer] = {}

    def ledger(self) -> Ledger:
        return Ledger(
            **self.plain,
            claims=self.claims,
            facts=self.facts,
            findings=tuple(self.findings.values()),
            answers=self.answers,
        )

    def started(self, event: Event) -> None:
        if self.plain.get("run", event.run) != event.run:
            self.forget()
        names = ("base_sha", "base_branch", "branch", "digest", "issue")
        self.plain |= {k: event.data[k] for k in names if k in event.data}
        self.plain |= {"run": event.run, "ended": ""}

    def attempted(self, _event: Event) -> None:
        self.plain["attempts"] = self.plain.get("attempts", 0) + 1

    def declined(self, event: Event) -> None:
        self.plain["declined"] = Declined(**event.data)

    def claimed(self, event: Event) -> None:
        self.plain["declined"] = None
        self.claims[event.data["phase"]] = Claim(**event.data, seq=event.seq)

    def measured(self, event: Event) -> None:
        fact = Fact(**event.data, seq=event.seq)
        key = (fact.phase, fact.rule)
        self.facts[key] = (*self.facts.get(key, ()), fact)

    def pulled(self, event: Event) -> None:
        self.plain |= {"pull": event.data["number"], "pull_url": event.data.get("url", "")}

    def reviewed(self, event: Event) -> None:
        if event.data.get("counts", True):
            self.plain["review_rounds"] = self.plain.get("review_rounds", 0) + 1
        self.findings |= {f["id"]: ReviewFinding(**f) for f in event.data["findings"]}

    def answered(self, event: Event) -> None:
        self.answers[event.data["finding"]] = FindingAnswer(**event.data)

    def followed_up(self, event: Event) -> None:
        """A person asked for more: what was claimed from Implementation on has to be claimed again."""
        for phase in PHASES[[p.id for p in PHASES].index("implementation") :]:
            self.claims.pop(phase.id, None)
        self.plain |= {
            "follow_ups": event.data["round"], "follow_up_key": event.data["key"],
            "follow_up_at": event.data["head"], "review_rounds": 0, "declined": None,
            "wishes": {**self.plain.get("wishes", {}), event.data["key"]: event.data["text"]},
        }  # fmt: skip

    def reminded(self, event: Event) -> None:
        if event.data.get("final"):
            self.plain["sent_back_red"] = True
        else:
            self.plain["reminders"] = self.plain.get("reminders", 0) + 1


def _plain(name: str, key: str) -> Callable[[_Known, Event], None]:
    """Takes one value of an event's data as it is."""

    def take(known: _Known, event: Event) -> None:
        known.plain[name] = event.data[key]

    return take


_TAKES: dict[str, Callable[[_Known, Event], None]] = {
    "task-started": _Known.started,
    "attempt-started": _Known.attempted,
    "claim": _Known.claimed,
    "declined": _Known.declined,
    "fact": _Known.measured,
    "plan": _plain("plan", "text"),
    "issue": _plain("issue", "number"),
    "pushed": _plain("pushed_sha", "sha"),
    "pull": _Known.pulled,
    "review": _Known.reviewed,
    "answer": _Known.answered,
    "reminded": _Known.reminded,
    "follow-up": _Known.followed_up,
    "task-ended": _plain("ended", "status"),
}


def last_measured(events: Iterable[Event], task: str) -> str:
    """The commit at which a task was measured last, or an empty string."""
    facts = (str(e.data["commit"]) for e in events if e.task == task and e.kind == "fact")
    return next(reversed([commit for commit in facts if commit]), "")
