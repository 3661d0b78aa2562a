"""A task's claim beside its fact: what every text about a task says first.

The agent's words come out as they were said: whoever writes them quotes them, so that they cannot be taken for ours.
Figures come from facts that were measured at the head; what was not measured there is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_action.protocol.model import GOOD_STATUSES, Fact, Status, TaskResult, exceptions_of
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.text import figures
from orchestrator_action.text.template import output_tail

OUTPUT_LINES = 12
"""Of what the tests printed, in a comment: the end tells most."""
_MOST_NAMED = 5
_OF_TESTING = ("suite", "nothing-lost", "base-tests", "shows-the-change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What the agent said, and what was measured."""

    verified: bool
    word: str
    """`Verified`, `Not verified`, or `Not verified by tests` where the repository asks for none."""
    at: str
    """The commit that was measured, seven digits; empty when nothing was measured at a commit of the task."""
    said: str = ""
    said_of: str = ""
    """The phase that these words were a claim of; empty for its closing words."""
    measured: tuple[str, ...] = ()
    """Short statements, each from facts: tests, size, findings, money and time; or what does not hold."""
    output: str = ""
    """The end of what the tests printed, where they failed."""
    branch: str = ""
    next_step: str = ""
    """What a person can do, where something is open. Commands stand between backticks."""


def claim_beside_fact(result: TaskResult, status: Status | None, *, label: str = "") -> Beside | None:
    """The claim of a task beside its facts; None while it runs, and where exceptions have to be read first.

    `label` is the one that asks for work; with it the next step names it.
    """
    if status is None or status is Status.NO_CHANGE or _has_exceptions(result, status):
        return None
    facts = _facts_at_head(result)
    wrong = [f for rule in _OF_TESTING if (f := facts.get(rule)) and not f.holds]
    good = status in GOOD_STATUSES and bool(facts) and not wrong
    verified = good and "suite" in facts
    said_of, said = _said(result)
    return Beside(
        verified=verified,
        word="Verified" if verified else "Not verified by tests" if good else "Not verified",
        at=result.head_sha[:7] if good or any(rule in facts for rule in _OF_TESTING) else "",
        said=said,
        said_of=said_of,
        measured=_good(result, facts) if good else tuple(_wrong(f) for f in wrong),
        output="" if good else _output(wrong),
        branch=result.branch,
        next_step=next_step(status, result, label),
    )


def _has_exceptions(result: TaskResult, status: Status) -> bool:
    return status is Status.SUCCESS and bool(exceptions_of(result.phases))


def _facts_at_head(result: TaskResult) -> Mapping[str, Fact]:
    """Facts by rule that were measured at the task's own head; none of the base's."""
    if result.head_sha in {"", result.base_sha}:
        return {}
    return {f.rule: f for p in result.phases for f in p.facts if f.commit == result.head_sha}


def _said(result: TaskResult) -> tuple[str, str]:
    """Of what, and the words: those of the claim of Testing, else the closing ones."""
    testing = next((p for p in result.phases if p.phase == "testing"), None)
    if testing and testing.claimed and testing.claimed.strip():
        return BY_ID["testing"].title, testing.claimed.strip()
    return "", result.said.strip()


def _good(result: TaskResult, facts: Mapping[str, Fact]) -> tuple[str, ...]:
    parts = [tests_words(facts), size_words(facts), findings_words(result), usage_words(result)]
    return tuple(filter(None, parts))


def tests_words(facts: Mapping[str, Fact]) -> str:
    """`12 tests pass (base: 11; 1 fails on the base)`."""
    suite = facts.get("suite")
    if suite is None:
        return "no test was run"
    passed = suite.detail.get("passed")
    if not isinstance(passed, int) or suite.detail.get("red_before") or suite.detail.get("flaky"):
        return suite.message
    beside = []
    base = facts["nothing-lost"].detail.get("base_passed") if "nothing-lost" in facts else None
    if isinstance(base, int):
        beside.append(f"base: {base}")
    shows = facts.get("shows-the-change")
    if shows is not None and shows.detail.get("shows"):
        named = shows.detail.get("tests") or ()
        fails = "fails" if len(named) == 1 else "fail"
        beside.append(
            f"{len(named)} {fails} on the base" if named else "the changed tests cannot run on the base"
        )
    elif shows is not None and "shows" in shows.detail:
        beside.append("no test shows the change")
    words = f"{figures.count(passed, 'test')} {'passes' if passed == 1 else 'pass'}"
    return f"{words} ({'; '.join(beside)})" if beside else words


