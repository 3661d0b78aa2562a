"""What one attempt asked its models for, counted from what their vendors answer.

Sources of the shapes: docs.anthropic.com, "Messages"; platform.openai.com, "Responses" and "Chat Completions";
ai.google.dev, "Gemini API".
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator_action.agents.words import short
from orchestrator_action.config.schema import ModelPrice
from orchestrator_action.protocol.attempt import AgentReport

_INPUT = ("input_tokens", "prompt_tokens", "promptTokenCount", "toolUsePromptTokenCount")
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Of Anthropic: what its `input_tokens` does not count."""
_OUTPUT = ("output_tokens", "completion_tokens", "candidatesTokenCount", "thoughtsTokenCount")
BUDGET_SPENT = "the budget of this task is spent"


@dataclass(slots=True, kw_only=True)
class Meter:
    """What one attempt asked its models for, as their vendors say; limits are for the attempt, 0 is none."""

    prices: Sequence[ModelPrice] = ()
    limit_usd: float = 0.0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    """Requests whose model has no price: their money is not counted."""
    refused: int = 0
    """Requests that were not passed on, as the budget was spent."""
    vendor_says: str = ""
    """The error that the vendor answered the last request with; empty after a good answer."""
    retry_after_s: float = 0.0
    """What the vendor asked us to wait with that error, in seconds."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cost_usd(self) -> float | None:
        """What all requests cost; None when there were none, or one of them has no price."""
        return round(self.usd, 6) if self.requests and not self.unpriced else None

    def admit(self) -> bool:
        """Whether one more request may be made."""
        with self._lock:
            if self.limit_usd and self.usd >= self.limit_usd:
                self.refused += 1
                return False
            self.requests += 1
            return True

    def count(self, model: str, used: tuple[int, int]) -> None:
        """Add what one request used."""
        price = next((p for p in self.prices if p.model == model), None)
        with self._lock:
            self.input_tokens += used[0]
            self.output_tokens += used[1]
            self.unpriced += price is None
            if price is not None:
                self.usd += (used[0] * price.input + used[1] * price.output) / 1e6

    def hear(self, status: int, answer: bytes, retry_after: str) -> None:
        """Keep what the vendor says of a request: some agents tell no more of it than a number."""
        good = status < 400
        with self._lock:
            self.vendor_says = "" if good else f"{status} {error_words(answer)}".strip()
            self.retry_after_s = float(retry_after) if not good and retry_after.isdecimal() else 0.0

    def record(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "requests": self.requests, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "usd": self.cost_usd, "refused": self.refused,
        }  # fmt: skip


def metered(report: AgentReport, meter: Meter) -> AgentReport:
    """What an agent said, with what was counted at the proxy: its cost where it tells none, and a spent budget."""
    if report.cost_usd is None and meter.cost_usd is not None:
        report = replace(report, cost_usd=meter.cost_usd)
    if not meter.refused:
        return _with_the_vendors_words(report, meter)
    problems = report.problems or (BUDGET_SPENT,)
    return replace(report, limit="max-budget", problems=problems, transient=False, retry_after_s=0.0)


def _with_the_vendors_words(report: AgentReport, meter: Meter) -> AgentReport:
    """A failure with the vendor's own reason, where the agent did not pass it on."""
    said = meter.vendor_says
    if (
        not said
        or not report.problems
        or any(said.partition(" ")[2] in problem for problem in report.problems)
    ):
        return report
    return replace(
        report,
        problems=(*report.problems, f"the vendor says: {said}"),
        retry_after_s=report.retry_after_s or meter.retry_after_s,
    )


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
        return short(f"{error['message']}{f' ({code})' if isinstance(code, str) and code else ''}")
    return short(answer[:300].decode("utf-8", "replace"))


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
