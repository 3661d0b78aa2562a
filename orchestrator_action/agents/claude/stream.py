"""What `claude --output-format stream-json` prints, folded into an AgentReport.

Exit code 0 is not success, and neither is `subtype: success`: an unknown command ends with both. A
session has succeeded only when all of these hold: exit 0, a complete `result` event, subtype `success`,
`is_error` false, at least one turn, the init event listing our command, and no plugin errors.
Whatever does not hold is a problem, told in the words of the CLI or the API where there are any.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping

from orchestrator_action.agents.base import process_problems
from orchestrator_action.agents.event_line import AgentEvent, count_of, event_of
from orchestrator_action.agents.refusals import is_lasting, may_pass
from orchestrator_action.agents.words import LONGEST_WORDS, cut_words
from orchestrator_action.protocol.attempt import AgentReport, Ending, Mark, Outcome

LIMITS = {"error_max_turns": "max-turns", "error_max_budget_usd": "max-budget"}
_LIMIT = "usage limit"
TRANSIENT_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_USAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
"""Of a result's `usage`, which is that of one process in every version."""
_MODEL_USAGE = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
"""Of a result's `modelUsage`, which counts what `total_cost_usd` counts."""


class ClaudeReader:
    """Folds the lines of one session. `wanted` is the slash command the plugin must have brought;
    an empty string asks for none."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._abort = ""
        self._init: AgentEvent | None = None
        self._session_id = ""
        self._results: dict[str, AgentEvent] = {}
        self._messages: set[str] = set()
        self._faults: list[str] = []
        self._retry: AgentEvent = {}
        self._plain: deque[str] = deque(maxlen=5)

    @property
    def abort(self) -> str:
        """Why this session cannot succeed any more; empty while it can."""
        return self._abort

    @property
    def results(self) -> tuple[AgentEvent, ...]:
        """The complete result events, each once, in order."""
        return tuple(self._results.values())

    def feed(self, line: bytes) -> Mark | None:
        """Take one line without its newline; never raises on garbage. None means no progress."""
        event = event_of(line)
        if event is None:
            self._keep_words(line)
            return None
        kind = event.get("type")
        if kind == "system":
            return self._system(event)
        if kind == "result":
            return self._result(event)
        if kind == "assistant":
            self._assistant(event)
            return Mark.ACTIVITY
        if kind == "rate_limit_event":
            self._rate_limit(event)
            return None
        return Mark.ACTIVITY if kind in {"user", "stream_event"} else None

    def report(self, outcome: Outcome) -> AgentReport:
        """What the output amounts to, now that the process has ended like this."""
        results = self.results
        last = results[-1] if results else {}
        problems = tuple(dict.fromkeys(self._problems(outcome)))
        costs = [c for r in results if (c := count_of(r.get("total_cost_usd"))) is not None]
        return AgentReport(
            session_id=self._session_id,
            model=_text((self._init or {}).get("model")),
            turns=self._turns(),
            cost_usd=max(costs) if costs else None,
            own_tokens=sum(_tokens(r.get("usage"), _USAGE) for r in results),
            cost_tokens=max((_model_tokens(r) for r in results), default=0),
            text=_text(last.get("result")),
            problems=problems,
            limit=next((LIMITS[s] for r in results if (s := _text(r.get("subtype"))) in LIMITS), ""),
            api_failed=bool(problems) and self._only_the_api_failed(outcome),
            transient=bool(problems) and self._may_pass(outcome),
            retry_after_s=(count_of(self._retry.get("retry_delay_ms")) or 0.0) / 1000,
        )

    def _system(self, event: AgentEvent) -> Mark | None:
        subtype = event.get("subtype")
        if subtype == "init":
            return self._started(event)
        if subtype == "api_retry":
            self._retry = event  # also of a refused key: its few retries end with the API's own words
            return None
        return None if subtype == "status" else Mark.ACTIVITY

    def _started(self, event: AgentEvent) -> Mark:
        self._init = event
        self._session_id = _text(event.get("session_id")) or self._session_id
        if self._wanted and self._wanted not in _commands(event):
            self._give_up(f"the session does not know the command /{self._wanted}: the plugin was not loaded")
        for error in _plugin_errors(event):
            self._give_up(f"plugin error: {error}")
        return Mark.STARTED

    def _result(self, event: AgentEvent) -> Mark:
        key = _text(event.get("uuid")) or json.dumps(event, sort_keys=True)
        self._results[key] = event
        self._session_id = _text(event.get("session_id")) or self._session_id
        return Mark.RESULT

    def _assistant(self, event: AgentEvent) -> None:
        message = event.get("message")
        message = message if isinstance(message, Mapping) else {}
        if not event.get("parent_tool_use_id") and message.get("model") != "<synthetic>":
            self._messages.add(_text(message.get("id")))
        if event.get("error"):
            self._faults.append(_text(event["error"]))

    def _rate_limit(self, event: AgentEvent) -> None:
        info = event.get("rate_limit_info")
        if isinstance(info, Mapping) and info.get("status") == "rejected":
            self._faults.append(_limit_words(info))

    def _give_up(self, why: str) -> None:
        self._abort = self._abort or why
        self._faults.append(why)

    def _keep_words(self, line: bytes) -> None:
        words = line[:LONGEST_WORDS].decode("utf-8", "replace").strip()
        if words and not words.startswith("{"):
            self._plain.append(words)

    def _turns(self) -> int | None:
        counted = [int(n) for r in self.results if (n := count_of(r.get("num_turns"))) is not None]
        if counted:
            return sum(counted)
        return len(self._messages) if self._init else None

    def _problems(self, outcome: Outcome) -> list[str]:
        found = list(process_problems(outcome))
        if self._init is None:
            found.append("no init event: the session never started")
        found += [f for f in self._faults if f.startswith(("plugin error", "the "))]
        if not any(not _result_problems(r) for r in self.results):
            found += [f for f in self._faults if f.startswith(_LIMIT)]
        if not self._results:
            found.append("no result event")
            found += [f"the CLI's last words: {w}" for w in list(self._plain)[-1:]]
            found += [f"the API's error: {w}" for w in self._api_words()]
        for result in self.results:
            found += _result_problems(result)
        return found

    def _api_words(self) -> list[str]:
        status, error = self._retry.get("error_status"), _text(self._retry.get("error"))
        return [f"{_status(status)} {error}".strip()] if self._retry else []

    def _only_the_api_failed(self, outcome: Outcome) -> bool:
        """Whether the session did its turns until the API refused the next one; its end says so with exit 1."""
        if self._abort or outcome.ending is not Ending.EXITED or outcome.exit_code not in {0, 1}:
            return False
        failed = [r for r in self.results if _result_problems(r)]
        return bool(failed) and all(
            r.get("subtype") == "success" and r.get("is_error") is True and _was_at_work(r) for r in failed
        )

    def _may_pass(self, outcome: Outcome) -> bool:
        """Whether the same command may well succeed a little later."""
        if self._abort or outcome.ending not in {Ending.EXITED, Ending.RESULT_GRACE, Ending.STALLED}:
            return False
        last = self.results[-1] if self._results else {}
        if _text(last.get("subtype")) in LIMITS:
            return False
        status = last.get("api_error_status") or (None if last else self._retry.get("error_status"))
        if isinstance(status, int):
            return status in TRANSIENT_STATUSES
        if not last.get("is_error") and last:
            return False
        words = " ".join([_text(last.get("result")), *self._faults, *self._plain])
        return may_pass(words) or (bool(self._retry) and not is_lasting(words))


def _result_problems(result: AgentEvent) -> list[str]:
    found = []
    subtype = _text(result.get("subtype"))
    if subtype != "success":
        found.append(f"result says {subtype or 'nothing'}")
    if result.get("is_error") is not False:
        found.append(f"the API's error: {_words(result)}" if subtype == "success" else "result is an error")
    if not _was_at_work(result):
        found.append(f"no turn was taken: {_words(result)}")
    errors = result.get("errors")
    found += [cut_words(_text(e)) for e in errors if e] if isinstance(errors, list) else []
    return found


def _was_at_work(result: AgentEvent) -> bool:
    turns = result.get("num_turns")
    return isinstance(turns, int) and not isinstance(turns, bool) and turns >= 1


def _tokens(counted: object, names: Iterable[str]) -> int:
    if not isinstance(counted, Mapping):
        return 0
    return sum(int(count_of(counted.get(name)) or 0) for name in names)


def _model_tokens(result: AgentEvent) -> int:
    """The tokens that a result's cost counts: those of every model, also of sub-agents."""
    models = result.get("modelUsage")
    return sum(_tokens(m, _MODEL_USAGE) for m in models.values()) if isinstance(models, Mapping) else 0