def size_words(facts: Mapping[str, Fact]) -> str:
    """`2 files, +20 −3`, or nothing where the size was not measured."""
    detail = facts["commits"].detail if "commits" in facts else {}
    files, added, deleted = (detail.get(k) for k in ("files", "added", "deleted"))
    if not isinstance(files, int):
        return ""
    lines = f", +{added} −{deleted}" if isinstance(added, int) and isinstance(deleted, int) else ""
    return figures.count(files, "file") + lines


def findings_words(result: TaskResult) -> str:
    """`1 review finding, declined`; nothing where no review was made."""
    if not any(f.rule == "reviewed" and f.holds for p in result.phases for f in p.facts):
        return ""
    if not result.review:
        return "no review findings"
    ends = {"fixed": 0, "declined": 0, "not answered": 0}
    for one in result.review:
        ends[one.end] += 1
    words = figures.count(len(result.review), "review finding")
    return ", ".join([words, *(k if n == len(result.review) else f"{n} {k}" for k, n in ends.items() if n)])


def usage_words(result: TaskResult) -> str:
    """`$0.05, 1 min`; with the agents where one took over from another."""
    money = [] if result.cost_usd is None else [figures.usd(result.cost_usd)]
    who = [f"by {', then '.join(result.agents)}"] if len(result.agents) > 1 else []
    return ", ".join([*money, figures.duration(result.wall_s), *who])


def _wrong(fact: Fact) -> str:
    """What does not hold, with the tests by name where they are known."""
    passed, failed = fact.detail.get("passed"), fact.detail.get("failed")
    named = [
        str(c["id"])
        for c in fact.detail.get("failing", ())
        if isinstance(c, Mapping) and not c.get("red_before")
    ]
    if fact.rule != "suite" or not isinstance(passed, int) or not isinstance(failed, int) or not named:
        return fact.message
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    verb = "fails" if failed == 1 else "fail"
    return (
        f"{failed} of {figures.count(passed + failed, 'test')} {verb}: {', '.join(named[:_MOST_NAMED])}{more}"
    )


def _output(wrong: Sequence[Fact]) -> str:
    tails = (output_tail(f.detail) for f in wrong)
    lines = [line for line in next(filter(None, tails), "").splitlines() if line.strip("-=_* \t")]
    return "\n".join(lines[-OUTPUT_LINES:])


_BY_A_REVIEW = ("reviewed", "findings-answered", "review", "review-response")


def next_step(status: Status, result: TaskResult, label: str = "") -> str:
    """What a person can do about a task that did not succeed, commands between backticks; empty for one that did."""
    if status in GOOD_STATUSES:
        return ""
    again = f"set the label “{label}” again" if label else "run it again"
    if status is Status.DECLINED:
        return f"Give it what it needs, then {again}."
    if status is Status.BLOCKED:
        return f"Mend what is named here, then {again}."
    stays = "Nothing goes on by itself. " if status is Status.CANCELLED else ""
    if result.head_sha in {"", result.base_sha} or not result.branch:
        return f"{stays}To try again, {again}."
    return (
        f"{stays}To try again, {again}. To mend it by hand, push to the branch; "
        f"`orchestrator-action verify --branch {result.branch}` measures it again.{_who_may_accept(result)}"
    )


def _who_may_accept(result: TaskResult) -> str:
    """What somebody with write access can do where a pull request stands: of the first thing that is open."""
    found = next((f.about or p.phase for p in result.phases if not p.settled for f in p.findings), "")
    if not found or result.pull is None:
        return ""
    approve = " An approving review settles the review." if found in _BY_A_REVIEW else ""
    return (
        f" Somebody with write access may let it pass for this head: comment on #{result.pull.number} with "
        f"`/orchestrate accept {found}: WHY` and verify it again.{approve}"
    )


def beside_record(beside: Beside | None) -> dict[str, Any] | None:
    """The same for the published JSON."""
    if beside is None:
        return None
    shown = ("verified", "word", "at", "said", "said_of", "measured", "next_step")
    return {key: getattr(beside, key) for key in shown} | {"measured": list(beside.measured)}
