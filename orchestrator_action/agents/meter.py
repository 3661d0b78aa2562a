"""What one attempt asked its models for, counted from what their vendors answer.

Sources of the shapes: docs.anthropic.com, "Messages"; platform.openai.com, "Responses" and "Chat Completions";
ai.google.dev, "Gemini API".
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator_action.agents.refusals import is_out_of_quota, may_pass, wait_s
from orchestrator_action.agents.words import cut_words
from orchestrator_action.config.schema import ModelPrice
from orchestrator_action.protocol.attempt import LONGEST_PAUSE_S, AgentReport

_INPUT = ("input_tokens", "prompt_tokens", "promptTokenCount", "toolUsePromptTokenCount")
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Of Anthropic: what its `input_tokens` does not count."""
_OUTPUT = ("output_tokens", "completion_tokens", "candidatesTokenCount", "thoughtsTokenCount")
BUDGET_SPENT = "the budget of this task is spent"
TURNS_TAKEN = "all turns of this session are taken"
_LIMITS = {BUDGET_SPENT: "max-budget", TURNS_TAKEN: "max-turns"}


@dataclass(slots=True, kw_only=True)
class Meter:
    """What one attempt asked its models for, as their vendors say; limits are for the attempt, 0 is none."""

    prices: Sequence[ModelPrice] = ()
    limit_usd: float = 0.0
    counts_turns: bool = False
    """Whether the turns are those counted here: each request that offers the model tools and is answered well."""
    asks_plainly: bool = False
    """Whether a request is a turn without tools, too."""
    max_turns: int = 0
    """Turns that are passed on, where they are counted here."""
    most_refusals: int = 0
    """In a row, until the attempt is given up: for a program that asks for ever."""
    give_up: Callable[[str], None] = lambda _: None
    """Ends the attempt that is metered; called with the reason, from a thread of the proxy."""
    requests: int = 0
    turns: int = 0
    model: str = ""
    """That of the last turn, as its request named it."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    """Requests whose model has no price: their money is not counted."""
    refused: int = 0
    """Requests that were not passed on, as a limit was reached."""
    limit: str = ""
    """`max-budget` or `max-turns`, whichever refused a request."""
    gave_up: str = ""
    """Why the attempt was given up; empty while it was not."""
    vendor_says: str = ""
    """The error that the vendor answered the last request with; empty after a good answer."""
    unreached: str = ""
    """Why the last request did not come to the vendor; empty when it did."""
    retry_after_s: float = 0.0
    """What the vendor asked us to wait with that error, in seconds."""
    _refusals: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cost_usd(self) -> float | None:
        """What all requests cost; None when there were none, or one of them has no price."""
        return round(self.usd, 6) if self.requests and not self.unpriced else None

    def admit(self, *, turn: bool = False) -> str:
        """Count one more request; where it may not be made, why, and it is not counted."""
        with self._lock:
            why = self._limit_reached(turn=turn)
            if why:
                self.refused += 1
                self.limit = _LIMITS[why]
            else:
                self.requests += 1
                self.turns += turn
            return why

    def _limit_reached(self, *, turn: bool) -> str:
        if self.limit_usd and self.usd >= self.limit_usd:
            return BUDGET_SPENT
        taken = turn and self.counts_turns and self.max_turns and self.turns >= self.max_turns
        return TURNS_TAKEN if taken else ""

    def count(self, model: str, used: tuple[int, int]) -> None:
        """Add what one request used."""
        price = next((p for p in self.prices if p.model == model), None)
        with self._lock:
            self.input_tokens += used[0]
            self.output_tokens += used[1]
            self.unpriced += price is None
            if price is not None:
                self.usd += (used[0] * price.input + used[1] * price.output) / 1e6

    def hear(
        self, status: int, answer: bytes, retry_after: str, *, model: str = "", turn: bool = False
    ) -> None:
        """Keep what the vendor says of a request: some agents tell no more of it than a number.

        A turn that was not answered well was none. What is out of quota, or asks to come back much later, ends the
        attempt: its program might wait for that, or ask on and on.
        """
        good = status < 400
        with self._lock:
            self.vendor_says = "" if good else f"{status} {error_words(answer)}".strip()
            self.retry_after_s = 0.0 if good else _seconds(retry_after)
            self.unreached = ""
            self.model = (model if turn and good else "") or self.model
            self._judge(good=good, turn=turn)

    def lose(self, why: str, *, turn: bool) -> None:
        """A request that did not come to the vendor."""
        with self._lock:
            self.vendor_says, self.retry_after_s, self.unreached = "", 0.0, why
            self._judge(good=False, turn=turn)

    @property
    def bad_news(self) -> str:
        """What became of the last request, in words; empty when it was answered well."""
        return f"the vendor says: {self.vendor_says}" if self.vendor_says else self.unreached

    def _judge(self, *, good: bool, turn: bool) -> None:
        self.turns -= turn and not good
        self._refusals = 0 if good else self._refusals + turn
        if not good and not self.gave_up and (why := self._why_no_more()):
            self.gave_up = why
            self.give_up(why)

    def _why_no_more(self) -> str:
        """Why it is no use that the program asks again; empty while it may be."""
        if is_out_of_quota(self.vendor_says) or self.retry_after_s > LONGEST_PAUSE_S:
            return self.bad_news
        again = self.most_refusals and self._refusals >= self.most_refusals
        return f"it asks again and again; {self.bad_news}" if again else ""

    def record(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "requests": self.requests, "turns": self.turns, "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens, "usd": self.cost_usd, "refused": self.refused,
        }  # fmt: skip


def metered(report: AgentReport, meter: Meter) -> AgentReport:
    """What an agent said, with what was counted at the proxy: cost, turns and model where it tells none of its own,
    and a limit that was reached."""
    if not (meter.requests or meter.refused):
        return report
    report = replace(
        report,
        cost_usd=meter.cost_usd if report.cost_usd is None else report.cost_usd,
        turns=meter.turns if meter.counts_turns else report.turns,
        model=report.model or meter.model,
    )
    if not meter.refused:
        return _with_the_vendors_words(report, meter)
    why = next(why for why, limit in _LIMITS.items() if limit == meter.limit)
    problems = report.problems or (why,)
    return replace(report, limit=meter.limit, problems=problems, transient=False, retry_after_s=0.0)


def _with_the_vendors_words(report: AgentReport, meter: Meter) -> AgentReport:
    """A failure with the vendor's own reason, where the agent did not pass it on; whether it may pass, and when."""
    said = meter.bad_news
    if not said or not report.problems:
        return report
    words = meter.vendor_says.partition(" ")[2] or said
    known = any(words in problem for problem in report.problems)
    return replace(
        report,
        problems=report.problems if known else (*report.problems, said),
        transient=report.transient or (not report.limit and may_pass(said)),
        retry_after_s=report.retry_after_s or meter.retry_after_s or wait_s(said),
    )