def _words(result: AgentEvent) -> str:
    words = _text(result.get("result")) or "no words given"
    status = result.get("api_error_status")
    return cut_words(words if not status or str(status) in words else f"{status} {words}")


def _commands(init: AgentEvent) -> frozenset[str]:
    listed = init.get("slash_commands")
    return frozenset(str(c).removeprefix("/") for c in listed) if isinstance(listed, list) else frozenset()


def _plugin_errors(init: AgentEvent) -> list[str]:
    errors = init.get("plugin_errors")
    if not errors:
        return []
    listed = errors if isinstance(errors, list) else [errors]
    return [cut_words(e if isinstance(e, str) else json.dumps(e)) for e in listed]


def _status(status: object) -> str:
    return f"HTTP {status}" if isinstance(status, int) else "no connection"


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _limit_words(info: AgentEvent) -> str:
    """A limit of the subscription, with the time at which it ends where the CLI gives it."""
    kind, resets = _text(info.get("rateLimitType")).replace("_", " "), count_of(info.get("resetsAt"))
    words = f"{_LIMIT}{f' ({kind})' if kind else ''}"
    with contextlib.suppress(ValueError, OverflowError, OSError):  # a number that is no time
        words += (
            ""
            if resets is None
            else f", resets at {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(resets))}"
        )
    return words
