"""Audit trails that somebody hostile would put into a bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from orchestrator_action.protocol.events import seal
from orchestrator_action.protocol.model import Task
from tests.kit.forger import Forger, lines
from tests.steps.hostile import KINDS


def with_trail(what: str, refused_as: str, forge: Any) -> None:
    """An honest bundle with a trail that is not; `forge` gives events and the trail's commit."""

    def make(forger: Forger, folder: Path, task: Task) -> None:
        head = forger.commit()
        events, tip = forge(forger, task, head)
        texts = [e for e in events if isinstance(e.data.get("note", ""), str)]
        claims = forger.document(task, head, texts)["claims"]
        forger.make(folder, task, head=head, events=events, tip=tip, claims=claims)

    KINDS[what] = (refused_as, make)


def _file(forger: Forger) -> str:
    return f"{forger.plan.run_id}.jsonl"


def _changed(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines(events).replace('"testing"', '"review"')})


def _gap(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines([*events[:2], *events[3:]])})


def _cut(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.trail(events[:-1])


def _taken_back(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    before = forger.trail(forger.events(task, head, note="something else"))
    return events, forger.trail(events, parent=before)


def _wrong_type(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    data = {**events[1].data, "note": {"a": [1]}}
    last = seal(
        seq=9, at=9.0, run=forger.plan.run_id, task=task.id, kind="claim", data=data, prev=events[-1].hash
    )
    return [*events, last], forger.trail([*events, last])


def _garbage(forger: Forger, task: Task, head: str) -> Any:
    return forger.events(task, head), forger.raw_trail({_file(forger): "\x00\xff{]\n" * 10})


def _two_files(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines(events), "run.sh": "echo"})


def _other_run(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head, run="20200101-000000-abcdef")
    return events, forger.trail(events, run="20200101-000000-abcdef")


def _other(**other: Any) -> Any:
    def make(forger: Forger, task: Task, head: str) -> Any:
        events = forger.events(task, head, **other)
        return events, forger.trail(events)

    return make


def _then(kind: str, data: Any, *, seq: Any = 9, at: Any = 9.0) -> Any:
    """An honest trail with one event more."""

    def make(forger: Forger, task: Task, head: str) -> Any:
        events = forger.events(task, head)
        named = {k: head if v == "HEAD" else v for k, v in data.items()}
        more = seal(
            seq=seq, at=at, run=forger.plan.run_id, task=task.id, kind=kind, data=named, prev=events[-1].hash
        )
        return [*events, more], forger.trail([*events, more])

    return make


def _key_twice(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    text = lines(events).replace('"kind":"claim"', '"kind":"fact","kind":"claim"', 1)
    return events, forger.raw_trail({_file(forger): text})


def _brackets(forger: Forger, task: Task, head: str) -> Any:
    events = forger.events(task, head)
    return events, forger.raw_trail({_file(forger): lines(events) + '{"data":' * 10_000 + "\n"})


FINDING = {"id": "f1", "path": "x.py", "line": 1, "severity": "minor", "text": "x"}
with_trail("a trail with a key twice", "forged-trail", _key_twice)
with_trail("a trail with brackets 10000 deep", "forged-trail", _brackets)
with_trail(
    "a trail with a line of 17 MiB", "oversized", _then("note", {"note": os.urandom(9 * 1024**2).hex()})
)
with_trail("an event without a time", "forged-trail", _then("plan", {"text": "x"}, at="now"))
with_trail("an event of a number of 400 digits", "forged-trail", _then("plan", {"text": "x"}, seq=10**400))
with_trail("half a character in a plan", "forged-trail", _then("plan", {"text": "\ud800"}))
with_trail("a plan that is no text", "forged-trail", _then("plan", {"text": {"a": 1}}))
with_trail(
    "half a character in a finding", "forged-trail",
    _then("review", {"head": "HEAD", "round": 1, "findings": [{**FINDING, "text": "\udc80"}]}),
)  # fmt: skip
with_trail("a review of no commit", "forged-trail", _then("review", {"head": "main", "findings": [FINDING]}))
with_trail("a review without a commit", "forged-trail", _then("review", {"findings": [FINDING]}))
with_trail(
    "a review of 101 findings", "forged-trail",
    _then("review", {"head": "HEAD", "findings": [{**FINDING, "id": f"f{n}"} for n in range(101)]}),
)  # fmt: skip
with_trail(
    "a line that is none", "forged-trail",
    _then("review", {"head": "HEAD", "findings": [{**FINDING, "line": "1; x"}]}),
)  # fmt: skip
with_trail(
    "a reason to decline that is no text", "forged-trail", _then("declined", {"because": ["x"], "needs": ""})
)
with_trail("an answer that is no text", "forged-trail", _then("answer", {"finding": "f1", "fixed_in": 7}))
with_trail("an event that was changed", "forged-trail", _changed)
with_trail("an event that was taken out", "forged-trail", _gap)
with_trail("a trail without its end", "cut-trail", _cut)
with_trail("a trail that takes back", "forged-trail", _taken_back)
with_trail("a trail of garbage", "forged-trail", _garbage)
with_trail("a claim that is no text", "forged-trail", _wrong_type)
with_trail("a trail with a further file", "foreign-trail", _two_files)
with_trail("the trail of another run", "foreign-trail", _other_run)
with_trail("the trail of another base", "foreign-trail", _other(base_sha="0" * 40))
with_trail("the trail of another branch", "foreign-trail", _other(branch="main"))
with_trail("events of another task", "forged-trail", _other(named="issue-999"))