def _seconds(retry_after: str) -> float:
    """Of a `Retry-After`: a number of seconds, or 0.0 for a date and for what is neither."""
    return float(retry_after[:9]) if retry_after.isascii() and retry_after.isdecimal() else 0.0


def used_tokens(answer: bytes) -> tuple[int, int]:
    """Tokens of input and output, as an answer tells them: JSON, or events with running totals."""
    totals: dict[str, int] = {}
    for event in _events(answer):
        for told in _usages(event):
            for name in (*_INPUT, *_BESIDE, *_OUTPUT):
                if isinstance(value := told.get(name), int) and not isinstance(value, bool):
                    totals[name] = max(totals.get(name, 0), value)
    return sum(totals.get(n, 0) for n in (*_INPUT, *_BESIDE)), sum(totals.get(n, 0) for n in _OUTPUT)


def error_words(answer: bytes) -> str:
    """The message of an error, with its code where the vendor gives one; what is no such JSON as it is, cut."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError, LookupError, TypeError):
        body = json.loads(answer)
        error = (body[0] if isinstance(body, list) else body).get("error")
        code = error.get("code") or error.get("type") or ""
        return cut_words(f"{error['message']}{f' ({code})' if isinstance(code, str) and code else ''}")
    return cut_words(answer[:300].decode("utf-8", "replace"))


def _events(answer: bytes) -> Iterator[Any]:
    whole = [line[5:] for line in answer.splitlines() if line.startswith(b"data:")] or [answer]
    for text in whole:
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(text)
            yield from event if isinstance(event, list) else [event]


def _usages(event: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(event, Mapping):
        return
    for place in (event, event.get("message"), event.get("response")):
        if isinstance(place, Mapping):
            yield from (u for n in ("usage", "usageMetadata") if isinstance(u := place.get(n), Mapping))
